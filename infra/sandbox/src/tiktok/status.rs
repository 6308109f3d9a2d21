//! What became of a publish (tiktok.md §4.9).

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Endpoint, serve_now};
use super::errors::{self, refuse};
use super::publish::{Publish, Source};
use super::settings::{IdType, PostIdSpelling, Settings};
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
    if let Ok(body) = serde_json::from_slice::<Value>(&body) {
        let id = body.get("publish_id").cloned();
        call.fields
            .extend(id.map(|id| ("publish_id".to_owned(), id)));
    }
    serve_now(world, call, move |world| {
        let now = world.clock.now_ms();
        let mut state = world.state();
        let caller = state.caller(input::bearer(&parts.headers).as_deref(), now)?;
        caller.needs(&["video.publish", "video.upload"])?;
        let limit = state.settings.status_per_minute;
        state.limit(Endpoint::Status, &caller.token, limit, now)?;
        let param_error = state.settings.posting_param_error.clone();
        let body = input::json(&parts.headers, &body, &param_error)?;
        let id = body
            .get("publish_id")
            .and_then(Value::as_str)
            .ok_or_else(|| refuse(&param_error, "publish_id is missing"))?;
        let publish = state
            .publishes
            .get(id)
            .ok_or_else(|| refuse("invalid_publish_id", "The publish_id does not exist"))?;
        if publish.open_id != caller.open_id {
            return Err(refuse(
                "token_not_authorized_for_specified_publish_id",
                "The access token is not authorized for this publish_id",
            ));
        }
        Ok(errors::ok(&data(publish, &state.settings))
            .note("publish_status", json!(publish.status)))
    })
    .await
}

/// The status as the endpoint shows it.
pub(crate) fn data(publish: &Publish, settings: &Settings) -> Value {
    let mut data = json!({ "status": publish.status });
    if let Source::File(upload) = &publish.source {
        data["uploaded_bytes"] = json!(upload.received);
    }
    if let Some(reason) = &publish.fail_reason {
        data["fail_reason"] = json!(reason);
    }
    // Only public posts get an id, and only after moderation.
    let available: Vec<Value> = publish
        .posts
        .iter()
        .filter(|post| post.available)
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
