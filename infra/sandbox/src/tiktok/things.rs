//! `_control`: apps, people and their videos.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State as Shared};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::app::App;
use super::control::{Done, W, need, read};
use super::people::User;
use super::videos::Video;

/// Registers or replaces an app.
pub(crate) async fn put_app(Shared(world): W, body: Bytes) -> Done {
    let app: App = read(&body)?;
    app.check()?;
    world.state().apps.insert(app.client_key.clone(), app);
    Ok(Json(json!({})))
}

/// Changes named keys of an app.
pub(crate) async fn change_app(Shared(world): W, Path(key): Path<String>, body: Bytes) -> Done {
    let mut state = world.state();
    let app = state.apps.get(&key);
    let app = with(app.ok_or_else(|| anyhow::anyhow!("no such app"))?, &body)?;
    need(app.client_key == key, "the client_key stays")?;
    app.check()?;
    let shown = serde_json::to_value(&app)?;
    state.apps.insert(key, app);
    Ok(Json(shown))
}

/// Adds or replaces a person.
pub(crate) async fn put_user(Shared(world): W, body: Bytes) -> Done {
    let user: User = read(&body)?;
    need(!user.username.is_empty(), "username is empty")?;
    world.state().users.insert(user.username.clone(), user);
    Ok(Json(json!({})))
}

/// Changes named keys of a person.
pub(crate) async fn change_user(Shared(world): W, Path(name): Path<String>, body: Bytes) -> Done {
    let mut state = world.state();
    let user = state.users.get(&name);
    let user = with(user.ok_or_else(|| anyhow::anyhow!("no such user"))?, &body)?;
    need(user.username == name, "the username stays")?;
    let shown = serde_json::to_value(&user)?;
    state.users.insert(name, user);
    Ok(Json(shown))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Whose {
    user: Option<String>,
}

/// Every video, hidden ones too, or one person's; oldest first.
pub(crate) async fn videos(Shared(world): W, Query(whose): Query<Whose>) -> Done {
    let state = world.state();
    let mut list: Vec<&Video> = state
        .videos
        .values()
        .filter(|video| whose.user.as_ref().is_none_or(|user| *user == video.user))
        .collect();
    list.sort_by_key(|video| video.created_ms);
    Ok(Json(json!({ "videos": list })))
}

/// Adds a video.
pub(crate) async fn add_video(Shared(world): W, body: Bytes) -> Done {
    let video: Video = read(&body)?;
    let id = world.state().add_video(video, world.clock.now_ms())?;
    Ok(Json(json!({ "id": id.to_string() })))
}

/// Changes named keys of a video.
pub(crate) async fn change_video(Shared(world): W, Path(id): Path<u64>, body: Bytes) -> Done {
    let mut state = world.state();
    let old = state.videos.get(&id).cloned();
    let old = old.ok_or_else(|| anyhow::anyhow!("no such video"))?;
    let mut video: Video = with(&old, &body)?;
    need(
        (&video.id, &video.user) == (&old.id, &old.user),
        "id and user stay",
    )?;
    video.created_ms = if video.create_time == old.create_time {
        old.created_ms
    } else {
        video.create_time * 1000
    };
    let shown = serde_json::to_value(&video)?;
    state.keep_video(id, video);
    Ok(Json(shown))
}

/// Deletes a video.
pub(crate) async fn remove_video(Shared(world): W, Path(id): Path<u64>) -> Done {
    let gone = world.state().videos.remove(&id);
    need(gone.is_some(), "no such video")?;
    Ok(Json(json!({})))
}

/// `old` with the keys of a JSON object replaced; an unknown key is an error.
fn with<T: DeserializeOwned + Serialize>(old: &T, body: &[u8]) -> anyhow::Result<T> {
    let patch: Value = read(body)?;
    let mut all = serde_json::to_value(old)?;
    match (all.as_object_mut(), patch) {
        (Some(all), Value::Object(patch)) => all.extend(patch),
        _ => anyhow::bail!("an object is expected"),
    }
    Ok(serde_json::from_value(all)?)
}
