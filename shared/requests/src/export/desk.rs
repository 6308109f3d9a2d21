//! Where exports are asked for and looked at.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Entropy, JobId, Timestamp, UserId};
use serde::Serialize;
use store::{Task, Tasks};

use super::{Export, Place, State};
use crate::chain::{Chain, Work};
use crate::{Objects, Queue, RequestsError};

/// An archive is kept this long; the bucket's own rule is the same.
const KEPT_SECONDS: i64 = 7 * 24 * 3_600;
/// How long a link to an archive is good.
const LINK: Duration = Duration::from_secs(15 * 60);

/// Where exports are asked for and looked at.
#[derive(Clone)]
pub struct Desk {
    pub(super) chain: Chain,
    pub(super) objects: Objects,
}

/// An export as its asker sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    /// Its id.
    pub id: JobId,
    /// Whose data.
    pub user_id: UserId,
    /// `running`, `done` or `too_large`.
    pub state: State,
    /// When it was asked for.
    pub begun_at: String,
    /// When it last moved on.
    pub updated_at: String,
    /// When the archive is deleted.
    pub expires_at: String,
    /// How many bytes were written.
    pub bytes: u64,
    /// The trouble of the last slice, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Where it can be read, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Until when this very address is good; the next look gives another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_expires_at: Option<String>,
}

impl Desk {
    /// Over the table of exports, the buckets and the queue of slices.
    pub fn new(
        tasks: Tasks,
        objects: Objects,
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
        Self { chain, objects }
    }

    /// Begins an export.
    pub async fn ask(&self, user: &UserId) -> Result<View, RequestsError> {
        let now = self.chain.now();
        let id = JobId::new(now, &*self.chain.entropy);
        let task = Task {
            open: true,
            slice: 0,
            work: Export {
                user_id: user.clone(),
                state: State::Running,
                // The key names nobody: it appears in addresses.
                object_key: format!("exports/{id}.json"),
                upload_id: None,
                parts: Vec::new(),
                bytes: 0,
                whole: false,
                connections: Vec::new(),
                accounts: Vec::new(),
                place: Place::default(),
                trouble: None,
            },
            job_id: id,
            holder: None,
            lease_until: Timestamp::default(),
            started_at: now,
            updated_at: now,
            expires_at: now.plus_secs(KEPT_SECONDS),
        };
        let opened = self.chain.tasks.open(&task, None, self.chain.attempt());
        opened.await?;
        let message = Export::message(task.job_id.clone(), 0);
        self.chain.queue.send(&message, Duration::ZERO).await?;
        self.shown(task).await
    }

    /// The export of this id, until it expires.
    pub async fn view(&self, id: &JobId) -> Result<Option<View>, RequestsError> {
        match self.chain.tasks.get(id, self.chain.now()).await? {
            Some(task) => self.shown(task).await.map(Some),
            None => Ok(None),
        }
    }

    async fn shown(&self, task: Task<Export>) -> Result<View, RequestsError> {
        let work = task.work;
        let link = match work.state {
            State::Done => Some(self.objects.link(&work.object_key, LINK).await?),
            State::Running | State::TooLarge => None,
        };
        let until = self.chain.now() + LINK;
        Ok(View {
            id: task.job_id,
            user_id: work.user_id,
            state: work.state,
            begun_at: task.started_at.rfc3339(),
            updated_at: task.updated_at.rfc3339(),
            expires_at: task.expires_at.rfc3339(),
            bytes: work.bytes,
            trouble: work.trouble,
            url_expires_at: link.as_ref().map(|_| until.rfc3339()),
            url: link,
        })
    }
}
