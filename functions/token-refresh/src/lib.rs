//! Every minute: finds the connections that are due and queues one message for each. It calls no
//! platform and opens no token. A connection queued twice costs one refused lease. After a breaker was
//! open, its platform's connections take their turns over half an hour. It also tells the figures that
//! somebody must tell each minute.

mod census;

use std::sync::Arc;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use domain::metric::{BREAKER_OPEN, REFRESH_LATENESS, REFRESHES_DUE};
use domain::{Clock, Labels, Meter, Platform, Timestamp};
use lambda::Error;
use lambda::schedule::Tick;
use store::connections::DueConnection;
use store::due::bucket_of;
use store::{Breaker, Connections, Platforms, StoreError};
use tokens::decide::{RAMP_MINUTES, has_its_turn};
use tokens::{RefreshMessage, SeenDue};

/// How many are taken from one shard in one run; the rest is as due a minute later.
pub const MOST_PER_SHARD: i32 = 5_000;
/// SQS takes ten messages at once.
const BATCH: usize = 10;
/// Time that is left for what was begun when the run stops.
const RESERVE_SECONDS: i64 = 5;

/// What the handler needs.
pub struct TokenRefresh {
    /// Connections and their due index.
    pub connections: Connections,
    /// Circuit breakers: while one is open, its platform's connections wait.
    pub platforms: Platforms,
    /// The queue's client.
    pub sqs: aws_sdk_sqs::Client,
    /// The refresh queue's URL.
    pub queue: String,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where figures go.
    pub meter: Arc<dyn Meter>,
}

/// What was found due.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    found: usize,
    queued: usize,
    oldest: Option<Timestamp>,
}

impl TokenRefresh {
    /// One run.
    pub async fn handle(&self, tick: &Tick) -> Result<(), Error> {
        let mut all = Due::default();
        let breakers = self.breakers().await?;
        // Another shard comes first in each minute: what one run does not reach, the next one does.
        let first = self.clock.now().secs() / 60;
        for place in 0..store::due::SHARDS {
            let shard = store::due::turn(first, place);
            match self.shard(&shard, &breakers, tick).await {
                Ok(due) => all = all.and(due),
                // One shard's trouble is not the others'.
                Err(error) => {
                    let error = lambda::logging::chain(&*error).to_string();
                    tracing::error!(shard, error, "due connections were not queued");
                }
            }
        }
        tracing::info!(queued = all.queued, "due connections queued");
        let now = self.clock.now();
        let late = all
            .oldest
            .map_or(0.0, |due_at| now.since(due_at).as_secs_f64());
        self.meter.put(
            &[
                (&REFRESHES_DUE, all.found as f64),
                (&REFRESH_LATENESS, late),
            ],
            Labels::NONE,
        );
        if now < tick.deadline.plus_secs(-RESERVE_SECONDS)
            && let Err(error) = self.count().await
        {
            // A figure less; nothing else suffers.
            tracing::warn!(error = %error, "connections were not counted");
        }
        Ok(())
    }

    /// Tells how a sample of all connections fares.
    async fn count(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let size = self.connections.size().await?;
        let (segment, segments) = census::turn(size, now.secs() / 60);
        let sample = self.connections.sample(segment, segments, census::MOST);
        census::tell(&sample.await?, now, &*self.meter);
        Ok(())
    }

    async fn shard(&self, shard: &str, breakers: &[Breaker], tick: &Tick) -> Result<Due, Error> {
        let now = self.clock.now();
        let awake = |row: &DueConnection| is_awake(row, breakers, now);
        let due = self
            .connections
            .due(shard, now, MOST_PER_SHARD, awake)
            .await?;
        let mut queued = 0;
        let (found, oldest) = (due.len(), due.first().map(|row| row.due_at));
        for batch in due.chunks(BATCH) {
            if self.clock.now() >= tick.deadline.plus_secs(-RESERVE_SECONDS) {
                tracing::warn!(shard, queued, "not all due connections were queued in time");
                break;
            }
            queued += self.send(batch).await?;
        }
        Ok(Due {
            found,
            queued,
            oldest,
        })
    }

    async fn breakers(&self) -> Result<Vec<Breaker>, Error> {
        let mut breakers = Vec::new();
        for platform in Platform::ALL {
            let breaker = self.platforms.breaker(*platform).await?;
            let told = f64::from(u8::from(breaker.open_until > self.clock.now()));
            self.meter.put(&[(&BREAKER_OPEN, told)], (*platform).into());
            breakers.push(breaker);
        }
        Ok(breakers)
    }

    async fn send(&self, batch: &[DueConnection]) -> Result<usize, Error> {
        let mut entries = Vec::with_capacity(batch.len());
        for (place, due) in batch.iter().enumerate() {
            let message = RefreshMessage {
                user_id: due.user_id.clone(),
                connection_id: due.connection_id.clone(),
                due: Some(SeenDue {
                    platform: due.platform,
                    token_version: due.token_version,
                }),
                version: None,
            };
            let entry = SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(serde_json::to_string(&message)?)
                .build()?;
            entries.push(entry);
        }
        let answer = self
            .sqs
            .send_message_batch()
            .queue_url(&self.queue)
            .set_entries(Some(entries))
            .send()
            .await?;
        // What the queue did not take stays due, so the next run sends it.
        if !answer.failed().is_empty() {
            tracing::warn!(
                failed = answer.failed().len(),
                "the queue did not take all messages"
            );
        }
        Ok(answer.successful().len())
    }
}

impl Due {
    fn and(self, other: Self) -> Self {
        Self {
            found: self.found + other.found,
            queued: self.queued + other.queued,
            oldest: self.oldest.into_iter().chain(other.oldest).min(),
        }
    }
}

/// Whether a connection is to be asked for now. While its platform's breaker is open, asking is of no
/// use, and it stays due; afterwards each waits for its turn. The index does not say whose a sandbox's
/// connection is: it waits for the production's breaker too, and the worker asks its own.
fn is_awake(row: &DueConnection, breakers: &[Breaker], now: Timestamp) -> bool {
    let breaker = breakers.iter().find(|one| one.app == row.platform.into());
    breaker.is_none_or(|breaker| {
        let bucket = bucket_of(row.connection_id.as_str(), RAMP_MINUTES);
        breaker.open_until <= now && has_its_turn(bucket, breaker.open_until, now)
    })
}
