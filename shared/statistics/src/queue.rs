//! The queue of syncs.

use std::time::Duration;

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use domain::{ConnectionId, SyncId, SyncKind, UserId};
use serde::{Deserialize, Serialize};
use store::Connection;

use crate::StatisticsError;

/// SQS delays a message by at most this long.
const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// SQS takes ten messages at once.
const BATCH: usize = 10;

/// "Read this connection's statistics": the body of a message in the insights queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncMessage {
    /// Which sync: the same one is run once, however often its message comes.
    pub sync_id: SyncId,
    /// Whose.
    pub user_id: UserId,
    /// Which connection.
    pub connection_id: ConnectionId,
    /// Why.
    pub sync_kind: SyncKind,
    /// These media alone, by the platform's ids; for targeted syncs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<String>,
}

impl SyncMessage {
    /// The first sync of a connection that was just confirmed.
    pub fn first(connection: &Connection) -> Self {
        let (id, version) = (&connection.connection_id, connection.token_version);
        Self {
            sync_id: SyncId::of(&["first", id.as_str(), &version.to_string()]),
            user_id: connection.user_id.clone(),
            connection_id: id.clone(),
            sync_kind: SyncKind::First,
            media: Vec::new(),
        }
    }

    /// A sync of some media of a connection, because of `cause`.
    pub fn targeted(
        user: &UserId,
        connection: &ConnectionId,
        media: Vec<String>,
        cause: &str,
    ) -> Self {
        Self {
            sync_id: SyncId::of(&["targeted", connection.as_str(), cause]),
            user_id: user.clone(),
            connection_id: connection.clone(),
            sync_kind: SyncKind::Targeted,
            media,
        }
    }
}

/// The insights queue.
#[derive(Clone, Debug)]
pub struct InsightsQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl InsightsQueue {
    /// Over the queue at this URL.
    pub fn new(client: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }

    /// Sends a message that arrives after `delay`, which is at most 15 minutes and rounded up to
    /// seconds.
    pub async fn send(
        &self,
        message: &SyncMessage,
        delay: Duration,
    ) -> Result<(), StatisticsError> {
        let delay = delay.min(LONGEST_DELAY).as_millis().div_ceil(1_000);
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body(message)?)
            .delay_seconds(i32::try_from(delay).unwrap_or(0))
            .send()
            .await
            .map(drop)
            .map_err(|error| failed(error.code()))
    }

    /// Sends a message where a failure costs only time: it is logged, and the connection's own due
    /// time makes up for it.
    pub async fn send_or_leave(&self, message: &SyncMessage, delay: Duration) {
        if let Err(error) = self.send(message, delay).await {
            tracing::warn!(
                connection.id = %message.connection_id, error = %error,
                "a sync of statistics could not be queued"
            );
        }
    }

    /// Sends messages ten at a time; gives how many the queue took.
    pub(crate) async fn send_all(
        &self,
        messages: &[SyncMessage],
    ) -> Result<usize, StatisticsError> {
        let mut sent = 0;
        for batch in messages.chunks(BATCH) {
            let mut entries = Vec::with_capacity(batch.len());
            for (place, message) in batch.iter().enumerate() {
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(place.to_string())
                    .message_body(body(message)?)
                    .build();
                entries.push(entry.map_err(|error| StatisticsError::Queue(error.to_string()))?);
            }
            let answer = self
                .client
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| failed(error.code()))?;
            sent += answer.successful().len();
        }
        Ok(sent)
    }
}

fn body(message: &SyncMessage) -> Result<String, StatisticsError> {
    serde_json::to_string(message).map_err(|error| StatisticsError::Queue(error.to_string()))
}

fn failed(code: Option<&str>) -> StatisticsError {
    StatisticsError::Queue(code.unwrap_or("no answer").to_owned())
}
