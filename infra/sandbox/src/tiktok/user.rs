//! Who the person is (tiktok.md §3.1) and how they may post (§4.1).

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::World;
use super::call::{Call, Endpoint, serve_now};
use super::config::User;
use super::errors::{self, refuse};
use super::input::{self, Params};
use super::state::Caller;
use crate::socket::Switch;

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
        let caller = state.caller(bearer.as_deref(), now)?;
        let limit = state.settings.user_info_per_minute;
        state.limit(Endpoint::UserInfo, &caller.token, limit, now)?;
        // The display side says `invalid_params`, in the plural (tiktok.md §2).
        let fields = params
            .get("fields")
            .filter(|fields| !fields.is_empty())
            .ok_or_else(|| refuse("invalid_params", "The fields parameter is required"))?;
        let user = state
            .users
            .get(&caller.user)
            .ok_or_else(|| refuse("access_token_invalid", "The account is gone"))?;
        let mut shown = Map::new();
        for field in fields.split(',') {
            let (scope, value) = read(user, &caller, field)
                .ok_or_else(|| refuse("invalid_params", format!("The field {field} is invalid")))?;
            if !caller.scopes.iter().any(|granted| granted == scope) {
                return Err(refuse(
                    "scope_permission_missed",
                    format!("The field {field} needs the scope {scope}"),
                ));
            }
            shown.insert(field.to_owned(), value);
        }
        Ok(errors::ok(&json!({ "user": shown })))
    })
    .await
}

/// `POST /v2/post/publish/creator_info/query/`.
pub(crate) async fn creator_info(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let bearer = input::bearer(request.headers());
    let call = api_call(&world, Endpoint::CreatorInfo, &request, switch);
    serve_now(world, call, move |world| {
        let now = world.clock.now_ms();
        let mut state = world.state();
        let caller = state.caller(bearer.as_deref(), now)?;
        caller.needs(&["video.publish"])?;
        let limit = state.settings.creator_info_per_minute;
        state.limit(Endpoint::CreatorInfo, &caller.token, limit, now)?;
        let user = state
            .users
            .get(&caller.user)
            .ok_or_else(|| refuse("access_token_invalid", "The account is gone"))?;
        let longest = match user.max_video_post_duration_sec {
            0 => 600,
            seconds => seconds,
        };
        Ok(errors::ok(&json!({
            "creator_avatar_url": avatar(user, 168),
            "creator_username": user.username,
            "creator_nickname": user.shown(),
            "privacy_level_options": user.privacy_options(),
            "comment_disabled": user.comment_disabled,
            "duet_disabled": user.duet_disabled,
            "stitch_disabled": user.stitch_disabled,
            "max_video_post_duration_sec": longest,
        })))
    })
    .await
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
fn read(user: &User, caller: &Caller, field: &str) -> Option<(&'static str, Value)> {
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
        "avatar_url" => json!(avatar(user, 168)),
        "avatar_url_100" => json!(avatar(user, 100)),
        "avatar_large_url" => json!(avatar(user, 1080)),
        "bio_description" => json!(user.bio_description),
        "profile_deep_link" => json!(format!("https://vm.tiktok.com/{}/", user.username)),
        "username" => json!(user.username),
        "is_verified" => json!(user.is_verified),
        "follower_count" => json!(user.follower_count),
        "following_count" => json!(user.following_count),
        "likes_count" => json!(user.likes_count),
        "video_count" => json!(user.video_count),
        _ => return None,
    };
    Some((scope, value))
}

fn avatar(user: &User, size: u32) -> String {
    format!(
        "https://p16-sign.tiktokcdn.example/{}~{size}.webp?x-expires=1767225600&x-signature=invented",
        user.username
    )
}
