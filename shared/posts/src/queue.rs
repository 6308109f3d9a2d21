//! The queue of publishing steps. A message only makes things faster: every unfinished target is in
//! the due index, and the sweeper sends what got lost.

use std::time::Duration;

use aws_sdk_sqs::error::ProvideErrorMetadata;
use domain::{PostId, TargetId};
use serde::{Deserialize, Serialize};

use crate::fetch::FetchMessage;

/// SQS delays a message by at most this long; longer waits are the sweeper's.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(900);

/// "Look at this target": the body of a message in the publish queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Of which post.
    pub post_id: PostId,
    /// Which.
    pub target_id: TargetId,
    /// The step that it was sent for: once the target has moved on, the message means nothing.
    pub step: u64,
}

/// What the publish queue holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Work {
    /// A step of a target.
    Target(Message),
    /// A slice of a file that is fetched.
    Fetch(FetchMessage),
}

/// The publish queue.
#[derive(Clone, Debug)]
pub struct PublishQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

/// A message that was not sent; SQS's error code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the publish queue did not answer as needed: {0}")]
pub struct QueueError(String);

impl Message {
    /// The message that wakes `target` as it stands.
    pub fn of(target: &store::Target) -> Self {
        Self {
            post_id: target.post_id.clone(),
            target_id: target.target_id.clone(),
            step: target.step,
        }
    }
}

impl PublishQueue {
    /// Over the queue at this URL.
    pub fn new(client: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }

    /// Sends a message that arrives after `delay`, which is rounded up to seconds.
    pub async fn send(&self, work: &Work, delay: Duration) -> Result<(), QueueError> {
        let body = serde_json::to_string(work).map_err(|error| QueueError(error.to_string()))?;
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .delay_seconds(delay_seconds(delay))
            .send()
            .await
            .map(drop)
            .map_err(|error| QueueError(error.code().unwrap_or("no answer").to_owned()))
    }

    /// Wakes a target that was just moved on from `seen`. A message that cannot be sent costs only
    /// time: the sweeper makes up for it.
    pub async fn wake_after(&self, seen: &store::Target) {
        let message = Message {
            step: seen.step + 1,
            ..Message::of(seen)
        };
        self.send_or_leave(&message, Duration::ZERO).await;
    }

    /// Sends a message where a failure costs only time: it is logged, and the sweeper makes up for
    /// it.
    pub(crate) async fn send_or_leave(&self, message: &Message, delay: Duration) {
        let work = Work::Target(message.clone());
        if let Err(error) = self.send(&work, delay).await {
            tracing::warn!(
                target.id = %message.target_id, post.id = %message.post_id, error = %error,
                "a publishing step could not be queued; the sweeper will find it"
            );
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
