//! `GET /v1/users/{user_id}`: what is known of a user, and whether mail reaches them.

use http::StatusCode;
use lambda::{Answer, Problem, Request, responses};
use mail::address;

use crate::{Api, view};

impl Api {
    pub(crate) async fn get(&self, request: &Request) -> Answer {
        let id = self.wanted(request)?;
        let user = self.users.get(&id).await.map_err(Problem::unavailable)?;
        let user = user.ok_or(Problem::not_found())?;
        let stopped = match &user.email {
            None => None,
            Some(email) => self
                .suppressions
                .get(&address::hash(email))
                .await
                .map_err(Problem::unavailable)?
                .map(|found| found.reason),
        };
        Ok(responses::json(StatusCode::OK, &view::user(&user, stopped)))
    }
}
