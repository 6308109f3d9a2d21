//! What happens to a publish after its bytes are in: processing, moderation, the user's own steps.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::World;
use super::publish::{Post, Publish, Source, Status};
use super::settings::Pace;
use super::state::State;
use super::{status, webhooks};

/// Begins processing; it ends after its delay, or when a control call says so.
pub(crate) fn start(world: &Arc<World>, id: &str) {
    let (pace, delay) = {
        let settings = &world.state().settings;
        (settings.processing, settings.processing_ms)
    };
    if pace == Pace::Auto {
        later(world, id, delay, |world, id| {
            // A control call may have ended it first.
            let _ = finish(world, id, None);
        });
    }
}

/// Ends processing: with a failure if one is given or queued, else with success.
pub(crate) fn finish(
    world: &Arc<World>,
    id: &str,
    fail_reason: Option<String>,
) -> anyhow::Result<()> {
    let event = {
        let mut guard = world.state();
        let State {
            publishes,
            settings,
            grants,
            ..
        } = &mut *guard;
        let publish = publishes.get_mut(id).context("no such publish")?;
        ensure!(publish.is_processing(), "it is not being processed");
        let complete = match &publish.source {
            Source::File(upload) => upload.is_complete(),
            Source::Url(_) => true,
        };
        ensure!(
            complete || fail_reason.is_some(),
            "its bytes are not all in: only a failure can end it"
        );
        let connected = grants.iter().any(|grant| {
            grant.open_id == publish.open_id
                && grant.client_key == publish.client_key
                && grant.removed_reason.is_none()
        });
        let reason = if !connected {
            Some("auth_removed".to_owned())
        } else if fail_reason.is_some() {
            fail_reason
        } else if settings.fail_next.is_empty() {
            None
        } else {
            Some(settings.fail_next.remove(0)).filter(|reason| !reason.is_empty())
        };
        end(publish, reason)
    };
    report(world, id, event);
    moderate_soon(world, id);
    Ok(())
}

/// Lets one public post through moderation: it gets its id.
pub(crate) fn moderate(world: &Arc<World>, id: &str) -> anyhow::Result<u64> {
    let post_id = {
        let mut state = world.state();
        let post_id = 7_600_000_000_000_000_000 + state.next();
        let publish = state.publishes.get_mut(id).context("no such publish")?;
        ensure!(publish.in_moderation > 0, "nothing of it is in moderation");
        publish.in_moderation -= 1;
        publish.posts.push(Post {
            post_id,
            available: true,
        });
        post_id
    };
    report_post(world, id, "post.publish.publicly_available", post_id);
    Ok(post_id)
}

/// The user posts a draft from the app's inbox; may happen more than once.
pub(crate) fn user_posts(world: &Arc<World>, id: &str, public: bool) -> anyhow::Result<()> {
    {
        let mut state = world.state();
        let publish = state.publishes.get_mut(id).context("no such publish")?;
        ensure!(
            !publish.direct
                && !publish.discarded
                && matches!(
                    publish.status,
                    Status::SendToUserInbox | Status::PublishComplete
                ),
            "it is not a draft in the inbox"
        );
        publish.status = Status::PublishComplete;
        publish.in_moderation += u32::from(public);
    }
    report(world, id, "post.publish.complete");
    moderate_soon(world, id);
    Ok(())
}

/// The user throws a draft away.
pub(crate) fn discard(world: &World, id: &str) -> anyhow::Result<()> {
    let mut state = world.state();
    let publish = state.publishes.get_mut(id).context("no such publish")?;
    ensure!(
        publish.status == Status::SendToUserInbox,
        "it is not a draft in the inbox"
    );
    publish.discarded = true;
    Ok(())
}

/// A public post stops being public.
pub(crate) fn withdraw(world: &Arc<World>, id: &str) -> anyhow::Result<()> {
    let post_id = {
        let mut state = world.state();
        let publish = state.publishes.get_mut(id).context("no such publish")?;
        let post = publish.posts.iter_mut().find(|post| post.available);
        let post = post.context("no post of it is public")?;
        post.available = false;
        post.post_id
    };
    // TikTok spells it so (tiktok.md §5.2).
    let event = "post.publish.no_longer_publicaly_available";
    report_post(world, id, event, post_id);
    Ok(())
}

fn end(publish: &mut Publish, reason: Option<String>) -> &'static str {
    if reason.is_some() {
        publish.status = Status::Failed;
        publish.fail_reason = reason;
        return "post.publish.failed";
    }
    if !publish.direct {
        publish.status = Status::SendToUserInbox;
        return "post.publish.inbox_delivered";
    }
    publish.status = Status::PublishComplete;
    let privacy = publish.post_info.get("privacy_level");
    if privacy.and_then(Value::as_str) == Some("PUBLIC_TO_EVERYONE") {
        publish.in_moderation += 1;
    }
    "post.publish.complete"
}

fn moderate_soon(world: &Arc<World>, id: &str) {
    let delay = {
        let state = world.state();
        let waiting = state
            .publishes
            .get(id)
            .is_some_and(|publish| publish.in_moderation > 0);
        (waiting && state.settings.moderation == Pace::Auto).then_some(state.settings.moderation_ms)
    };
    if let Some(delay) = delay {
        later(world, id, delay, |world, id| {
            let _ = moderate(world, id);
        });
    }
}

fn later(
    world: &Arc<World>,
    id: &str,
    delay_ms: i64,
    then: impl FnOnce(&Arc<World>, &str) + Send + 'static,
) {
    let due = world.clock.now_ms() + delay_ms;
    let (world, id) = (Arc::clone(world), id.to_owned());
    let task = {
        let world = Arc::clone(&world);
        async move {
            world.clock.sleep_until(due).await;
            then(&world, &id);
        }
    };
    world.spawn(task);
}

fn report(world: &Arc<World>, id: &str, event: &str) {
    let Some(publish) = world.state().publishes.get(id).cloned() else {
        return;
    };
    let mut content = json!({
        "publish_id": publish.publish_id,
        "publish_type": publish.publish_type(),
    });
    if let Some(reason) = &publish.fail_reason {
        let key = world.state().settings.webhook_fail_key.clone();
        content[key] = json!(reason);
    }
    webhooks::emit(
        world,
        &publish.client_key,
        &publish.open_id,
        event,
        &content,
    );
}

fn report_post(world: &Arc<World>, id: &str, event: &str, post_id: u64) {
    let Some(publish) = world.state().publishes.get(id).cloned() else {
        return;
    };
    let kind = world.state().settings.webhook_post_id;
    let content = json!({
        "publish_id": publish.publish_id,
        "publish_type": publish.publish_type(),
        "post_id": status::id(post_id, kind),
    });
    webhooks::emit(
        world,
        &publish.client_key,
        &publish.open_id,
        event,
        &content,
    );
}
