//! Who the person is (tiktok.md §3.1).

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::World;
use super::call::{Call, Endpoint, serve_now};
use super::errors::{self, Refusal, refuse};
use super::input::{self, Params};
use super::people::User;
use super::state::Caller;
use crate::socket::Switch;

/// Life of a picture's address; the papers say only that it expires.
const AVATAR_SECONDS: i64 = 6 * 3_600;

/// What the person's videos add up to.
struct Figures {
    likes: i64,
    videos: i64,
}

/// `GET /v2/user/info/?fields=…`.
pub(crate) async fn info(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes());
    let bearer = input::bearer(request.headers());
    let mut call = api_call(&world, Endpoint::UserInfo, &request, switch);
    if let Some(fields) = params.get("fields") {
        call.fields.insert("fields".to_owned(), json!(fields));
    }
    serve_now(world, call, move |world| {
        let now = world.clock.now_ms();
        let mut state = world.state();
        // Which scope is needed depends on the fields.
        let caller = state.admit(Endpoint::UserInfo, bearer.as_deref(), &[], now)?;
        let fields = fields(&params)?;
        let (_, user) = state.behind(&caller)?;
        let videos = state.public_videos(&caller.user);
        let figures = Figures {
            likes: videos.iter().map(|video| i64::from(video.like_count)).sum(),
            videos: i64::try_from(videos.len()).unwrap_or(i64::MAX),
        };
        let mut shown = Map::new();
        for field in &fields {
            let (scope, value) = read(user, &caller, field, &figures, now)
                .ok_or_else(|| refuse("invalid_params", format!("The field {field} is invalid")))?;
            if !caller.scopes.iter().any(|granted| granted == scope) {
                return Err(refuse(
                    "scope_permission_missed",
                    format!("The field {field} needs the scope {scope}"),
                ));
            }
            shown.insert(field.clone(), value);
        }
        Ok(errors::ok(&json!({ "user": shown })))
    })
    .await
}

/// The names in the `fields` parameter.
pub(crate) fn fields(params: &Params) -> Result<Vec<String>, Refusal> {
    // The display side says `invalid_params`, in the plural (tiktok.md §2).
    params
        .get("fields")
        .filter(|fields| !fields.is_empty())
        .map(|fields| fields.split(',').map(str::to_owned).collect())
        .ok_or_else(|| refuse("invalid_params", "The fields parameter is required"))
}

/// A call with a bearer token, whose owner goes to the log.
pub(crate) fn api_call(
    world: &World,
    endpoint: Endpoint,
    request: &Request,
    switch: Switch,
) -> Call {
    let mut fields = Map::new();
    if let Some(token) = input::bearer(request.headers()) {
        fields = world.state().identify(&token);
        fields.insert("access_token".to_owned(), json!(token));
    }
    Call {
        endpoint,
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        fields,
        switch,
    }
}

/// The scope that a field needs, and its value; `None` for no field.
fn read(
    user: &User,
    caller: &Caller,
    field: &str,
    figures: &Figures,
    now: i64,
) -> Option<(&'static str, Value)> {
    let avatar = |size| json!(user.avatar(size, now, AVATAR_SECONDS));
    let scope = match field {
        "open_id" | "union_id" | "display_name" | "avatar_url" | "avatar_url_100"
        | "avatar_large_url" => "user.info.basic",
        "bio_description" | "profile_deep_link" | "username" | "is_verified" => "user.info.profile",
        _ => "user.info.stats",
    };
    let value = match field {
        "open_id" => json!(caller.open_id),
        // The same at every app of a developer; here all apps are of one.
        "union_id" => json!(super::state::open_id("", &user.username)),
        "display_name" => json!(user.shown()),
        "avatar_url" => avatar(168),
        "avatar_url_100" => avatar(100),
        "avatar_large_url" => avatar(1080),
        "bio_description" => json!(user.bio_description),
        "profile_deep_link" => json!(format!("https://vm.tiktok.com/{}/", user.username)),
        "username" => json!(user.username),
        "is_verified" => json!(user.is_verified),
        "follower_count" => json!(user.follower_count),
        "following_count" => json!(user.following_count),
        "likes_count" => json!(user.likes_count + figures.likes),
        "video_count" => json!(user.video_count + figures.videos),
        _ => return None,
    };
    Some((scope, value))
}
