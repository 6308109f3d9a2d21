//! `/v1/webhook-endpoints`: the product's addresses that events are sent to. For service tokens alone:
//! what is sent there is of all users.

mod ask;
mod dead_letters;
mod view;

use audit::{Deed, Trail};
use domain::{Act, EndpointId};
use http::{HeaderValue, StatusCode, header};
use lambda::{Answer, Code, Problem, Request, Scope, responses};
use outbox::{Desk, DeskError, MOST_ENDPOINTS};
use serde_json::json;
use store::Endpoint;
use store::endpoints::EndpointState;

use ask::{Change, New};
use view::EndpointView;

const MOST_BODY_BYTES: usize = 16 * 1_024;

/// What the handlers need.
pub struct Api {
    /// The endpoints.
    pub desk: Desk,
    /// The audit trail.
    pub trail: Trail,
    /// What stands before scope names.
    pub scope_prefix: String,
}

impl Api {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Answer {
        request
            .caller(&self.scope_prefix)?
            .require(Scope::Service)?;
        match request.route() {
            "POST /v1/webhook-endpoints" => self.create(&request).await,
            "GET /v1/webhook-endpoints" => self.list().await,
            "GET /v1/webhook-endpoints/{endpoint_id}" => self.get(&request).await,
            "PATCH /v1/webhook-endpoints/{endpoint_id}" => self.change(&request).await,
            "DELETE /v1/webhook-endpoints/{endpoint_id}" => self.delete(&request).await,
            "POST /v1/webhook-endpoints/{endpoint_id}/rotate-secret" => self.rotate(&request).await,
            "POST /v1/webhook-endpoints/{endpoint_id}/test" => self.test(&request).await,
            "GET /v1/webhook-endpoints/{endpoint_id}/dead-letters" => {
                self.dead_letters(&request).await
            }
            "POST /v1/webhook-endpoints/{endpoint_id}/replay" => self.replay(&request).await,
            _ => Err(Problem::new(Code::NotFound)),
        }
    }

    async fn create(&self, request: &Request) -> Answer {
        let new: New = request.json(MOST_BODY_BYTES)?;
        let made = self.desk.create(new.checked()?).await.map_err(problem)?;
        let id = &made.endpoint.endpoint_id;
        self.note(request, Act::WebhookEndpointCreated, id).await?;
        let location = format!("/v1/webhook-endpoints/{id}");
        let view = EndpointView::of(&made.endpoint).with(&made.secret);
        let mut response = responses::json(StatusCode::CREATED, &view);
        if let Ok(location) = HeaderValue::try_from(location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }

    async fn list(&self) -> Answer {
        let all = self.desk.endpoints.all().await;
        let all = all.map_err(Problem::unavailable)?;
        let views: Vec<EndpointView<'_>> = all.iter().map(EndpointView::of).collect();
        let body = json!({ "webhook_endpoints": views });
        Ok(responses::json(StatusCode::OK, &body))
    }

    async fn get(&self, request: &Request) -> Answer {
        let endpoint = self.found(request).await?;
        Ok(responses::json(
            StatusCode::OK,
            &EndpointView::of(&endpoint),
        ))
    }

    async fn change(&self, request: &Request) -> Answer {
        let id: EndpointId = request.path_parameter("endpoint_id")?;
        let change: Change = request.json(MOST_BODY_BYTES)?;
        let edit = change.checked()?;
        let act = match edit.state {
            Some(EndpointState::Disabled) => Act::WebhookEndpointDisabled,
            _ => Act::WebhookEndpointUpdated,
        };
        let changed = self.desk.edit(&id, edit).await.map_err(problem)?;
        let endpoint = changed.ok_or_else(Problem::not_found)?;
        self.note(request, act, &id).await?;
        Ok(responses::json(
            StatusCode::OK,
            &EndpointView::of(&endpoint),
        ))
    }

    async fn delete(&self, request: &Request) -> Answer {
        let endpoint = self.found(request).await?;
        let id = &endpoint.endpoint_id;
        let deleted = self.desk.endpoints.delete(id).await;
        deleted.map_err(Problem::unavailable)?;
        self.note(request, Act::WebhookEndpointDeleted, id).await?;
        Ok(responses::no_content())
    }

    async fn rotate(&self, request: &Request) -> Answer {
        let id: EndpointId = request.path_parameter("endpoint_id")?;
        let rotated = self.desk.rotate(&id).await.map_err(problem)?;
        let made = rotated.ok_or_else(Problem::not_found)?;
        self.note(request, Act::WebhookEndpointRotated, &id).await?;
        let view = EndpointView::of(&made.endpoint).with(&made.secret);
        Ok(responses::json(StatusCode::OK, &view))
    }

    async fn test(&self, request: &Request) -> Answer {
        let endpoint = self.found(request).await?;
        let event = self.desk.test(&endpoint).await.map_err(problem)?;
        let body = json!({ "event_id": event });
        Ok(responses::json(StatusCode::ACCEPTED, &body))
    }

    async fn found(&self, request: &Request) -> Result<Endpoint, Problem> {
        let id: EndpointId = request.path_parameter("endpoint_id")?;
        let found = self.desk.endpoints.get(&id).await;
        found
            .map_err(Problem::unavailable)?
            .ok_or_else(Problem::not_found)
    }

    async fn note(&self, request: &Request, act: Act, id: &EndpointId) -> Result<(), Problem> {
        let who = request.caller(&self.scope_prefix)?.who();
        self.trail
            .note(&Deed {
                who: &who,
                act,
                user: None,
                object: Some(id.as_str()),
            })
            .await;
        Ok(())
    }
}

fn problem(error: DeskError) -> Problem {
    match error {
        DeskError::Address(why) => {
            let mut letters = why.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            let sentence: String = first.into_iter().chain(letters).chain(['.']).collect();
            Problem::invalid("url", "not_allowed", sentence)
        }
        DeskError::TooMany => {
            Problem::conflict(format!("There are {MOST_ENDPOINTS} endpoints already."))
        }
        DeskError::Disabled => {
            Problem::conflict("The endpoint is disabled: nothing is sent there. Enable it first.")
        }
        DeskError::Outbox(error) => Problem::unavailable(error),
    }
}
