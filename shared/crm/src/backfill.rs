//! Rebuilds the projection from the tables, over live traffic.
//!
//! 1. Every item is touched, so that its stream carries the present image once more, behind all that
//!    it carried before. The same function writes it in the same way as any other, so there is no
//!    second path that could race with the first.
//! 2. Rows that did not come again are either of items that are gone, or late. Each is asked of its
//!    table, and those that are gone are removed, unless a later image has come meanwhile.
//!
//! The job is a chain of messages: a slice does what its time allows, queues the next, and is done
//! again where it died. Done is when a round of verifying met no row that was behind.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::error::ProvideErrorMetadata;
use domain::{AttemptId, Clock, Entropy, Holder, JobId, Timestamp};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize, Serializer};
use store::jobs::{BackfillCounts, BackfillPhase, JobState, Taken};
use store::stream::{FollowedTables, Source, WalkPage};
use store::{BackfillJob, Jobs, StoreError};

use crate::change::{Change, Effect, item_hash};
use crate::write::Stale;
use crate::{CrmError, Database, rows};

/// Items that are touched at once.
const AT_ONCE: usize = 16;
/// Rows that are verified between two notes.
const VERIFIED: u32 = 200;
/// More rounds than this mean that rows stay behind: their records lie with the dead letters, or the
/// streams are later than rounds can wait.
const MOST_ROUNDS: u32 = 20;

/// The body of a message in the queue of this job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// Begin, or go on with what lies still: what an operator may send by hand.
    Start,
    /// Do this slice of this job.
    GoOn {
        /// Which job.
        job_id: JobId,
        /// Which slice: one that was done means nothing.
        slice: u64,
    },
}

/// Trouble that may pass.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The tables.
    #[error("the tables failed")]
    Store(#[from] StoreError),
    /// The queue did not take a message; its error code.
    #[error("the queue did not take the message: {0}")]
    Queue(String),
}

/// Begins the job and tells how far it is.
#[derive(Clone)]
pub struct Desk {
    /// Jobs.
    pub jobs: Jobs,
    /// The queue's client.
    pub sqs: aws_sdk_sqs::Client,
    /// The queue's URL.
    pub queue: String,
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
    /// `open`, `done`, or `incomplete` where rows stayed behind.
    pub state: JobState,
    /// What it does by now.
    pub phase: BackfillPhase,
    /// What was done so far.
    pub counts: BackfillCounts,
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

impl From<BackfillJob> for View {
    fn from(job: BackfillJob) -> Self {
        Self {
            id: job.job_id,
            state: job.state,
            phase: job.phase,
            counts: job.counts,
            trouble: job.trouble,
            started_at: job.started_at,
            updated_at: job.updated_at,
        }
    }
}

impl Desk {
    /// Begins it. One that is open is woken instead: its message may have ended with the dead letters.
    pub async fn start(&self) -> Result<View, BackfillError> {
        let now = self.clock.now();
        let seen = self.jobs.last::<BackfillJob>().await?;
        let job = match seen {
            Some(job) if job.state == JobState::Open => job,
            seen => {
                let new = BackfillJob {
                    job_id: JobId::new(now, &*self.entropy),
                    state: JobState::Open,
                    slice: 0,
                    phase: BackfillPhase::Touching,
                    since: None,
                    cursor: Default::default(),
                    source: 0,
                    after: None,
                    counts: BackfillCounts::default(),
                    trouble: None,
                    holder: None,
                    lease_until: Timestamp::default(),
                    started_at: now,
                    updated_at: now,
                };
                self.jobs.open(&new, seen.as_ref(), &self.attempt()).await?
            }
        };
        let next = Message::GoOn {
            job_id: job.job_id.clone(),
            slice: job.slice,
        };
        self.send(&next, Duration::ZERO).await?;
        Ok(job.into())
    }

    /// The last one, over or not; `None` where there was none.
    pub async fn status(&self) -> Result<Option<View>, BackfillError> {
        Ok(self.jobs.last::<BackfillJob>().await?.map(View::from))
    }

