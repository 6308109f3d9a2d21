//! `POST /v1/sessions`, and a user's connections: list, get, status, disconnect, syncs of statistics.

mod connection;
mod list;
mod session;
mod sync;
mod view;

use audit::Trail;
use lambda::{Answer, Code, Problem, Request};
use platforms::Apps;
use posts::Chooser;
use statistics::Asker;
use store::{Sessions, Users};
use tokens::Tokens;

/// What the handlers need.
pub struct Api {
    /// Links.
    pub sessions: Sessions,
    /// What the product told us of people.
    pub users: Users,
    /// The audit trail.
    pub trail: Trail,
    /// Connections and their end.
    pub tokens: Tokens,
    /// Asks platforms what may be chosen for a post.
    pub chooser: Chooser,
    /// Syncs of statistics.
    pub asker: Asker,
    /// What stands before scope names.
    pub scope_prefix: String,
    /// Where this deployment is reached, if that is configured.
    pub public_base: Option<String>,
    /// Where sessions may return to.
    pub return_to_origins: Vec<String>,
}

impl Api {
    /// Answers one request.
    pub async fn handle(&self, apps: &Apps, request: Request) -> Answer {
        match request.route() {
            "POST /v1/sessions" => self.create_session(apps, &request).await,
            "GET /v1/connections" => self.list(&request).await,
            "GET /v1/connections/{connection_id}" => self.get(&request).await,
            "GET /v1/connections/{connection_id}/status" => self.status(&request).await,
            "GET /v1/connections/{connection_id}/posting-choices" => {
                self.posting_choices(apps, &request).await
            }
            "DELETE /v1/connections/{connection_id}" => self.disconnect(apps, &request).await,
            "POST /v1/connections/{connection_id}/sync" => self.sync_one(&request).await,
            "POST /v1/sync" => self.sync_many(&request).await,
            "GET /v1/syncs/{sync_id}" => self.sync_state(&request).await,
            _ => Err(Problem::new(Code::NotFound)),
        }
    }
}
