//! Jobs: long pieces of work that functions do in slices.
//!
//! | access | by |
//! |---|---|
//! | read, open, take, go on, end | `job` (one row for each kind of work) |
//!
//! A slice takes the job by its number under a lease; every write of a slice is conditional on its
//! holder. The row says where the next slice goes on, so a slice that dies is done again.

use domain::{AttemptId, Holder, JobId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{key, text, value};
use crate::sealed::Cursor;
use crate::{StoreError, Table, Written};

/// The row's key.
const REWRAP: &str = "rewrap";

/// The move of all sealed texts to one KMS key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewrapJob {
    /// Which run of it.
    pub job_id: JobId,
    /// The KMS key that the texts are moved to.
    pub kms_key: String,
    /// Where it stands.
    pub state: JobState,
    /// The slice that comes next, or is being done.
    pub slice: u64,
    /// Where that slice begins.
    #[serde(default)]
    pub cursor: Cursor,
    /// What was done so far.
    #[serde(default)]
    pub counts: RewrapCounts,
    /// The trouble of the last slice, as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Who does the slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// Until when.
    #[serde(default)]
    pub lease_until: Timestamp,
    /// When it was begun.
    pub started_at: Timestamp,
    /// When a slice last wrote here.
    pub updated_at: Timestamp,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// There is work left.
    Open,
    /// A whole walk met no text under another key.
    Done,
    /// Some texts could not be moved; nothing else is left.
    Incomplete,
}

/// What a move of texts has done. A page that was done twice counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewrapCounts {
    /// The walk over all tables that is being made, from 1: the last one finds nothing to do.
    pub walk: u32,
    /// Texts that were looked at.
    pub seen: u64,
    /// Texts that were moved.
    pub moved: u64,
    /// Texts of this walk that were moved, or changed while they were to be: they make another one
    /// needed.
    pub unsettled: u64,
    /// Texts of this walk that cannot be moved.
    pub refused: u64,
}

/// How asking for a slice ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is ours.
    Ours(Box<RewrapJob>),
    /// Another is at it, or it is not its turn yet: ask again.
    NotYet,
    /// It was done, or the job is over: there is nothing to do.
    Over,
}

/// The table of jobs.
#[derive(Clone, Debug)]
pub struct Jobs(Table);

impl Jobs {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The last job of this kind, over or not.
    pub async fn rewrap(&self) -> Result<Option<RewrapJob>, StoreError> {
        self.0.get(row()).await
    }

    /// Opens a job in the place of the one that was seen; what stands, if another was faster.
    pub async fn open(
        &self,
        job: &RewrapJob,
        seen: Option<&RewrapJob>,
        attempt: &AttemptId,
    ) -> Result<RewrapJob, StoreError> {
        let change = Change::new()
            .set("job_id", value(&job.job_id))
            .set("kms_key", text(&job.kms_key))
            .set("state", value(job.state))
            .set("slice", value(job.slice))
            .set("cursor", value(&job.cursor))
            .set("counts", value(job.counts))
            .set("started_at", value(job.started_at))
            .set("updated_at", value(job.updated_at))
            .set("lease_until", value(job.lease_until))
            .remove(["holder", "trouble"]);
        let change = match seen {
            None => change.when("attribute_not_exists(#job)"),
            Some(seen) => change
                .when("#job_id = :seen")
                .bind("seen", value(&seen.job_id)),
        };
        Ok(match self.0.change(row(), change, attempt).await? {
            Written::Done(job) | Written::Refused(Some(job)) => job,
            Written::Refused(None) => job.clone(),
        })
    }

    /// Takes one slice of a job.
    pub async fn take(
        &self,
        job: &JobId,
        slice: u64,
        holder: &Holder,
        (now, until): (Timestamp, Timestamp),
        attempt: &AttemptId,
    ) -> Result<Taken, StoreError> {
        let change = Change::new()
            .set("holder", value(holder))
            .set("lease_until", value(until))
            .when("#job_id = :id AND #slice = :slice AND #state = :open")
            .when("attribute_not_exists(#holder) OR #lease_until < :now")
            .bind("id", value(job))
            .bind("slice", value(slice))
            .bind("open", value(JobState::Open))
            .bind("now", value(now));
        let done: Written<RewrapJob, _> = self.0.change(row(), change, attempt).await?;
        Ok(match done {
            Written::Done(job) => Taken::Ours(Box::new(job)),
            Written::Refused(Some(at))
                if at.job_id == *job && at.state == JobState::Open && at.slice <= slice =>
            {
                Taken::NotYet
            }
            Written::Refused(_) => Taken::Over,
        })
    }

    /// Writes down how far the holder is: cursor, counts, state, trouble and the slice's number. A
    /// job with a later slice, or none, is given back. `false` if it is no longer the holder's.
    pub async fn note(
        &self,
        job: &RewrapJob,
        holder: &Holder,
        keeps: bool,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("cursor", value(&job.cursor))
            .set("counts", value(job.counts))
            .set("state", value(job.state))
            .set("slice", value(job.slice))
            .set("updated_at", value(job.updated_at))
            .set_or_remove("trouble", job.trouble.as_ref().map(text))
            .when("#job_id = :id AND #holder = :by AND #state = :open")
            .bind("id", value(&job.job_id))
            .bind("by", value(holder))
            .bind("open", value(JobState::Open));
        let change = if keeps {
            change
        } else {
            change.remove(["holder"])
        };
        let done: Written<RewrapJob, _> = self.0.change(row(), change, attempt).await?;
        Ok(matches!(done, Written::Done(_)))
    }
}

fn row() -> crate::item::Item {
    key([("job", REWRAP)])
}
