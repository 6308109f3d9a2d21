//! The queue of lanes. A message only makes things faster: every open lane is in the due index, and
//! the sweeper sends what got lost.

use std::time::Duration;

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde::{Deserialize, Serialize};
use store::LaneKey;

/// SQS delays a message by at most this long; longer waits are the sweeper's.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// SQS takes ten messages at once.
const BATCH: usize = 10;

/// "Look at this lane": the body of a message in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneMessage {
    /// Which.
    pub lane: LaneKey,
}

/// The queue.
#[derive(Clone, Debug)]
pub struct LaneQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

/// A message that was not sent; SQS's error code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue of lanes did not answer as needed: {0}")]
pub struct QueueError(String);

impl LaneQueue {
    /// Over the queue at this URL.
    pub fn new(client: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }

    /// Wakes lanes after `delay`, which is rounded up to seconds.
    pub async fn wake(&self, lanes: &[LaneKey], delay: Duration) -> Result<(), QueueError> {
        for lanes in lanes.chunks(BATCH) {
            let entries = lanes.iter().enumerate().map(|(place, lane)| {
                let body = serde_json::to_string(&LaneMessage { lane: lane.clone() })
                    .map_err(|error| QueueError(error.to_string()))?;
                SendMessageBatchRequestEntry::builder()
                    .id(place.to_string())
                    .message_body(body)
                    .delay_seconds(delay_seconds(delay))
                    .build()
                    .map_err(|error| QueueError(error.to_string()))
            });
            let answer = self
                .client
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.collect::<Result<_, _>>()?))
                .send()
                .await
                .map_err(|error| QueueError(error.code().unwrap_or("no answer").to_owned()))?;
            if let Some(failed) = answer.failed.first() {
                return Err(QueueError(failed.code.clone()));
            }
        }
        Ok(())
    }

    /// The same where a failure costs only time: it is logged, and the sweeper makes up for it.
    pub(crate) async fn wake_or_leave(&self, lanes: &[LaneKey], delay: Duration) {
        if delay > LONGEST_DELAY {
            return;
        }
        if let Err(error) = self.wake(lanes, delay).await {
            let count = lanes.len();
            tracing::warn!(count, error = %error, "lanes could not be woken; the sweeper will");
        }
    }
}

fn delay_seconds(delay: Duration) -> i32 {
    let rounded = delay.min(LONGEST_DELAY).as_millis().div_ceil(1_000);
    i32::try_from(rounded).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_rounded_up_and_bounded() {
        for (millis, secs) in [(0, 0), (1, 1), (1_000, 1), (5_001, 6), (10_000_000, 900)] {
            assert_eq!(delay_seconds(Duration::from_millis(millis)), secs);
        }
    }
}
