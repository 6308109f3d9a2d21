//! The platform's side of a connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Platform;

/// An account on a platform, as the platform described it when it was connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The platform.
    pub platform: Platform,
    /// The platform's immutable id of the account. Unique per platform, not globally.
    pub id: String,
    /// What people call it; shown on the confirm page. May be empty.
    pub display_name: String,
    /// The handle without `@`, where the platform gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// A page about the account, where the platform gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_url: Option<String>,
    /// Other ids of the same account, by the platform's names for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other_ids: BTreeMap<String, String>,
}

impl Account {
    /// The key under which all holders of this account are found: `tiktok#<account id>`.
    pub fn key(&self) -> String {
        Self::key_of(self.platform, &self.id)
    }

    /// [`Account::key`] where only the id is known.
    pub fn key_of(platform: Platform, id: &str) -> String {
        format!("{platform}#{id}")
    }
}
