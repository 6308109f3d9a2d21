//! What is written about a step, given how it went. No I/O, no clock, no chance of its own.

use std::time::Duration;

use domain::{
    Entropy, EventKind, Fault, FaultKind, PublishedPost, Retry, Secret, TargetStatus, Timestamp,
};
use limits::Wait;
use platforms::{Action, Finish, State};
use store::Target;

use crate::backoff;
use crate::files::FilesError;

/// A target waits at most this long, counted from when it was queued, for what only time mends: a
/// creator would not expect it any more.
const PATIENCE: i64 = 48 * 3_600;

/// How long a settled target is asked after is the machine's to say, but not for longer than this.
const LONGEST_FOLLOWING: i64 = 8 * 24 * 3_600;

/// What is to be written about a step, and what happens then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) status: TargetStatus,
    /// The new state; `None` where it stays.
    pub(crate) state: Option<State>,
    pub(crate) tries: u32,
    pub(crate) fault: Option<Fault>,
    pub(crate) published: Option<PublishedPost>,
    pub(crate) sent_bytes: u64,
    pub(crate) event: Option<EventKind>,
    pub(crate) then: Then,
}

/// What happens after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The same worker goes on.
    GoOn,
    /// Somebody looks again at this instant.
    Wait(Timestamp),
    /// It has come to its end; somebody looks again at this instant for what comes late.
    Follow(Timestamp),
    /// Nothing is left to do.
    Over,
}

/// Why a step had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The platform's word, or what stands for it.
    Fault(Fault),
    /// There is no connection any more.
    NotConnected(Fault),
    /// The connection or the operator's app is out of order, and time or somebody mends it.
    Later(Fault),
    /// The file could not be read.
    File(FilesError),
    /// A limit of the platform is kept; nothing was sent.
    Limited(Wait),
}

/// What becomes of the sealed part of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealing<'a> {
    Keep,
    Drop,
    Seal(&'a Secret),
}

/// How the machine moved: how, and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// By an answer, and there is a publish on the platform now.
    pub(crate) begun: bool,
    /// How many bytes are sent now, where that is known.
    pub(crate) sent_bytes: Option<u64>,
    /// Whether the worker has time for one more action.
    pub(crate) time_left: bool,
}

/// The machine is in a new state, in which it wants `action`.
pub(crate) fn moved(
    seen: &Target,
    state: State,
    action: &Action,
    how: Moved,
    now: Timestamp,
) -> Step {
    if seen.status.is_settled() {
        return followed(seen, state, action, how, now);
    }
    let status = if how.begun {
        TargetStatus::Publishing
    } else {
        seen.status
    };
    let then = match action {
        Action::Finish(finish) => return finished(seen, Some(state), finish),
        Action::Follow(finish, at) => {
            return Step {
                then: Then::Follow(*at),
                ..finished(seen, Some(state), finish)
            };
        }
        Action::Wait(until) => Then::Wait(*until),
        Action::Call(_) | Action::Upload { .. } if how.time_left => Then::GoOn,
        Action::Call(_) | Action::Upload { .. } => Then::Wait(now),
    };
    let begins = seen.status == TargetStatus::Queued && status == TargetStatus::Publishing;
    Step {
        status,
        state: Some(state),
        tries: 0,
        fault: None,
        published: seen.published.clone(),
        sent_bytes: how.sent_bytes.unwrap_or(seen.sent_bytes),
        event: begins.then_some(EventKind::PostPublishing),
        then,
    }
}

/// The machine of a target that has come to its end is in a new state: news change what is known, and
/// never take anything back. Nothing is told twice.
fn followed(seen: &Target, state: State, action: &Action, how: Moved, now: Timestamp) -> Step {
    let (finish, then) = match action {
        Action::Finish(finish) => (Some(finish), Then::Over),
        Action::Follow(finish, at) => (Some(finish), Then::Follow(*at)),
        Action::Wait(until) => (None, Then::Follow(*until)),
        Action::Call(_) | Action::Upload { .. } if how.time_left => (None, Then::GoOn),
        Action::Call(_) | Action::Upload { .. } => (None, Then::Follow(now)),
    };
    let news = finish
        .map(|finish| finished(seen, Some(state.clone()), finish))
        .filter(|step| {
            let same = step.status == seen.status && step.published == seen.published;
            !same && may_become(seen.status, step.status)
        });
    let step = news.unwrap_or_else(|| Step {
        state: Some(state),
        tries: 0,
        // The answer came with the renewed token: what is left of its refusal is nobody's concern.
        fault: seen.fault.clone().filter(|fault| !is_rejected(fault)),
        ..waits(seen, now)
    });
    Step { then, ..step }
}

