//! What a product asks of a user's data: `DELETE /v1/users/{user_id}` and the receipt of it,
//! `POST /v1/users/{user_id}/exports` and the export.

use audit::{Deed, Trail};
use domain::{Act, JobId, UserId};
use http::StatusCode;
use lambda::{Answer, Code, Problem, Request, Scope, responses};
use requests::{RequestsError, erase, export};

/// What the handlers need.
pub struct Api {
    /// Erasures.
    pub erasures: erase::Desk,
    /// Exports.
    pub exports: export::Desk,
    /// The audit trail.
    pub trail: Trail,
    /// What stands before scope names.
    pub scope_prefix: String,
}

impl Api {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Answer {
        match request.route() {
            "DELETE /v1/users/{user_id}" => self.erase(&request).await,
            "GET /v1/erasures/{erasure_id}" => self.receipt(&request).await,
            "POST /v1/users/{user_id}/exports" => self.ask_export(&request).await,
            "GET /v1/exports/{export_id}" => self.export(&request).await,
            _ => Err(Problem::new(Code::NotFound)),
        }
    }

    async fn erase(&self, request: &Request) -> Answer {
        let caller = request.caller(&self.scope_prefix)?;
        caller.require(Scope::Service)?;
        let user: UserId = request.path_parameter("user_id")?;
        let view = self.erasures.ask(&user, &caller.who()).await;
        Ok(responses::json(
            StatusCode::ACCEPTED,
            &view.map_err(problem)?,
        ))
    }

    async fn receipt(&self, request: &Request) -> Answer {
        request
            .caller(&self.scope_prefix)?
            .require(Scope::Service)?;
        let id: JobId = request.path_parameter("erasure_id")?;
        let view = self.erasures.view(&id).await.map_err(problem)?;
        let view = view.ok_or(Problem::not_found())?;
        Ok(responses::json(StatusCode::OK, &view))
    }

    async fn ask_export(&self, request: &Request) -> Answer {
        let caller = request.caller(&self.scope_prefix)?;
        caller.require(Scope::Service)?;
        let user: UserId = request.path_parameter("user_id")?;
        let view = self.exports.ask(&user).await.map_err(problem)?;
        let deed = Deed {
            who: &caller.who(),
            act: Act::UserExported,
            user: Some(&user),
            object: Some(view.id.as_str()),
        };
        self.trail.note(&deed).await;
        Ok(responses::json(StatusCode::ACCEPTED, &view))
    }

    async fn export(&self, request: &Request) -> Answer {
        request
            .caller(&self.scope_prefix)?
            .require(Scope::Service)?;
        let id: JobId = request.path_parameter("export_id")?;
        let view = self.exports.view(&id).await.map_err(problem)?;
        let view = view.ok_or(Problem::not_found())?;
        Ok(responses::json(StatusCode::OK, &view))
    }
}

fn problem(error: RequestsError) -> Problem {
    Problem::unavailable(error)
}
