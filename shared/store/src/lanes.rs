//! Lanes: what one endpoint gets of one connection (or, of events without one, of one user), in order.
//!
//! | access | by |
//! |---|---|
//! | read, nudge, take, give back, close one | `lane` |
//! | what is due | index `due` |
//!
//! A row is there while its lane may hold messages. Whoever puts messages in *then* nudges the lane;
//! whoever finds it empty deletes the row on the condition that nobody nudged it since: no message is
//! left behind in a lane that nobody looks at.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use domain::{AttemptId, EndpointId, Holder, Timestamp};
use serde::{Deserialize, Serialize};

use crate::due::{DueIndex, shard_of};
use crate::expression::Change;
use crate::item::{self, Item, key, text, value};
use crate::{StoreError, Table, Transaction, Written};

/// The index of lanes that are due.
const DUE: DueIndex = DueIndex {
    name: "due",
    shard: "due_shard",
    at: "due_at",
};

/// The key of a lane: `<endpoint id>#<subject>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LaneKey(String);

impl LaneKey {
    /// The lane of an endpoint for events of a connection, or of a user where there is none.
    pub fn of(endpoint: &EndpointId, connection: Option<&str>, user: &str) -> Self {
        match connection {
            Some(connection) => Self(format!("{endpoint}#{connection}")),
            None => Self(format!("{endpoint}#user#{user}")),
        }
    }

    /// The lane of an endpoint for test events.
    pub fn of_tests(endpoint: &EndpointId) -> Self {
        Self(format!("{endpoint}#test"))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The endpoint, unless the text is no key of a lane.
    pub fn endpoint(&self) -> Option<EndpointId> {
        self.0.split_once('#')?.0.parse().ok()
    }
}

/// One lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Which.
    pub lane: LaneKey,
    /// Whose events; empty for test events.
    #[serde(default)]
    pub user_id: String,
    /// Counts the nudges.
    #[serde(default)]
    pub nudges: u64,
    /// When somebody must look at it.
    pub due_at: Timestamp,
    /// Nothing is sent before: a failed try, an endpoint at rest, or a message too young.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// The message that failed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// How often it did.
    #[serde(default)]
    pub tries: u32,
    /// Who sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// Until when.
    #[serde(default)]
    pub lease_until: Timestamp,
}

impl Lane {
    /// Whether a message would find something to do at `now`: nobody sends, and nothing is waited for.
    pub fn idle(&self, now: Timestamp) -> bool {
        let held = self.holder.is_some() && self.lease_until > now;
        !held && self.retry_at.is_none_or(|at| at <= now)
    }
}

/// A lane of the due index.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DueLane {
    /// Which.
    pub lane: LaneKey,
    /// Since when.
    pub due_at: Timestamp,
}

/// How taking a lane ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneTaken {
    /// It is ours.
    Ours(Box<Lane>),
    /// Another sends.
    Held,
    /// Nothing may be sent before.
    NotBefore(Timestamp),
    /// There is nothing in it.
    Closed,
}

/// How closing a lane ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneClosed {
    /// It is closed.
    Yes,
    /// Something came since: it now has so many nudges.
    Nudged(u64),
    /// It is no longer ours.
    Lost,
}

/// Why a lane is given back, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneWait<'a> {
    /// Nothing is sent before.
    pub until: Timestamp,
    /// The message that failed, and how often.
    pub failed: Option<(&'a str, u32)>,
}

/// The table of lanes.
#[derive(Clone, Debug)]
pub struct Lanes(Table);

impl Lanes {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The lane, if it is open.
    pub async fn get(&self, lane: &LaneKey) -> Result<Option<Lane>, StoreError> {
        self.0.get(item_key(lane)).await
    }