/// Whether news may turn a settled target into this: towards what is known, never away from it.
pub(crate) const fn may_become(is: TargetStatus, becomes: TargetStatus) -> bool {
    match becomes {
        TargetStatus::Published => true,
        TargetStatus::Inbox => !matches!(is, TargetStatus::Published),
        TargetStatus::Failed => matches!(is, TargetStatus::OutcomeUnknown | TargetStatus::Inbox),
        TargetStatus::OutcomeUnknown
        | TargetStatus::Queued
        | TargetStatus::Publishing
        | TargetStatus::Cancelled => false,
    }
}

/// The end.
pub(crate) fn finished(seen: &Target, state: Option<State>, finish: &Finish) -> Step {
    let mut published = seen.published.clone();
    let (status, event, fault) = match finish {
        Finish::Published(post) => {
            published = Some(merged(published, post));
            (TargetStatus::Published, EventKind::PostPublished, None)
        }
        Finish::Inbox => (TargetStatus::Inbox, EventKind::PostInbox, None),
        Finish::Failed(fault) => (
            TargetStatus::Failed,
            EventKind::PostFailed,
            Some(fault.clone()),
        ),
        Finish::Unknown(fault) => (
            TargetStatus::OutcomeUnknown,
            EventKind::PostOutcomeUnknown,
            Some(fault.clone()),
        ),
        Finish::Cancelled => (
            TargetStatus::Cancelled,
            EventKind::PostCancelled,
            Some(cancelled()),
        ),
    };
    Step {
        status,
        state,
        tries: 0,
        fault,
        published,
        sent_bytes: seen.sent_bytes,
        event: Some(event),
        then: Then::Over,
    }
}

/// The machine wants nothing before `until`, and nothing else is new.
pub(crate) fn waits(seen: &Target, until: Timestamp) -> Step {
    Step {
        status: seen.status,
        state: None,
        tries: seen.tries,
        fault: seen.fault.clone(),
        published: seen.published.clone(),
        sent_bytes: seen.sent_bytes,
        event: None,
        then: match seen.status.is_settled() {
            true => Then::Follow(until),
            false => Then::Wait(until),
        },
    }
}

/// Whether a fresh token is to be fetched because of this fault: once, since a second refusal of a
/// fresh one would go on for ever.
pub(crate) fn wants_fresh_token(seen: &Target, fault: &Fault) -> bool {
    is_rejected(fault) && !seen.fault.as_ref().is_some_and(is_rejected)
}

fn is_rejected(fault: &Fault) -> bool {
    fault.retry() == Retry::AfterRefresh
}

/// The token was renewed; the same action is tried again by the same worker.
pub(crate) fn renewed(seen: &Target, rejected: &Fault) -> Step {
    Step {
        tries: seen.tries.saturating_add(1),
        fault: Some(rejected.clone()),
        then: Then::GoOn,
        ..waits(seen, Timestamp::default())
    }
}

