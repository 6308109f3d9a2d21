//! What is still learnt of a publish that nobody waits for any more.
//!
//! A draft may be posted, or fail, long after it was delivered, and a public post gets its id only
//! after TikTok's moderation (tiktok.md §4.3, §4.9). Webhooks tell both; these rare questions are for
//! the ones that never come. When they end without news, the publish stays what it is.

use domain::{Fault, FaultKind, PostOptions, PublishedPost, Timestamp};
use serde_json::Value;

use super::errors::{self, Place};
use super::moves::later;
use super::settings::ONLY_ME;
use super::state::{Machine, Outcome, Phase};
use super::{status, wire};
use crate::{Answer, State};

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// When a draft is asked about, in seconds from its delivery.
const DRAFT: &[i64] = &[
    10 * MINUTE,
    HOUR,
    6 * HOUR,
    DAY,
    2 * DAY,
    3 * DAY,
    4 * DAY,
    5 * DAY,
    6 * DAY,
    7 * DAY,
];

/// When a post without an id is asked about, in seconds from its publication: moderation is usually
/// over within a minute and may take hours (§4.9).
const ID: &[i64] = &[
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
];

/// When it is looked at again, if ever. Posts that only their creator sees never get an id.
pub(super) fn due(machine: &Machine, options: &PostOptions) -> Option<Timestamp> {
    let Phase::Done {
        publish_id: Some(_),
        outcome,
        since: Some(since),
        asked_at,
    } = &machine.phase
    else {
        return None;
    };
    let times = match outcome {
        Outcome::Inbox => DRAFT,
        Outcome::Published(post) if post.ids.is_empty() => match options.privacy.as_deref() {
            Some(ONLY_ME) => return None,
            _ => ID,
        },
        _ => return None,
    };
    let last = asked_at.unwrap_or(*since);
    let mut times = times.iter().map(|secs| since.plus_secs(*secs));
    times.find(|at| *at > last)
}

impl Machine {
    /// It was looked at without news.
    pub(super) fn looked_at(mut self, told: Option<Timestamp>, now: Timestamp) -> Self {
        if let Phase::Done { asked_at, .. } = &mut self.phase {
            *asked_at = Some(later(now, told, now));
        }
        self
    }

    /// Nothing more is to be learnt of it.
    fn left_alone(mut self) -> Self {
        if let Phase::Done { since, .. } = &mut self.phase {
            *since = None;
        }
        self
    }
}

/// The state after an answer to the question about a publish that has ended.
pub(super) fn answered(machine: Machine, answer: Answer<'_>) -> Result<State, Fault> {
    let at = answer.sent_at;
    let machine = match wire::data(answer.response) {
        Ok(data) => news(machine.looked_at(None, at), &data, at),
        Err(problem) => {
            let fault = errors::fault(Place::Status, &problem, at);
            match fault.kind {
                FaultKind::TokenRejected => return Err(fault),
                FaultKind::PlatformDown | FaultKind::RateLimited => {
                    machine.looked_at(answer.wait_until(), at)
                }
                // TikTok no longer shows it: how long it does is not documented (§4.9).
                _ => machine.left_alone(),
            }
        }
    };
    Ok(machine.close(None))
}

fn news(machine: Machine, data: &Value, at: Timestamp) -> Machine {
    let draft = matches!(
        machine.phase,
        Phase::Done {
            outcome: Outcome::Inbox,
            ..
        }
    );
    match data.get("status").and_then(Value::as_str) {
        Some("PUBLISH_COMPLETE") => machine.published(
            &PublishedPost {
                ids: status::post_ids(data),
                url: None,
            },
            at,
        ),
        // A draft may end so; what was published stays published.
        Some("FAILED") if draft => {
            let reason = data.get("fail_reason").and_then(Value::as_str);
            let outcome = machine.verdict(reason, errors::outcome(reason, at));
            machine.done(outcome, at)
        }
        _ => machine,
    }
}

impl Machine {
    /// It is published. A draft may be posted more than once (§5.2), and news come in any order: ids
    /// add up, and nothing takes a published post back.
    pub(super) fn published(self, news: &PublishedPost, at: Timestamp) -> Self {
        let mut post = match &self.phase {
            Phase::Done {
                outcome: Outcome::Published(before),
                ..
            } => before.clone(),
            _ => PublishedPost::default(),
        };
        for id in &news.ids {
            if !post.ids.contains(id) {
                post.ids.push(id.clone());
            }
        }
        self.done(Outcome::Published(post), at)
    }
}
