//! What platforms told of a user's accounts: `GET /v1/media-items`, `/v1/comments`, `/v1/fans`,
//! `/v1/messages`, `/v1/analytics-events`.
//!
//! Records belong to accounts; a user sees those of the accounts that they hold. Of a connection that
//! needs its creator they see what was known when it came to that: their access may have been taken
//! away, while somebody else's goes on.

mod filter;
mod view;

use std::collections::BTreeMap;

use domain::{ConnectionId, ConnectionStatus, RecordKind, Timestamp, UserId};
use http::StatusCode;
use lambda::{Answer, Code, Problem, Request, Scope, responses};
use ledger::Tables;
use serde_json::{Map, Value};
use store::{Connection, Connections, RecordAsk, RecordRow};

use filter::Filter;

/// What the handlers need.
pub struct Api {
    /// Whose accounts are read.
    pub connections: Connections,
    /// The records.
    pub tables: Tables,
    /// What stands before scope names.
    pub scope_prefix: String,
}

/// An account that a user sees.
struct Seen {
    connection: ConnectionId,
    /// Only what was known by then.
    until: Option<Timestamp>,
}

impl Api {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Answer {
        let kind = match request.route() {
            "GET /v1/media-items" => RecordKind::MediaItem,
            "GET /v1/comments" => RecordKind::Comment,
            "GET /v1/fans" => RecordKind::Fan,
            "GET /v1/messages" => RecordKind::Message,
            "GET /v1/analytics-events" => RecordKind::AnalyticsEvent,
            _ => return Err(Problem::new(Code::NotFound)),
        };
        self.list(&request, kind).await
    }

    async fn list(&self, request: &Request, kind: RecordKind) -> Answer {
        let caller = request.caller(&self.scope_prefix)?;
        let user = caller.user_with(Scope::Records)?;
        let filter = Filter::read(&request.query()?, kind)?;
        let seen = self.seen(user, &filter).await?;
        let accounts: Vec<String> = seen.keys().cloned().collect();
        let ask = RecordAsk {
            accounts: &accounts,
            from: filter.from,
            to: filter.to,
            state: filter.state,
            before: filter.cursor.as_deref(),
            limit: filter.limit,
        };
        let wanted = |row: &RecordRow| {
            let until = seen.get(&row.account).and_then(|seen| seen.until);
            until.is_none_or(|until| row.kept.seen_at <= until) && filter.takes(row)
        };
        let table = self.tables.of(kind).ok_or(Problem::new(Code::NotFound))?;
        let page = table.newest(&ask, wanted).await;
        let page = page.map_err(Problem::unavailable)?;
        let rows = page.rows.iter().filter_map(|row| {
            let seen = seen.get(&row.account)?;
            Some(view::record(row, &seen.connection))
        });
        let mut answer = Map::new();
        answer.insert(view::name(kind).to_owned(), rows.collect::<Value>());
        if let Some(place) = page.next {
            answer.insert("next_cursor".to_owned(), filter::shown(&place).into());
        }
        Ok(responses::json(StatusCode::OK, &answer))
    }

    /// The accounts of which records are wanted, by their keys.
    async fn seen(
        &self,
        user: &UserId,
        filter: &Filter,
    ) -> Result<BTreeMap<String, Seen>, Problem> {
        let mut seen = BTreeMap::new();
        let mut found = false;
        let mut after: Option<String> = None;
        loop {
            let page = self.connections.list(user, after.as_deref(), 100).await;
            let (page, next) = page.map_err(Problem::unavailable)?;
            for connection in page {
                let named = filter.connection.as_ref();
                if named.is_some_and(|id| *id != connection.connection_id) {
                    continue;
                }
                found = true;
                let platform = filter.platform;
                if platform.is_none_or(|platform| platform == connection.platform)
                    && let Some(until) = visible(&connection)
                {
                    let key = connection.account.key();
                    let connection = connection.connection_id;
                    seen.insert(key, Seen { connection, until });
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        if filter.connection.is_some() && !found {
            return Err(Problem::new(Code::NotFound));
        }
        Ok(seen)
    }
}

/// Until when what was told is shown, if anything is; the inner `None` is for ever.
fn visible(connection: &Connection) -> Option<Option<Timestamp>> {
    match connection.status {
        ConnectionStatus::Active => Some(None),
        ConnectionStatus::NeedsReauth => Some(Some(connection.updated_at)),
        ConnectionStatus::Disconnected => None,
    }
}