/// A step had no effect: again later, or the end. `give_up` is the machine's word on what the end is
/// when nothing more is tried.
pub(crate) fn troubled(
    seen: &Target,
    trouble: &Trouble,
    now: Timestamp,
    entropy: &dyn Entropy,
    give_up: &dyn Fn(Fault) -> Finish,
) -> Step {
    let last = seen.queued_at.plus_secs(match seen.status.is_settled() {
        true => LONGEST_FOLLOWING,
        false => PATIENCE,
    });
    let end = |fault: Fault| match seen.status.is_settled() {
        // What was to come late does not come; the end that is known stands.
        true => Step {
            then: Then::Over,
            ..waits(seen, now)
        },
        false => finished(seen, None, &give_up(fault)),
    };
    let (fault, retry) = match trouble {
        Trouble::Limited(wait) if wait.until > last => {
            return end(worn_out(wait.fault.clone()));
        }
        Trouble::Limited(wait) => {
            return Step {
                fault: told_fault(seen, wait.fault.clone()),
                ..waits(seen, wait.ask_at)
            };
        }
        Trouble::Fault(fault) => (fault.clone(), fault.retry()),
        Trouble::NotConnected(fault) => (fault.clone(), Retry::Never),
        Trouble::Later(fault) => (
            fault.clone(),
            Retry::At(
                fault
                    .until
                    .unwrap_or_else(|| now + backoff::pause(streak(seen, fault), entropy)),
            ),
        ),
        Trouble::File(FilesError::Gone) => (gone(), Retry::Never),
        Trouble::File(FilesError::Unavailable(_)) => (unreadable(), Retry::BackOff),
    };
    let tries = streak(seen, &fault);
    let until = match retry {
        Retry::Never => return end(fault),
        // The fresh token was refused as well.
        Retry::AfterRefresh => return end(refused(fault)),
        Retry::BackOff if tries >= backoff::TRIES => return end(worn_out(fault)),
        Retry::BackOff => now + backoff::pause(tries, entropy),
        Retry::At(until) => {
            let until = until.max(now + backoff::least(tries));
            until + backoff::jitter(Duration::from_secs(2), entropy)
        }
    };
    if until > last {
        return end(worn_out(fault));
    }
    Step {
        tries,
        fault: told_fault(seen, fault),
        ..waits(seen, until)
    }
}

/// The fault as it is kept: trouble in asking after a settled target is nobody's concern.
fn told_fault(seen: &Target, fault: Fault) -> Option<Fault> {
    match seen.status.is_settled() {
        true => seen.fault.clone(),
        false => Some(fault),
    }
}

/// What becomes of the sealed part when the secret was `old` and is `new`.
pub(crate) fn sealing<'a>(
    seen: &Target,
    old: Option<&Secret>,
    new: Option<&'a Secret>,
) -> Sealing<'a> {
    match new {
        // Unchanged, it need not be sealed again: its place is the step that brought it.
        Some(new) if seen.sealed.is_some() && old == Some(new) => Sealing::Keep,
        Some(new) => Sealing::Seal(new),
        None if seen.sealed.is_some() => Sealing::Drop,
        None => Sealing::Keep,
    }
}

/// Both accounts of a published post, the newer one's address first.
pub(crate) fn merged(before: Option<PublishedPost>, post: &PublishedPost) -> PublishedPost {
    let mut merged = before.unwrap_or_default();
    for id in &post.ids {
        if !merged.ids.contains(id) {
            merged.ids.push(id.clone());
        }
    }
    merged.url = post.url.clone().or(merged.url);
    merged
}

/// The number of this failure in a row of its kind.
fn streak(seen: &Target, fault: &Fault) -> u32 {
    match &seen.fault {
        // A settled target keeps no fault of this kind.
        _ if seen.status.is_settled() => seen.tries.saturating_add(1),
        Some(last) if last.kind == fault.kind => seen.tries.saturating_add(1),
        _ => 1,
    }
}

/// Why a cancelled target ended, for whoever looks at it later.
fn cancelled() -> Fault {
    Fault::new(FaultKind::InvalidRequest)
        .sentence("It was cancelled before anything was published.")
}

fn gone() -> Fault {
    Fault::new(FaultKind::NotFound)
        .sentence("The file is no longer stored: files are kept for 29 days. Upload it again.")
}

fn unreadable() -> Fault {
    Fault::new(FaultKind::OurBug)
        .sentence("The uploaded file could not be read from storage. It is tried again by itself.")
}

/// The fault as it stands at a target that is given up: nothing is "tried again by itself" any more.
fn worn_out(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::PlatformDown => fault.sentence(
            "The platform did not answer as it should, again and again. It was given up.",
        ),
        FaultKind::RateLimited | FaultKind::QuotaUsed => {
            fault.sentence("A limit of the platform is not free in time. It was given up.")
        }
        FaultKind::OurBug => {
            fault.sentence("The uploaded file could not be read from storage. It was given up.")
        }
        _ => fault,
    }
}

fn refused(rejected: Fault) -> Fault {
    let fault = Fault::new(FaultKind::ReauthNeeded);
    let fault = fault.sentence(
        "The platform refused a fresh access token. The creator needs to connect the account again.",
    );
    match rejected.platform_code {
        Some(code) => fault.code(code),
        None => fault,
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
pub(crate) mod tests;
