//! The inits: direct video (tiktok.md §4.2), draft video (§4.3), photos in both modes (§4.4).
//!
//! Order of refusals: token, scope, calls per minute, the form of the request, then the rules of
//! [`super::rules`].

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Answer, Endpoint, serve_now};
use super::errors::{self, Refusal, refuse};
use super::post_info::{self, Form};
use super::publish::{Publish, Source, Status};
use super::source::Asked;
use super::state::{Caller, State};
use super::{World, input, pull, rules, user};
use crate::socket::Switch;

/// A request whose form is right.
struct Wanted {
    direct: bool,
    photo: bool,
    post_info: Value,
    source: Asked,
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

/// `POST /v2/post/publish/content/init/`.
pub(crate) async fn photos(
    world: Shared<Arc<World>>,
    switch: ConnectInfo<Switch>,
    request: Request,
) -> Response {
    init(world, switch, request, Endpoint::PhotoInit).await
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
        let mut state = world.state();
        let scopes: &[&str] = match endpoint {
            Endpoint::Init => &["video.publish"],
            Endpoint::InboxInit => &["video.upload"],
            // The mode decides, below.
            _ => &["video.publish", "video.upload"],
        };
        let bearer = input::bearer(&parts.headers);
        let caller = state.admit(endpoint, bearer.as_deref(), scopes, now)?;
        let body = input::json(&parts.headers, &body, &state.settings.posting_param_error)?;
        let wanted = read(&state, &caller, &body, endpoint)?;
        allowed(&state, &caller, &wanted, now)?;
        let (answer, publish) = begin(&mut state, world, &caller, wanted, now);
        let id = publish.publish_id.clone();
        let pulled = matches!(publish.source, Source::Pull(_));
        state.publishes.insert(id.clone(), publish);
        drop(state);
        if pulled {
            pull::start(world, &id);
        }
        Ok(answer)
    })
    .await
}

/// The form of the request; for photos also the scope, which their mode decides.
fn read(
    state: &State,
    caller: &Caller,
    body: &Value,
    endpoint: Endpoint,
) -> Result<Wanted, Refusal> {
    let settings = &state.settings;
    let param = |text: &str| Err(refuse(&settings.posting_param_error, text));
    if endpoint != Endpoint::PhotoInit {
        let direct = endpoint == Endpoint::Init;
        return Ok(Wanted {
            direct,
            photo: false,
            // A video draft's caption and privacy cannot be set.
            post_info: if direct {
                post_info::check(body, Form::Video, settings)?
            } else {
                Value::Null
            },
            source: Asked::video(body, settings)?,
        });
    }
    let word = |key: &str| body.get(key).and_then(Value::as_str);
    if word("media_type") != Some("PHOTO") {
        return param("media_type is PHOTO");
    }
    let (direct, scope, form) = match word("post_mode") {
        Some("DIRECT_POST") => (true, "video.publish", Form::Photo),
        Some("MEDIA_UPLOAD") => (false, "video.upload", Form::PhotoDraft),
        _ => return param("post_mode is DIRECT_POST or MEDIA_UPLOAD"),
    };
    caller.needs(&[scope])?;
    Ok(Wanted {
        direct,
        photo: true,
        post_info: post_info::check(body, form, settings)?,
        source: Asked::photos(body, settings)?,
    })
}

fn allowed(state: &State, caller: &Caller, wanted: &Wanted, now: i64) -> Result<(), Refusal> {
    if wanted.direct {
        rules::may_post(state, caller, now)?;
        rules::privacy(state, caller, &wanted.post_info)?;
    } else {
        if wanted.photo && state.behind(caller)?.1.old_app {
            return Err(refuse(
                "app_version_check_failed",
                "The user's TikTok app is older than 31.8",
            ));
        }
        rules::banned(state, caller)?;
        rules::pending_shares(state, caller, now)?;
    }
    rules::owned(
        state,
        caller,
        wanted.source.urls().iter().map(String::as_str),
    )
}

fn begin(
    state: &mut State,
    world: &World,
    caller: &Caller,
    wanted: Wanted,
    now: i64,
) -> (Answer, Publish) {
    let number = state.next();
    let source = wanted.source.begin(&state.settings, number, now);
    let (how, status) = match &source {
        Source::File(_) => ("file", Status::ProcessingUpload),
        Source::Pull(_) => ("url", Status::ProcessingDownload),
    };
    let prefix = match (wanted.photo, wanted.direct) {
        (true, _) => format!("p_pub_{how}~v2"),
        (false, true) => format!("v_pub_{how}~v2-1"),
        (false, false) => format!("v_inbox_{how}~v2"),
    };
    let publish_id = format!("{prefix}.{}", 7_000_000_000_000_000_000 + state.next());
    let mut data = json!({ "publish_id": publish_id });
    if let Source::File(upload) = &source {
        let base = match &state.settings.upload_host {
            Some(host) => format!("https://{host}"),
            None => format!("{}/upload", world.base_url),
        };
        data["upload_url"] = json!(format!(
            "{base}/video/?upload_id={}&upload_token={}",
            upload.upload_id, upload.upload_token
        ));
    }
    let answer = errors::ok(&data).note("publish_id", publish_id.clone());
    let publish = Publish {
        publish_id,
        client_key: caller.client_key.clone(),
        user: caller.user.clone(),
        open_id: caller.open_id.clone(),
        direct: wanted.direct,
        photo: wanted.photo,
        created_ms: now,
        post_info: wanted.post_info,
        source,
        status,
        fail_reason: None,
        discarded: false,
        in_moderation: 0,
        complete_owed: 0,
        told_complete: None,
        polls: 0,
        posts: Vec::new(),
    };
    (answer, publish)
}
