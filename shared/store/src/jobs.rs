//! Jobs: long pieces of work that functions do in slices.
//!
//! | access | by |
//! |---|---|
//! | read, open, take, go on, end | `job` (one row for each kind of work) |
//!
//! A slice takes the job by its number under a lease; every write of a slice is conditional on its
//! holder. The row says where the next slice goes on, so a slice that dies is done again.

use domain::{AttemptId, Holder, JobId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{self, Item, key, value};
use crate::sealed::Cursor;
use crate::stream::{ItemKey, WalkCursor};
use crate::{StoreError, Table, Written};

/// What a lease writes, beside what the job itself says.
const OF_THE_LEASE: [&str; 2] = ["holder", "lease_until"];

/// A kind of work of which one job at a time is kept.
pub trait Job: Serialize + DeserializeOwned + Clone {
    /// The row's key.
    const KIND: &'static str;
    /// Which run of it.
    fn id(&self) -> &JobId;
    /// Where it stands.
    fn state(&self) -> JobState;
    /// The slice that comes next, or is being done.
    fn slice(&self) -> u64;
    /// Its fields that are left out where there is nothing to say.
    const MAY_BE_ABSENT: &'static [&'static str];
}

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

impl Job for RewrapJob {
    const KIND: &'static str = "rewrap";
    const MAY_BE_ABSENT: &'static [&'static str] = &["trouble"];

    fn id(&self) -> &JobId {
        &self.job_id
    }

    fn state(&self) -> JobState {
        self.state
    }

    fn slice(&self) -> u64 {
        self.slice
    }
}

/// The rebuilding of the PostgreSQL projection from the tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillJob {
    /// Which run of it.
    pub job_id: JobId,
    /// Where it stands.
    pub state: JobState,
    /// The slice that comes next, or is being done.
    pub slice: u64,
    /// What it does by now.
    pub phase: BackfillPhase,
    /// The instant of its beginning by PostgreSQL's clock, once a slice has asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Where the walk over the tables stands.
    #[serde(default)]
    pub cursor: WalkCursor,
    /// Which of the tables is verified.
    #[serde(default)]
    pub source: usize,
    /// The last key of it that was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ItemKey>,
    /// What was done so far.
    #[serde(default)]
    pub counts: BackfillCounts,
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

impl Job for BackfillJob {
    const KIND: &'static str = "crm_backfill";
    const MAY_BE_ABSENT: &'static [&'static str] = &["since", "after", "trouble"];

    fn id(&self) -> &JobId {
        &self.job_id
    }

    fn state(&self) -> JobState {
        self.state
    }

    fn slice(&self) -> u64 {
        self.slice
    }
}

/// What a backfill does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillPhase {
    /// It touches every item, so that the streams show it.
    #[default]
    Touching,
    /// It asks of the rows that came no more whether their items still stand.
    Verifying,
}

/// What a backfill has done. A page that was done twice counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillCounts {
    /// Items that were touched.
    pub touched: u64,
    /// Rows without an item that were deleted, by item.
    pub removed: u64,
    /// The round of verifying that is being made, from 1.
    pub round: u32,
    /// Items of this round that stand and whose rows did not come again yet.
    pub behind: u64,
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
pub enum Taken<J> {
    /// It is ours.
    Ours(Box<J>),
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
    pub async fn last<J: Job>(&self) -> Result<Option<J>, StoreError> {
        self.0.get(row::<J>()).await
    }

    /// Opens a job in the place of the one that was seen; what stands, if another was faster.
    pub async fn open<J: Job>(
        &self,
        job: &J,
        seen: Option<&J>,
        attempt: &AttemptId,
    ) -> Result<J, StoreError> {
        let change = self.written(job)?.remove(["holder"]);
        let change = change.set("lease_until", value(Timestamp::default()));
        let change = match seen {
            None => change.when("attribute_not_exists(#job)"),
            Some(seen) => change
                .when("#job_id = :seen")
                .bind("seen", value(seen.id())),
        };
        Ok(match self.0.change(row::<J>(), change, attempt).await? {
            Written::Done(job) | Written::Refused(Some(job)) => job,
            Written::Refused(None) => job.clone(),
        })
    }

    /// Takes one slice of a job.
    pub async fn take<J: Job>(
        &self,
        job: &JobId,
        slice: u64,
        holder: &Holder,
        (now, until): (Timestamp, Timestamp),
        attempt: &AttemptId,
    ) -> Result<Taken<J>, StoreError> {
        let change = Change::new()
            .set("holder", value(holder))
            .set("lease_until", value(until))
            .when("#job_id = :id AND #slice = :slice AND #state = :open")
            .when("attribute_not_exists(#holder) OR #lease_until < :now")
            .bind("id", value(job))
            .bind("slice", value(slice))
            .bind("open", value(JobState::Open))
            .bind("now", value(now));
        let done: Written<J, _> = self.0.change(row::<J>(), change, attempt).await?;
        Ok(match done {
            Written::Done(job) => Taken::Ours(Box::new(job)),
            Written::Refused(Some(at))
                if at.id() == job && at.state() == JobState::Open && at.slice() <= slice =>
            {
                Taken::NotYet
            }
            Written::Refused(_) => Taken::Over,
        })
    }

    /// Writes down how far the holder is: all that the job says but its lease. A job with a later
    /// slice, or none, is given back. `false` if it is no longer the holder's.
    pub async fn note<J: Job>(
        &self,
        job: &J,
        holder: &Holder,
        keeps: bool,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = self
            .written(job)?
            .when("#job_id = :id AND #holder = :by AND #state = :open")
            .bind("id", value(job.id()))
            .bind("by", value(holder))
            .bind("open", value(JobState::Open));
        let change = if keeps {
            change
        } else {
            change.remove(["holder"])
        };
        let done: Written<J, _> = self.0.change(row::<J>(), change, attempt).await?;
        Ok(matches!(done, Written::Done(_)))
    }

    /// Everything that the job says of itself; what it does not say goes.
    fn written<J: Job>(&self, job: &J) -> Result<Change, StoreError> {
        let item: Item = item::write(&self.0.name, job)?;
        let mut change = Change::new();
        for name in J::MAY_BE_ABSENT
            .iter()
            .filter(|name| !item.contains_key(**name))
        {
            change = change.remove([*name]);
        }
        let said = item.into_iter();
        let said = said.filter(|(name, _)| !OF_THE_LEASE.contains(&name.as_str()));
        Ok(said.fold(change, |change, (name, value)| change.set(&name, value)))
    }
}

fn row<J: Job>() -> Item {
    key([("job", J::KIND)])
}
