//! One connection: get, status, disconnect. Another user's connection does not exist here: ids are
//! looked up under their user.

use domain::ConnectionId;
use http::StatusCode;
use lambda::{Answer, Problem, Request, Scope, responses};
use platforms::Apps;
use posts::ChoicesError;
use store::Connection;
use tokens::{DisconnectError, EndedBy};

use crate::Api;
use crate::view::{self, ConnectionView};

impl Api {
    pub(crate) async fn get(&self, request: &Request) -> Answer {
        let connection = self.wanted(request).await?;
        Ok(responses::json(
            StatusCode::OK,
            &ConnectionView::of(&connection),
        ))
    }

    pub(crate) async fn status(&self, request: &Request) -> Answer {
        let connection = self.wanted(request).await?;
        Ok(responses::json(StatusCode::OK, &view::status(&connection)))
    }

    /// What a form for a post on this account may show, as the platform says at this moment.
    pub(crate) async fn posting_choices(&self, apps: &Apps, request: &Request) -> Answer {
        let caller = request.caller(&self.scope_prefix)?;
        let user = caller.user_with(Scope::Posts)?;
        let id: ConnectionId = request.path_parameter("connection_id")?;
        match self.chooser.choices(apps, user, &id).await {
            Ok(choices) => Ok(responses::json(StatusCode::OK, &choices)),
            Err(ChoicesError::Absent) => Err(Problem::not_found()),
            Err(ChoicesError::Fault(fault)) => Err(fault.into()),
            Err(error) => Err(Problem::unavailable(error)),
        }
    }

    /// Answers 200 with what became of the revocation; doing it again answers the same.
    pub(crate) async fn disconnect(&self, apps: &Apps, request: &Request) -> Answer {
        let caller = request.caller(&self.scope_prefix)?;
        let user = caller.user_with(Scope::Connections)?;
        let id: ConnectionId = request.path_parameter("connection_id")?;
        let tokens = self.tokens.acting(caller.who());
        match tokens.disconnect(apps, user, &id, EndedBy::Us).await {
            Ok(connection) => Ok(responses::json(
                StatusCode::OK,
                &ConnectionView::of(&connection),
            )),
            Err(DisconnectError::Absent) => Err(Problem::not_found()),
            Err(DisconnectError::Internal(error)) => Err(Problem::unavailable(error)),
        }
    }

    async fn wanted(&self, request: &Request) -> Result<Connection, Problem> {
        let caller = request.caller(&self.scope_prefix)?;
        let user = caller.user_with(Scope::Connections)?;
        let id: ConnectionId = request.path_parameter("connection_id")?;
        let found = self.tokens.connections().get(user, &id).await;
        found
            .map_err(Problem::unavailable)?
            .ok_or(Problem::not_found())
    }
}
