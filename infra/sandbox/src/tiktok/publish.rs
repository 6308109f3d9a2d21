//! The two video inits: direct post (tiktok.md §4.2) and draft to inbox (§4.3).

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use url::{Host, Url};

use super::call::{Answer, Endpoint, serve_now};
use super::errors::{self, Refusal, refuse};
use super::plan::Plan;
use super::settings::{PendingRelease, Settings};
use super::state::{Caller, State};
use super::{World, input, processing, user};
use crate::socket::Switch;

const DAY_MS: i64 = 24 * 3_600_000;

/// One publish, from its init on.
#[derive(Clone, Debug)]
pub(crate) struct Publish {
    pub(crate) publish_id: String,
    pub(crate) client_key: String,
    pub(crate) user: String,
    pub(crate) open_id: String,
    pub(crate) direct: bool,
    pub(crate) created_ms: i64,
    /// `post_info` as sent; null for drafts.
    pub(crate) post_info: Value,
    pub(crate) source: Source,
    pub(crate) status: Status,
    pub(crate) fail_reason: Option<String>,
    /// A draft that its user threw away.
    pub(crate) discarded: bool,
    /// Public posts not yet through moderation.
    pub(crate) in_moderation: u32,
    pub(crate) posts: Vec<Post>,
}

/// Where the bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// `FILE_UPLOAD`.
    File(Upload),
    /// `PULL_FROM_URL`; the stand-in does not fetch it.
    Url(String),
}

/// An upload under way.
#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) upload_id: String,
    pub(crate) upload_token: String,
    pub(crate) expires_ms: i64,
    pub(crate) plan: Plan,
    pub(crate) received: u64,
    /// State of the hash at the last chunk boundary.
    pub(crate) hash: digest::Context,
    pub(crate) chunks: Vec<Chunk>,
    /// The bytes, where settings ask to keep them.
    pub(crate) kept: Option<Vec<u8>>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload")
            .field("upload_id", &self.upload_id)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl Upload {
    /// Whether every byte came.
    pub(crate) fn is_complete(&self) -> bool {
        self.received == self.plan.video_size
    }
}

/// One accepted chunk.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Chunk {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) at_ms: i64,
}

/// One post that came of a publish; a draft may be posted more than once.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Post {
    pub(crate) post_id: u64,
    pub(crate) available: bool,
}

/// The documented states (tiktok.md §4.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    ProcessingUpload,
    ProcessingDownload,
    SendToUserInbox,
    PublishComplete,
    Failed,
}

impl Publish {
    /// `DIRECT_PUBLISH` or `INBOX_SHARE`, as webhooks say it.
    pub(crate) fn publish_type(&self) -> &'static str {
        if self.direct {
            "DIRECT_PUBLISH"
        } else {
            "INBOX_SHARE"
        }
    }

    /// Whether the platform still works on it.
    pub(crate) fn is_processing(&self) -> bool {
        matches!(
            self.status,
            Status::ProcessingUpload | Status::ProcessingDownload
        )
    }

    fn is_pending(&self, release: PendingRelease) -> bool {
        match release {
            PendingRelease::Never => true,
            PendingRelease::Delivery => self.is_processing(),
            PendingRelease::Post => {
                !self.discarded && (self.is_processing() || self.status == Status::SendToUserInbox)
            }
        }
    }
}

/// `POST /v2/post/publish/video/init/`.
pub(crate) async fn direct(
    world: Shared<Arc<World>>,
    switch: ConnectInfo<Switch>,
    request: Request,
) -> Response {
    init(world, switch, request, Endpoint::Init).await
}

/// `POST /v2/post/publish/inbox/video/init/`.
pub(crate) async fn inbox(
    world: Shared<Arc<World>>,
    switch: ConnectInfo<Switch>,
    request: Request,
) -> Response {
    init(world, switch, request, Endpoint::InboxInit).await
}

