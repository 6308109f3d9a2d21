//! Where erasures are asked for and looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::{Act, Clock, Entropy, JobId, Outcome, Timestamp, UserId, Who};
use serde::Serialize;
use store::tasks::Opened;
use store::{AuditEntry, AuditTable, StoreError, Task, Tasks};

use super::{Erasure, State, Step, Waiting};
use crate::chain::{Chain, Work};
use crate::{Queue, RequestsError};

/// Longer than the platforms may have to be told, and then some.
const MOST_OPEN_SECONDS: i64 = 30 * 24 * 3_600;
/// A receipt is kept as long as the audit trail.
pub(super) const RECEIPT_SECONDS: i64 = 90 * 24 * 3_600;

/// Where erasures are asked for and looked at.
#[derive(Clone)]
pub struct Desk {
    pub(super) chain: Chain,
    pub(super) audit: AuditTable,
}

/// A receipt. It names nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    /// Its id.
    pub id: JobId,
    /// `running`, `done` or `incomplete`.
    pub state: State,
    /// When it was asked for.
    pub begun_at: String,
    /// When it last moved on.
    pub updated_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// The walk that is being made, or was the last one.
    pub walk: u32,
    /// What was deleted, by noun. What a process deleted just before it died is not counted.
    pub counts: BTreeMap<String, u64>,
    /// What it waits for, where it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<Waiting>,
    /// The trouble of the last slice, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl From<Task<Erasure>> for View {
    fn from(task: Task<Erasure>) -> Self {
        let work = task.work;
        Self {
            id: task.job_id,
            state: work.state,
            begun_at: task.started_at.rfc3339(),
            updated_at: task.updated_at.rfc3339(),
            ended_at: work.ended_at.map(Timestamp::rfc3339),
            walk: work.walk,
            counts: work.counts,
            waiting_for: work.waits_for,
            trouble: work.trouble,
        }
    }
}

impl Desk {
    /// Over the tables of erasures and of the audit trail, and the queue of slices.
    pub fn new(
        tasks: Tasks,
        audit: AuditTable,
        queue: Queue,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let chain = Chain {
            tasks,
            queue,
            clock,
            entropy,
        };
        Self { chain, audit }
    }

    /// Begins an erasure. One of the same user that is open is woken instead: its message may have
    /// ended with the dead letters.
    pub async fn ask(&self, user: &UserId, by: &Who) -> Result<View, RequestsError> {
        let now = self.chain.now();
        let task = Task {
            job_id: JobId::new(now, &*self.chain.entropy),
            open: true,
            slice: 0,
            work: Erasure {
                whom: Some(user.clone()),
                by: by.clone(),
                state: State::Running,
                step: Step::Gather { after: None },
                walk: 1,
                connections: BTreeSet::new(),
                accounts: BTreeSet::new(),
                counts: BTreeMap::new(),
                unsettled: false,
                waited: 0,
                waits_for: None,
                trouble: None,
                ended_at: None,
            },
            holder: None,
            lease_until: Timestamp::default(),
            started_at: now,
            updated_at: now,
            expires_at: now.plus_secs(MOST_OPEN_SECONDS),
        };
        let subject = Some(user.as_str());
        let opened = self.chain.tasks.open(&task, subject, self.chain.attempt());
        let task = match opened.await? {
            Opened::New => {
                self.write(&task, Outcome::Begun).await?;
                task
            }
            Opened::Before(id) => {
                let before = self.chain.tasks.get(&id, now).await?;
                // Over since a moment ago: the next try begins another.
                before.ok_or_else(|| StoreError::Unavailable("conflict".to_owned()))?
            }
        };
        let message = Erasure::message(task.job_id.clone(), task.slice);
        self.chain.queue.send(&message, Duration::ZERO).await?;
        Ok(task.into())
    }

    /// The receipt of this id.
    pub async fn view(&self, id: &JobId) -> Result<Option<View>, RequestsError> {
        let found = self.chain.tasks.get(id, self.chain.now()).await?;
        Ok(found.map(|task: Task<Erasure>| task.into()))
    }

    /// The row of the audit trail: one, written again with the end. It names nobody.
    pub(super) async fn write(
        &self,
        task: &Task<Erasure>,
        outcome: Outcome,
    ) -> Result<(), RequestsError> {
        let entry = AuditEntry {
            id: task.job_id.to_string(),
            at: task.started_at,
            who: match &task.work.whom {
                Some(user) if task.work.by.subject.as_deref() == Some(user.as_str()) => Who::SYSTEM,
                _ => task.work.by.clone(),
            },
            act: Act::UserErased,
            user_id: None,
            object: Some(task.job_id.to_string()),
            outcome,
            note: None,
        };
        Ok(self.audit.put(&entry).await?)
    }
}
