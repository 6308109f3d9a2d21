//! The record of a user: `GET` and `PUT /v1/users/{user_id}`, for the product's backend.

mod get;
mod put;
mod view;

use std::sync::Arc;

use audit::Trail;
use domain::{Clock, Entropy, UserId};
use lambda::{Answer, Code, Problem, Request, Scope};
use store::{Suppressions, Users};

/// What the handlers need.
pub struct Api {
    /// Users.
    pub users: Users,
    /// Addresses that get no mail.
    pub suppressions: Suppressions,
    /// The audit trail.
    pub trail: Trail,
    /// What stands before scope names.
    pub scope_prefix: String,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Api {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Answer {
        match request.route() {
            "GET /v1/users/{user_id}" => self.get(&request).await,
            "PUT /v1/users/{user_id}" => self.put(&request).await,
            _ => Err(Problem::new(Code::NotFound)),
        }
    }

    /// The user whom a service token names in the path.
    fn wanted(&self, request: &Request) -> Result<UserId, Problem> {
        let caller = request.caller(&self.scope_prefix)?;
        caller.require(Scope::Service)?;
        request.path_parameter("user_id")
    }
}
