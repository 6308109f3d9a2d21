//! What became of syncs of statistics: those that failed, or those of one connection.

use std::collections::BTreeMap;

use domain::{ConnectionId, Platform, SyncId, SyncKind, Timestamp, UserId};
use http::StatusCode;
use lambda::{Answer, Problem, responses};
use serde::Serialize;
use store::SyncLog;
use store::sync_logs::SyncState;

use crate::query::limit_to;
use crate::{Admin, Ask};

/// Failed ones are read from every shard: each is asked for so many.
const MOST: usize = 50;

#[derive(Serialize)]
struct SyncLogView {
    sync_id: SyncId,
    connection_id: ConnectionId,
    user_id: UserId,
    platform: Platform,
    sync_kind: SyncKind,
    state: SyncState,
    started_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// How many things were read: the account, and each medium.
    rows: u64,
    /// How often a worker took it.
    tries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
    /// Parts that are off, by the scope that each needs.
    off: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Page {
    sync_logs: Vec<SyncLogView>,
}

impl Admin {
    pub(crate) async fn list_sync_logs(&self, ask: &Ask<'_>) -> Answer {
        let query = ask.request.query()?;
        query.only(&["connection_id", "limit"])?;
        let sentence = "Give the id of a connection.";
        let connection: Option<ConnectionId> = query.parameter("connection_id", sentence)?;
        let limit = i32::try_from(limit_to(&query, MOST)?).map_err(Problem::internal)?;
        let logs = match connection {
            Some(connection) => self.logs.of_connection(&connection, limit).await,
            // From the beginning: the table forgets by itself.
            None => self.logs.failed(Timestamp::default(), limit).await,
        };
        let logs = logs.map_err(Problem::unavailable)?;
        let page = Page {
            sync_logs: logs.into_iter().map(view).collect(),
        };
        Ok(responses::json(StatusCode::OK, &page))
    }
}

fn view(log: SyncLog) -> SyncLogView {
    SyncLogView {
        started_at: log.started_at.rfc3339(),
        ended_at: log.ended_at.map(Timestamp::rfc3339),
        fault: log.fault.as_ref().map(|fault| fault.kind.code()),
        sync_id: log.sync_id,
        connection_id: log.connection_id,
        user_id: log.user_id,
        platform: log.platform,
        sync_kind: log.sync_kind,
        state: log.state,
        rows: log.rows,
        tries: log.tries,
        off: log.off,
    }
}
