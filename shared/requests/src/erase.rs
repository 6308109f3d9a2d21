//! Erasing a user: a job of walks.
//!
//! A walk ends what is alive (connections, consents), drops dead letters, waits until no platform has
//! to be told of an end any more, and deletes the rows of every table. A walk that found anything is
//! followed by another, some time later: workers that were at it may have written since, and
//! platforms may have sent something. The job is done when a walk found nothing.

mod desk;
mod letters;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::{ConnectionId, JobId, Timestamp, UserId, Who};
use limits::Limiter;
use platforms::Apps;
use serde::{Deserialize, Serialize};
use store::erasure::{Cursor, Tables};
use store::{Accounts, Flows, Task};
use tokens::Tokens;

use crate::chain::{self, Pages, Work};
use crate::{Message, Objects, Pace, RequestsError, Sliced};

pub use desk::{Desk, View};
pub use letters::{DeadLetters, Kind};

/// What an erasure is about, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Erasure {
    /// Who is erased; absent once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whom: Option<UserId>,
    /// Who asked.
    by: Who,
    state: State,
    step: Step,
    /// From 1.
    walk: u32,
    /// Every connection of theirs that any walk met.
    #[serde(default)]
    connections: BTreeSet<ConnectionId>,
    /// Every account that they hold or held.
    #[serde(default)]
    accounts: BTreeSet<String>,
    /// What was deleted, by noun.
    #[serde(default)]
    counts: BTreeMap<String, u64>,
    /// Whether this walk found anything; written down before it is deleted.
    #[serde(default)]
    unsettled: bool,
    /// How often in a row it had to wait.
    #[serde(default)]
    waited: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waits_for: Option<Waiting>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
}

/// Where an erasure stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There is work left.
    Running,
    /// A whole walk found nothing.
    Done,
    /// Walk after walk found something: somebody goes on acting for the user.
    Incomplete,
}

/// What an erasure waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// Platforms that have to be told that access ended; a day at most.
    Revocations,
    /// Workers and webhooks that were on their way.
    Settling,
}

/// The steps of a walk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
enum Step {
    /// Which connections and accounts are theirs.
    Gather {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// The end of connections.
    Connections,
    /// The end of consents that nobody confirmed.
    Flows { cursor: Cursor },
    /// Dead letters of one queue after the other.
    Letters { queue: usize },
    /// Until no platform has to be told of an end any more.
    Revocations { cursor: Cursor },
    /// Every table.
    Tables { cursor: Cursor },
    /// The table of accounts, whose rows are shared.
    Accounts,
    /// Until what was on its way has arrived.
    Settle { until: Timestamp },
    /// The end.
    Over,
}

impl Work for Erasure {
    fn message(job_id: JobId, slice: u64) -> Message {
        Message::Erase { job_id, slice }
    }

    fn troubled(&mut self, trouble: Option<&'static str>) {
        self.trouble = trouble.map(str::to_owned);
    }
}

/// Does slices of erasures.
pub struct Eraser {
    /// Where they are counted and queued.
    pub desk: Desk,
    /// What is of a user, in every table.
    pub tables: Tables,
    /// Who holds which account.
    pub accounts: Accounts,
    /// Consents.
    pub flows: Flows,
    /// Connections and their end.
    pub tokens: Tokens,
    /// The platforms' limits.
    pub limiter: Limiter,
    /// Buckets.
    pub objects: Objects,
    /// Dead letters.
    pub letters: DeadLetters,
    /// How long after a walk that found something the next one begins: longer than a webhook is
    /// tried for and a worker runs.
    pub settle: Duration,
}

/// One slice at work.
struct Slicing<'a> {
    eraser: &'a Eraser,
    apps: &'a Apps,
}

impl Eraser {
    /// Does one slice.
    pub async fn slice(
        &self,
        apps: &Apps,
        job: &JobId,
        slice: u64,
        pace: &Pace,
    ) -> Result<Sliced, RequestsError> {
        let eraser = self;
        chain::slice(&Slicing { eraser, apps }, job, slice, pace).await
    }
}

impl Pages for Slicing<'_> {
    type Work = Erasure;

    fn chain(&self) -> &chain::Chain {
        &self.eraser.desk.chain
    }

    async fn page(
        &self,
        task: &mut Task<Erasure>,
        holder: &domain::Holder,
        pace: &Pace,
    ) -> Result<chain::Went, RequestsError> {
        self.step(task, holder, pace).await
    }
}
