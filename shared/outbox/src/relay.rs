//! Puts committed events into lanes and on the bus.
//!
//! The order of writes carries the promise: messages first, then their lanes are nudged, then the event
//! is marked. Killed anywhere, the event is unmarked and comes again; twice, the second put meets the
//! same keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::metric::{BUS_REFUSED, EVENTS_RELAYED};
use domain::{AttemptId, Clock, Entropy, Labels, Meter, Timestamp};
use futures_util::{StreamExt, stream};
use store::events::Taken;
use store::messages::NewMessage;
use store::{
    Endpoint, Endpoints, EventRow, Events, LaneKey, Lanes, Messages, Outgoing, StoreError,
};

use crate::OutboxError;
use crate::body::body;
use crate::bus::{Bus, BusEntry, SOURCE, batches};
use crate::queue::LaneQueue;

/// Calls to tables at once.
const AT_ONCE: usize = 16;
/// Why an event lies with the dead letters of an endpoint that is disabled.
pub(crate) const DISABLED: &str = "endpoint_disabled";

/// See the module.
#[derive(Clone)]
pub struct Relay {
    /// The events.
    pub events: Events,
    /// Who wants them.
    pub endpoints: Endpoints,
    /// Where they wait.
    pub lanes: Lanes,
    /// What waits.
    pub messages: Messages,
    /// Wakes lanes.
    pub queue: LaneQueue,
    /// The event bus, if there is one.
    pub bus: Option<Arc<dyn Bus>>,
    /// How old an event must be to be sent.
    pub settle: Duration,
    /// Figures.
    pub meter: Arc<dyn Meter>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Events that are sent now.
    pub sent: usize,
    /// Events that some way out has not taken: they are to come again.
    pub failed: BTreeSet<String>,
}

