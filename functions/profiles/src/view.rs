//! A profile as merchants see it. What is not known is absent.

use domain::{Figures, Platform, UserId};
use serde::Serialize;
use store::Connection;
use store::figures::Latest;

/// A creator.
#[derive(Debug, Serialize)]
pub(crate) struct ProfileView {
    pub(crate) user_id: UserId,
    /// What pages call them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
    pub(crate) accounts: Vec<AccountView>,
}

/// One account of theirs.
#[derive(Debug, Serialize)]
pub(crate) struct AccountView {
    platform: Platform,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    followers: Option<u64>,
    /// Of the media of the last 30 days, in hundredths of a percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    engagement_rate: Option<u64>,
    /// When the figures were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<String>,
}

impl AccountView {
    pub(crate) fn of(
        connection: &Connection,
        latest: Option<&Latest<Figures>>,
        engagement_rate: Option<u64>,
    ) -> Self {
        let account = &connection.account;
        Self {
            platform: connection.platform,
            username: account.username.clone(),
            display_name: account.display_name.clone(),
            profile_url: account.profile_url.clone(),
            followers: latest.and_then(|latest| latest.read.followers),
            engagement_rate,
            as_of: latest.map(|latest| latest.at.rfc3339()),
        }
    }
}
