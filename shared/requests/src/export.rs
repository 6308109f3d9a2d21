//! Giving a user what is kept about them: one JSON archive, written part by part.
//!
//! A page appends rows to the part at hand; a part that is large enough is stored, and only then the
//! place behind it is written down. So a slice that dies writes its last part again, and nothing is
//! held in memory but one part and one page.

mod desk;
mod write;

use domain::{ConnectionId, ConnectionStatus, JobId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use store::archive::After;
use store::{Accounts, Archive, Connections, Task};

use crate::chain::{self, Pages, Went, Work};
use crate::{Message, Objects, Pace, RequestsError, Sliced};

pub use desk::{Desk, View};

/// Every part but the last has at least so many bytes: S3 takes no smaller ones.
pub const PART: usize = 5 * 1_024 * 1_024;
/// S3 takes no more parts; and each is noted in the job's row.
const MOST_PARTS: usize = 5_000;

/// What an export is about, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Export {
    /// Who is given it. An erasure finds the job by this.
    user_id: UserId,
    state: State,
    /// Where the archive lies, or will.
    object_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upload_id: Option<String>,
    /// The parts that are stored, by their ETags.
    #[serde(default)]
    parts: Vec<String>,
    #[serde(default)]
    bytes: u64,
    /// Whether the last part is among them.
    #[serde(default)]
    whole: bool,
    #[serde(default)]
    connections: Vec<ConnectionId>,
    #[serde(default)]
    accounts: Vec<Seen>,
    #[serde(default)]
    place: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

/// An account whose records the user sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    key: String,
    /// Only what was known by then: their access may have been taken away, while another's goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

/// What of the archive comes next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// The section, by its number; a deployment in between does no harm, since it only adds.
    section: usize,
    /// Which of the values of its hash key.
    value: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<After>,
    /// Whether its list has a row already.
    #[serde(default)]
    filled: bool,
}

/// Where an export stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is being written.
    Running,
    /// It can be read.
    Done,
    /// It is larger than an archive can be.
    TooLarge,
}

impl Work for Export {
    fn message(job_id: JobId, slice: u64) -> Message {
        Message::Export { job_id, slice }
    }

    fn troubled(&mut self, trouble: Option<&'static str>) {
        self.trouble = trouble.map(str::to_owned);
    }
}

/// Does slices of exports.
pub struct Exporter {
    /// Where they are counted and queued.
    pub desk: Desk,
    /// What is given.
    pub archive: Archive,
    /// Whose accounts.
    pub connections: Connections,
    /// Who else holds them.
    pub accounts: Accounts,
}

impl Exporter {
    /// Does one slice.
    pub async fn slice(
        &self,
        job: &JobId,
        slice: u64,
        pace: &Pace,
    ) -> Result<Sliced, RequestsError> {
        chain::slice(self, job, slice, pace).await
    }

    fn objects(&self) -> &Objects {
        &self.desk.objects
    }

    /// Begins the archive: what it is of, and the upload, which is written down before a byte is sent.
    async fn begin(
        &self,
        task: &mut Task<Export>,
        holder: &domain::Holder,
    ) -> Result<Went, RequestsError> {
        let work = &mut task.work;
        (work.connections, work.accounts) = (Vec::new(), Vec::new());
        let mut after = None;
        loop {
            let page = self
                .connections
                .list(&work.user_id, after.as_deref(), 100)
                .await?;
            for one in page.0 {
                let key = one.account.key();
                let until = match one.status {
                    ConnectionStatus::Active => None,
                    _ => Some(one.updated_at),
                };
                let held = match one.status {
                    ConnectionStatus::Disconnected => {
                        !self.accounts.get(&key).await?.holders().is_empty()
                    }
                    _ => false,
                };
                if !held {
                    work.accounts.push(Seen { key, until });
                }
                work.connections.push(one.connection_id);
            }
            after = page.1;
            if after.is_none() {
                break;
            }
        }
        let key = work.object_key.clone();
        let upload = self.objects().begin(&key).await?;
        work.upload_id = Some(upload.clone());
        if !self.desk.chain.note(task, holder, true).await? {
            self.objects().abort(&key, &upload).await?;
            return Ok(Went::Lost);
        }
        Ok(Went::On)
    }
}

impl Pages for Exporter {
    type Work = Export;

    fn chain(&self) -> &chain::Chain {
        &self.desk.chain
    }

    async fn page(
        &self,
        task: &mut Task<Export>,
        holder: &domain::Holder,
        pace: &Pace,
    ) -> Result<Went, RequestsError> {
        let Some(upload) = task.work.upload_id.clone() else {
            return self.begin(task, holder).await;
        };
        if task.work.parts.len() >= MOST_PARTS {
            self.objects().abort(&task.work.object_key, &upload).await?;
            task.work.state = State::TooLarge;
            return Ok(Went::Over);
        }
        let key = task.work.object_key.clone();
        let upload = (key.as_str(), upload.as_str());
        if task.work.whole {
            self.objects().complete(upload, &task.work.parts).await?;
            task.work.state = State::Done;
            task.work.connections.clear();
            task.work.accounts.clear();
            return Ok(Went::Over);
        }
        // What stands is left alone until the part is stored.
        let mut next = task.work.clone();
        let (bytes, whole) = self.part(&mut next, pace).await?;
        let (size, number) = (bytes.len() as u64, next.parts.len() + 1);
        match self.objects().put_part(upload, number, bytes).await? {
            Some(etag) => {
                next.parts.push(etag);
                next.bytes += size;
                next.whole = whole;
                task.work = next;
            }
            // The bucket has given the upload up, as it does after two days: from the beginning.
            None => {
                let work = &mut task.work;
                (work.upload_id, work.bytes) = (None, 0);
                work.parts.clear();
                work.place = Place::default();
            }
        }
        Ok(Went::On)
    }
}
