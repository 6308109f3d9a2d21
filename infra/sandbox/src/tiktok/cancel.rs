//! Cancelling (tiktok.md §4.8): best effort, and only while TikTok still pulls.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use serde_json::json;

use super::call::{Endpoint, serve_now};
use super::choices::CancelEffect;
use super::errors::{self, refuse};
use super::publish::Source;
use super::{World, input, processing, rules, status, user};
use crate::socket::Switch;

const CANCELLED: &str = "publish_cancelled";

/// `POST /v2/post/publish/cancel/`.
pub(crate) async fn cancel(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let mut call = user::api_call(&world, Endpoint::Cancel, &request, switch);
    let (parts, body) = request.into_parts();
    let body = input::body(body).await;
    status::note_id(&mut call, &body);
    serve_now(world, call, move |world| {
        let now = world.clock.now_ms();
        let (id, effect, delay) = {
            let mut state = world.state();
            let bearer = input::bearer(&parts.headers);
            let scopes = ["video.publish", "video.upload"];
            let caller = state.admit(Endpoint::Cancel, bearer.as_deref(), &scopes, now)?;
            let body = input::json(&parts.headers, &body, &state.settings.posting_param_error)?;
            let publish = status::owned(&state, &caller, &body)?;
            // The scope of the init that made it.
            caller.needs(&[if publish.direct {
                "video.publish"
            } else {
                "video.upload"
            }])?;
            if let Source::Pull(files) = &publish.source {
                rules::owned(&state, &caller, files.iter().map(|file| file.url.as_str()))?;
            }
            if !publish.is_pulling() {
                return Err(refuse(
                    "publish_not_cancellable",
                    "The publish can no longer be cancelled",
                ));
            }
            let settings = &state.settings;
            let id = publish.publish_id.clone();
            (id, settings.cancel, settings.processing_ms)
        };
        match effect {
            CancelEffect::AtOnce => end(world, &id),
            CancelEffect::Later => processing::later(world, &id, delay, end),
            CancelEffect::TooLate => {}
        }
        Ok(errors::ok(&json!({})))
    })
    .await
}

fn end(world: &Arc<World>, id: &str) {
    let pulling = world
        .state()
        .publishes
        .get(id)
        .is_some_and(super::publish::Publish::is_pulling);
    if pulling {
        let _ = processing::finish(world, id, Some(CANCELLED.to_owned()));
    }
}