    async fn send(&self, message: &Message, delay: Duration) -> Result<(), BackfillError> {
        let body = serde_json::to_string(message)
            .map_err(|error| BackfillError::Queue(error.to_string()))?;
        self.sqs
            .send_message()
            .queue_url(&self.queue)
            .message_body(body)
            // SQS delays at most 15 minutes.
            .delay_seconds(i32::try_from(delay.as_secs().min(900)).unwrap_or(0))
            .send()
            .await
            .map(drop)
            .map_err(|error| BackfillError::Queue(error.code().unwrap_or("no answer").to_owned()))
    }

    fn attempt(&self) -> AttemptId {
        AttemptId::new(self.clock.now(), &*self.entropy)
    }
}

/// Does slices.
pub struct Backfill {
    /// Where slices are counted and queued.
    pub desk: Desk,
    /// The tables that are followed.
    pub tables: FollowedTables,
    /// The projection.
    pub database: Database,
    /// How long the streams have to bring what was touched, before each round of verifying.
    pub settle: Duration,
}

/// How much one slice does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// No page is begun after this instant.
    pub stop_at: Timestamp,
    /// When nobody else may think that this slice still runs: the end of its process.
    pub lease_until: Timestamp,
    /// Items in one page; what a slice that died does again.
    pub page: i32,
    /// The most pages; the rest is the next slice's.
    pub pages: u32,
}

/// How a slice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sliced {
    /// As far as its time allowed; the next one is queued.
    GoesOn,
    /// The job is over, or the slice was done before, or the job is another's by now.
    Over,
    /// Another is at it: ask again.
    NotYet,
    /// A table or the database was in trouble that passes; what was done is kept.
    Later,
}

/// What a page left to do.
enum Paged {
    /// The next page.
    More,
    /// A round, after the streams had time.
    Settle,
    /// Nothing.
    Over,
}

/// Trouble within a page, which the job notes.
enum PageError {
    Store(StoreError),
    Crm(CrmError),
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<CrmError> for PageError {
    fn from(error: CrmError) -> Self {
        Self::Crm(error)
    }
}

impl std::fmt::Display for PageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Crm(error) => error.fmt(f),
        }
    }
}

impl Backfill {
    /// Deals with one message of the queue.
    pub async fn handle(&self, message: &Message, pace: &Pace) -> Result<Sliced, BackfillError> {
        match message {
            Message::Start => self.desk.start().await.map(|_| Sliced::Over),
            Message::GoOn { job_id, slice } => self.slice(job_id, *slice, pace).await,
        }
    }

    async fn slice(&self, id: &JobId, slice: u64, pace: &Pace) -> Result<Sliced, BackfillError> {
        let now = self.desk.clock.now();
        let holder = Holder::new(now, &*self.desk.entropy);
        let until = (now, pace.lease_until);
        let attempt = self.desk.attempt();
        let taken = self
            .desk
            .jobs
            .take(id, slice, &holder, until, &attempt)
            .await?;
        let mut job: BackfillJob = match taken {
            Taken::Ours(job) => *job,
            Taken::NotYet => return Ok(Sliced::NotYet),
            Taken::Over => return Ok(Sliced::Over),
        };
        let mut pause = Duration::ZERO;
        for _ in 0..pace.pages {
            if self.desk.clock.now() >= pace.stop_at {
                break;
            }
            let paged = self.page(&mut job, pace.page).await;
            job.trouble = paged.as_ref().err().map(ToString::to_string);
            let keeps = matches!(paged, Ok(Paged::More | Paged::Settle));
            let stays = self.note(&mut job, &holder, keeps).await?;
            match paged {
                Ok(Paged::Over) => return Ok(Sliced::Over),
                _ if !stays => return Ok(Sliced::Over),
                Err(_) => return Ok(Sliced::Later),
                Ok(Paged::Settle) => {
                    pause = self.settle;
                    break;
                }
                Ok(Paged::More) => {}
            }
        }
        // Queued before it is counted: killed in between, this slice comes again and finds its place.
        let next = Message::GoOn {
            job_id: job.job_id.clone(),
            slice: job.slice + 1,
        };
        self.desk.send(&next, pause).await?;
        job.slice += 1;
        self.note(&mut job, &holder, false).await?;
        Ok(Sliced::GoesOn)
    }

