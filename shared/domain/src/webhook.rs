//! What a webhook told us, in our own words.

use serde::{Deserialize, Serialize};

use crate::{AppRef, DeliveryId, Environment, Fact, Platform, PublishedPost, Timestamp};

/// What the webhook queue holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WebhookMessage {
    /// A genuine body, as it came.
    Received(ReceivedWebhook),
    /// A delivery that is to be applied again from its raw body.
    Replay {
        /// Which.
        delivery_id: DeliveryId,
    },
}

/// A body that a platform sent and signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedWebhook {
    /// Which platform.
    pub platform: Platform,
    /// Whose secret signed it: the production's app or the sandbox's.
    #[serde(default, skip_serializing_if = "Environment::is_production")]
    pub environment: Environment,
    /// When it was answered.
    pub received_at: Timestamp,
    /// Headers that reading it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The raw bytes in base64 (SQS takes only texts that are legal in XML), or …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// … the key of the object that holds them, where they are too many for a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_key: Option<String>,
}

impl ReceivedWebhook {
    /// The app that it was sent to.
    pub const fn app(&self) -> AppRef {
        AppRef::new(self.platform, self.environment)
    }
}

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
    /// What it tells of the account's records, beside that.
    pub facts: Vec<Fact>,
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
