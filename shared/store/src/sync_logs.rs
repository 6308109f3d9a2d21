//! Sync logs: what became of each sync of statistics, and the syncs that users asked for.
//!
//! | access | by |
//! |---|---|
//! | take, end, read one of one connection | `sync_id`, `part` = connection id |
//! | what a user asked for | `sync_id`, `part` = `request` |
//! | how often a user asked lately | `sync_id` = `window#<user id>`, `part` = `window` |
//! | a connection's, newest first | index `connection` (`part`, `started_at`) |
//! | failed ones, newest first | index `failed` (sparse, sharded) |
//!
//! A log is also the mark that a sync's message was dealt with: it is taken under a lease and ended
//! once, so a message that comes twice is read once. Kept for 90 days.

use std::collections::BTreeMap;

use domain::{
    AttemptId, ConnectionId, Fault, Holder, Platform, SyncId, SyncKind, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

use crate::due::{SHARDS, shard_name, shard_of};
use crate::expression::Change;
use crate::item::{self, Item, key, text, value};
use crate::table::Page;
use crate::transaction::{Transacted, put_new};
use crate::{StoreError, Table, Transaction, Written};

const KEPT_SECONDS: i64 = 90 * 24 * 3600;
/// How often a request is tried against others of the same user.
const TRIES: usize = 5;

/// Where a sync stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// A worker has it, or had it and must try again.
    Running,
    /// All that could be asked for was read.
    Done,
    /// It ended with a fault; what was read before it may stand.
    Failed,
    /// A reading that was begun later stands already.
    Superseded,
}

/// One sync of one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncLog {
    /// Which sync.
    pub sync_id: SyncId,
    /// Of which connection.
    #[serde(rename = "part")]
    pub connection_id: ConnectionId,
    /// Whose.
    pub user_id: UserId,
    /// On which platform.
    pub platform: Platform,
    /// Why it ran.
    pub sync_kind: SyncKind,
    /// Where it stands.
    pub state: SyncState,
    /// When a worker first took it.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How many things were read: the account, and each medium.
    #[serde(default)]
    pub rows: u64,
    /// What it failed of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Parts that are off, by the scope that each needs.
    #[serde(default)]
    pub off: BTreeMap<String, String>,
    /// Which worker has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// Until when.
    #[serde(default)]
    pub lease_until: Timestamp,
    /// How often a worker took it.
    #[serde(default)]
    pub tries: u32,
}

/// A sync that a worker is about to run.
#[derive(Clone, Copy, Debug)]
pub struct SyncTake<'a> {
    /// Which sync.
    pub sync: &'a SyncId,
    /// Of which connection.
    pub connection: &'a ConnectionId,
    /// Whose.
    pub user: &'a UserId,
    /// On which platform.
    pub platform: Platform,
    /// Why.
    pub kind: SyncKind,
    /// Which worker.
    pub holder: &'a Holder,
    /// The present instant.
    pub now: Timestamp,
    /// Until when it is this worker's.
    pub until: Timestamp,
}

/// How taking a sync ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncTaken {
    /// It is this worker's.
    Yes(Box<SyncLog>),
    /// It has ended.
    Ended,
    /// Another worker has it until then.
    Held(Timestamp),
}

/// How a sync ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncEnd {
    /// Done, failed or superseded.
    pub state: SyncState,
    /// When.
    pub at: Timestamp,
    /// How many things were read and kept.
    pub rows: u64,
    /// What it failed of.
    pub fault: Option<Fault>,
    /// Parts that are off.
    pub off: BTreeMap<String, String>,
}

/// Syncs that a user asked for, under one handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRequest {
    /// The handle.
    pub sync_id: SyncId,
    /// Who asked.
    pub user_id: UserId,
    /// When.
    pub asked_at: Timestamp,
    /// The connections, with their platforms.
    pub connections: BTreeMap<ConnectionId, Platform>,
}

/// How asking ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is written down.
    Yes,
    /// The user has asked too often; not before this instant.
    Wait(Timestamp),
}