    async fn page(&self, job: &mut BackfillJob, limit: i32) -> Result<Paged, PageError> {
        match job.phase {
            BackfillPhase::Touching => self.touch(job, limit).await,
            BackfillPhase::Verifying => self.verify(job).await,
        }
    }

    async fn touch(&self, job: &mut BackfillJob, limit: i32) -> Result<Paged, PageError> {
        if job.since.is_none() {
            // Before the first touch, by the clock that dates the rows.
            job.since = Some(self.database.now().await?);
        }
        let WalkPage { source, keys, next } = self.tables.page(&job.cursor, limit).await?;
        let mark = job.job_id.as_str();
        let touched: Vec<Result<bool, StoreError>> = stream::iter(&keys)
            .map(|key| self.tables.touch(source, key, mark))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for one in touched {
            job.counts.touched += u64::from(one?);
        }
        match next {
            Some(next) => job.cursor = next,
            None => {
                job.phase = BackfillPhase::Verifying;
                job.counts.round = 1;
                return Ok(Paged::Settle);
            }
        }
        Ok(Paged::More)
    }

    async fn verify(&self, job: &mut BackfillJob) -> Result<Paged, PageError> {
        let Some(source) = self.tables.sources().nth(job.source) else {
            return Ok(self.end_round(job));
        };
        let since = job.since.clone().unwrap_or_default();
        let found = self
            .database
            .stale(source, &since, job.after.as_ref(), VERIFIED)
            .await?;
        let mut gone = Vec::new();
        for stale in &found {
            if self.tables.image(source, &stale.key).await?.is_some() {
                job.counts.behind += 1;
            } else if let Some(change) = removal(source, stale) {
                gone.push(change);
            } else {
                // A key that this version cannot read: not ours to remove, and not in order either.
                job.counts.behind += 1;
            }
        }
        job.counts.removed += gone.len() as u64;
        self.database.apply(gone).await?;
        match found.last() {
            Some(last) if found.len() == VERIFIED as usize => job.after = Some(last.key.clone()),
            _ => {
                job.after = None;
                job.source += 1;
            }
        }
        Ok(Paged::More)
    }

    /// Over where nothing was behind, or where that has gone on for too long; else another round.
    fn end_round(&self, job: &mut BackfillJob) -> Paged {
        let behind = job.counts.behind;
        if behind > 0 && job.counts.round < MOST_ROUNDS {
            job.counts.round += 1;
            job.counts.behind = 0;
            job.source = 0;
            return Paged::Settle;
        }
        job.state = if behind == 0 {
            JobState::Done
        } else {
            JobState::Incomplete
        };
        Paged::Over
    }

    async fn note(
        &self,
        job: &mut BackfillJob,
        holder: &Holder,
        keeps: bool,
    ) -> Result<bool, BackfillError> {
        job.updated_at = self.desk.clock.now();
        let attempt = self.desk.attempt();
        let noted = self.desk.jobs.note(job, holder, keeps, &attempt).await?;
        let BackfillCounts {
            touched,
            removed,
            round,
            behind,
        } = job.counts;
        tracing::info!(
            job.id = %job.job_id,
            state = ?job.state,
            touched,
            removed,
            round,
            behind,
            trouble = job.trouble,
            "the projection is rebuilt"
        );
        Ok(noted)
    }
}

/// The removal of an item that is gone, as old as the row that was seen: what came later stays.
fn removal(source: Source, stale: &Stale) -> Option<Change> {
    let followed = stale.key.followed(source).ok()?;
    Some(Change {
        source,
        item: item_hash(source, &stale.key),
        sequence: stale.sequence.clone(),
        effect: Effect::Remove(rows::key_of(source, &followed)?),
    })
}
