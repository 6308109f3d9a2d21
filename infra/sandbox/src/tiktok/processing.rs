//! What happens to a publish after its bytes are in: processing, moderation, the user's own steps.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::app::App;
use super::choices::{Pace, WebhookOrder};
use super::publish::{Post, Publish, Status};
use super::state::State;
use super::{World, status, videos, webhooks};

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

/// Ends processing: with a failure if one is given, found or queued, else with success.
pub(crate) fn finish(
    world: &Arc<World>,
    id: &str,
    fail_reason: Option<String>,
) -> anyhow::Result<()> {
    {
        let mut guard = world.state();
        let State {
            publishes,
            settings,
            grants,
            users,
            pulls,
            ..
        } = &mut *guard;
        let publish = publishes.get_mut(id).context("no such publish")?;
        ensure!(publish.is_processing(), "it is not being processed");
        ensure!(
            publish.has_bytes() || fail_reason.is_some(),
            "its bytes are not all in: only a failure can end it"
        );
        if let Some(pull) = pulls.remove(id) {
            pull.abort();
        }
        let connected = grants.iter().any(|grant| {
            grant.open_id == publish.open_id
                && grant.client_key == publish.client_key
                && grant.removed_reason.is_none()
        });
        let user = users.get(&publish.user);
        let banned = user.is_some_and(|user| user.banned_from_posting);
        let media_fault = user.and_then(|user| publish.media_fault(user, settings));
        let reason = if !connected {
            Some("auth_removed".to_owned())
        } else if fail_reason.is_some() {
            fail_reason
        } else if banned {
            Some("spam_risk_user_banned_from_posting".to_owned())
        } else if let Some(fault) = media_fault {
            Some(fault.to_owned())
        } else if settings.fail_next.is_empty() {
            None
        } else {
            Some(settings.fail_next.remove(0)).filter(|reason| !reason.is_empty())
        };
        if let Some(reason) = reason {
            publish.status = Status::Failed;
            publish.fail_reason = Some(reason);
        } else if publish.direct {
            publish.status = Status::PublishComplete;
        } else {
            publish.status = Status::SendToUserInbox;
        }
    }
    let (status, public) = read(world, id)?;
    match status {
        Status::Failed => tell(world, id, "post.publish.failed"),
        Status::SendToUserInbox => tell(world, id, "post.publish.inbox_delivered"),
        _ => return complete(world, id, public),
    };
    Ok(())
}

/// The status, and whether a post of it is for everyone.
fn read(world: &World, id: &str) -> anyhow::Result<(Status, bool)> {
    let state = world.state();
    let publish = state.publishes.get(id).context("no such publish")?;
    let public = publish.privacy() == Some("PUBLIC_TO_EVERYONE");
    Ok((publish.status, public))
}

/// A post is made: tells of it, and sends a public one to moderation.
fn complete(world: &Arc<World>, id: &str, public: bool) -> anyhow::Result<()> {
    let owed = {
        let mut state = world.state();
        let order = state.settings.webhook_order;
        let publish = state.publishes.get_mut(id).context("no such publish")?;
        publish.in_moderation += u32::from(public);
        let owed = public && order == WebhookOrder::AvailableFirst;
        publish.complete_owed += u32::from(owed);
        owed
    };
    if !owed {
        let delivery = tell(world, id, "post.publish.complete");
        if let Some(publish) = world.state().publishes.get_mut(id) {
            publish.told_complete = delivery;
        }
    }
    moderate_soon(world, id);
    Ok(())
}

/// Lets one public post through moderation: it gets its id, and is among the person's videos.
pub(crate) fn moderate(world: &Arc<World>, id: &str) -> anyhow::Result<u64> {
    let (post_id, owed, after) = {
        let mut state = world.state();
        let now = world.clock.now_ms();
        let post_id = 7_600_000_000_000_000_000 + state.next();
        let order = state.settings.webhook_order;
        let publish = state.publishes.get_mut(id).context("no such publish")?;
        ensure!(publish.in_moderation > 0, "nothing of it is in moderation");
        publish.in_moderation -= 1;
        publish.posts.push(Post {
            post_id,
            available: true,
        });
        let owed = publish.complete_owed > 0;
        publish.complete_owed -= u32::from(owed);
        let after = publish
            .told_complete
            .filter(|_| order == WebhookOrder::CompleteFirst);
        let publish = publish.clone();
        if let Some(user) = state.users.get(&publish.user) {
            let video = videos::of(&publish, user, post_id);
            state.add_video(video, now)?;
        }
        (post_id, owed, after)
    };
    let event = "post.publish.publicly_available";
    let told = tell_post(world, id, event, post_id, after);
    if owed {
        tell_after(world, id, "post.publish.complete", told);
    }
    Ok(post_id)
}