/// The table of sync logs.
#[derive(Clone, Debug)]
pub struct SyncLogs(Table);

/// When a user asked lately: a sliding window as a log of instants, under a version.
#[derive(Default, Deserialize)]
struct Window {
    #[serde(default)]
    times: Vec<Timestamp>,
    #[serde(default)]
    version: u64,
}

impl SyncLogs {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// Takes a sync for a worker, unless it has ended or another worker has it.
    pub async fn take(
        &self,
        take: &SyncTake<'_>,
        attempt: &AttemptId,
    ) -> Result<SyncTaken, StoreError> {
        let change = Change::new()
            .set("user_id", value(take.user))
            .set("platform", value(take.platform))
            .set("sync_kind", value(take.kind))
            .set("state", value(SyncState::Running))
            .set("holder", value(take.holder))
            .set("lease_until", value(take.until))
            .set("ttl", value(take.now.secs() + KEPT_SECONDS))
            .set_to("started_at", "if_not_exists(#started_at, :now)")
            .add_number("tries", 1)
            .when("attribute_not_exists(#ended_at)")
            .when("attribute_not_exists(#holder) OR #lease_until <= :now")
            .bind("now", value(take.now));
        let key = log_key(take.sync, take.connection);
        let done: Written<SyncLog, Option<SyncLog>> = self.0.change(key, change, attempt).await?;
        Ok(match done {
            Written::Done(log) => SyncTaken::Yes(Box::new(log)),
            Written::Refused(Some(log)) if log.ended_at.is_none() => {
                SyncTaken::Held(log.lease_until)
            }
            Written::Refused(_) => SyncTaken::Ended,
        })
    }

    /// Gives a sync back, to be taken again.
    pub async fn let_go(&self, log: &SyncLog, attempt: &AttemptId) -> Result<(), StoreError> {
        let change = self.mine(log, Change::new().remove(["holder", "lease_until"]));
        let key = log_key(&log.sync_id, &log.connection_id);
        let _: Written<SyncLog, _> = self.0.change(key, change, attempt).await?;
        Ok(())
    }

    /// Adds the end of a sync to a transaction, which is refused where another worker has taken it.
    pub fn end(
        &self,
        transaction: Transaction,
        log: &SyncLog,
        end: &SyncEnd,
    ) -> Result<Transaction, StoreError> {
        let key = log_key(&log.sync_id, &log.connection_id);
        let update = self.ended(log, end).in_transaction(&self.0.name, key)?;
        Ok(transaction.update(update))
    }

    /// Ends a sync by itself; `false` where another worker has taken it.
    pub async fn end_alone(
        &self,
        log: &SyncLog,
        end: &SyncEnd,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let key = log_key(&log.sync_id, &log.connection_id);
        let done: Written<SyncLog, Option<SyncLog>> =
            self.0.change(key, self.ended(log, end), attempt).await?;
        Ok(matches!(done, Written::Done(_)))
    }

    /// A connection's syncs, newest first.
    pub async fn of_connection(
        &self,
        connection: &ConnectionId,
        limit: i32,
    ) -> Result<Vec<SyncLog>, StoreError> {
        self.indexed("connection", "part", connection.as_str(), None, limit)
            .await
    }

    /// The newest syncs of all connections that failed, at most `limit`, and none that was started
    /// before `since`.
    pub async fn failed(&self, since: Timestamp, limit: i32) -> Result<Vec<SyncLog>, StoreError> {
        let mut all = Vec::new();
        for shard in 0..SHARDS {
            let shard = shard_name(shard);
            let logs = self.indexed("failed", "failed_shard", &shard, Some(since), limit);
            all.extend(logs.await?);
        }
        all.sort_by_key(|log| std::cmp::Reverse(log.started_at));
        all.truncate(usize::try_from(limit).unwrap_or(0));
        Ok(all)
    }