impl Relay {
    /// Sends these events, as far as they are unsent.
    pub async fn relay(&self, ids: &[String]) -> Relayed {
        let mut relayed = Relayed::default();
        let found: Vec<_> = stream::iter(ids)
            .map(|id| async move { (id, self.events.get(id).await) })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut rows = Vec::new();
        for (id, found) in found {
            match found {
                Ok(Some(row)) if row.unsent_shard.is_some() => rows.push(row),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(event.id = id, error = %error, "an event cannot be read");
                    relayed.failed.insert(id.clone());
                }
            }
        }
        let unqueued: Vec<EventRow> = rows
            .iter()
            .filter(|row| row.queued_at.is_none())
            .cloned()
            .collect();
        let unqueued = self.enqueue(&unqueued).await;
        let unpublished = self.publish(&rows).await;
        let marked: Vec<_> = stream::iter(&rows)
            .map(|row| {
                let id = &row.event_id;
                self.mark(row, !unqueued.contains(id), !unpublished.contains(id))
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (id, sent) in marked {
            match sent {
                true => relayed.sent += 1,
                false => drop(relayed.failed.insert(id)),
            }
        }
        if relayed.sent > 0 {
            let count = relayed.sent as f64;
            self.meter.put(&[(&EVENTS_RELAYED, count)], Labels::NONE);
        }
        relayed
    }

    /// Puts events that another writer committed into their lanes, before anything later is sent there.
    pub(crate) async fn queue_now(&self, rows: &[EventRow]) -> Result<(), OutboxError> {
        let failed = self.enqueue(rows).await;
        if !failed.is_empty() {
            let code = "an earlier event could not be queued".to_owned();
            return Err(StoreError::Unavailable(code).into());
        }
        for row in rows {
            // One that stays unmarked is put there again, and sent twice.
            self.mark(row, true, false).await;
        }
        Ok(())
    }

    /// Writes the messages of these events and nudges their lanes; the events that failed.
    async fn enqueue(&self, rows: &[EventRow]) -> BTreeSet<String> {
        let everything = || rows.iter().map(|row| row.event_id.clone()).collect();
        if rows.is_empty() {
            return BTreeSet::new();
        }
        let endpoints = match self.endpoints.all().await {
            Ok(endpoints) => endpoints,
            Err(error) => {
                tracing::error!(error = %error, "the endpoints cannot be read");
                return everything();
            }
        };
        let now = self.clock.now();
        let messages: Vec<Outgoing> = rows
            .iter()
            .flat_map(|row| {
                let text = body(row);
                let wanting = endpoints.iter().filter(|one| one.wants(&row.kind));
                let messages: Vec<_> = wanting.map(|one| message(row, one, &text, now)).collect();
                messages
            })
            .collect();
        let mut failed = BTreeSet::new();
        let mut lanes: BTreeMap<LaneKey, (&str, BTreeSet<&str>)> = BTreeMap::new();
        let put: Vec<_> = stream::iter(&messages)
            .map(|message| async move { (message, self.messages.put(message).await) })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (message, put) in put {
            if let Err(error) = put {
                let id = &message.event_id;
                tracing::error!(event.id = id, error = %error, "a message was not queued");
                failed.insert(id.clone());
            } else if message.reason.is_none() {
                let lane = lanes.entry(message.of.clone());
                let (_, ids) = lane.or_insert_with(|| (&message.user_id, BTreeSet::new()));
                ids.insert(&message.event_id);
            }
        }
        let nudged: Vec<_> = stream::iter(lanes)
            .map(|(lane, (user, ids))| async move {
                let nudged = self.lanes.nudge(&lane, user, now, &self.attempt()).await;
                (lane, ids, nudged)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut idle = Vec::new();
        for (key, ids, nudged) in nudged {
            match nudged {
                Ok(lane) if lane.idle(now) => idle.push(key),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(lane = key.as_str(), error = %error, "a lane was not nudged");
                    failed.extend(ids.into_iter().map(str::to_owned));
                }
            }
        }
        let newest = rows.iter().map(|row| row.created_at).max().unwrap_or(now);
        let ripe = (newest + self.settle).since(now).min(self.settle);
        self.queue.wake_or_leave(&idle, ripe).await;
        failed
    }

    /// Puts events on the bus; those that it has not taken.
    async fn publish(&self, rows: &[EventRow]) -> BTreeSet<String> {
        let Some(bus) = &self.bus else {
            return BTreeSet::new();
        };
        let unpublished = rows.iter().filter(|row| row.published_at.is_none());
        let entries: Vec<BusEntry> = unpublished
            .map(|row| BusEntry {
                event_id: row.event_id.clone(),
                kind: row.kind.clone(),
                body: body(row),
                time: row.created_at.secs(),
            })
            .collect();
        let mut failed = BTreeSet::new();
        for batch in batches(&entries) {
            let put = match bus.put(SOURCE, batch).await {
                Ok(put) => put,
                Err(error) => {
                    tracing::error!(count = batch.len(), error = %error, "events are not on the bus");
                    failed.extend(batch.iter().map(|entry| entry.event_id.clone()));
                    continue;
                }
            };
            for (entry, put) in batch.iter().zip(put) {
                if let Err(refusal) = put {
                    let id = &entry.event_id;
                    tracing::error!(event.id = id, error = %refusal, "an event is not on the bus");
                    failed.insert(id.clone());
                }
            }
        }
        if !failed.is_empty() {
            let count = failed.len() as f64;
            self.meter.put(&[(&BUS_REFUSED, count)], Labels::NONE);
        }
        failed
    }

    /// Writes down what was done; whether the event is sent now, and that is written.
    async fn mark(&self, row: &EventRow, queued: bool, published: bool) -> (String, bool) {
        let published = match &self.bus {
            Some(_) => published || row.published_at.is_some(),
            None => true,
        };
        let taken = Taken {
            queued: queued && row.queued_at.is_none(),
            published: self.bus.is_some() && published && row.published_at.is_none(),
            sent: queued && published,
        };
        let id = row.event_id.clone();
        if taken == Taken::default() {
            return (id, false);
        }
        let (now, attempt) = (self.clock.now(), self.attempt());
        match self.events.taken(&id, taken, now, &attempt).await {
            Ok(()) => (id, taken.sent),
            Err(error) => {
                tracing::error!(event.id = id, error = %error, "an event was sent and not marked");
                (id, false)
            }
        }
    }

    pub(crate) fn attempt(&self) -> AttemptId {
        AttemptId::new(self.clock.now(), &*self.entropy)
    }
}

/// An event for an endpoint: in its lane, or, while the endpoint is disabled, with its dead letters.
fn message(row: &EventRow, endpoint: &Endpoint, text: &str, now: Timestamp) -> Outgoing {
    let lane = LaneKey::of(
        &endpoint.endpoint_id,
        row.connection_id.as_deref(),
        &row.user_id,
    );
    let message = Outgoing::new(&NewMessage {
        lane: &lane,
        event_id: &row.event_id,
        kind: &row.kind,
        user_id: &row.user_id,
        created_at: row.created_at,
        body: text,
        now,
    });
    match endpoint.enabled() {
        true => message,
        false => message.dead(&endpoint.endpoint_id, DISABLED, 0, now),
    }
}
