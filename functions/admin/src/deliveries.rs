//! Deliveries: the list, one, and the replay of one.

use domain::{Act, DeliveryId, Platform, WebhookMessage};
use http::StatusCode;
use lambda::{Answer, Problem, responses};
use serde::Serialize;
use store::Mark;
use store::deliveries::{DeliveryAsk, DeliveryState};

use crate::query::{cursor, limit, shown};
use crate::{Acted, Admin, Ask};

const STATES: &str = "Give processing, applied, orphan or replay.";

#[derive(Serialize)]
struct DeliveryView<'a> {
    id: &'a DeliveryId,
    platform: Platform,
    /// The platform's name for what happened.
    r#type: &'a str,
    state: DeliveryState,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    /// The platform's id of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
    received_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    processed_at: Option<String>,
    tries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
}

impl<'a> DeliveryView<'a> {
    fn of(mark: &'a Mark) -> Self {
        let account = mark.account_key.as_deref();
        Self {
            id: &mark.delivery_id,
            platform: mark.platform,
            r#type: &mark.kind,
            state: mark.state,
            external_id: mark.external_id.as_deref(),
            account_id: account.and_then(|key| Some(key.split_once('#')?.1)),
            received_at: mark.received_at.rfc3339(),
            processed_at: mark.processed_at.map(|at| at.rfc3339()),
            tries: mark.tries,
            fault: mark.fault.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Page<'a> {
    deliveries: Vec<DeliveryView<'a>>,
    /// Give it as `cursor` for what is older; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct One<'a> {
    #[serde(flatten)]
    delivery: DeliveryView<'a>,
    /// Whether the raw body is kept, without which there is no replay.
    replayable: bool,
}

#[derive(Serialize)]
struct Queued<'a> {
    id: &'a DeliveryId,
    status: &'static str,
}

impl Admin {
    pub(crate) async fn list_deliveries(&self, ask: &Ask<'_>) -> Answer {
        let query = ask.request.query()?;
        query.only(&["platform", "type", "state", "cursor", "limit"])?;
        let sentence = "This is not a platform of this deployment.";
        let platform: Option<Platform> = query.parameter("platform", sentence)?;
        let state = query.parameter_by("state", STATES, DeliveryState::parse)?;
        let before = cursor(&query)?;
        let wanted = DeliveryAsk {
            platforms: platform
                .as_ref()
                .map_or(Platform::ALL, std::slice::from_ref),
            states: state
                .as_ref()
                .map_or(&DeliveryState::ALL, std::slice::from_ref),
            kind: query.get("type"),
            before: before.as_deref(),
            limit: limit(&query)?,
        };
        let listing = self.deliveries.newest(&wanted).await;
        let listing = listing.map_err(Problem::unavailable)?;
        let page = Page {
            deliveries: listing.rows.iter().map(DeliveryView::of).collect(),
            next_cursor: shown(listing.next),
        };
        Ok(responses::json(StatusCode::OK, &page))
    }

    pub(crate) async fn get_delivery(&self, ask: &Ask<'_>) -> Answer {
        let mark = self.delivery(ask).await?;
        let one = One {
            replayable: self.replayable(ask, &mark).await?,
            delivery: DeliveryView::of(&mark),
        };
        Ok(responses::json(StatusCode::OK, &one))
    }

    /// Queues the replay; the worker clears the mark and applies the raw body under the same id.
    pub(crate) async fn replay_delivery(&self, ask: &Ask<'_>) -> Answer {
        let mark = self.delivery(ask).await?;
        if !self.replayable(ask, &mark).await? {
            return Err(Problem::conflict(
                "The raw body is not kept any more: there is nothing to apply.",
            ));
        }
        let id = &mark.delivery_id;
        let queued = async {
            let message = WebhookMessage::Replay {
                delivery_id: id.clone(),
            };
            self.send(&self.queues.webhook, &message).await?;
            let queued = Queued {
                id,
                status: "queued",
            };
            Ok(Acted {
                answer: responses::json(StatusCode::ACCEPTED, &queued),
                note: None,
            })
        };
        let act = Act::AdminDeliveryReplayed;
        self.act(ask, act, None, Some(id.as_str()), queued).await
    }

    async fn delivery(&self, ask: &Ask<'_>) -> Result<Mark, Problem> {
        let id: DeliveryId = ask.request.path_parameter("delivery_id")?;
        let mark = self.deliveries.mark(&id).await;
        mark.map_err(Problem::unavailable)?
            .ok_or_else(Problem::not_found)
    }

    async fn replayable(&self, ask: &Ask<'_>, mark: &Mark) -> Result<bool, Problem> {
        let raw = self.deliveries.raw(&mark.delivery_id, ask.now).await;
        Ok(raw.map_err(Problem::unavailable)?.is_some())
    }
}
