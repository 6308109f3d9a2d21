//! `video/list` and `video/query` (tiktok.md §3.2, §3.3): public videos, newest first.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::call::{Endpoint, serve_now};
use super::errors::{self, Refusal, refuse};
use super::input::{self, Params};
use super::videos::Video;
use super::{World, user};
use crate::socket::Switch;

/// Most videos of one answer, and most ids of one question.
const MOST: u64 = 20;

/// `POST /v2/video/list/?fields=…`.
pub(crate) async fn list(
    world: Shared<Arc<World>>,
    switch: ConnectInfo<Switch>,
    request: Request,
) -> Response {
    answer(world, switch, request, Endpoint::VideoList).await
}

/// `POST /v2/video/query/?fields=…`.
pub(crate) async fn query(
    world: Shared<Arc<World>>,
    switch: ConnectInfo<Switch>,
    request: Request,
) -> Response {
    answer(world, switch, request, Endpoint::VideoQuery).await
}

async fn answer(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
    endpoint: Endpoint,
) -> Response {
    // `fields` is a query parameter even for these POSTs (tiktok.md §3.4).
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes());
    let mut call = user::api_call(&world, endpoint, &request, switch);
    if let Some(fields) = params.get("fields") {
        call.fields.insert("fields".to_owned(), json!(fields));
    }
    let (parts, body) = request.into_parts();
    let body = input::body(body).await;
    if let Ok(Value::Object(body)) = serde_json::from_slice(&body) {
        for key in ["cursor", "max_count", "filters"] {
            let value = body.get(key).cloned();
            call.fields
                .extend(value.map(|value| (key.to_owned(), value)));
        }
    }
    serve_now(world, call, move |world| {
        let now = world.clock.now_ms();
        let mut state = world.state();
        let bearer = input::bearer(&parts.headers);
        let caller = state.admit(endpoint, bearer.as_deref(), &["video.list"], now)?;
        let fields = user::fields(&params)?;
        // Every key of a list is optional, so nothing may be sent at all.
        let body = if body.is_empty() && endpoint == Endpoint::VideoList {
            json!({})
        } else {
            input::json(&parts.headers, &body, "invalid_params")?
        };
        let mine = state.public_videos(&caller.user);
        let data = if endpoint == Endpoint::VideoList {
            let (count, before) = page(&body)?;
            let mut rest = mine.into_iter();
            let mut rest = rest
                .by_ref()
                .filter(|video| before.is_none_or(|before| video.created_ms < before));
            let page: Vec<&Video> = rest.by_ref().take(count).collect();
            let cursor = page.last().map(|video| video.created_ms);
            json!({
                "videos": show(&page, &fields, now)?,
                "cursor": cursor.or(before).unwrap_or(0),
                "has_more": rest.next().is_some(),
            })
        } else {
            let ids = ids(&body)?;
            let found: Vec<&Video> = mine
                .into_iter()
                .filter(|video| ids.contains(&video.id))
                .collect();
            json!({ "videos": show(&found, &fields, now)? })
        };
        Ok(errors::ok(&data))
    })
    .await
}

/// `max_count` and `cursor`.
fn page(body: &Value) -> Result<(usize, Option<i64>), Refusal> {
    let count = match body.get("max_count") {
        None | Some(Value::Null) => 10,
        Some(count) => count
            .as_u64()
            .filter(|count| (1..=MOST).contains(count))
            .ok_or_else(|| refuse("invalid_params", "max_count is between 1 and 20"))?,
    };
    let before = match body.get("cursor") {
        None | Some(Value::Null) => None,
        Some(cursor) => Some(
            cursor
                .as_i64()
                .filter(|cursor| *cursor >= 0)
                .ok_or_else(|| refuse("invalid_params", "cursor is UTC milliseconds"))?,
        ),
    };
    Ok((usize::try_from(count).unwrap_or(10), before))
}

/// `filters.video_ids`.
fn ids(body: &Value) -> Result<Vec<String>, Refusal> {
    let invalid = || {
        refuse(
            "invalid_params",
            "filters.video_ids is a list of 1 to 20 ids",
        )
    };
    let list = body["filters"]["video_ids"]
        .as_array()
        .ok_or_else(invalid)?;
    if !(1..=MOST).contains(&(list.len() as u64)) {
        return Err(invalid());
    }
    let text = |id: &Value| id.as_str().map(str::to_owned).ok_or_else(invalid);
    list.iter().map(text).collect()
}

fn show(videos: &[&Video], fields: &[String], now: i64) -> Result<Vec<Value>, Refusal> {
    // Also where there is no video to show, an unknown field is an error.
    let none = Video::default();
    for field in fields {
        none.field(field, now)
            .ok_or_else(|| refuse("invalid_params", format!("The field {field} is invalid")))?;
    }
    let one = |video: &&Video| {
        let shown = fields
            .iter()
            .filter_map(|field| Some((field.clone(), video.field(field, now)?)));
        Value::Object(shown.collect::<Map<_, _>>())
    };
    Ok(videos.iter().map(one).collect())
}
