//! Taking a publish back (tiktok.md §4.8).
//!
//! TikTok takes back only what it is still fetching, and as it pleases: its answer says that it has
//! understood, and the end is told by the status or a webhook (`publish_cancelled`). Asking twice does
//! no more than asking once, so the call is repeatable. A refusal leaves the publish as it is.

use domain::{Fault, FaultKind, Timestamp, TokenBundle};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::errors::{self, Place};
use super::moves::{grown, later, pause};
use super::state::{Machine, Phase, Source};
use super::{API, limits, wire};
use crate::{Answer, Call, Cancel, Repeat, State};

/// How often TikTok is asked without a clear answer, and the first pause after such a try: about a
/// minute and a half, which few files take to be fetched.
const TRIES: u8 = 5;
const PAUSE: i64 = 2;

/// How far a wish to cancel has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Asked {
    /// TikTok is to be asked.
    Wanted {
        /// How often that brought no clear answer.
        tries: u8,
        not_before: Timestamp,
    },
    /// TikTok has taken the wish; whether it was in time is told by the status.
    Taken,
    /// TikTok takes nothing back: it goes on as if it had never been asked.
    Refused {
        /// Why.
        why: Fault,
    },
}

/// What can be done for a caller who no longer wants the post.
pub(super) fn cancel(mut machine: Machine, now: Timestamp) -> Cancel {
    match (&machine.phase, &machine.source, &machine.cancel) {
        // Nothing was begun, or what was begun has failed. A start whose answer is lost comes here only
        // if it was for an upload, of which nothing was sent.
        (Phase::Init { .. }, ..) => Cancel::Stop,
        // The bytes that would complete the file were not sent, so TikTok cannot publish it (§4.6). It
        // has no call to take an upload back: the rest is simply never sent.
        (Phase::Uploading { since: None, .. }, ..) => Cancel::Stop,
        (Phase::Processing { .. }, Source::Pull(_), None) => {
            machine.cancel = Some(Asked::Wanted {
                tries: 0,
                not_before: now,
            });
            Cancel::Ask(machine.close(None))
        }
        (Phase::Processing { .. }, Source::Pull(_), Some(Asked::Wanted { .. } | Asked::Taken)) => {
            Cancel::Ask(machine.close(None))
        }
        _ => Cancel::TooLate,
    }
}

impl Machine {
    /// From when on TikTok is to be asked to take the publish back, where it is.
    pub(super) const fn cancels_at(&self) -> Option<Timestamp> {
        match (&self.phase, &self.cancel) {
            (Phase::Processing { .. }, Some(Asked::Wanted { not_before, .. })) => Some(*not_before),
            _ => None,
        }
    }

    /// TikTok gave no clear answer to the wish: again, or the publish goes its way.
    pub(super) fn cancel_again(
        mut self,
        told: Option<Timestamp>,
        at: Timestamp,
        why: Fault,
    ) -> Self {
        if let Some(Asked::Wanted { tries, not_before }) = &mut self.cancel {
            *tries = tries.saturating_add(1);
            *not_before = later(at.plus_secs(grown(PAUSE, *tries - 1)), told, at);
            if *tries >= TRIES {
                self.cancel = Some(Asked::Refused { why });
            }
        }
        self
    }
}

pub(super) fn request(publish_id: &str, bundle: &TokenBundle) -> Result<Call, Fault> {
    let call = wire::json(
        "tiktok.publish.cancel",
        &format!("{API}/v2/post/publish/cancel/"),
        Repeat::Repeatable,
        bundle,
        &json!({ "publish_id": publish_id }),
    )?;
    Ok(call.within([limits::CANCEL]))
}

/// The state after an answer to the wish. Whatever it says, the status is asked next.
pub(super) fn answered(mut machine: Machine, answer: Answer<'_>) -> Result<State, Fault> {
    let at = answer.sent_at;
    let fault = match wire::data(answer.response) {
        Ok(_) => None,
        Err(problem) => Some(errors::fault(Place::Cancel, &problem, at)),
    };
    match fault {
        None => machine.cancel = Some(Asked::Taken),
        Some(fault) if fault.kind == FaultKind::TokenRejected => return Err(fault),
        Some(why) if matches!(why.kind, FaultKind::PlatformDown | FaultKind::RateLimited) => {
            let machine = machine.cancel_again(answer.wait_until(), at, why);
            return Ok(machine.close(None));
        }
        Some(why) => machine.cancel = Some(Asked::Refused { why }),
    }
    if let Phase::Processing {
        ask_at,
        polls,
        idle,
        ..
    } = &mut machine.phase
    {
        (*polls, *idle) = (0, 0);
        *ask_at = at.plus_secs(pause(0));
    }
    Ok(machine.close(None))
}
