//! What the product was told.

use domain::UserId;
use http::StatusCode;
use lambda::{Answer, Problem, responses};
use serde::Serialize;
use serde_json::Value;
use store::events::EventRow;

use crate::query::{cursor, limit, shown};
use crate::{Admin, Ask};

#[derive(Serialize)]
struct EventView {
    id: String,
    kind: String,
    user_id: String,
    at: String,
    detail: Value,
    /// Whether the product was sent it.
    sent: bool,
}

#[derive(Serialize)]
struct Page {
    events: Vec<EventView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl Admin {
    pub(crate) async fn list_events(&self, ask: &Ask<'_>) -> Answer {
        let query = ask.request.query()?;
        query.only(&["user_id", "cursor", "limit"])?;
        let sentence = "A user id is 1 to 128 visible ASCII characters.";
        let user: Option<UserId> = query.parameter("user_id", sentence)?;
        let before = cursor(&query)?;
        let listing = self
            .events
            .newest(user.as_ref(), before.as_deref(), limit(&query)?, ask.now);
        let listing = listing.await.map_err(Problem::unavailable)?;
        let page = Page {
            events: listing.rows.into_iter().map(view).collect(),
            next_cursor: shown(listing.next),
        };
        Ok(responses::json(StatusCode::OK, &page))
    }
}

fn view(row: EventRow) -> EventView {
    EventView {
        detail: serde_json::from_str(&row.detail).unwrap_or_default(),
        sent: row.unsent_shard.is_none(),
        at: row.created_at.rfc3339(),
        id: row.event_id,
        kind: row.kind,
        user_id: row.user_id,
    }
}
