//! One slice of a job: as many pages as its time allows, each written down; then the next one queued.

use std::sync::Arc;
use std::time::Duration;

use domain::{AttemptId, Clock, Entropy, Holder, JobId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::tasks::Taken;
use store::{Task, Tasks};

use crate::error::code;
use crate::{Message, RequestsError};

/// SQS delays a message by at most this long.
const LONGEST_DELAY: Duration = Duration::from_secs(900);

/// How much one slice does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// No page is begun after this instant.
    pub stop_at: Timestamp,
    /// When nobody else may think that this slice still runs: the end of its process.
    pub lease_until: Timestamp,
    /// Rows in one page; where a slice that died is taken up again.
    pub page: i32,
    /// The most pages; the rest is the next slice's.
    pub pages: u32,
}

/// How a slice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sliced {
    /// As far as its time allowed, or until it had to wait; the next one is queued.
    GoesOn,
    /// The job is over, or the slice was done before.
    Over,
    /// Another is at it: ask again.
    NotYet,
    /// Trouble that passes; what was done is kept. Do the same slice again.
    Later,
}

/// How a page went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Went {
    /// There is more to do.
    On,
    /// There is nothing to do for so long.
    Wait(Duration),
    /// The job is over.
    Over,
    /// The job is another's by now, or gone.
    Lost,
}

/// The queue of slices.
#[derive(Clone, Debug)]
pub struct Queue {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

impl Queue {
    /// Over the queue at this URL.
    pub fn new(sqs: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        let url = url.into();
        Self { sqs, url }
    }

    pub(crate) async fn send(
        &self,
        message: &Message,
        delay: Duration,
    ) -> Result<(), RequestsError> {
        let body = serde_json::to_string(message)
            .map_err(|error| RequestsError::Queue(error.to_string()))?;
        let delay = delay.min(LONGEST_DELAY).as_millis().div_ceil(1_000);
        self.sqs
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .delay_seconds(i32::try_from(delay).unwrap_or(0))
            .send()
            .await
            .map(drop)
            .map_err(|error| RequestsError::Queue(code(&error)))
    }
}

/// What every slice of a kind needs.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) tasks: Tasks,
    pub(crate) queue: Queue,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// A job's own work.
pub(crate) trait Work: Serialize + DeserializeOwned + Send {
    /// The message of a slice.
    fn message(job_id: JobId, slice: u64) -> Message;
    /// Notes what stands in the way, or that nothing does.
    fn troubled(&mut self, trouble: Option<&'static str>);
}

/// Does pages of one kind of work.
pub(crate) trait Pages {
    type Work: Work;

    fn chain(&self) -> &Chain;

    /// Does the next page.
    async fn page(
        &self,
        task: &mut Task<Self::Work>,
        holder: &Holder,
        pace: &Pace,
    ) -> Result<Went, RequestsError>;
}

impl Chain {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn attempt(&self) -> AttemptId {
        AttemptId::new(self.now(), &*self.entropy)
    }

    /// Writes down how far the holder is; `false`: the job is no longer theirs.
    pub(crate) async fn note<W: Work>(
        &self,
        task: &mut Task<W>,
        holder: &Holder,
        keeps: bool,
    ) -> Result<bool, RequestsError> {
        task.updated_at = self.now();
        let attempt = self.attempt();
        Ok(self.tasks.note(task, holder, keeps, &attempt).await?)
    }
}

/// Does one slice of a job.
pub(crate) async fn slice<P: Pages>(
    of: &P,
    id: &JobId,
    slice: u64,
    pace: &Pace,
) -> Result<Sliced, RequestsError> {
    let chain = of.chain();
    let now = chain.now();
    let holder = Holder::new(now, &*chain.entropy);
    let lease = (now, pace.lease_until);
    let taken = chain
        .tasks
        .take(id, slice, &holder, lease, &chain.attempt())
        .await?;
    let mut task: Task<P::Work> = match taken {
        Taken::Ours(task) => *task,
        Taken::NotYet => return Ok(Sliced::NotYet),
        Taken::Over => return Ok(Sliced::Over),
    };
    let mut wait = Duration::ZERO;
    for _ in 0..pace.pages {
        if chain.now() >= pace.stop_at {
            break;
        }
        let went = match of.page(&mut task, &holder, pace).await {
            Ok(went) => went,
            Err(error) => {
                tracing::warn!(job.id = %id, error = %error, "a slice could not go on");
                task.work.troubled(Some(error.code()));
                chain.note(&mut task, &holder, false).await?;
                return Ok(Sliced::Later);
            }
        };
        task.work.troubled(None);
        task.open = went != Went::Over;
        let keeps = went == Went::On;
        match went {
            Went::Lost => return Ok(Sliced::Over),
            Went::Wait(pause) => {
                wait = pause;
                break;
            }
            Went::On | Went::Over => {}
        }
        let stays = chain.note(&mut task, &holder, keeps).await?;
        if !stays || !keeps {
            return Ok(Sliced::Over);
        }
    }
    // Queued before it is counted: killed in between, this slice comes again and finds its place.
    let next = P::Work::message(task.job_id.clone(), task.slice + 1);
    chain.queue.send(&next, wait).await?;
    task.slice += 1;
    chain.note(&mut task, &holder, false).await?;
    Ok(Sliced::GoesOn)
}