    /// Opens the lane, or tells its holder that something came. Said twice, it means the same.
    pub async fn nudge(
        &self,
        lane: &LaneKey,
        user: &str,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<Lane, StoreError> {
        let change = nudged(lane, user, now);
        let done: Written<Lane, Option<Lane>> =
            self.0.change(item_key(lane), change, attempt).await?;
        match done {
            Written::Done(lane) | Written::Refused(Some(lane)) => Ok(lane),
            // A write without a condition is not refused.
            Written::Refused(None) => Err(StoreError::Unavailable("refused".to_owned())),
        }
    }

    /// The same as one write of a transaction.
    pub(crate) fn nudge_in(
        &self,
        transaction: Transaction,
        lane: &LaneKey,
        user: &str,
        now: Timestamp,
    ) -> Result<Transaction, StoreError> {
        let change = nudged(lane, user, now);
        Ok(transaction.update(change.in_transaction(&self.0.name, item_key(lane))?))
    }

    /// Takes the lane, unless another has it or nothing may be sent yet.
    pub async fn take(
        &self,
        lane: &LaneKey,
        holder: &Holder,
        (now, until): (Timestamp, Timestamp),
        attempt: &AttemptId,
    ) -> Result<LaneTaken, StoreError> {
        let change = Change::new()
            .set("holder", value(holder))
            .set("lease_until", value(until))
            // The sweeper looks again once the lease is over: a dead worker's lane is not lost.
            .set("due_at", value(until))
            .when("attribute_exists(#lane)")
            .when("attribute_not_exists(#holder) OR #lease_until <= :now")
            .when("attribute_not_exists(#retry_at) OR #retry_at <= :now")
            .bind("now", value(now));
        let done: Written<Lane, Option<Lane>> =
            self.0.change(item_key(lane), change, attempt).await?;
        Ok(match done {
            Written::Done(lane) => LaneTaken::Ours(Box::new(lane)),
            Written::Refused(None) => LaneTaken::Closed,
            Written::Refused(Some(lane)) => match lane.retry_at {
                Some(at) if at > now => LaneTaken::NotBefore(at),
                _ => LaneTaken::Held,
            },
        })
    }

    /// Gives the lane back until some instant; `false` if it is no longer this holder's.
    pub async fn wait(
        &self,
        lane: &Lane,
        wait: &LaneWait<'_>,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("retry_at", value(wait.until))
            .set("due_at", value(wait.until))
            .remove(["holder", "lease_until"])
            .when("#holder = :mine")
            .bind("mine", value(&lane.holder));
        let change = match wait.failed {
            Some((head, tries)) => change.set("head", text(head)).set("tries", value(tries)),
            None => change,
        };
        let done: Written<Lane, Option<Lane>> =
            self.0.change(item_key(&lane.lane), change, attempt).await?;
        Ok(matches!(done, Written::Done(_)))
    }

    /// Closes the lane, if nothing came since its nudges were read.
    pub async fn close(&self, lane: &Lane) -> Result<LaneClosed, StoreError> {
        let result = self
            .0
            .client
            .delete_item()
            .table_name(&self.0.name)
            .set_key(Some(item_key(&lane.lane)))
            .condition_expression("#holder = :mine AND #nudges = :seen")
            .expression_attribute_names("#holder", "holder")
            .expression_attribute_names("#nudges", "nudges")
            .expression_attribute_values(":mine", value(&lane.holder))
            .expression_attribute_values(":seen", value(lane.nudges))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = result else {
            return Ok(LaneClosed::Yes);
        };
        let Some(DeleteItemError::ConditionalCheckFailedException(refused)) =
            error.as_service_error()
        else {
            return Err(StoreError::unavailable(&error));
        };
        // Our own first try, or somebody after our lease: closed either way.
        let Some(stands) = refused.item().cloned() else {
            return Ok(LaneClosed::Yes);
        };
        let stands: Lane = item::read(&self.0.name, stands)?;
        Ok(if stands.holder == lane.holder {
            LaneClosed::Nudged(stands.nudges)
        } else {
            LaneClosed::Lost
        })
    }

    /// Lanes of one shard that are due, the most overdue first.
    pub async fn due(
        &self,
        shard: &str,
        now: Timestamp,
        limit: i32,
    ) -> Result<Vec<DueLane>, StoreError> {
        let all = |_: &DueLane| true;
        self.0.due_rows_in(DUE, shard, now, limit, all).await
    }

    /// Notes that a due lane was woken: it is not met again before `next`. `false` where somebody has
    /// moved it meanwhile.
    pub async fn woken(
        &self,
        seen: &DueLane,
        next: Timestamp,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("due_at", value(next))
            .when("#due_at = :seen")
            .bind("seen", value(seen.due_at));
        let done: Written<Lane, Option<Lane>> =
            self.0.change(item_key(&seen.lane), change, attempt).await?;
        Ok(matches!(done, Written::Done(_)))
    }
}

fn nudged(lane: &LaneKey, user: &str, now: Timestamp) -> Change {
    Change::new()
        .set("user_id", text(user))
        .set_to("due_at", "if_not_exists(#due_at, :now)")
        .set("due_shard", text(shard_of(lane.as_str())))
        .add_number("nudges", 1)
        .bind("now", value(now))
}

fn item_key(lane: &LaneKey) -> Item {
    key([("lane", lane.as_str())])
}
