//! Events: what the product is told, written in the transaction of the change.
//!
//! | access | by |
//! |---|---|
//! | write once | `event_id`, derived from its cause |
//! | find the unsent, oldest first | index `unsent` |

use domain::{Event, Timestamp};
use serde::{Deserialize, Serialize};

use crate::due::shard_of;
use crate::transaction::{Transaction, put};
use crate::{StoreError, Table, item};

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
    /// When it was committed.
    pub created_at: Timestamp,
    /// The particulars, as JSON text.
    pub detail: String,
    /// Present until it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsent_shard: Option<String>,
    /// For DynamoDB's own clean-up.
    pub ttl: i64,
}

/// The table of events.
#[derive(Clone, Debug)]
pub struct Events(Table);

impl Events {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// Adds the event to a transaction. Its id comes from its cause, so that the same cause told
    /// twice writes the same row.
    pub fn tell(&self, transaction: Transaction, event: &Event) -> Result<Transaction, StoreError> {
        let row = EventRow {
            event_id: event.id.to_string(),
            kind: event.kind.as_str().to_owned(),
            user_id: event.user_id.to_string(),
            created_at: event.at,
            detail: event.detail.to_string(),
            unsent_shard: Some(shard_of(event.id.as_str())),
            ttl: event.at.secs() + KEPT_SECONDS,
        };
        Ok(transaction.put(put(&self.0.name, item::write(&self.0.name, &row)?)?))
    }
}
