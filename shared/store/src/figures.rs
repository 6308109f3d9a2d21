//! Figures: the latest of each connection. Those of its media are in the records.
//!
//! | access | by |
//! |---|---|
//! | the latest of all connections of a user | `owner` = `user#<user id>`, `item` = connection id |
//!
//! Nothing that was read earlier is written over what was read later.

use domain::{ConnectionId, Figures, MediaTotals, Platform, Snapshot, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::item::{key, value};
use crate::snapshots::parts;
use crate::table::Page;
use crate::{StoreError, Table, Transaction};

/// The latest figures of a connection. Its two parts may be of different readings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestFigures {
    /// Which connection.
    #[serde(rename = "item")]
    pub connection_id: ConnectionId,
    /// On which platform.
    pub platform: Platform,
    /// The account's own figures, and when their reading was begun.
    #[serde(default)]
    pub account: Option<Latest<Figures>>,
    /// What its media came to.
    #[serde(default)]
    pub media: Option<Latest<MediaTotals>>,
}

/// What was read, and when its reading was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest<T> {
    /// When.
    pub at: Timestamp,
    /// What.
    pub read: T,
}

/// The table of figures.
#[derive(Clone, Debug)]
pub struct FiguresTable(Table);

impl FiguresTable {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// Adds a connection's latest figures, read at `at`, to a transaction, which is refused where
    /// later ones stand.
    pub fn write_latest(
        &self,
        transaction: Transaction,
        user: &UserId,
        (connection, platform): (&ConnectionId, Platform),
        at: Timestamp,
        snapshot: &Snapshot,
    ) -> Result<Transaction, StoreError> {
        let Some(change) = parts(["account", "media"], snapshot, at) else {
            return Ok(transaction);
        };
        let update = change.set("platform", value(platform)).in_transaction(
            &self.0.name,
            key([("owner", &of_user(user)), ("item", connection.as_str())]),
        )?;
        Ok(transaction.update(update))
    }

    /// The latest figures of every connection of a user.
    pub async fn latest(&self, user: &UserId) -> Result<Vec<LatestFigures>, StoreError> {
        let page = Page {
            limit: 1_000,
            ..Page::default()
        };
        let (latest, _) = self.0.page(("owner", &of_user(user)), "item", page).await?;
        Ok(latest)
    }
}

fn of_user(user: &UserId) -> String {
    format!("user#{user}")
}
