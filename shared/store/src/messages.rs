//! Messages to endpoints: what waits in lanes, and what became a dead letter.
//!
//! | access | by |
//! |---|---|
//! | a lane's, the oldest first | `lane`, `message` = `<milliseconds>#<event id>` |
//! | an endpoint's dead letters, newest first | `lane` = `dead#<endpoint id>`, `message` |
//!
//! A message's key says whose it is and when its event was committed, so putting it twice is putting it
//! once. It leaves its lane when it was accepted; a dead letter is kept for 30 days.

use aws_sdk_dynamodb::types::Delete;
use domain::{AttemptId, EndpointId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::item::{self, key};
use crate::lanes::LaneKey;
use crate::newest::listed;
use crate::table::Page;
use crate::transaction::{Transacted, malformed, put};
use crate::{Lanes, StoreError, Table, Transaction};

/// Messages are kept this long, wherever they lie.
const KEPT_SECONDS: i64 = 30 * 24 * 3_600;
/// How often a move is tried against another on the same message.
const TRIES: usize = 4;

/// One message to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The partition: its lane, or its endpoint's dead letters.
    pub lane: String,
    /// The sort key.
    pub message: String,
    /// The lane that it belongs to.
    pub of: LaneKey,
    /// The event.
    pub event_id: String,
    /// Its type.
    pub kind: String,
    /// Whom it concerns; empty for test events.
    #[serde(default)]
    pub user_id: String,
    /// When its event was committed.
    pub created_at: Timestamp,
    /// When it was put into its lane, last.
    pub queued_at: Timestamp,
    /// What is sent.
    pub body: String,
    /// Why it is a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub died_at: Option<Timestamp>,
    /// How often it was tried before.
    #[serde(default)]
    pub tries: u32,
    /// For DynamoDB's own clean-up.
    pub ttl: i64,
}

/// What a message is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage<'a> {
    /// Where it goes.
    pub lane: &'a LaneKey,
    /// The event.
    pub event_id: &'a str,
    /// Its type.
    pub kind: &'a str,
    /// Whom it concerns.
    pub user_id: &'a str,
    /// When its event was committed.
    pub created_at: Timestamp,
    /// What is sent.
    pub body: &'a str,
    /// The present instant.
    pub now: Timestamp,
}

impl Outgoing {
    /// A message for a lane.
    pub fn new(new: &NewMessage<'_>) -> Self {
        Self {
            lane: new.lane.as_str().to_owned(),
            message: listed(new.created_at, new.event_id),
            of: new.lane.clone(),
            event_id: new.event_id.to_owned(),
            kind: new.kind.to_owned(),
            user_id: new.user_id.to_owned(),
            created_at: new.created_at,
            queued_at: new.now,
            body: new.body.to_owned(),
            reason: None,
            died_at: None,
            tries: 0,
            ttl: new.now.secs() + KEPT_SECONDS,
        }
    }

    /// The same as a dead letter of its endpoint.
    #[must_use]
    pub fn dead(&self, endpoint: &EndpointId, reason: &str, tries: u32, now: Timestamp) -> Self {
        Self {
            lane: dead_of(endpoint),
            reason: Some(reason.to_owned()),
            died_at: Some(now),
            tries,
            ttl: now.secs() + KEPT_SECONDS,
            ..self.clone()
        }
    }

    /// A dead letter as a message of its lane again.
    #[must_use]
    pub fn revived(&self, now: Timestamp) -> Self {
        Self {
            lane: self.of.as_str().to_owned(),
            queued_at: now,
            reason: None,
            died_at: None,
            tries: 0,
            ttl: now.secs() + KEPT_SECONDS,
            ..self.clone()
        }
    }
}

/// The table of messages.
#[derive(Clone, Debug)]
pub struct Messages(Table);

impl Messages {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// Puts a message where it says.
    pub async fn put(&self, message: &Outgoing) -> Result<(), StoreError> {
        self.0.put(message).await
    }

    /// The oldest messages of a lane; whether there are more. Strongly consistent.
    pub async fn oldest(
        &self,
        lane: &LaneKey,
        limit: i32,
    ) -> Result<(Vec<Outgoing>, bool), StoreError> {
        let page = Page {
            limit,
            ..Page::default()
        };
        let (rows, next) = self.page(lane.as_str(), page).await?;
        Ok((rows, next.is_some()))
    }

    /// Takes away a message that was accepted, or that nobody wants any more.
    pub async fn delete(&self, message: &Outgoing) -> Result<(), StoreError> {
        self.0.delete(row_key(message)).await
    }

    /// Moves a message out of its lane to the dead letters.
    pub async fn shift(
        &self,
        from: &Outgoing,
        to: &Outgoing,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        self.moved(from, to, Ok, attempt).await
    }

    /// Moves a dead letter back into its lane and opens that, in one transaction: no message lies in a
    /// lane that nobody looks at.
    pub async fn revive(
        &self,
        from: &Outgoing,
        to: &Outgoing,
        lanes: &Lanes,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let open = |transaction| lanes.nudge_in(transaction, &to.of, &to.user_id, to.queued_at);
        self.moved(from, to, open, attempt).await
    }

    async fn moved(
        &self,
        from: &Outgoing,
        to: &Outgoing,
        and: impl Fn(Transaction) -> Result<Transaction, StoreError>,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let delete = Delete::builder()
            .table_name(&self.0.name)
            .set_key(Some(row_key(from)))
            .build()
            .map_err(|error| malformed(&self.0.name, &error))?;
        for _ in 0..TRIES {
            let both = Transaction::new(attempt.clone())
                .put(put(&self.0.name, item::write(&self.0.name, to)?)?)
                .delete(delete.clone());
            let done = and(both)?.run(&self.0.client).await?;
            if done == Transacted::Done {
                return Ok(());
            }
        }
        Err(StoreError::Unavailable("conflict".to_owned()))
    }

    /// An endpoint's dead letters, newest first, from after `after`; with where to go on.
    pub async fn dead(
        &self,
        endpoint: &EndpointId,
        after: Option<&str>,
        limit: i32,
        now: Timestamp,
    ) -> Result<(Vec<Outgoing>, Option<String>), StoreError> {
        let page = Page {
            after,
            limit,
            newest_first: true,
            ..Page::default()
        };
        let (mut rows, next) = self.page(&dead_of(endpoint), page).await?;
        rows.retain(|row| row.ttl > now.secs());
        Ok((rows, next))
    }

    /// One dead letter by its sort key.
    pub async fn dead_letter(
        &self,
        endpoint: &EndpointId,
        message: &str,
        now: Timestamp,
    ) -> Result<Option<Outgoing>, StoreError> {
        let lane = dead_of(endpoint);
        let found: Option<Outgoing> = self
            .0
            .get(key([("lane", lane.as_str()), ("message", message)]))
            .await?;
        Ok(found.filter(|row| row.ttl > now.secs()))
    }

    async fn page(
        &self,
        lane: &str,
        page: Page<'_>,
    ) -> Result<(Vec<Outgoing>, Option<String>), StoreError> {
        self.0.page(("lane", lane), "message", page).await
    }
}

fn dead_of(endpoint: &EndpointId) -> String {
    format!("dead#{endpoint}")
}

fn row_key(message: &Outgoing) -> item::Item {
    key([("lane", &message.lane), ("message", &message.message)])
}