async fn init(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
    endpoint: Endpoint,
) -> Response {
    let call = user::api_call(&world, endpoint, &request, switch);
    let (parts, body) = request.into_parts();
    let body = input::body(body).await;
    serve_now(world, call, move |world| {
        let now = world.clock.now_ms();
        let is_direct = endpoint == Endpoint::Init;
        let bearer = input::bearer(&parts.headers);
        let mut state = world.state();
        let caller = state.caller(bearer.as_deref(), now)?;
        caller.needs(&[if is_direct {
            "video.publish"
        } else {
            "video.upload"
        }])?;
        let limit = state.settings.inits_per_minute;
        state.limit(endpoint, &caller.token, limit, now)?;
        let param_error = state.settings.posting_param_error.clone();
        let body = input::json(&parts.headers, &body, &param_error)?;
        let post_info = if is_direct {
            post_info(&state, &caller, &body, now)?
        } else {
            pending_shares(&state, &caller, now)?;
            Value::Null
        };
        let (answer, publish) = begin(&mut state, world, &caller, &body, post_info, now)?;
        let pulled = matches!(publish.source, Source::Url(_)).then(|| publish.publish_id.clone());
        state.publishes.insert(publish.publish_id.clone(), publish);
        drop(state);
        if let Some(id) = pulled {
            processing::start(world, &id);
        }
        Ok(answer)
    })
    .await
}

/// Checks `post_info`, then what the app and the creator may do (tiktok.md §4.2, §4.5, §4.10).
fn post_info(state: &State, caller: &Caller, body: &Value, now: i64) -> Result<Value, Refusal> {
    let param = |text: &str| Err(refuse(&state.settings.posting_param_error, text));
    let Some(info) = body.get("post_info").filter(|info| info.is_object()) else {
        return param("post_info is missing");
    };
    match info.get("title") {
        None | Some(Value::Null) => {}
        Some(Value::String(title)) if title.encode_utf16().count() <= 2200 => {}
        Some(_) => return param("The title is not text of at most 2200 UTF-16 code units"),
    }
    for key in [
        "disable_duet",
        "disable_stitch",
        "disable_comment",
        "brand_content_toggle",
        "brand_organic_toggle",
        "is_aigc",
    ] {
        if !matches!(info.get(key), None | Some(Value::Null | Value::Bool(_))) {
            return param(&format!("{key} is not a boolean"));
        }
    }
    let app = state.apps.get(&caller.client_key);
    let user = state.users.get(&caller.user);
    let (Some(app), Some(user)) = (app, user) else {
        return Err(refuse("access_token_invalid", "The app or account is gone"));
    };
    // A missing privacy level is answered like a wrong one (tiktok.md, addenda).
    let privacy = info.get("privacy_level").and_then(Value::as_str);
    if !privacy.is_some_and(|level| user.privacy_options().contains(&level)) {
        return Err(refuse(
            "privacy_level_option_mismatch",
            "The privacy level is not one of the creator's options",
        ));
    }
    let today = |other: &&Publish| {
        other.direct && now - other.created_ms < DAY_MS && other.status != Status::Failed
    };
    if app.is_limited() {
        if !(user.private && privacy == Some("SELF_ONLY")) {
            return Err(refuse(
                "unaudited_client_can_only_post_to_private_accounts",
                "Unaudited clients can only post, for the account alone, to private accounts",
            ));
        }
        let mut users: Vec<&str> = state
            .publishes
            .values()
            .filter(today)
            .filter(|other| other.client_key == caller.client_key && other.user != caller.user)
            .map(|other| other.user.as_str())
            .collect();
        users.sort_unstable();
        users.dedup();
        if users.len() >= state.settings.unaudited_users_per_day {
            return Err(refuse(
                "reached_active_user_cap",
                "The daily quota of active publishing users is reached",
            ));
        }
    }
    let posts = state.publishes.values().filter(today);
    let posts = posts.filter(|other| other.user == caller.user).count();
    if posts >= state.settings.direct_posts_per_day {
        return Err(refuse(
            "spam_risk_too_many_posts",
            "The daily post cap from the API is reached for this user",
        ));
    }
    Ok(info.clone())
}

/// At most five drafts wait for their user in 24 hours (tiktok.md §4.5).
fn pending_shares(state: &State, caller: &Caller, now: i64) -> Result<(), Refusal> {
    let release = state.settings.pending_released_by;
    let pending = state
        .publishes
        .values()
        .filter(|other| {
            !other.direct
                && other.client_key == caller.client_key
                && other.user == caller.user
                && now - other.created_ms < DAY_MS
                && other.is_pending(release)
        })
        .count();
    if pending < state.settings.pending_shares_max {
        return Ok(());
    }
    Err(refuse(
        "spam_risk_too_many_pending_share",
        "There may be at most 5 pending shares within any 24-hour period",
    ))
}

