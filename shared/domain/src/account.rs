//! The platform's side of a connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AppRef, Environment, Platform};

/// An account on a platform, as the platform described it when it was connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The platform.
    pub platform: Platform,
    /// Where the app lives that it was connected with. Absent in rows: production.
    #[serde(default, skip_serializing_if = "Environment::is_production")]
    pub environment: Environment,
    /// The platform's immutable id of the account. Unique per app: not over platforms, and not
    /// between a platform's production and its sandbox (tiktok.md §3.1).
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
    /// The app that it was connected with.
    pub const fn app(&self) -> AppRef {
        AppRef::new(self.platform, self.environment)
    }

    /// The key under which all holders of this account are found: `tiktok#<account id>`.
    pub fn key(&self) -> String {
        Self::key_of(self.app(), &self.id)
    }

    /// [`Account::key`] where only the id is known.
    pub fn key_of(app: impl Into<AppRef>, id: &str) -> String {
        format!("{}#{id}", app.into())
    }
}
