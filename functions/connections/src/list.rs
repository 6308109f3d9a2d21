//! `GET /v1/connections`: a user's connections, by platform and status, page by page.

use domain::{ConnectionId, ConnectionStatus, Platform};
use http::StatusCode;
use lambda::{Answer, Problem, Query, Request, Scope, responses};
use serde::Serialize;
use store::Connection;

use crate::Api;
use crate::view::ConnectionView;

const USUAL: usize = 20;
const MOST: usize = 100;

/// What is wanted.
struct Filter {
    platform: Option<Platform>,
    status: Option<ConnectionStatus>,
    after: Option<ConnectionId>,
    limit: usize,
}

#[derive(Serialize)]
struct Page {
    connections: Vec<ConnectionView>,
    /// Give it as `cursor` for what comes next; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl Api {
    pub(crate) async fn list(&self, request: &Request) -> Answer {
        let caller = request.caller(&self.scope_prefix)?;
        let user = caller.user_with(Scope::Connections)?;
        let filter = Filter::read(&request.query()?)?;
        let mut found: Vec<Connection> = Vec::new();
        let mut after = filter.after.as_ref().map(|id| id.as_str().to_owned());
        // Filtering happens after the read: a user has a handful of connections.
        loop {
            let page = self
                .tokens
                .connections()
                .list(user, after.as_deref(), 100)
                .await;
            let (page, next) = page.map_err(Problem::unavailable)?;
            found.extend(
                page.into_iter()
                    .filter(|connection| filter.takes(connection)),
            );
            after = next;
            if after.is_none() || found.len() > filter.limit {
                break;
            }
        }
        let more = found.len() > filter.limit;
        found.truncate(filter.limit);
        let next_cursor = found
            .last()
            .filter(|_| more)
            .map(|last| last.connection_id.to_string());
        let connections = found.iter().map(ConnectionView::of).collect();
        Ok(responses::json(
            StatusCode::OK,
            &Page {
                connections,
                next_cursor,
            },
        ))
    }
}

impl Filter {
    fn read(query: &Query) -> Result<Self, Problem> {
        query.only(&["platform", "status", "cursor", "limit"])?;
        let read = |name: &str, sentence: &str| {
            let problem = Problem::bad_request(name, "malformed", sentence);
            query.get(name).map(|text| (text.to_owned(), problem))
        };
        let platform = read("platform", "This is not a platform of this deployment.")
            .map(|(text, problem)| text.parse().map_err(|_| problem))
            .transpose()?;
        let status = read("status", "Give active, needs_reauth or disconnected.")
            .map(|(text, problem)| ConnectionStatus::parse(&text).ok_or(problem))
            .transpose()?;
        let after = read("cursor", "Give the next_cursor of an earlier answer.")
            .map(|(text, problem)| text.parse().map_err(|_| problem))
            .transpose()?;
        let limit = read("limit", "Give a number from 1 to 100.")
            .map(|(text, problem)| {
                text.parse()
                    .ok()
                    .filter(|limit| (1..=MOST).contains(limit))
                    .ok_or(problem)
            })
            .transpose()?;
        Ok(Self {
            platform,
            status,
            after,
            limit: limit.unwrap_or(USUAL),
        })
    }

    fn takes(&self, connection: &Connection) -> bool {
        self.platform
            .is_none_or(|platform| connection.platform == platform)
            && self.status.is_none_or(|status| connection.status == status)
    }
}
