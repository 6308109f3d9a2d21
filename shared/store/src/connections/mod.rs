//! Connections: one user's authorised account on one platform, with its sealed tokens, its lease and
//! its place in the due index, all in one item.
//!
//! | access | by |
//! |---|---|
//! | read one; list a user's | `user_id`, `connection_id` (derived from user, platform, account) |
//! | what is due for a refresh | index `due` |
//! | a sample of all, for figures | segments of a scan |
//! | whose statistics are due | index `stats` |
//! | connections of an account | table `accounts` |
//!
//! `token_version` counts the bundles that the item has held and is part of what a bundle is sealed
//! for. Every write that replaces tokens is conditional on the version that its writer saw.

mod census;
mod lease;
mod lifecycle;
mod lifetime;
mod statistics;

use std::collections::BTreeMap;

use domain::{
    Account, AttemptId, ConnectionId, ConnectionStatus, Fault, Holder, Platform, ReauthReason,
    Revocation, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};
use vault::{Place, Sealed};

use crate::expression::Change;
use crate::item::{key, value};
use crate::table::Page;
use crate::{StoreError, Table};

pub use census::Standing;
pub use lease::{Commit, Lease, LeaseAsk, Release};
pub use lifecycle::{Confirmed, Ended, NewTokens};
pub use lifetime::{END_TOLD_BEFORE_SECONDS, Lifetime};
pub use statistics::{DueStatistics, StatisticsEnd};

/// The table's logical name: part of what tokens are sealed for.
pub const TABLE: &str = "connections";

/// A connection as it stands in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Whose.
    pub user_id: UserId,
    /// Which.
    pub connection_id: ConnectionId,
    /// On which platform.
    pub platform: Platform,
    /// The platform's side of it.
    pub account: Account,
    /// The client id of the app that made its tokens, the only one that they are good with. Rows of
    /// before it was kept have none: the production's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Where it stands.
    pub status: ConnectionStatus,
    /// Why it needs its creator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReauthReason>,
    /// The sealed token bundle; absent once disconnected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// Counts bundles; never goes back, not even over a disconnect.
    pub token_version: u64,
    /// Scopes as granted.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Scopes that were asked for and not granted: what needs them is off.
    #[serde(default)]
    pub missing_scopes: Vec<String>,
    /// When the access token dies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When the refresh token dies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_expires_at: Option<Timestamp>,
    /// When the creator's consent itself ends, however often the tokens are refreshed; absent where
    /// the platform states no such end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_ends_at: Option<Timestamp>,
    /// When its tokens end for good, where nothing renews them before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_end_at: Option<Timestamp>,
    /// The end that the product was told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_told: Option<Timestamp>,
    /// When the present bundle was issued.
    #[serde(default)]
    pub issued_at: Timestamp,
    /// When a worker last used it, to the hour.
    #[serde(default)]
    pub used_at: Timestamp,
    /// When a worker must look at it: to refresh it, or to tell of its end. Absent where nothing is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Who refreshes it just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_holder: Option<Holder>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// When the lease before the present one ended, if its holder never gave it back: it may have
    /// spent the refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_abandoned_at: Option<Timestamp>,
    /// When a refresh of this version was sent that was never answered: the token may be spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_since: Option<Timestamp>,
    /// Refreshes that failed in a row.
    #[serde(default)]
    pub failures: u32,
    /// What the last one failed of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fault: Option<Fault>,
    /// What became of telling the platform that it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
    /// When its statistics are to be read; absent where nothing is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats_due_at: Option<Timestamp>,
    /// When the newest reading of its statistics that stands was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats_read_at: Option<Timestamp>,
    /// When a sync of its statistics last ended, well or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats_ended_at: Option<Timestamp>,
    /// What the last sync failed of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats_fault: Option<Fault>,
    /// Syncs that failed in a row.
    #[serde(default)]
    pub stats_failures: u32,
    /// Parts of its statistics that are off, by the scope that each needs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stats_off: BTreeMap<String, String>,
    /// When it was first made.
    pub created_at: Timestamp,
    /// When it last changed its state or tokens.
    pub updated_at: Timestamp,
}

impl Connection {
    /// The keys in the order of the table's key.
    pub fn keys(&self) -> [&str; 2] {
        [self.user_id.as_str(), self.connection_id.as_str()]
    }

    /// Whether an earlier refresh of the present version may have spent its token.
    pub fn may_be_spent(&self) -> bool {
        self.spent_since.is_some() || self.lease_abandoned_at.is_some()
    }

