//! Every minute: finds the connections that are due and queues one message for each. It calls no
//! platform and opens no token. A connection queued twice costs one refused lease.

use std::sync::Arc;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use domain::{Clock, Platform};
use lambda::Error;
use lambda::schedule::Tick;
use store::connections::DueConnection;
use store::{Connections, Platforms};
use tokens::{RefreshMessage, SeenDue};

/// How many are taken from one shard in one run; the rest is as due a minute later.
const MOST_PER_SHARD: i32 = 5_000;
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
}

impl TokenRefresh {
    /// One run.
    pub async fn handle(&self, tick: &Tick) -> Result<(), Error> {
        let mut queued = 0;
        let resting = self.resting().await?;
        // Another shard comes first in each minute: what one run does not reach, the next one does.
        let first = self.clock.now().secs() / 60;
        for place in 0..store::due::SHARDS {
            let shard = store::due::turn(first, place);
            match self.shard(&shard, &resting, tick).await {
                Ok(count) => queued += count,
                // One shard's trouble is not the others'.
                Err(error) => {
                    let error = lambda::logging::chain(&*error).to_string();
                    tracing::error!(shard, error, "due connections were not queued");
                }
            }
        }
        tracing::info!(queued, "due connections queued");
        Ok(())
    }

    async fn shard(&self, shard: &str, resting: &[Platform], tick: &Tick) -> Result<usize, Error> {
        let now = self.clock.now();
        let due = self
            .connections
            .due(shard, now, MOST_PER_SHARD, resting)
            .await?;
        let mut queued = 0;
        for batch in due.chunks(BATCH) {
            if self.clock.now() >= tick.deadline.plus_secs(-RESERVE_SECONDS) {
                tracing::warn!(shard, queued, "not all due connections were queued in time");
                break;
            }
            queued += self.send(batch).await?;
        }
        Ok(queued)
    }

    /// Platforms that refuse our app just now: asking them is of no use, and the connections stay due.
    async fn resting(&self) -> Result<Vec<Platform>, Error> {
        let mut resting = Vec::new();
        for platform in Platform::ALL {
            if self.platforms.breaker(*platform).await?.open_until > self.clock.now() {
                resting.push(*platform);
            }
        }
        Ok(resting)
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
