//! How a creator may post (tiktok.md §4.1).

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use serde_json::json;

use super::call::{Endpoint, serve_now};
use super::{World, errors, input, rules, user};
use crate::socket::Switch;

/// Life of the picture's address.
const AVATAR_SECONDS: i64 = 2 * 3_600;

/// `POST /v2/post/publish/creator_info/query/`. What keeps the creator from posting is told here
/// with HTTP 200.
pub(crate) async fn info(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let bearer = input::bearer(request.headers());
    let call = user::api_call(&world, Endpoint::CreatorInfo, &request, switch);
    serve_now(world, call, move |world| {
        let now = world.clock.now_ms();
        let mut state = world.state();
        let scopes = ["video.publish"];
        let caller = state.admit(Endpoint::CreatorInfo, bearer.as_deref(), &scopes, now)?;
        rules::may_post(&state, &caller, now)?;
        let (_, user) = state.behind(&caller)?;
        Ok(errors::ok(&json!({
            "creator_avatar_url": user.avatar(168, now, AVATAR_SECONDS),
            "creator_username": user.username,
            "creator_nickname": user.shown(),
            "privacy_level_options": user.privacy_options(),
            "comment_disabled": user.comment_disabled,
            "duet_disabled": user.duet_disabled,
            "stitch_disabled": user.stitch_disabled,
            "max_video_post_duration_sec": user.longest_seconds(),
        })))
    })
    .await
}
