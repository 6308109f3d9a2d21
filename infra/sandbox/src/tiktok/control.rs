//! `_control`: the knobs. TikTok has nothing like it.
//!
//! Bodies are JSON; an unknown key is refused, so that a misspelt knob does not pass for a set one.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use data_encoding::BASE64;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::config::SCOPES;
use super::knobs::Fault;
use super::webhooks::{self, Choice};
use super::{World, inspect, processing, pull, text, things};

/// A refused control call: 400 with a sentence.
pub(crate) struct Refused(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({ "error": format!("{:#}", self.0) });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}

pub(crate) type Done = Result<Json<Value>, Refused>;
pub(crate) type W = Shared<Arc<World>>;

/// The routes below `/tiktok/_control`.
pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/clock", get(clock).post(advance_clock))
        .route("/settings", get(settings).post(change_settings))
        .route("/apps", post(things::put_app))
        .route("/apps/{client_key}", post(things::change_app))
        .route("/users", post(things::put_user))
        .route("/users/{username}", post(things::change_user))
        .route("/videos", get(things::videos).post(things::add_video))
        .route(
            "/videos/{id}",
            post(things::change_video).delete(things::remove_video),
        )
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/holds", get(inspect::holds))
        .route("/holds/release", post(release))
        .route("/grants", post(grant))
        .route("/grants/{id}/expire", post(expire))
        .route("/disconnect", post(disconnect))
        .route("/publishes/{id}/bytes", get(inspect::bytes))
        .route("/publishes/{id}/{step}", post(publish_step))
        .route("/webhooks", get(inspect::webhooks))
        .route("/webhooks/send", post(send))
        .route("/webhooks/raw", post(raw))
        .route("/webhooks/{id}/resend", post(resend))
        .route("/state", get(inspect::state))
        .route("/requests", get(inspect::requests))
        .route("/secrets", get(inspect::secrets))
        .route("/reset", post(reset))
}

