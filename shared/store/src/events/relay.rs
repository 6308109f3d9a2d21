//! What the relay asks of the table: which events are unsent, and that they were sent.

use domain::{AttemptId, Timestamp};
use serde::Deserialize;

use super::{EventRow, Events};
use crate::due::DueIndex;
use crate::expression::Change;
use crate::item::{self, key, text, value};
use crate::newest::listed;
use crate::{StoreError, Written};

/// The index of what is unsent.
const UNSENT: DueIndex = DueIndex {
    name: "unsent",
    shard: "unsent_shard",
    at: "created_at",
};
/// Sorts after every id behind the same instant.
const LAST: &str = "~";

/// An event of the index `unsent`, which holds keys alone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UnsentEvent {
    /// Which.
    pub event_id: String,
    /// When it was committed.
    pub created_at: Timestamp,
}

/// What is new of an event's way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// It lies in the lanes of all endpoints that want it.
    pub queued: bool,
    /// The event bus has it.
    pub published: bool,
    /// All that there are have it.
    pub sent: bool,
}

impl Events {
    /// The event as last written.
    pub async fn get(&self, id: &str) -> Result<Option<EventRow>, StoreError> {
        self.table.get(key([("event_id", id)])).await
    }

    /// Events of one shard (`due::shard_name`) that were committed until `until` and are unsent, the
    /// oldest first.
    pub async fn unsent(
        &self,
        shard: &str,
        until: Timestamp,
        limit: i32,
    ) -> Result<Vec<UnsentEvent>, StoreError> {
        let all = |_: &UnsentEvent| true;
        self.table
            .due_rows_in(UNSENT, shard, until, limit, all)
            .await
    }

    /// A user's events that were committed from `since` to `until` and lie in no lane yet, the oldest
    /// first. The index lags by some milliseconds.
    pub async fn unqueued(
        &self,
        user: &str,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<EventRow>, StoreError> {
        let (mut rows, mut from) = (Vec::new(), None);
        loop {
            let answer = self
                .table
                .client
                .query()
                .table_name(&self.table.name)
                .index_name("user")
                .key_condition_expression("#user = :user AND #listed BETWEEN :since AND :until")
                .filter_expression("attribute_exists(#unsent) AND attribute_not_exists(#queued)")
                .expression_attribute_names("#user", "user_id")
                .expression_attribute_names("#listed", "listed")
                .expression_attribute_names("#unsent", "unsent_shard")
                .expression_attribute_names("#queued", "queued_at")
                .expression_attribute_values(":user", text(user))
                .expression_attribute_values(":since", text(listed(since, "")))
                .expression_attribute_values(":until", text(listed(until, LAST)))
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| StoreError::unavailable(&error))?;
            for row in answer.items.unwrap_or_default() {
                rows.push(item::read(&self.table.name, row)?);
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Writes down which ways out have taken an event.
    pub async fn taken(
        &self,
        id: &str,
        taken: Taken,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let change = Change::new().when("attribute_exists(#event_id)");
        let change = match taken.queued {
            true => change.set("queued_at", value(now)),
            false => change,
        };
        let change = match taken.published {
            true => change.set("published_at", value(now)),
            false => change,
        };
        let change = match taken.sent {
            true => change.remove(["unsent_shard"]),
            false => change,
        };
        let _: Written<EventRow, _> = self
            .table
            .change(key([("event_id", id)]), change, attempt)
            .await?;
        Ok(())
    }
}
