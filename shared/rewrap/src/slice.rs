//! One slice of the move: as many pages as its time allows.

use domain::{AttemptId, Holder, JobId, Timestamp};
use futures_util::{StreamExt, stream};
use store::jobs::{JobState, Taken};
use store::sealed::Replaced;
use store::{RewrapJob, SealedText, SealedTexts};
use vault::{Rewrapped, Vault};

use crate::{Desk, Message, RewrapError};

/// Texts that are moved at once: KMS answers in some 10 ms, and its quota is shared with the rest of
/// the account.
const AT_ONCE: usize = 8;
/// More walks than this mean that somebody seals under another key all the time.
const MOST_WALKS: u32 = 20;

/// Does slices.
pub struct Worker {
    /// Where slices are counted and queued.
    pub desk: Desk,
    /// Everything that is sealed.
    pub texts: SealedTexts,
    /// Wraps data keys anew.
    pub vault: Vault,
}

/// How much one slice does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// No page is begun after this instant.
    pub stop_at: Timestamp,
    /// When nobody else may think that this slice still runs: the end of its process.
    pub lease_until: Timestamp,
    /// Items in one page; where a slice that died is taken up again.
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
    /// KMS or the table was in trouble that passes; what was done is kept. Do the same slice again.
    Later,
}

/// What became of one text.
enum Moved {
    Already,
    Done,
    Overtaken,
    Refused,
    /// Trouble that passes, by its code.
    Later(String),
}

impl Worker {
    /// Deals with one message of the queue.
    pub async fn handle(&self, message: &Message, pace: &Pace) -> Result<Sliced, RewrapError> {
        match message {
            Message::Start => self.desk.start().await.map(|_| Sliced::Over),
            Message::GoOn { job_id, slice } => self.slice(job_id, *slice, pace).await,
        }
    }

    async fn slice(&self, id: &JobId, slice: u64, pace: &Pace) -> Result<Sliced, RewrapError> {
        let now = self.desk.clock.now();
        let holder = Holder::new(now, &*self.desk.entropy);
        let taken = self
            .desk
            .jobs
            .take(id, slice, &holder, (now, pace.lease_until), &self.attempt())
            .await?;
        let mut job: RewrapJob = match taken {
            Taken::Ours(job) => *job,
            Taken::NotYet => return Ok(Sliced::NotYet),
            Taken::Over => return Ok(Sliced::Over),
        };
        if job.kms_key != self.desk.kms_key {
            // Deployed with another key since: that one's move is a job of its own.
            job.state = JobState::Incomplete;
            job.trouble = Some("another_key_is_deployed".to_owned());
            self.note(&mut job, &holder, false).await?;
            return Ok(Sliced::Over);
        }
        for _ in 0..pace.pages {
            if self.desk.clock.now() >= pace.stop_at {
                break;
            }
            job.trouble = self.page(&mut job, pace.page).await;
            let troubled = job.trouble.is_some();
            let over = job.state != JobState::Open;
            let keeps = !troubled && !over;
            let stays = self.note(&mut job, &holder, keeps).await?;
            match () {
                () if over || !stays => return Ok(Sliced::Over),
                () if troubled => return Ok(Sliced::Later),
                () => {}
            }
        }
        // Queued before it is counted: killed in between, this slice comes again and finds its place.
        self.desk
            .send(&Message::GoOn {
                job_id: job.job_id.clone(),
                slice: job.slice + 1,
            })
            .await?;
        job.slice += 1;
        self.note(&mut job, &holder, false).await?;
        Ok(Sliced::GoesOn)
    }

    /// One page, and the cursor behind it. With trouble that passes, its code, and the cursor stays.
    async fn page(&self, job: &mut RewrapJob, limit: i32) -> Option<String> {
        let page = match self.texts.page(&job.cursor, limit).await {
            Ok(page) => page,
            Err(error) => return Some(error.to_string()),
        };
        let moved: Vec<Moved> = stream::iter(&page.texts)
            .map(|text| self.text(text))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut trouble = None;
        let counts = &mut job.counts;
        for one in moved {
            counts.seen += 1;
            match one {
                Moved::Already => {}
                Moved::Done => {
                    counts.moved += 1;
                    counts.unsettled += 1;
                }
                Moved::Overtaken => counts.unsettled += 1,
                Moved::Refused => counts.refused += 1,
                Moved::Later(code) => trouble = Some(code),
            }
        }
        if trouble.is_some() {
            return trouble;
        }
        match page.next {
            Some(next) => job.cursor = next,
            None => end_walk(job),
        }
        None
    }

    async fn text(&self, text: &SealedText) -> Moved {
        let new = match self.vault.rewrap(&text.subject, &text.sealed).await {
            Ok(Rewrapped::Already) => return Moved::Already,
            Ok(Rewrapped::Moved(new)) => new,
            Err(error) if error.passes() => return Moved::Later(error.to_string()),
            Err(error) => {
                tracing::error!(
                    subject = text.subject,
                    error = %error,
                    "a sealed text cannot be moved to the new key"
                );
                return Moved::Refused;
            }
        };
        match self.texts.replace(text, &new).await {
            Ok(Replaced::Done) => Moved::Done,
            Ok(Replaced::Overtaken) => Moved::Overtaken,
            Err(error) => Moved::Later(error.to_string()),
        }
    }

    async fn note(
        &self,
        job: &mut RewrapJob,
        holder: &Holder,
        keeps: bool,
    ) -> Result<bool, RewrapError> {
        job.updated_at = self.desk.clock.now();
        let noted = self
            .desk
            .jobs
            .note(job, holder, keeps, &self.attempt())
            .await?;
        tracing::info!(
            job.id = %job.job_id,
            state = ?job.state,
            walk = job.counts.walk,
            seen = job.counts.seen,
            moved = job.counts.moved,
            refused = job.counts.refused,
            "sealed texts are moved to another key"
        );
        Ok(noted)
    }

    fn attempt(&self) -> AttemptId {
        AttemptId::new(self.desk.clock.now(), &*self.desk.entropy)
    }
}

/// The walk met everything: over, if it had nothing to do; else another one.
fn end_walk(job: &mut RewrapJob) {
    let counts = &mut job.counts;
    let settled = counts.unsettled == 0;
    if settled || counts.walk >= MOST_WALKS {
        job.state = if settled && counts.refused == 0 {
            JobState::Done
        } else {
            JobState::Incomplete
        };
        return;
    }
    job.cursor = Default::default();
    counts.walk += 1;
    counts.unsettled = 0;
    counts.refused = 0;
}
