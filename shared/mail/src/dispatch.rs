//! Every 15 minutes: takes the users whose mails are due and queues each.

use std::sync::Arc;

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use domain::{AttemptId, Clock, Entropy, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use store::Users;

use crate::MailError;

/// The schedule's pace.
const TICK_SECONDS: i64 = 15 * 60;
/// A user who was queued is due again after this long, if nothing came of it.
const AGAIN_AFTER_SECONDS: i64 = 3_600;
/// Users of one shard in one tick; the next tick goes on.
const MOST_IN_SHARD: i32 = 2_000;
/// SQS takes ten messages at once.
const BATCH: usize = 10;

/// "Send this user what is due": the body of a message in the queue of mails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailMessage {
    /// To whom.
    pub user_id: UserId,
    /// As of when it is decided what is due, so that a message that comes twice is decided alike.
    pub at: Timestamp,
}

/// What finds users whose mails are due.
pub struct Dispatch {
    /// Users and the index of due mails.
    pub users: Users,
    /// The queues.
    pub sqs: aws_sdk_sqs::Client,
    /// The queue of mails.
    pub queue: String,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Dispatch {
    /// One run as of `at`, which begins nothing after `stop_at`. Gives how many users it queued.
    pub async fn run(&self, at: Timestamp, stop_at: Timestamp) -> Result<usize, MailError> {
        let mut queued = 0;
        // Another shard comes first each time: what one run does not reach, a later one does.
        let first = at.secs() / TICK_SECONDS;
        for place in 0..store::due::SHARDS {
            let shard = store::due::turn(first, place);
            match self.shard(&shard, at, stop_at).await {
                Ok(count) => queued += count,
                // One shard's trouble is not the others'.
                Err(error) => {
                    tracing::error!(shard, error = %error, "due mails were not queued");
                }
            }
        }
        Ok(queued)
    }

    async fn shard(
        &self,
        shard: &str,
        at: Timestamp,
        stop_at: Timestamp,
    ) -> Result<usize, MailError> {
        let rows = self.users.due_mails(shard, at, MOST_IN_SHARD).await?;
        let mut queued = 0;
        for batch in rows.chunks(BATCH) {
            if self.clock.now() >= stop_at {
                tracing::warn!(shard, "not all due mails were queued in time");
                break;
            }
            let mut messages = Vec::with_capacity(BATCH);
            for row in batch {
                // Whoever moves the row queues it: two runs at once queue it once. Not on to the next
                // day yet: a message that gets lost is made up for within the hour.
                let again = at.plus_secs(AGAIN_AFTER_SECONDS);
                let attempt = AttemptId::new(self.clock.now(), &*self.entropy);
                if self.users.move_mail(row, Some(again), &attempt).await? {
                    messages.push(MailMessage {
                        user_id: row.user_id.clone(),
                        at,
                    });
                }
            }
            queued += self.send(&messages).await?;
        }
        Ok(queued)
    }

    async fn send(&self, messages: &[MailMessage]) -> Result<usize, MailError> {
        if messages.is_empty() {
            return Ok(0);
        }
        let mut entries = Vec::with_capacity(messages.len());
        for (place, message) in messages.iter().enumerate() {
            let body = serde_json::to_string(message);
            let body = body.map_err(|error| MailError::Queue(error.to_string()))?;
            let entry = SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(body)
                .build();
            entries.push(entry.map_err(|error| MailError::Queue(error.to_string()))?);
        }
        let answer = self
            .sqs
            .send_message_batch()
            .queue_url(&self.queue)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| MailError::Queue(error.code().unwrap_or("no answer").to_owned()))?;
        Ok(answer.successful().len())
    }
}
