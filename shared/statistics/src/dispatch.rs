//! Every five minutes: takes the connections whose statistics are due and queues a sync for each,
//! within each platform's budget.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{AttemptId, Clock, ConnectionStatus, Entropy, Platform, SyncId, SyncKind, Timestamp};
use store::connections::DueStatistics;
use store::{Connections, Platforms, SyncLogs};

use crate::{InsightsQueue, Settings, StatisticsError, SyncMessage};

/// The schedule's pace.
const TICK_MINUTES: u32 = 5;
/// Rows that are only moved on, in one shard and one tick.
const MOST_MOVED: usize = 500;
/// A connection that was queued is due again after this long, if nothing came of it.
const AGAIN_AFTER_SECONDS: i64 = 3_600;
/// SQS takes ten messages at once.
const BATCH: usize = 10;

/// What finds due connections.
pub struct Dispatch {
    /// Connections and the index of due statistics.
    pub connections: Connections,
    /// Circuit breakers: while one is open, its platform's connections wait.
    pub platforms: Platforms,
    /// For the repair pass.
    pub logs: SyncLogs,
    /// Where syncs are queued.
    pub queue: InsightsQueue,
    /// What the deployment chose.
    pub settings: Settings,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// What one run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dispatched {
    /// Syncs queued.
    pub queued: usize,
    /// Connections put off to the next day: switched off, or waiting for their creator.
    pub moved: usize,
}

/// What is done with a due row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treat {
    Queue,
    PutOff,
}

impl Dispatch {
    /// One run, which begins nothing after `stop_at`.
    pub async fn due(&self, stop_at: Timestamp) -> Result<Dispatched, StatisticsError> {
        let mut left = self.left().await?;
        let mut done = Dispatched::default();
        // Another shard comes first each time: what the budget does not reach now, it does later.
        let first = self.clock.now().secs() / (60 * i64::from(TICK_MINUTES));
        for place in 0..store::due::SHARDS {
            let shard = store::due::turn(first, place);
            if let Err(error) = self.shard(&shard, &mut left, stop_at, &mut done).await {
                // One shard's trouble is not the others'.
                tracing::error!(shard, error = %error, "due statistics were not queued");
            }
        }
        Ok(done)
    }

    /// How many syncs of each platform may be queued in one tick. A platform whose breaker is open
    /// has none, one that is switched off any number of rows to be put off.
    async fn left(&self) -> Result<BTreeMap<Platform, usize>, StatisticsError> {
        let now = self.clock.now();
        let mut left = BTreeMap::new();
        for platform in Platform::ALL.iter().copied() {
            let budget = platforms::statistics(platform).map(|reads| reads.budget());
            let many = match budget.filter(|_| self.settings.reads(platform)) {
                None => MOST_MOVED,
                Some(_) if self.platforms.breaker(platform).await?.open_until > now => 0,
                Some(budget) => {
                    usize::try_from(budget.syncs_per_minute * TICK_MINUTES).unwrap_or(usize::MAX)
                }
            };
            left.insert(platform, many);
        }
        Ok(left)
    }

    async fn shard(
        &self,
        shard: &str,
        left: &mut BTreeMap<Platform, usize>,
        stop_at: Timestamp,
        done: &mut Dispatched,
    ) -> Result<(), StatisticsError> {
        let now = self.clock.now();
        let limit = i32::try_from(left.values().sum::<usize>()).unwrap_or(i32::MAX);
        if limit == 0 {
            return Ok(());
        }
        let open = |row: &DueStatistics| left.get(&row.platform).is_some_and(|left| *left > 0);
        let rows = self
            .connections
            .due_statistics(shard, now, limit, open)
            .await?;
        let mut messages = Vec::with_capacity(BATCH);
        for row in rows {
            let Some(left) = left.get_mut(&row.platform).filter(|left| **left > 0) else {
                continue;
            };
            if self.clock.now() >= stop_at {
                tracing::warn!(shard, "not all due statistics were queued in time");
                break;
            }
            *left -= 1;
            match self.treat(&row) {
                Treat::PutOff => {
                    done.moved += usize::from(self.move_on(&row, self.next_slot(&row, now)).await?);
                }
                Treat::Queue => {
                    // Whoever moves the row queues it: two runs at once queue it once.
                    let again = now.plus_secs(AGAIN_AFTER_SECONDS);
                    if self.move_on(&row, again).await? {
                        messages.push(daily(&row));
                    }
                }
            }
            if messages.len() == BATCH {
                done.queued += self.queue.send_all(&messages).await?;
                messages.clear();
            }
        }
        done.queued += self.queue.send_all(&messages).await?;
        Ok(())
    }

    fn treat(&self, row: &DueStatistics) -> Treat {
        match row.status {
            ConnectionStatus::Active if self.settings.reads(row.platform) => Treat::Queue,
            // Looked at once a day, so that one that comes back by itself is read again.
            _ => Treat::PutOff,
        }
    }

    fn next_slot(&self, row: &DueStatistics, now: Timestamp) -> Timestamp {
        let budget = platforms::statistics(row.platform).map(|reads| reads.budget());
        let spread = budget.map_or(std::time::Duration::ZERO, |budget| budget.spread);
        self.settings
            .calendar
            .next_slot(&row.connection_id, spread, now)
    }

    async fn move_on(&self, row: &DueStatistics, to: Timestamp) -> Result<bool, StatisticsError> {
        let attempt = AttemptId::new(self.clock.now(), self.entropy.as_ref());
        Ok(self.connections.move_statistics(row, to, &attempt).await?)
    }
}

/// The sync of a due row: its due time makes it the only one.
fn daily(row: &DueStatistics) -> SyncMessage {
    let due = row.stats_due_at.millis().to_string();
    SyncMessage {
        sync_id: SyncId::of(&["daily", row.connection_id.as_str(), &due]),
        user_id: row.user_id.clone(),
        connection_id: row.connection_id.clone(),
        sync_kind: SyncKind::Daily,
        media: Vec::new(),
    }
}
