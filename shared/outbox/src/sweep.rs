//! What lost messages and dead workers left: events that stay unsent, lanes that nobody looks at.

use std::time::Duration;

use domain::Timestamp;
use store::lanes::DueLane;

use crate::OutboxError;
use crate::relay::Relay;

/// Events and lanes of one shard that are looked at in one run.
const MOST: i32 = 500;
/// Events that are sent together.
const BATCH: usize = 100;
/// A lane that was woken is left alone for this many times the lateness: its message may wait behind
/// others.
const PATIENCE: u32 = 5;

/// See the module.
#[derive(Clone)]
pub struct Sweep {
    /// Sends events.
    pub relay: Relay,
    /// How long an event may stay unsent.
    pub unsent_after: Duration,
    /// How late a lane must be: until then its own message may be on its way.
    pub late: Duration,
}

/// What a shard held of late things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// When the oldest unsent event was committed.
    pub oldest_unsent: Option<Timestamp>,
    /// Since when the most overdue lane is due.
    pub longest_due: Option<Timestamp>,
}

impl Backlog {
    /// Of both, the older ones.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let older = |one: Option<Timestamp>, other| one.into_iter().chain(other).min();
        Self {
            oldest_unsent: older(self.oldest_unsent, other.oldest_unsent),
            longest_due: older(self.longest_due, other.longest_due),
        }
    }
}

impl Sweep {
    /// Sweeps one shard (`store::due::shard_name`) once, until `stop_at` is near.
    pub async fn shard(&self, shard: &str, stop_at: Timestamp) -> Result<Backlog, OutboxError> {
        let relay = &self.relay;
        let now = relay.clock.now();
        let unsent = relay
            .events
            .unsent(shard, now - self.unsent_after, MOST)
            .await?;
        for batch in unsent.chunks(BATCH) {
            if relay.clock.now() >= stop_at {
                break;
            }
            let ids: Vec<String> = batch.iter().map(|one| one.event_id.clone()).collect();
            let relayed = relay.relay(&ids).await;
            let (sent, failed) = (relayed.sent, relayed.failed.len());
            tracing::warn!(sent, failed, "events had stayed unsent");
        }
        let due = relay.lanes.due(shard, now - self.late, MOST).await?;
        for lane in &due {
            if relay.clock.now() >= stop_at {
                break;
            }
            self.wake(lane).await?;
        }
        Ok(Backlog {
            oldest_unsent: unsent.first().map(|one| one.created_at),
            longest_due: due.first().map(|one| one.due_at),
        })
    }

    async fn wake(&self, seen: &DueLane) -> Result<(), OutboxError> {
        let relay = &self.relay;
        let next = relay.clock.now() + self.late * PATIENCE;
        if relay.lanes.woken(seen, next, &relay.attempt()).await? {
            let lanes = std::slice::from_ref(&seen.lane);
            relay.queue.wake(lanes, Duration::ZERO).await?;
        }
        Ok(())
    }
}
