//! Events: what the product is told, written in the transaction of the change.
//!
//! | access | by |
//! |---|---|
//! | write once | `event_id`, derived from its cause |
//! | find the unsent, oldest first | index `unsent` |
//! | all, newest first | index `recent`: `shard`, `listed` = `<milliseconds>#<event id>` |
//! | a user's, newest first | index `user`: `user_id`, `listed` |
//! | a user's of a span that lie in no lane yet | the same index, filtered |

mod relay;

use domain::{Event, Timestamp, UserId, Who};
use serde::{Deserialize, Serialize};

use crate::due::{SHARDS, shard_name, shard_of};
use crate::newest::{Ask, Listing, listed};
use crate::transaction::{Transaction, put};
pub use relay::{Taken, UnsentEvent};

use crate::{AuditEntry, AuditTable, StoreError, Table, audit, item};

/// Events are kept this long.
const KEPT_SECONDS: i64 = 30 * 24 * 3600;

/// An event as it lies in the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRow {
    /// Key.
    pub event_id: String,
    /// The contract's name of what happened.
    pub kind: String,
    /// Whom it concerns.
    pub user_id: String,
    /// The connection that it is about, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// When it was committed.
    pub created_at: Timestamp,
    /// The particulars, as JSON text.
    pub detail: String,
    /// Present until it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsent_shard: Option<String>,
    /// When it was put into the lanes of the endpoints that want it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Timestamp>,
    /// When the event bus took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// For DynamoDB's own clean-up.
    pub ttl: i64,
}

/// The table of events, and the audit trail that tells of the same changes who made them.
#[derive(Clone, Debug)]
pub struct Events {
    table: Table,
    audit: Option<AuditTable>,
    who: Who,
}

#[derive(Serialize)]
struct Row<'a> {
    shard: String,
    listed: String,
    #[serde(flatten)]
    event: &'a EventRow,
}

impl Events {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self {
            table: Table::new(client, table),
            audit: None,
            who: Who::SYSTEM,
        }
    }

    /// The same, with a row of the audit trail in the transaction of every change that has one.
    #[must_use]
    pub fn audited(self, audit: AuditTable) -> Self {
        Self {
            audit: Some(audit),
            ..self
        }
    }

    /// The same for what `who` does; without it, it is Passerelle itself that acts.
    #[must_use]
    pub fn acting(&self, who: Who) -> Self {
        Self {
            who,
            ..self.clone()
        }
    }

    /// Adds the event to a transaction, and its row of the audit trail. Its id comes from its cause,
    /// so that the same cause told twice is one event: one that is there stays as it is, sent or not.
    pub fn tell(&self, transaction: Transaction, event: &Event) -> Result<Transaction, StoreError> {
        let shard = shard_of(event.id.as_str());
        let row = EventRow {
            event_id: event.id.to_string(),
            kind: event.kind.as_str().to_owned(),
            user_id: event.user_id.to_string(),
            connection_id: event
                .detail
                .get("connection_id")
                .and_then(|id| id.as_str())
                .map(str::to_owned),
            created_at: event.at,
            detail: event.detail.to_string(),
            unsent_shard: Some(shard.clone()),
            queued_at: None,
            published_at: None,
            ttl: event.at.secs() + KEPT_SECONDS,
        };
        let row = Row {
            shard,
            listed: listed(event.at, event.id.as_str()),
            event: &row,
        };
        let name = &self.table.name;
        let told = transaction.put_once(put(name, item::write(name, &row)?)?, "event_id");
        let entry = audit::of_event(event, &self.who);
        match self.audit.as_ref().zip(entry) {
            Some((audit, entry)) => audit.within(told, &entry),
            None => Ok(told),
        }
    }

    /// Adds a row of the audit trail that no event stands for, if the trail is kept here.
    pub(crate) fn note(
        &self,
        transaction: Transaction,
        entry: impl FnOnce(Who) -> AuditEntry,
    ) -> Result<Transaction, StoreError> {
        match &self.audit {
            Some(audit) => audit.within(transaction, &entry(self.who.clone())),
            None => Ok(transaction),
        }
    }

    /// Events, newest first: a user's, or everybody's. The indexes lag by some milliseconds.
    pub async fn newest(
        &self,
        user: Option<&UserId>,
        before: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Listing<EventRow>, StoreError> {
        let (index, hash, partitions) = match user {
            Some(user) => ("user", "user_id", vec![user.to_string()]),
            None => ("recent", "shard", (0..SHARDS).map(shard_name).collect()),
        };
        let ask = Ask {
            index: Some(index),
            hash,
            partitions,
            sort: "listed",
            before,
            from: None,
            limit,
        };
        let lives = |row: &EventRow| row.ttl > now.secs();
        self.table.newest(&ask, lives).await
    }
}
