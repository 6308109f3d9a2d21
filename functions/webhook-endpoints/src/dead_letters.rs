//! What an endpoint did not accept: list, and send again.

use domain::{Act, EventId, Timestamp};
use http::StatusCode;
use lambda::{Answer, Problem, Request, responses};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Outgoing;

use crate::{Api, MOST_BODY_BYTES, problem};

const USUAL: i32 = 20;
const MOST: i32 = 100;

/// A dead letter. What it says is not shown: a replay sends it.
#[derive(Serialize)]
struct DeadLetterView<'a> {
    id: String,
    event_id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    created_at: String,
    died_at: Option<String>,
    reason: Option<&'a str>,
    tries: u32,
}

/// Which are sent again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    all: bool,
}

impl Api {
    pub(crate) async fn dead_letters(&self, request: &Request) -> Answer {
        let query = request.query()?;
        query.only(&["cursor", "limit"])?;
        let sentence = "Give a number from 1 to 100.";
        let limit = query.parameter_by("limit", sentence, |text| {
            text.parse().ok().filter(|limit| (1..=MOST).contains(limit))
        })?;
        let sentence = "Give the next_cursor of an earlier answer.";
        let after = query.parameter_by("cursor", sentence, key_of)?;
        let endpoint = self.found(request).await?;
        let (id, now) = (&endpoint.endpoint_id, self.desk.clock.now());
        let listed = self
            .desk
            .messages
            .dead(id, after.as_deref(), limit.unwrap_or(USUAL), now);
        let (letters, next) = listed.await.map_err(Problem::unavailable)?;
        let views: Vec<_> = letters.iter().map(view).collect();
        let mut body = json!({ "dead_letters": views });
        if let Some(next) = next {
            body["next_cursor"] = json!(id_of(&next));
        }
        Ok(responses::json(StatusCode::OK, &body))
    }

    pub(crate) async fn replay(&self, request: &Request) -> Answer {
        let asked: Replay = request.json(MOST_BODY_BYTES)?;
        if asked.all != asked.ids.is_empty() {
            let sentence = "Name dead letters in ids, or say all.";
            return Err(Problem::invalid(".", "ambiguous", sentence));
        }
        let keys: Option<Vec<String>> = asked.ids.iter().map(|id| key_of(id)).collect();
        let keys = keys.ok_or_else(|| {
            Problem::invalid("ids", "malformed", "Give ids of the list of dead letters.")
        })?;
        let endpoint = self.found(request).await?;
        let only = (!asked.all).then_some(keys.as_slice());
        let replayed = self.desk.replay(&endpoint, only).await.map_err(problem)?;
        let id = &endpoint.endpoint_id;
        self.note(request, Act::WebhookEndpointReplayed, id).await?;
        let body = json!({ "replayed": replayed.count, "more": replayed.more });
        Ok(responses::json(StatusCode::ACCEPTED, &body))
    }
}

fn view(letter: &Outgoing) -> DeadLetterView<'_> {
    DeadLetterView {
        id: id_of(&letter.message),
        event_id: &letter.event_id,
        kind: &letter.kind,
        created_at: letter.created_at.rfc3339(),
        died_at: letter.died_at.map(Timestamp::rfc3339),
        reason: letter.reason.as_deref(),
        tries: letter.tries,
    }
}

/// A sort key as callers see it: with a full stop, which no address takes for anything else.
fn id_of(key: &str) -> String {
    key.replacen('#', ".", 1)
}

fn key_of(id: &str) -> Option<String> {
    let (millis, event) = id.split_once('.')?;
    let number = (1..=16).contains(&millis.len()) && millis.bytes().all(|b| b.is_ascii_digit());
    let event: EventId = event.parse().ok().filter(|_| number)?;
    Some(format!("{millis}#{event}"))
}
