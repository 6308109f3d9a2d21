//! What became of a publish (tiktok.md §4.9).

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, Endpoint, serve_now};
use super::choices::{IdType, PostIdSpelling};
use super::errors::{self, Refusal, refuse};
use super::publish::{Publish, Source, Status};
use super::settings::Settings;
use super::state::{Caller, State};
use super::{World, input, user};
use crate::socket::Switch;

/// `POST /v2/post/publish/status/fetch/`.
pub(crate) async fn fetch(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let mut call = user::api_call(&world, Endpoint::Status, &request, switch);
    let (parts, body) = request.into_parts();
    let body = input::body(body).await;
    note_id(&mut call, &body);
    serve_now(world, call, move |world| {
        let now = world.clock.now_ms();
        let mut state = world.state();
        let bearer = input::bearer(&parts.headers);
        let scopes = ["video.publish", "video.upload"];
        let caller = state.admit(Endpoint::Status, bearer.as_deref(), &scopes, now)?;
        let body = input::json(&parts.headers, &body, &state.settings.posting_param_error)?;
        let id = owned(&state, &caller, &body)?.publish_id.clone();
        let State {
            publishes,
            settings,
            ..
        } = &mut *state;
        let publish = publishes
            .get_mut(&id)
            .ok_or_else(|| refuse("invalid_publish_id", "The publish_id does not exist"))?;
        if publish.status == Status::PublishComplete {
            publish.polls += 1;
        }
        Ok(errors::ok(&data(publish, settings)).note("publish_status", json!(publish.status)))
    })
    .await
}

/// Notes the publish that a call is about.
pub(crate) fn note_id(call: &mut Call, body: &[u8]) {
    if let Ok(body) = serde_json::from_slice::<Value>(body) {
        let id = body.get("publish_id").cloned();
        call.fields
            .extend(id.map(|id| ("publish_id".to_owned(), id)));
    }
}

/// The caller's publish that a body names.
pub(crate) fn owned<'a>(
    state: &'a State,
    caller: &Caller,
    body: &Value,
) -> Result<&'a Publish, Refusal> {
    let id = body.get("publish_id").and_then(Value::as_str);
    let id =
        id.ok_or_else(|| refuse(&state.settings.posting_param_error, "publish_id is missing"))?;
    let publish = state
        .publishes
        .get(id)
        .ok_or_else(|| refuse("invalid_publish_id", "The publish_id does not exist"))?;
    // An open_id is one person's at one app.
    if publish.open_id != caller.open_id {
        return Err(refuse(
            "token_not_authorized_for_specified_publish_id",
            "The access token is not authorized for this publish_id",
        ));
    }
    Ok(publish)
}

/// The status as the endpoint shows it.
pub(crate) fn data(publish: &Publish, settings: &Settings) -> Value {
    let mut data = json!({ "status": publish.status });
    match &publish.source {
        Source::File(upload) => data["uploaded_bytes"] = json!(upload.received),
        Source::Pull(files) => {
            let received: u64 = files.iter().map(|file| file.received).sum();
            data["downloaded_bytes"] = json!(received);
        }
    }
    if let Some(reason) = &publish.fail_reason {
        data["fail_reason"] = json!(reason);
    }
    // Only public posts get an id, and only after moderation.
    let shown = publish.polls > settings.post_id_after_polls || settings.post_id_after_polls == 0;
    let available: Vec<Value> = publish
        .posts
        .iter()
        .filter(|post| post.available && shown)
        .map(|post| id(post.post_id, settings.post_id))
        .collect();
    if !available.is_empty() {
        let key = match settings.post_id_spelling {
            PostIdSpelling::Publicaly => "publicaly_available_post_id",
            PostIdSpelling::Publicly => "publicly_available_post_id",
        };
        data[key] = json!(available);
    }
    data
}

/// An id as a number or as a string.
pub(crate) fn id(id: u64, kind: IdType) -> Value {
    match kind {
        IdType::Number => json!(id),
        IdType::String => json!(id.to_string()),
    }
}
