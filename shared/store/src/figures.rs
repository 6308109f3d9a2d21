//! Figures: the latest of each connection, and the latest of each medium.
//!
//! | access | by |
//! |---|---|
//! | the latest of all connections of a user | `owner` = `user#<user id>`, `item` = connection id |
//! | the media of an account | `owner` = `account#<platform>#<account id>`, `item` = media id |
//!
//! Media belong to the account and not to a connection: two users who connected the same account see
//! the same ones. Nothing that was read earlier is written over what was read later.

use domain::{
    ConnectionId, Figures, MediaFigures, MediaTotals, Platform, Snapshot, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
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

/// A medium as last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestMedium {
    /// When its reading was begun.
    pub at: Timestamp,
    /// What was read.
    pub medium: MediaFigures,
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

    /// Adds a medium, read at `at`, to a transaction, which is refused where a later reading stands.
    pub fn write_medium(
        &self,
        transaction: Transaction,
        account_key: &str,
        at: Timestamp,
        medium: &MediaFigures,
    ) -> Result<Transaction, StoreError> {
        let update = Change::new()
            .set("at", value(at))
            .set("medium", value(medium))
            .when("attribute_not_exists(#at) OR #at < :at")
            .in_transaction(
                &self.0.name,
                key([
                    ("owner", &of_account(account_key)),
                    ("item", &medium.media_id),
                ]),
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

    /// The media of an account in the order of their ids, the largest first, from after `after`; with
    /// where to go on.
    pub async fn media(
        &self,
        account_key: &str,
        after: Option<&str>,
        limit: i32,
    ) -> Result<(Vec<LatestMedium>, Option<String>), StoreError> {
        let page = Page {
            after,
            limit,
            newest_first: true,
            ..Page::default()
        };
        let owner = of_account(account_key);
        self.0.page(("owner", &owner), "item", page).await
    }
}

fn of_user(user: &UserId) -> String {
    format!("user#{user}")
}

fn of_account(account_key: &str) -> String {
    format!("account#{account_key}")
}
