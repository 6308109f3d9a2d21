//! Syncs of statistics that are asked for: of one connection, of all connections on some platforms,
//! and the handle under which both are polled.

use audit::Deed;
use domain::{
    Act, ConnectionId, ConnectionStatus, Fault, FaultKind, Platform, SyncId, UserId, Who,
};
use http::StatusCode;
use lambda::{Answer, Problem, Request, Response, Scope, responses};
use serde::Deserialize;
use serde_json::json;
use statistics::AskError;
use store::Connection;
use store::sync_logs::SyncRequest;

use crate::Api;
use crate::view;

const MOST_BODY_BYTES: usize = 4 * 1_024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    /// None named: all.
    #[serde(default)]
    platforms: Vec<String>,
}

impl Api {
    pub(crate) async fn sync_one(&self, request: &Request) -> Answer {
        let caller = request.caller(&self.scope_prefix)?;
        let user = caller.user_with(Scope::Stats)?;
        let id: ConnectionId = request.path_parameter("connection_id")?;
        let found = self.tokens.connections().get(user, &id).await;
        let connection = found
            .map_err(Problem::unavailable)?
            .ok_or(Problem::not_found())?;
        self.ask(&caller.who(), user, &[connection]).await
    }

    pub(crate) async fn sync_many(&self, request: &Request) -> Answer {
        let caller = request.caller(&self.scope_prefix)?;
        let user = caller.user_with(Scope::Stats)?;
        let ask: Ask = request.json(MOST_BODY_BYTES)?;
        let platforms = platforms_of(&ask)?;
        let mut wanted: Vec<Connection> = Vec::new();
        let mut after = None;
        loop {
            let page = self
                .tokens
                .connections()
                .list(user, after.as_deref(), 100)
                .await;
            let (page, next) = page.map_err(Problem::unavailable)?;
            wanted.extend(page.into_iter().filter(|connection| {
                connection.status == ConnectionStatus::Active
                    && platforms.contains(&connection.platform)
            }));
            after = next;
            if after.is_none() {
                break;
            }
        }
        if wanted.is_empty() {
            return Err(Problem::conflict(
                "There is no active connection on these platforms.",
            ));
        }
        self.ask(&caller.who(), user, &wanted).await
    }

    pub(crate) async fn sync_state(&self, request: &Request) -> Answer {
        let caller = request.caller(&self.scope_prefix)?;
        let user = caller.user_with(Scope::Stats)?;
        let id: SyncId = request.path_parameter("sync_id")?;
        let found = self.asker.view(user, &id).await;
        let handle = found
            .map_err(Problem::unavailable)?
            .ok_or(Problem::not_found())?;
        Ok(responses::json(StatusCode::OK, &view::sync(&handle)))
    }

    async fn ask(&self, who: &Who, user: &UserId, connections: &[Connection]) -> Answer {
        match self.asker.ask(user, connections).await {
            Ok(asked) => {
                self.trail
                    .note(&Deed {
                        who,
                        act: Act::ConnectionSyncRequested,
                        user: Some(user),
                        object: Some(asked.sync_id.as_str()),
                    })
                    .await;
                Ok(accepted(&asked))
            }
            Err(AskError::Nothing(fault)) => Err(fault.into()),
            Err(AskError::TooOften(until)) => {
                let sentence = "A user can ask for five syncs a minute.";
                let fault = Fault::new(FaultKind::RateLimited).until(until);
                Err(fault.sentence(sentence).into())
            }
            Err(AskError::Internal(error)) => Err(Problem::unavailable(error)),
        }
    }
}

fn accepted(asked: &SyncRequest) -> Response {
    let connections: Vec<&ConnectionId> = asked.connections.keys().collect();
    let body = json!({
        "id": asked.sync_id,
        "state": "queued",
        "asked_at": asked.asked_at.rfc3339(),
        "connections": connections,
    });
    responses::json(StatusCode::ACCEPTED, &body)
}

fn platforms_of(ask: &Ask) -> Result<Vec<Platform>, Problem> {
    if ask.platforms.is_empty() {
        return Ok(Platform::ALL.to_vec());
    }
    let read = |(place, name): (usize, &String)| {
        name.parse::<Platform>().map_err(|_| {
            Problem::invalid(
                format!("platforms[{place}]"),
                "unknown",
                "This is not a platform of this deployment.",
            )
        })
    };
    ask.platforms.iter().enumerate().map(read).collect()
}
