//! What a webhook's news does to a target. Pure: the caller reads the target and composes the
//! transaction of `store::Targets::tell`, `store::Events::tell` and the delivery's own mark.

use std::collections::BTreeMap;

use domain::{Event, Fault, FaultKind, PublishNews, Secret, TargetStatus, Timestamp};
use platforms::{Action, App, Job, MediaInfo, Publish, State};
use store::Target;
use store::targets::{Progress, SealedPart, publish_key};

use crate::decide::{self, Moved, Step, Then};
use crate::events::event;

/// What is to be done about the news.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// It is old, or of no consequence: the delivery is settled without a change.
    Nothing,
    /// A call is under way whose outcome is needed first: let the delivery come again.
    Later,
    /// This is to be written, with the delivery's mark in the same transaction.
    Change(Box<TargetChange>),
}

/// A change of a target, to be written under the step that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetChange {
    /// For `store::Targets::tell`.
    pub progress: Progress,
    /// For `store::Events::tell`.
    pub event: Option<Event>,
    /// Whether a worker is to look at once: send `Message { step: seen.step + 1 }` after the commit.
    pub wake: bool,
}

/// What `news` does to `target`. A settled target listens too: a platform may name a post long after
/// it was published, or settle what we could not know. Nothing takes a published post back.
pub fn told(target: &Target, news: &PublishNews, now: Timestamp) -> Told {
    let Some(platform) = platforms::publish(target.platform) else {
        return Told::Nothing;
    };
    let Some(data) = target
        .state
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
    else {
        // No publish was begun, so the news is of an earlier one.
        return Told::Nothing;
    };
    // The sealed part cannot be opened here: telling needs no key. A machine passes its secret on or
    // drops it; which of the two, a stand-in shows.
    let before = State {
        data,
        secret: target.sealed.as_ref().map(|_| Secret::new("sealed")),
    };
    let after = platform.told(&before, news, now);
    if after == before {
        return Told::Nothing;
    }
    let Some(step) = step_of(platform, target, after.clone(), now) else {
        return Told::Nothing;
    };
    let over = matches!(step.then, Then::Over | Then::Follow(_));
    if !over && target.intent.is_some() {
        return Told::Later;
    }
    let due_at = match step.then {
        Then::Over => None,
        Then::Wait(until) | Then::Follow(until) => Some(until),
        Then::GoOn => Some(now),
    };
    let event = step.event.map(|kind| {
        let (fault, published) = (step.fault.as_ref(), step.published.as_ref());
        event(target, kind, target.step + 1, now, fault, published)
    });
    let wake = due_at.is_some() && !over;
    let progress = Progress {
        status: step.status,
        sealed: if after.secret.is_some() {
            SealedPart::Keep
        } else {
            SealedPart::Drop
        },
        state: Some(after.data.to_string()),
        due_at,
        heeds_cancel: !over,
        tries: 0,
        fault: step.fault,
        published: step.published,
        publish_key: platform
            .publish_id(&after)
            .map(|id| publish_key(target.account.app(), &id)),
        sent_bytes: step.sent_bytes,
        queued_at: target.queued_at,
        keep_until: None,
    };
    Told::Change(Box::new(TargetChange {
        progress,
        event,
        wake,
    }))
}

/// The step that the new state stands for; `None` where the target stays what it is.
fn step_of(platform: &dyn Publish, target: &Target, after: State, now: Timestamp) -> Option<Step> {
    // What a machine wants next depends on no credentials, and this side has none.
    let app = App {
        client_id: String::new(),
        client_secret: Secret::default(),
        webhook_secrets: Vec::new(),
        redirect_uri: None,
        scopes: None,
        settings: BTreeMap::new(),
    };
    let media: Vec<_> = target
        .media
        .iter()
        .map(|file| MediaInfo {
            duration_ms: file.duration_ms,
            stored: file.source_url.is_none(),
            ..MediaInfo::uploaded(file.kind, file.size)
        })
        .collect();
    let job = Job {
        app: &app,
        account: &target.account,
        text: &target.text,
        options: &target.options,
        media: &media,
    };
    let action = platform.next(&job, &after, now);
    let how = Moved {
        begun: true,
        sent_bytes: None,
        time_left: true,
    };
    if !target.status.is_settled() {
        return Some(decide::moved(target, after, &action, how, now));
    }
    let step = match action {
        Action::Finish(_) | Action::Follow(..) => decide::moved(target, after, &action, how, now),
        // The machine would begin again, but this target's case is closed: it only tells how.
        _ if target.status == TargetStatus::OutcomeUnknown => {
            let fault = target.fault.clone();
            let fault = fault.unwrap_or(Fault::new(FaultKind::PlatformDown));
            let finish = platform.given_up(&after, fault);
            decide::finished(target, Some(after), &finish)
        }
        _ => return None,
    };
    let same = step.status == target.status && step.published == target.published;
    (!same && decide::may_become(target.status, step.status)).then_some(step)
}

#[cfg(test)]
#[path = "told_tests.rs"]
mod tests;
