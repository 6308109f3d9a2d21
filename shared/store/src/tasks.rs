//! Tasks: long pieces of work of which many run beside each other, each done in slices.
//!
//! | access | by |
//! |---|---|
//! | open, read, take, go on, end | `job` = `<kind>#<job id>` |
//! | the open one about a subject | `job` = `<kind>-of#<subject>` |
//! | those that name a user, to erase them | a walk over all |
//!
//! A slice takes its task by the slice's number under a lease; every write of a slice is conditional
//! on its holder. What a task is about, and where its next slice goes on, is its own affair: one
//! attribute, `work`.

use aws_sdk_dynamodb::types::Put;
use domain::{AttemptId, Holder, JobId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{self, Item, key, value};
use crate::transaction::malformed;
use crate::{StoreError, Table, Transacted, Transaction, Written};

/// A task as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task<W> {
    /// Which.
    pub job_id: JobId,
    /// Whether there is work left.
    pub open: bool,
    /// The slice that comes next, or is being done.
    pub slice: u64,
    /// What it is about, and where that slice begins.
    pub work: W,
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
    /// From then on it counts as absent.
    pub expires_at: Timestamp,
}

#[derive(Serialize)]
struct Row<'a, W> {
    job: String,
    ttl: i64,
    #[serde(flatten)]
    task: &'a Task<W>,
}

/// Says which task is open about a subject.
#[derive(Serialize, Deserialize)]
struct Pointer {
    job: String,
    points_to: JobId,
    expires_at: Timestamp,
    ttl: i64,
}

/// How opening a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is new.
    New,
    /// This one is open about the same subject.
    Before(JobId),
}

/// How asking for a slice ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken<W> {
    /// It is ours.
    Ours(Box<Task<W>>),
    /// Another is at it, or it is not its turn yet: ask again.
    NotYet,
    /// It was done, or the task is over or gone: there is nothing to do.
    Over,
}

/// Tasks of one kind, in the table of jobs.
#[derive(Clone, Debug)]
pub struct Tasks {
    table: Table,
    kind: &'static str,
}

impl Tasks {
    /// Tasks of this kind over the table of jobs.
    pub fn new(
        client: aws_sdk_dynamodb::Client,
        table: impl Into<String>,
        kind: &'static str,
    ) -> Self {
        Self {
            table: Table::new(client, table),
            kind,
        }
    }

    /// The task, over or not, until it expires.
    pub async fn get<W: DeserializeOwned>(
        &self,
        id: &JobId,
        now: Timestamp,
    ) -> Result<Option<Task<W>>, StoreError> {
        let found: Option<Task<W>> = self.table.get(self.row(id)).await?;
        Ok(found.filter(|task| task.expires_at > now))
    }

    /// Opens a task. With a subject, of which there is one open task at most, unless one is.
    pub async fn open<W: Serialize>(
        &self,
        task: &Task<W>,
        subject: Option<&str>,
        attempt: AttemptId,
    ) -> Result<Opened, StoreError> {
        let name = &self.table.name;
        let row = Row {
            job: self.name(&task.job_id),
            ttl: task.expires_at.secs(),
            task,
        };
        let row = item::write(name, &row)?;
        let mut transaction = Transaction::new(attempt);
        if let Some(subject) = subject {
            let pointer = Pointer {
                job: self.pointer(subject),
                points_to: task.job_id.clone(),
                expires_at: task.expires_at,
                ttl: task.expires_at.secs(),
            };
            // One whose task expired unfinished may be written over.
            let put = Put::builder()
                .table_name(name)
                .set_item(Some(item::write(name, &pointer)?))
                .condition_expression("attribute_not_exists(job) OR expires_at <= :now")
                .expression_attribute_values(":now", value(task.started_at));
            transaction = transaction.put(put.build().map_err(|error| malformed(name, &error))?);
        }
        let put = Put::builder().table_name(name).set_item(Some(row));
        transaction = transaction.put(put.build().map_err(|error| malformed(name, &error))?);
        if transaction.run(&self.table.client).await? == Transacted::Done {
            return Ok(Opened::New);
        }
        let before = match subject {
            Some(subject) => {
                let pointer = key([("job", &self.pointer(subject))]);
                self.table.get::<Pointer>(pointer).await?
            }
            None => None,
        };
        before
            .map(|pointer| Opened::Before(pointer.points_to))
            .ok_or_else(|| StoreError::Unavailable("conflict".to_owned()))
    }

    /// Takes one slice of a task.
    pub async fn take<W: DeserializeOwned>(
        &self,
        id: &JobId,
        slice: u64,
        holder: &Holder,
        (now, until): (Timestamp, Timestamp),
        attempt: &AttemptId,
    ) -> Result<Taken<W>, StoreError> {
        let change = Change::new()
            .set("holder", value(holder))
            .set("lease_until", value(until))
            .when("#slice = :slice AND #open = :yes AND #expires_at > :now")
            .when("attribute_not_exists(#holder) OR #lease_until < :now")
            .bind("slice", value(slice))
            .bind("yes", value(true))
            .bind("now", value(now));
        let done: Written<Task<W>, _> = self.table.change(self.row(id), change, attempt).await?;
        Ok(match done {
            Written::Done(task) => Taken::Ours(Box::new(task)),
            Written::Refused(Some(at)) if at.open && at.expires_at > now && at.slice <= slice => {
                Taken::NotYet
            }
            Written::Refused(_) => Taken::Over,
        })
    }

    /// Writes down how far the holder is; `keeps`: it goes on with the same slice. `false` if the
    /// task is no longer the holder's, or gone.
    pub async fn note<W: Serialize + DeserializeOwned>(
        &self,
        task: &Task<W>,
        holder: &Holder,
        keeps: bool,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("work", value(&task.work))
            .set("open", value(task.open))
            .set("slice", value(task.slice))
            .set("updated_at", value(task.updated_at))
            .set("expires_at", value(task.expires_at))
            .set("ttl", value(task.expires_at.secs()))
            .when("#holder = :by AND #open = :yes")
            .bind("by", value(holder))
            .bind("yes", value(true));
        let change = if keeps {
            change
        } else {
            change.remove(["holder"])
        };
        let row = self.row(&task.job_id);
        let done: Written<Task<W>, _> = self.table.change(row, change, attempt).await?;
        Ok(matches!(done, Written::Done(_)))
    }

    /// Ends the pointer to a task that is about to be over, if it points to this one.
    pub async fn unpoint(&self, subject: &str, id: &JobId) -> Result<(), StoreError> {
        let ours = Change::new().when("#points_to = :id").bind("id", value(id));
        let pointer = key([("job", &self.pointer(subject))]);
        self.table.delete_if(pointer, ours).await.map(drop)
    }

    fn row(&self, id: &JobId) -> Item {
        key([("job", &self.name(id))])
    }

    fn name(&self, id: &JobId) -> String {
        format!("{}#{id}", self.kind)
    }

    fn pointer(&self, subject: &str) -> String {
        format!("{}-of#{subject}", self.kind)
    }
}
