//! Syncs that users ask for, under a handle that can be polled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::{
    AttemptId, Clock, ConnectionId, ConnectionStatus, Entropy, Fault, Platform, SyncId, SyncKind,
    Timestamp, UserId,
};
use store::sync_logs::{Asked, SyncRequest, SyncState};
use store::{Connection, SyncLog, SyncLogs};

use crate::settings::{reads, switched_off};
use crate::{InsightsQueue, StatisticsError, SyncMessage};

/// How often a user may ask within [`ASK_WINDOW_SECONDS`].
pub const MOST_ASKS: usize = 5;
/// See [`MOST_ASKS`].
pub const ASK_WINDOW_SECONDS: i64 = 60;

/// What takes wishes.
pub struct Asker {
    /// Where they are written down.
    pub logs: SyncLogs,
    /// Where syncs are queued.
    pub queue: InsightsQueue,
    /// Platforms whose statistics are switched off.
    pub off: BTreeSet<Platform>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// Why nothing will be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AskError {
    /// None of the connections can be read; what stands in the way of the first.
    #[error("nothing can be read: {0}")]
    Nothing(Fault),
    /// The user asked too often; not before this instant.
    #[error("asked too often")]
    TooOften(Timestamp),
    /// Trouble of our own.
    #[error(transparent)]
    Internal(#[from] StatisticsError),
}

/// What became of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandleView {
    /// What was asked for.
    pub request: SyncRequest,
    /// What became of each connection; none where no worker has begun yet.
    pub logs: BTreeMap<ConnectionId, SyncLog>,
}

impl HandleView {
    /// `queued` before any sync began, `running` until all have ended, then `done`, or `failed` if any
    /// failed.
    pub fn state(&self) -> &'static str {
        let over = |id: &ConnectionId| self.logs.get(id).is_some_and(|log| log.ended_at.is_some());
        let failed = self.logs.values().any(|log| log.state == SyncState::Failed);
        if self.logs.is_empty() {
            "queued"
        } else if !self.request.connections.keys().all(over) {
            "running"
        } else if failed {
            "failed"
        } else {
            "done"
        }
    }
}

impl Asker {
    /// Writes the wish down and queues a sync of each of `connections` that can be read; those that
    /// cannot are left out of the handle.
    pub async fn ask(
        &self,
        user: &UserId,
        connections: &[Connection],
    ) -> Result<SyncRequest, AskError> {
        let mut wanted: BTreeMap<ConnectionId, Platform> = BTreeMap::new();
        let mut first_fault = None;
        for connection in connections {
            match self.readable(connection) {
                Ok(()) => {
                    wanted.insert(connection.connection_id.clone(), connection.platform);
                }
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        if wanted.is_empty() {
            let fault = first_fault.unwrap_or_else(switched_off);
            return Err(AskError::Nothing(fault));
        }
        let now = self.clock.now();
        let request = SyncRequest {
            sync_id: SyncId::new(now, self.entropy.as_ref()),
            user_id: user.clone(),
            asked_at: now,
            connections: wanted,
        };
        let attempt = || AttemptId::new(now, self.entropy.as_ref());
        let asked = self
            .logs
            .ask(&request, MOST_ASKS, ASK_WINDOW_SECONDS, attempt)
            .await;
        if let Asked::Wait(until) = asked.map_err(StatisticsError::from)? {
            return Err(AskError::TooOften(until));
        }
        let messages: Vec<SyncMessage> = request
            .connections
            .keys()
            .map(|connection| SyncMessage {
                sync_id: request.sync_id.clone(),
                user_id: user.clone(),
                connection_id: connection.clone(),
                sync_kind: SyncKind::Manual,
                media: Vec::new(),
            })
            .collect();
        if self.queue.send_all(&messages).await? < messages.len() {
            return Err(StatisticsError::Queue("not all messages".to_owned()).into());
        }
        Ok(request)
    }

    /// What became of the wish of this handle; `None` where it is not this user's.
    pub async fn view(
        &self,
        user: &UserId,
        sync: &SyncId,
    ) -> Result<Option<HandleView>, StatisticsError> {
        let found = self.logs.request(sync).await?;
        let Some(request) = found.filter(|request| request.user_id == *user) else {
            return Ok(None);
        };
        let logs = self.logs.logs(sync).await?;
        let logs = logs
            .into_iter()
            .map(|log| (log.connection_id.clone(), log))
            .collect();
        Ok(Some(HandleView { request, logs }))
    }

    fn readable(&self, connection: &Connection) -> Result<(), Fault> {
        match connection.status {
            _ if !reads(&self.off, connection.platform) => Err(switched_off()),
            ConnectionStatus::Active => Ok(()),
            ConnectionStatus::NeedsReauth | ConnectionStatus::Disconnected => {
                Err(Fault::new(domain::FaultKind::ReauthNeeded))
            }
        }
    }
}
