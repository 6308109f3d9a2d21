//! `_control`: what the stand-in saw and remembers.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::Json;
use axum::extract::{Path, Query, State as Shared};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::{Value, json};

use super::World;
use super::call::Endpoint;
use super::control::{Done, Refused};
use super::publish::{Publish, Pulled, Source};
use super::status;

/// Everything but the request log and the deliveries. Tokens are literal.
pub(crate) async fn state(Shared(world): Shared<Arc<World>>) -> Done {
    let now_ms = world.clock.now_ms();
    let state = world.state();
    let publishes: Vec<Value> = state
        .publishes
        .values()
        .map(|publish| {
            let mut shown = show(publish);
            shown["answer"] = status::data(publish, &state.settings);
            shown
        })
        .collect();
    Ok(Json(json!({
        "now_ms": now_ms,
        "apps": state.apps.values().collect::<Vec<_>>(),
        "users": state.users.values().collect::<Vec<_>>(),
        "codes": state.codes,
        "grants": state.grants,
        "publishes": publishes,
        "videos": state.videos.values().collect::<Vec<_>>(),
    })))
}

fn show(publish: &Publish) -> Value {
    let mut shown = json!({
        "publish_id": publish.publish_id,
        "client_key": publish.client_key,
        "user": publish.user,
        "open_id": publish.open_id,
        "publish_type": publish.publish_type(),
        "photo": publish.photo,
        "created_ms": publish.created_ms,
        "post_info": publish.post_info,
        "status": publish.status,
        "fail_reason": publish.fail_reason,
        "discarded": publish.discarded,
        "in_moderation": publish.in_moderation,
        "posts": publish.posts,
    });
    match &publish.source {
        Source::File(upload) => {
            let sha256: digest::Digest = upload.hash.clone().finish();
            shown["upload"] = json!({
                "upload_id": upload.upload_id,
                "upload_token": upload.upload_token,
                "expires_ms": upload.expires_ms,
                "plan": upload.plan,
                "received": upload.received,
                "complete": upload.is_complete(),
                "sha256": HEXLOWER.encode(sha256.as_ref()),
                "media": upload.probe.facts(),
                "chunks": upload.chunks,
            });
        }
        Source::Pull(files) => {
            let file = |file: &Pulled| {
                json!({
                    "url": file.url,
                    "status": file.status,
                    "received": file.received,
                    "expected": file.expected,
                    "sha256": file.sha256,
                    "error": file.error,
                    "media": file.probe.facts(),
                })
            };
            shown["pulled"] = files.iter().map(file).collect();
        }
    }
    shown
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Filter {
    endpoint: Option<Endpoint>,
    /// Only calls after this number.
    after: u64,
}

/// The request log, oldest first, and how many calls each endpoint had.
pub(crate) async fn requests(
    Shared(world): Shared<Arc<World>>,
    Query(filter): Query<Filter>,
) -> Done {
    let state = world.state();
    let shown: Vec<_> = state
        .requests
        .iter()
        .filter(|line| line.seq > filter.after)
        .filter(|line| filter.endpoint.is_none_or(|wanted| wanted == line.endpoint))
        .collect();
    let mut counts = json!({});
    for line in &shown {
        let name = line.endpoint.name();
        counts[&name] = json!(counts[&name].as_u64().unwrap_or(0) + 1);
    }
    Ok(Json(json!({ "requests": shown, "counts": counts })))
}

/// The calls that wait for a release.
pub(crate) async fn holds(Shared(world): Shared<Arc<World>>) -> Done {
    let state = world.state();
    let shown: Vec<Value> = state
        .holds
        .iter()
        .map(|hold| {
            let line = state.requests.iter().find(|line| line.seq == hold.seq);
            json!({
                "seq": hold.seq,
                "endpoint": hold.endpoint,
                "hold": hold.at,
                "fields": line.map(|line| &line.fields),
            })
        })
        .collect();
    Ok(Json(json!({ "holds": shown })))
}

/// Every delivery with its tries.
pub(crate) async fn webhooks(Shared(world): Shared<Arc<World>>) -> Done {
    let state = world.state();
    let shown: Vec<_> = state.deliveries.values().collect();
    Ok(Json(json!({ "deliveries": shown })))
}

/// Every literal secret that was set or given out, for searches in the product's output.
pub(crate) async fn secrets(Shared(world): Shared<Arc<World>>) -> Done {
    let state = world.state();
    let mut list = Vec::new();
    let mut add = |kind: &str, value: &str| list.push(json!({ "kind": kind, "value": value }));
    for app in state.apps.values() {
        add("client_secret", &app.client_secret);
    }
    for code in &state.codes {
        add("code", &code.code);
    }
    for grant in &state.grants {
        for token in &grant.access {
            add("access_token", &token.token);
        }
        for token in &grant.refresh {
            add("refresh_token", &token.token);
        }
    }
    for token in &state.client_tokens {
        add("client_token", token);
    }
    for publish in state.publishes.values() {
        if let Source::File(upload) = &publish.source {
            add("upload_token", &upload.upload_token);
        }
    }
    Ok(Json(json!({ "secrets": list })))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Which {
    /// Index among the photos.
    file: usize,
}

/// The bytes received of a small file, where `keep_bytes_max` allowed keeping them.
pub(crate) async fn bytes(
    Shared(world): Shared<Arc<World>>,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Refused> {
    let state = world.state();
    let publish = state.publishes.get(&id);
    let kept = publish.and_then(|publish| match &publish.source {
        Source::File(upload) => upload.kept.clone(),
        Source::Pull(files) => files.get(which.file)?.kept.clone(),
    });
    let kept =
        kept.ok_or_else(|| anyhow::anyhow!("no such publish, or its bytes were not kept"))?;
    Ok(kept.into_response())
}