    /// The place of the bundle that this item holds at `version`.
    pub fn place<'a>(&self, keys: &'a [&'a str; 2], version: u64) -> Place<'a> {
        Place {
            table: TABLE,
            keys,
            platform: self.platform,
            field: "tokens",
            version,
        }
    }
}

/// A row of the due index, which holds the platform and the version beside the keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DueConnection {
    /// Whose.
    pub user_id: UserId,
    /// Which.
    pub connection_id: ConnectionId,
    /// On which platform.
    pub platform: Platform,
    /// The version that is due.
    pub token_version: u64,
    /// When it is due.
    pub due_at: Timestamp,
}

impl DueConnection {
    /// Its place among all that are due.
    pub fn place(&self) -> DuePlace {
        DuePlace {
            due_at: self.due_at,
            connection_id: self.connection_id.clone(),
        }
    }
}

/// A place in the due index over all its shards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DuePlace {
    /// When it is due.
    pub due_at: Timestamp,
    /// Which, of those that are due in the same millisecond.
    pub connection_id: ConnectionId,
}

/// The table of connections.
#[derive(Clone, Debug)]
pub struct Connections(Table);

impl Connections {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The client, for running transactions.
    pub fn client(&self) -> &aws_sdk_dynamodb::Client {
        &self.0.client
    }

    /// The connection as last written, disconnected or not.
    pub async fn get(
        &self,
        user: &UserId,
        connection: &ConnectionId,
    ) -> Result<Option<Connection>, StoreError> {
        self.0.get(item_key(user, connection)).await
    }

    /// A user's connections in the order of their ids, from after `after`; with where to go on.
    pub async fn list(
        &self,
        user: &UserId,
        after: Option<&str>,
        limit: i32,
    ) -> Result<(Vec<Connection>, Option<String>), StoreError> {
        let page = Page {
            after,
            limit,
            ..Page::default()
        };
        self.0
            .page(("user_id", user.as_str()), "connection_id", page)
            .await
    }

    /// Connections of one shard that are due and that `wanted` takes, the most overdue first.
    pub async fn due(
        &self,
        shard: &str,
        now: Timestamp,
        limit: i32,
        wanted: impl Fn(&DueConnection) -> bool,
    ) -> Result<Vec<DueConnection>, StoreError> {
        self.0.due_rows(shard, now, limit, wanted).await
    }

    /// Connections whose tokens would end without a refresh by `until`, the first due first, from
    /// after `after`, at most `limit`; with where to go on. Every connection that ends by itself is in
    /// the due index before it does, so that is what is listed: rows due by `until`.
    pub async fn ending(
        &self,
        until: Timestamp,
        after: Option<&DuePlace>,
        limit: usize,
        keep: impl Fn(&DueConnection) -> bool,
    ) -> Result<(Vec<DueConnection>, Option<DuePlace>), StoreError> {
        let shards = (0..crate::due::SHARDS).map(crate::due::shard_name);
        let mut found = Vec::new();
        for shard in shards {
            let wanted =
                |row: &DueConnection| keep(row) && after.is_none_or(|after| row.place() > *after);
            let from = after.map(|after| after.due_at);
            let rows = self.0.due_between(&shard, from, until, limit + 1, wanted);
            found.extend(rows.await?);
        }
        found.sort_by_key(DueConnection::place);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(DueConnection::place);
        Ok((found, next))
    }

    /// Notes that a worker used it, and when it is due now that it is in use.
    pub async fn used(
        &self,
        seen: &Connection,
        now: Timestamp,
        due_at: Option<Timestamp>,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let change = Change::new()
            .set("used_at", value(now))
            .set_or_remove("due_at", due_at.map(value))
            .set_or_remove("due_shard", due_at.map(|_| shard(&seen.connection_id)))
            .when("#token_version = :seen AND #status = :active")
            .bind("seen", value(seen.token_version))
            .bind("active", value(ConnectionStatus::Active));
        let _: crate::Written<Connection, _> = self
            .0
            .change(
                item_key(&seen.user_id, &seen.connection_id),
                change,
                attempt,
            )
            .await?;
        Ok(())
    }
}

fn item_key(user: &UserId, connection: &ConnectionId) -> crate::item::Item {
    key([
        ("user_id", user.as_str()),
        ("connection_id", connection.as_str()),
    ])
}

fn shard(connection: &ConnectionId) -> aws_sdk_dynamodb::types::AttributeValue {
    crate::item::text(crate::due::shard_of(connection.as_str()))
}