    /// Writes down what a user asks for, unless they asked `most` times within the last `window`
    /// seconds.
    pub async fn ask(
        &self,
        request: &SyncRequest,
        most: usize,
        window: i64,
        attempts: impl Fn() -> AttemptId,
    ) -> Result<Asked, StoreError> {
        let now = request.asked_at;
        let id = format!("window#{}", request.user_id);
        let window_key = || key([("sync_id", id.as_str()), ("part", "window")]);
        let mut item = item::write(&self.0.name, request)?;
        item.insert("part".to_owned(), text("request"));
        item.insert("ttl".to_owned(), value(now.secs() + KEPT_SECONDS));
        for _ in 0..TRIES {
            let found: Window = self.0.get(window_key()).await?.unwrap_or_default();
            let mut times = found.times;
            times.retain(|time| *time > now.plus_secs(-window));
            if times.len() >= most {
                let free = times.len() - most;
                let until = times.get(free).copied().unwrap_or(now).plus_secs(window);
                return Ok(Asked::Wait(until));
            }
            times.push(now);
            times.sort();
            let change = Change::new()
                .set("times", value(&times))
                .set("version", value(found.version + 1))
                .set("ttl", value(now.secs() + 10 * window))
                .when("attribute_not_exists(#version) OR #version = :seen")
                .bind("seen", value(found.version))
                .in_transaction(&self.0.name, window_key())?;
            let done = Transaction::new(attempts())
                .update(change)
                .put(put_new(&self.0.name, item.clone(), "sync_id")?)
                .run(&self.0.client)
                .await?;
            if done == Transacted::Done {
                return Ok(Asked::Yes);
            }
        }
        Err(StoreError::Unavailable("conflict".to_owned()))
    }

    /// What was asked for under this handle.
    pub async fn request(&self, sync: &SyncId) -> Result<Option<SyncRequest>, StoreError> {
        let key = key([("sync_id", sync.as_str()), ("part", "request")]);
        self.0.get(key).await
    }

    /// The logs under this handle; a sync that no worker has taken yet has none.
    pub async fn logs(&self, sync: &SyncId) -> Result<Vec<SyncLog>, StoreError> {
        let page = Page {
            prefix: Some(ConnectionId::PREFIX),
            limit: 1_000,
            ..Page::default()
        };
        let partition = ("sync_id", sync.as_str());
        let (logs, _) = self.0.page(partition, "part", page).await?;
        Ok(logs)
    }

    fn ended(&self, log: &SyncLog, end: &SyncEnd) -> Change {
        let failed = end.state == SyncState::Failed;
        let shard = failed.then(|| text(shard_of(log.sync_id.as_str())));
        let change = Change::new()
            .set("state", value(end.state))
            .set("ended_at", value(end.at))
            .set("rows", value(end.rows))
            .set("off", value(&end.off))
            .set_or_remove("fault", end.fault.as_ref().map(value))
            .set_or_remove("failed_shard", shard)
            .remove(["holder", "lease_until"]);
        self.mine(log, change)
    }

    fn mine(&self, log: &SyncLog, change: Change) -> Change {
        change
            .when("#holder = :mine AND attribute_not_exists(#ended_at)")
            .bind("mine", value(&log.holder))
    }

    async fn indexed(
        &self,
        index: &str,
        partition: &str,
        of: &str,
        since: Option<Timestamp>,
        limit: i32,
    ) -> Result<Vec<SyncLog>, StoreError> {
        let answer = self
            .0
            .client
            .query()
            .table_name(&self.0.name)
            .index_name(index)
            .key_condition_expression("#partition = :of AND started_at >= :since")
            .expression_attribute_names("#partition", partition)
            .expression_attribute_values(":of", text(of))
            .expression_attribute_values(":since", value(since.unwrap_or_default()))
            .scan_index_forward(false)
            .limit(limit)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        let items = answer.items.unwrap_or_default().into_iter();
        items.map(|row| item::read(&self.0.name, row)).collect()
    }
}

fn log_key(sync: &SyncId, connection: &ConnectionId) -> Item {
    key([("sync_id", sync.as_str()), ("part", connection.as_str())])
}