/// The user posts a draft from the app's inbox; may happen more than once.
pub(crate) fn user_posts(world: &Arc<World>, id: &str, public: bool) -> anyhow::Result<()> {
    {
        let mut state = world.state();
        let publish = state.publishes.get(id).context("no such publish")?;
        ensure!(
            !publish.direct
                && !publish.discarded
                && matches!(
                    publish.status,
                    Status::SendToUserInbox | Status::PublishComplete
                ),
            "it is not a draft in the inbox"
        );
        ensure!(
            !public || !is_limited(&state, publish),
            "posts of an unaudited or sandbox app are for the account alone"
        );
        ensure!(
            !public || !is_private(&state, publish),
            "a private account has no public posts"
        );
        if let Some(publish) = state.publishes.get_mut(id) {
            publish.status = Status::PublishComplete;
        }
    }
    complete(world, id, public)
}

/// The user makes a finished post public by hand, as unaudited apps need it (tiktok.md §4.10).
pub(crate) fn make_public(world: &Arc<World>, id: &str) -> anyhow::Result<()> {
    {
        let mut state = world.state();
        let publish = state.publishes.get(id).context("no such publish")?;
        ensure!(
            publish.status == Status::PublishComplete && publish.in_moderation == 0,
            "it is no finished post"
        );
        ensure!(
            !publish.posts.iter().any(|post| post.available),
            "it is public"
        );
        let app = state.apps.get(&publish.client_key);
        ensure!(
            app.is_some_and(|app| !app.sandbox),
            "posts of a sandbox app are never public"
        );
        ensure!(
            !is_private(&state, publish),
            "a private account has no public posts"
        );
        if let Some(publish) = state.publishes.get_mut(id) {
            publish.in_moderation += 1;
        }
    }
    moderate_soon(world, id);
    Ok(())
}

fn is_limited(state: &State, publish: &Publish) -> bool {
    let app = state.apps.get(&publish.client_key);
    app.is_none_or(App::is_limited)
}

fn is_private(state: &State, publish: &Publish) -> bool {
    let user = state.users.get(&publish.user);
    user.is_none_or(|user| user.private)
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

/// A public post stops being public: the one named, or the first.
pub(crate) fn withdraw(world: &Arc<World>, id: &str, named: Option<u64>) -> anyhow::Result<()> {
    let post_id = {
        let mut state = world.state();
        let publish = state.publishes.get_mut(id).context("no such publish")?;
        let post = publish
            .posts
            .iter_mut()
            .find(|post| post.available && named.is_none_or(|named| named == post.post_id));
        let post = post.context("no such post of it is public")?;
        post.available = false;
        let post_id = post.post_id;
        if let Some(video) = state.videos.get_mut(&post_id) {
            video.hidden = true;
        }
        post_id
    };
    // TikTok spells it so (tiktok.md §5.2).
    let event = "post.publish.no_longer_publicaly_available";
    tell_post(world, id, event, post_id, None);
    Ok(())
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

/// Does something to a publish once the delay is over, on the stand-in's clock.
pub(crate) fn later(
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

/// Tells of a publish; the delivery's id.
fn tell(world: &Arc<World>, id: &str, event: &str) -> Option<u64> {
    tell_after(world, id, event, None)
}

/// [`tell`], first tried after another delivery was.
fn tell_after(world: &Arc<World>, id: &str, event: &str, after: Option<u64>) -> Option<u64> {
    let publish = world.state().publishes.get(id).cloned()?;
    let mut content = json!({
        "publish_id": publish.publish_id,
        "publish_type": publish.publish_type(),
    });
    if let Some(reason) = &publish.fail_reason {
        let key = world.state().settings.webhook_fail_key.clone();
        content[key] = json!(reason);
    }
    Some(webhooks::emit(world, &publish, event, &content, after))
}

/// Tells of one post of a publish.
fn tell_post(
    world: &Arc<World>,
    id: &str,
    event: &str,
    post_id: u64,
    after: Option<u64>,
) -> Option<u64> {
    let publish = world.state().publishes.get(id).cloned()?;
    let kind = world.state().settings.webhook_post_id;
    let content = json!({
        "publish_id": publish.publish_id,
        "publish_type": publish.publish_type(),
        "post_id": status::id(post_id, kind),
    });
    Some(webhooks::emit(world, &publish, event, &content, after))
}