async fn clock(Shared(world): W) -> Done {
    Ok(Json(json!({ "now_ms": world.clock.now_ms() })))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Advance {
    advance_seconds: i64,
    advance_ms: i64,
}

async fn advance_clock(Shared(world): W, body: Bytes) -> Done {
    let by: Advance = read(&body)?;
    let by_ms = by.advance_seconds * 1000 + by.advance_ms;
    need(by_ms >= 0, "the clock only goes forward")?;
    world.clock.advance_ms(by_ms);
    clock(Shared(world)).await
}

async fn settings(Shared(world): W) -> Done {
    Ok(Json(serde_json::to_value(&world.state().settings)?))
}

async fn change_settings(Shared(world): W, body: Bytes) -> Done {
    let patch: Value = read(&body)?;
    {
        let mut state = world.state();
        state.settings = state.settings.with(patch)?;
    }
    world.changed.send_modify(|count| *count += 1);
    settings(Shared(world)).await
}

async fn faults(Shared(world): W) -> Done {
    Ok(Json(json!({ "faults": world.state().faults })))
}

async fn add_fault(Shared(world): W, body: Bytes) -> Done {
    let fault: Fault = read(&body)?;
    fault.check()?;
    world.state().faults.push(fault);
    faults(Shared(world)).await
}

async fn clear_faults(Shared(world): W) -> Done {
    world.state().faults.clear();
    faults(Shared(world)).await
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Release {
    seq: Option<u64>,
}

async fn release(Shared(world): W, body: Bytes) -> Done {
    let asked: Release = read(&body)?;
    Ok(Json(json!({ "released": world.release(asked.seq) })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantAsked {
    client_key: String,
    user: String,
    #[serde(default)]
    scopes: Option<Vec<String>>,
}

async fn grant(Shared(world): W, body: Bytes) -> Done {
    let asked: GrantAsked = read(&body)?;
    let now = world.clock.now_ms();
    let mut state = world.state();
    need(state.apps.contains_key(&asked.client_key), "no such app")?;
    need(state.users.contains_key(&asked.user), "no such user")?;
    need(
        state.apps[&asked.client_key].admits(&asked.user),
        "the user is no target user of this sandbox app",
    )?;
    let scopes = asked
        .scopes
        .unwrap_or_else(|| SCOPES.map(str::to_owned).to_vec());
    let body = state.grant_now(&asked.client_key, &asked.user, scopes, now);
    Ok(Json(body.unwrap_or_default()))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Expire {
    access: bool,
    refresh: bool,
}

async fn expire(Shared(world): W, Path(id): Path<u64>, body: Bytes) -> Done {
    let asked: Expire = read(&body)?;
    let now = world.clock.now_ms();
    let mut state = world.state();
    let grant = state.grants.iter_mut().find(|grant| grant.grant_id == id);
    let grant = grant.ok_or_else(|| anyhow::anyhow!("no such grant"))?;
    let lists = [
        (asked.access, &mut grant.access),
        (asked.refresh, &mut grant.refresh),
    ];
    for (_, list) in lists.into_iter().filter(|(asked, _)| *asked) {
        for token in list {
            token.expires_ms = token.expires_ms.min(now);
        }
    }
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disconnect {
    client_key: String,
    user: String,
    /// 0 unknown, 1 by the user, 2 account deleted, 3 age, 4 banned, 5 developer.
    #[serde(default = "by_user")]
    reason: i64,
}

async fn disconnect(Shared(world): W, body: Bytes) -> Done {
    let asked: Disconnect = read(&body)?;
    let any = world
        .state()
        .remove_grants(&asked.client_key, &asked.user, asked.reason);
    need(any, "this user has not connected this app")?;
    let id = world.state().open_id(&asked.client_key, &asked.user);
    webhooks::removed(&world, &asked.client_key, &id, asked.reason);
    Ok(Json(json!({ "open_id": id })))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Step {
    fail_reason: Option<String>,
    public: bool,
    /// A number, or digits in a string.
    #[serde(deserialize_with = "digits")]
    post_id: Option<u64>,
}

/// `pull`, `process`, `moderate`, `post`, `discard`, `make_public` or `withdraw`.
async fn publish_step(
    Shared(world): W,
    Path((id, step)): Path<(String, String)>,
    body: Bytes,
) -> Done {
    let asked: Step = read(&body)?;
    match step.as_str() {
        "process" => processing::finish(&world, &id, asked.fail_reason)?,
        "moderate" => {
            let post_id = processing::moderate(&world, &id)?.to_string();
            return Ok(Json(json!({ "post_id": post_id })));
        }
        "post" => processing::user_posts(&world, &id, asked.public)?,
        "discard" => processing::discard(&world, &id)?,
        "withdraw" => processing::withdraw(&world, &id, asked.post_id)?,
        "make_public" => processing::make_public(&world, &id)?,
        "pull" => pull::begin(&world, &id)?,
        other => return Err(anyhow::anyhow!("no step {other}").into()),
    }
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Send {
    client_key: String,
    event: String,
    /// Whose event; either of the two, or none.
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    open_id: Option<String>,
    /// An object is turned into a JSON string; a string is sent as it is.
    content: Value,
    #[serde(default)]
    create_time: Option<i64>,
    #[serde(default)]
    signature_age_seconds: i64,
    /// Signs with this instead of the app's secret.
    #[serde(default)]
    secret: Option<String>,
    /// How many deliveries of the same body.
    #[serde(default = "one")]
    copies: u32,
}

async fn send(Shared(world): W, body: Bytes) -> Done {
    let asked: Send = read(&body)?;
    let of_user = |user: String| world.state().open_id(&asked.client_key, &user);
    let open_id = asked.open_id.or_else(|| asked.user.map(of_user));
    let content = match &asked.content {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let now = world.clock.now_ms() / 1000;
    let ids: Vec<u64> = (0..asked.copies)
        .map(|_| {
            let choice = Choice {
                create_time: Some(asked.create_time.unwrap_or(now)),
                signature_age_seconds: asked.signature_age_seconds,
                secret: asked.secret.clone(),
                after: None,
            };
            let (key, event) = (&asked.client_key, &asked.event);
            webhooks::send(&world, key, open_id.as_deref(), event, &content, choice)
        })
        .collect();
    Ok(Json(json!({ "ids": ids })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    client_key: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    body_base64: Option<String>,
    #[serde(default)]
    signature_age_seconds: i64,
    #[serde(default)]
    secret: Option<String>,
    /// The whole signature header; empty sends none.
    #[serde(default)]
    signature: Option<String>,
}

/// One try with any bytes, answered with what the receiver said.
async fn raw(Shared(world): W, body: Bytes) -> Done {
    let asked: Raw = read(&body)?;
    let app = world.state().apps.get(&asked.client_key).cloned();
    let app = app.ok_or_else(|| anyhow::anyhow!("no such app"))?;
    let url = app
        .webhook_url
        .ok_or_else(|| anyhow::anyhow!("the app has no webhook_url"))?;
    let bytes = match (asked.body, asked.body_base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(text)) => BASE64.decode(text.as_bytes())?,
        _ => return Err(anyhow::anyhow!("one of body and body_base64 is expected").into()),
    };
    let t = world.clock.now_ms() / 1000 - asked.signature_age_seconds;
    let secret = asked.secret.unwrap_or(app.client_secret);
    let signature = asked
        .signature
        .unwrap_or_else(|| format!("t={t},s={}", text::sign(&secret, t, &bytes)));
    let signature = Some(signature.as_str()).filter(|text| !text.is_empty());
    let mut done = webhooks::post(&world, &url, signature, bytes).await;
    done.t = t;
    Ok(Json(serde_json::to_value(done)?))
}

/// One try of a delivery now: again after success, and while deliveries are paused.
async fn resend(Shared(world): W, Path(id): Path<u64>) -> Done {
    let done = webhooks::attempt(&world, id).await;
    let done = done.ok_or_else(|| anyhow::anyhow!("no such delivery, or no webhook_url"))?;
    Ok(Json(serde_json::to_value(done)?))
}

async fn reset(Shared(world): W) -> Done {
    world.reset();
    Ok(Json(json!({})))
}

pub(crate) fn need(holds: bool, otherwise: &'static str) -> anyhow::Result<()> {
    anyhow::ensure!(holds, otherwise);
    Ok(())
}

/// Reads a body; an empty one is `{}`.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> anyhow::Result<T> {
    let body = if body.is_empty() { b"{}" } else { body };
    Ok(serde_json::from_slice(body)?)
}

fn by_user() -> i64 {
    1
}

fn one() -> u32 {
    1
}

fn digits<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let value = Option::<Value>::deserialize(from)?;
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
        Some(other) => serde_json::from_value(other).map_err(serde::de::Error::custom),
    }
}
