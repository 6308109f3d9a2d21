//! When a connection's statistics are due, and how the last sync ended.

use std::collections::BTreeMap;

use domain::{AttemptId, ConnectionId, ConnectionStatus, Fault, Platform, Timestamp, UserId};
use serde::Deserialize;

use super::{Connection, Connections, item_key, shard};
use crate::due::DueIndex;
use crate::expression::Change;
use crate::item::value;
use crate::{StoreError, Transaction, Written};

const STATS: DueIndex = DueIndex {
    name: "stats",
    shard: "stats_shard",
    at: "stats_due_at",
};

/// A row of the index of due statistics.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DueStatistics {
    /// Whose.
    pub user_id: UserId,
    /// Which.
    pub connection_id: ConnectionId,
    /// On which platform.
    pub platform: Platform,
    /// Where it stands.
    pub status: ConnectionStatus,
    /// Since when it is due.
    pub stats_due_at: Timestamp,
}

/// How a sync ended, as the connection's row tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsEnd<'a> {
    /// When the reading that stands from now on was begun; `None` where none was kept.
    pub read_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What it failed of.
    pub fault: Option<&'a Fault>,
    /// Parts that are off; `None` where that was not found out.
    pub off: Option<&'a BTreeMap<String, String>>,
    /// When the statistics are due next.
    pub due_at: Timestamp,
}

impl Connections {
    /// Connections of one shard whose statistics are due and that `keep` wants, the most overdue
    /// first.
    pub async fn due_statistics(
        &self,
        shard: &str,
        now: Timestamp,
        limit: i32,
        keep: impl Fn(&DueStatistics) -> bool,
    ) -> Result<Vec<DueStatistics>, StoreError> {
        self.0.due_rows_in(STATS, shard, now, limit, keep).await
    }

    /// Moves a due row on to `to`; `false` if it was moved since it was seen. Who moves it may act on
    /// it.
    pub async fn move_statistics(
        &self,
        seen: &DueStatistics,
        to: Timestamp,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("stats_due_at", value(to))
            .when("#stats_due_at = :seen")
            .bind("seen", value(seen.stats_due_at));
        let key = item_key(&seen.user_id, &seen.connection_id);
        let done: Written<Connection, _> = self.0.change(key, change, attempt).await?;
        Ok(matches!(done, Written::Done(_)))
    }

    /// Adds to a transaction that the connection is active, and leaves it as it is.
    pub fn still_active(
        &self,
        transaction: Transaction,
        user: &UserId,
        connection: &ConnectionId,
    ) -> Result<Transaction, StoreError> {
        let check = Change::new()
            .when("#status = :active")
            .bind("active", value(ConnectionStatus::Active))
            .checked_in_transaction(&self.0.name, item_key(user, connection))?;
        Ok(transaction.check(check))
    }

    /// Adds the end of a sync to the transaction that keeps its reading. Refused where the connection
    /// is no longer active, or a newer reading stands.
    pub fn synced(
        &self,
        transaction: Transaction,
        user: &UserId,
        connection: &ConnectionId,
        end: &StatisticsEnd<'_>,
    ) -> Result<Transaction, StoreError> {
        let change = ended(connection, end)
            .when("#status = :active")
            .bind("active", value(ConnectionStatus::Active))
            .when("attribute_not_exists(#stats_read_at) OR #stats_read_at < :began")
            .bind("began", value(end.read_at.unwrap_or(end.ended_at)));
        let update = change.in_transaction(&self.0.name, item_key(user, connection))?;
        Ok(transaction.update(update))
    }

    /// Notes the end of a sync of which nothing is kept. Where the connection has ended, or another
    /// sync ended since, nothing is noted.
    pub async fn sync_failed(
        &self,
        user: &UserId,
        connection: &ConnectionId,
        end: &StatisticsEnd<'_>,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let change = ended(connection, end)
            .when("attribute_exists(#connection_id) AND #status <> :over")
            .bind("over", value(ConnectionStatus::Disconnected))
            .when("attribute_not_exists(#stats_ended_at) OR #stats_ended_at < :stats_ended_at");
        let key = item_key(user, connection);
        let _: Written<Connection, _> = self.0.change(key, change, attempt).await?;
        Ok(())
    }
}

fn ended(connection: &ConnectionId, end: &StatisticsEnd<'_>) -> Change {
    let change = Change::new()
        .set("stats_ended_at", value(end.ended_at))
        .set_or_remove("stats_fault", end.fault.map(value))
        .set("stats_due_at", value(end.due_at))
        .set("stats_shard", shard(connection));
    let change = match end.read_at {
        Some(at) => change.set("stats_read_at", value(at)),
        None => change,
    };
    let change = match end.off {
        Some(off) => change.set("stats_off", value(off)),
        None => change,
    };
    match end.fault {
        Some(_) => change.add_number("stats_failures", 1),
        None => change.set("stats_failures", value(0)),
    }
}
