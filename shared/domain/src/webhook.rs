//! What a webhook told us, in our own words.

use serde::{Deserialize, Serialize};

use crate::{PublishedPost, Timestamp};

/// One fact out of a webhook body; a body may hold several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// What makes it unique on its platform: the platform's id of it, or a hash of the fact.
    pub dedup_key: String,
    /// The account that it is about, where it names one.
    pub account_id: Option<String>,
    /// The platform's name for what happened.
    pub kind: String,
    /// When it happened, by the platform's clock.
    pub occurred_at: Option<Timestamp>,
    /// What is to be done.
    pub effect: WebhookEffect,
}

/// What a delivery asks of us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookEffect {
    /// The account's tokens are dead on the platform's side; the reason is for a person to read.
    AuthorizationRemoved {
        /// Why, in plain words.
        reason: String,
    },
    /// News of a publish that we started.
    Publish {
        /// The platform's id of the publish.
        publish_id: String,
        /// What became of it.
        news: PublishNews,
    },
    /// Known and of no consequence here, or unknown: kept, counted, nothing done.
    Nothing,
}

/// What became of a publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishNews {
    /// Published; the platform may name the post only later.
    Published(PublishedPost),
    /// It waits as a draft for the creator.
    InInbox,
    /// The post can now be seen by everyone.
    Public(PublishedPost),
    /// The post can no longer be seen by everyone.
    NoLongerPublic(PublishedPost),
    /// It failed, for the platform's reason.
    Failed {
        /// The platform's code for why.
        reason: String,
    },
}
