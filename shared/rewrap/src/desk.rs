//! Where the move is begun and looked at.

use std::sync::Arc;

use aws_sdk_sqs::error::ProvideErrorMetadata;
use domain::{AttemptId, Clock, Entropy, JobId, Timestamp};
use serde::{Serialize, Serializer};
use store::jobs::{JobState, RewrapCounts};
use store::{Jobs, RewrapJob};

use crate::{Message, RewrapError};

/// Begins the move and tells how far it is.
#[derive(Clone)]
pub struct Desk {
    /// Jobs.
    pub jobs: Jobs,
    /// The queue's client.
    pub sqs: aws_sdk_sqs::Client,
    /// The queue's URL.
    pub queue: String,
    /// The KMS key that this deployment seals under: where everything is moved to.
    pub kms_key: String,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// A job as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    /// Its id.
    pub id: JobId,
    /// Where the texts are moved to.
    pub kms_key: String,
    /// `open`, `done` or `incomplete`.
    pub state: JobState,
    /// What was done so far.
    pub counts: RewrapCounts,
    /// The trouble of the last slice, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// When it was begun.
    #[serde(serialize_with = "rfc3339")]
    pub started_at: Timestamp,
    /// When it last moved on.
    #[serde(serialize_with = "rfc3339")]
    pub updated_at: Timestamp,
}

fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.rfc3339())
}

impl From<RewrapJob> for View {
    fn from(job: RewrapJob) -> Self {
        Self {
            id: job.job_id,
            kms_key: job.kms_key,
            state: job.state,
            counts: job.counts,
            trouble: job.trouble,
            started_at: job.started_at,
            updated_at: job.updated_at,
        }
    }
}

impl Desk {
    /// Begins the move. One to the same key that is open is woken instead: its message may have ended
    /// with the dead letters. One to another key is given up for this one.
    pub async fn start(&self) -> Result<View, RewrapError> {
        let now = self.clock.now();
        let seen = self.jobs.last::<RewrapJob>().await?;
        let open = seen
            .as_ref()
            .is_some_and(|job| job.state == JobState::Open && job.kms_key == self.kms_key);
        let job = match seen {
            Some(job) if open => job,
            seen => {
                let new = RewrapJob {
                    job_id: JobId::new(now, &*self.entropy),
                    kms_key: self.kms_key.clone(),
                    state: JobState::Open,
                    slice: 0,
                    cursor: Default::default(),
                    counts: RewrapCounts {
                        walk: 1,
                        ..RewrapCounts::default()
                    },
                    trouble: None,
                    holder: None,
                    lease_until: Timestamp::default(),
                    started_at: now,
                    updated_at: now,
                };
                let attempt = AttemptId::new(now, &*self.entropy);
                self.jobs.open(&new, seen.as_ref(), &attempt).await?
            }
        };
        self.send(&Message::GoOn {
            job_id: job.job_id.clone(),
            slice: job.slice,
        })
        .await?;
        Ok(job.into())
    }

    /// The last move, over or not; `None` where there was none.
    pub async fn status(&self) -> Result<Option<View>, RewrapError> {
        Ok(self.jobs.last::<RewrapJob>().await?.map(View::from))
    }

    pub(crate) async fn send(&self, message: &Message) -> Result<(), RewrapError> {
        let body = serde_json::to_string(message)
            .map_err(|error| RewrapError::Queue(error.to_string()))?;
        self.sqs
            .send_message()
            .queue_url(&self.queue)
            .message_body(body)
            .send()
            .await
            .map(drop)
            .map_err(|error| RewrapError::Queue(error.code().unwrap_or("no answer").to_owned()))
    }
}