fn begin(
    state: &mut State,
    world: &World,
    caller: &Caller,
    body: &Value,
    post_info: Value,
    now: i64,
) -> Result<(Answer, Publish), Refusal> {
    let direct = !post_info.is_null();
    let source = source(state, world, caller, body, now)?;
    let (mode, version) = if direct {
        ("v_pub", "v2-1")
    } else {
        ("v_inbox", "v2")
    };
    let (how, status) = match source.0 {
        Source::File(_) => ("file", Status::ProcessingUpload),
        Source::Url(_) => ("url", Status::ProcessingDownload),
    };
    let number = 7_000_000_000_000_000_000 + state.next();
    let publish_id = format!("{mode}_{how}~{version}.{number}");
    let mut data = json!({ "publish_id": publish_id });
    if let Some(url) = source.1 {
        data["upload_url"] = json!(url);
    }
    let answer = errors::ok(&data).note("publish_id", publish_id.clone());
    let publish = Publish {
        publish_id,
        client_key: caller.client_key.clone(),
        user: caller.user.clone(),
        open_id: caller.open_id.clone(),
        direct,
        created_ms: now,
        post_info,
        source: source.0,
        status,
        fail_reason: None,
        discarded: false,
        in_moderation: 0,
        posts: Vec::new(),
    };
    Ok((answer, publish))
}

/// The source, and the upload URL for a file.
fn source(
    state: &mut State,
    world: &World,
    caller: &Caller,
    body: &Value,
    now: i64,
) -> Result<(Source, Option<String>), Refusal> {
    let code = state.settings.posting_param_error.clone();
    let param = |text: &str| refuse(&code, text);
    let info = body
        .get("source_info")
        .filter(|info| info.is_object())
        .ok_or_else(|| param("source_info is missing"))?;
    match info.get("source").and_then(Value::as_str) {
        Some("FILE_UPLOAD") => {
            let number = |key: &str| {
                let value = info.get(key).and_then(Value::as_u64);
                value.ok_or_else(|| param(&format!("{key} is not a positive number")))
            };
            let plan = Plan {
                video_size: number("video_size")?,
                chunk_size: number("chunk_size")?,
                total_chunk_count: number("total_chunk_count")?,
            };
            let plan = plan.check(state.settings.megabyte).map_err(param)?;
            let upload_id = (7_100_000_000_000_000_000 + state.next()).to_string();
            let upload = new_upload(&state.settings, upload_id, plan, now);
            let base = match &state.settings.upload_host {
                Some(host) => format!("https://{host}"),
                None => format!("{}/upload", world.base_url),
            };
            let url = format!(
                "{base}/video/?upload_id={}&upload_token={}",
                upload.upload_id, upload.upload_token
            );
            Ok((Source::File(upload), Some(url)))
        }
        Some("PULL_FROM_URL") => {
            let text = info.get("video_url").and_then(Value::as_str);
            let text = text.ok_or_else(|| param("video_url is missing"))?;
            let url = Url::parse(text).map_err(|_| param("video_url is no URL"))?;
            if url.scheme() != "https" || !matches!(url.host(), Some(Host::Domain(_))) {
                return Err(param("video_url is not https on a named host"));
            }
            let app = state.apps.get(&caller.client_key);
            let verified = app.is_some_and(|app| {
                let mut prefixes = app.verified_url_prefixes.iter();
                prefixes.any(|prefix| text.starts_with(prefix.as_str()))
            });
            if !verified {
                return Err(refuse(
                    "url_ownership_unverified",
                    "The ownership of the URL is not verified for this app",
                ));
            }
            Ok((Source::Url(text.to_owned()), None))
        }
        _ => Err(param("source is FILE_UPLOAD or PULL_FROM_URL")),
    }
}

fn new_upload(settings: &Settings, upload_id: String, plan: Plan, now: i64) -> Upload {
    Upload {
        upload_id,
        upload_token: super::text::random(48),
        expires_ms: now + settings.upload_url_seconds * 1000,
        plan,
        received: 0,
        hash: digest::Context::new(&digest::SHA256),
        chunks: Vec::new(),
        kept: (plan.video_size <= settings.keep_bytes_max).then(Vec::new),
    }
}
