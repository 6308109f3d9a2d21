//! The publishing machine's state and its moves.
//!
//! Two facts rule it. While no byte that could complete the upload was sent, TikTok cannot publish
//! anything, so a publish may be abandoned and a new one begun. From the last chunk on it can, so
//! from then on only TikTok's word that it failed allows a new beginning.

use domain::{Fault, FaultKind, PublishedPost, Secret, Timestamp};
use serde::{Deserialize, Serialize};

use super::chunks::Plan;
use super::errors;
use crate::State;

/// How many publishes one target may begin on TikTok.
pub(super) const INITS: u8 = 3;
/// How many starts in a row may end without a clear word: about 50 minutes of them.
const UNCLEAR: u8 = 8;
/// The first pause after such a start, and after a fruitless try of a chunk; see [`grown`].
const UNCLEAR_PAUSE: i64 = 10;
const STALL_PAUSE: i64 = 2;
const LONGEST_PAUSE: i64 = 15 * 60;
/// From this fruitless try of a chunk in a row on, TikTok is asked what it holds.
const ASK_FROM: u8 = 2;
/// The upload address lives 1 hour (tiktok.md §4.2). No chunk is begun in its last quarter, since a
/// sender that has decided to send lives up to 15 minutes more (Lambda's limit): so an answer to a
/// request that was sent after the hour is surely no chunk's.
pub(super) const SEND_FOR: i64 = 45 * 60;
pub(super) const URL_LIFE: i64 = 60 * 60;
/// After so long without an end it cannot be known any more.
pub(super) const PATIENCE: i64 = 24 * 3_600;
/// How often an upload is taken up again after it was asked about.
const RESENDS: u8 = 8;

/// Everything about one target's publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    /// How the file is cut: decided once, so that a changed setting cannot split a publish.
    pub(super) plan: Plan,
    /// How many publishes were begun.
    pub(super) inits: u8,
    /// How many starts in a row brought no clear word.
    #[serde(default)]
    pub(super) unclear: u8,
    /// Whether TikTok's own trouble already cost one publish.
    #[serde(default)]
    pub(super) retried: bool,
    #[serde(flatten)]
    pub(super) phase: Phase,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(super) enum Phase {
    /// A publish is to be begun.
    Init { not_before: Timestamp },
    /// Bytes are under way to the sealed upload address.
    Uploading {
        publish_id: String,
        /// The chunk to send.
        next: u64,
        opened_at: Timestamp,
        not_before: Timestamp,
        /// Since when TikTok may hold the whole file.
        since: Option<Timestamp>,
        stalls: u8,
        resends: u8,
        /// Why TikTok is asked what it holds before the chunk is sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        doubt: Option<Doubt>,
    },
    /// TikTok may hold the whole file; it is asked.
    Processing {
        publish_id: String,
        opened_at: Timestamp,
        since: Timestamp,
        ask_at: Timestamp,
        polls: u32,
        /// Whether TikTok has said that it holds the whole file.
        complete: bool,
        resends: u8,
        /// What is wrong with the last chunk, where TikTok refused it: asked about once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Fault>,
    },
    /// Nothing is left to do.
    Done {
        publish_id: Option<String>,
        outcome: Outcome,
    },
}

/// Why TikTok is asked in the middle of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Doubt {
    /// Sending the chunk brought nothing again.
    Stalled,
    /// TikTok refused the chunk's place and did not say where it stands.
    Place,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Published, under these ids as far as they are known.
    Published(PublishedPost),
    /// A draft for the creator.
    Inbox,
    /// Nothing was published.
    Failed(Fault),
    /// It cannot be known.
    Unknown(Fault),
}

impl Machine {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            inits: 0,
            unclear: 0,
            retried: false,
            phase: Phase::Init {
                not_before: Timestamp::default(),
            },
        }
    }

    pub(super) fn open(state: &State) -> Result<Self, Fault> {
        Self::deserialize(&state.data).map_err(|_| Fault::new(FaultKind::OurBug))
    }

    /// The state to be written; the upload address only while it can still be of use.
    pub(super) fn close(self, url: Option<&Secret>) -> State {
        let keeps = match &self.phase {
            Phase::Uploading { .. } => true,
            Phase::Processing { complete, .. } => !complete,
            Phase::Init { .. } | Phase::Done { .. } => false,
        };
        State {
            // Derived serialisation of plain fields with text keys cannot fail.
            data: serde_json::to_value(&self).unwrap_or_default(),
            secret: url.filter(|_| keeps).cloned(),
        }
    }

    pub(super) fn publish_id(&self) -> Option<&str> {
        match &self.phase {
            Phase::Init { .. } => None,
            Phase::Uploading { publish_id, .. } | Phase::Processing { publish_id, .. } => {
                Some(publish_id)
            }
            Phase::Done { publish_id, .. } => publish_id.as_deref(),
        }
    }

    /// Whether TikTok may hold all that it needs to publish.
    pub(super) const fn may_publish(&self) -> bool {
        match &self.phase {
            Phase::Uploading { since, .. } => since.is_some(),
            Phase::Processing { .. } | Phase::Done { .. } => true,
            Phase::Init { .. } => false,
        }
    }

    /// Whether the chunk to send is the last one.
    pub(super) const fn only_last_left(&self) -> bool {
        match &self.phase {
            Phase::Uploading { next, .. } => self.plan.is_last(*next),
            _ => false,
        }
    }

    /// What TikTok is asked about in the middle of an upload whose address lives.
    pub(super) fn doubt(&self, at: Timestamp) -> Option<Doubt> {
        match &self.phase {
            Phase::Uploading {
                opened_at, doubt, ..
            } if at < opened_at.plus_secs(URL_LIFE) => *doubt,
            _ => None,
        }
    }

    /// A start brought no clear word: another one later, not before `told`; or the end, after
    /// [`UNCLEAR`] of them. By FILE_UPLOAD the lost one cannot publish anything, since none of its
    /// bytes was sent and none ever will be.
    pub(super) fn unclear(mut self, at: Timestamp, told: Option<Timestamp>, why: Fault) -> Self {
        self.unclear = self.unclear.saturating_add(1);
        if self.unclear >= UNCLEAR {
            return self.done(Outcome::Failed(why.sentence(GIVEN_UP)));
        }
        let pause = at.plus_secs(grown(UNCLEAR_PAUSE, self.unclear - 1));
        self.phase = Phase::Init {
            not_before: later(pause, told, at),
        };
        self
    }

    /// A new publish instead of the one so far, which surely publishes nothing; or the end, after
    /// [`INITS`] of them.
    pub(super) fn restart(mut self, not_before: Timestamp, why: Fault) -> Self {
        if self.inits >= INITS {
            return self.done(Outcome::Failed(why));
        }
        self.phase = Phase::Init { not_before };
        self
    }

    pub(super) fn done(mut self, outcome: Outcome) -> Self {
        self.phase = Phase::Done {
            publish_id: self.publish_id().map(str::to_owned),
            outcome,
        };
        self
    }

    /// What follows from TikTok's word that the publish failed. Only trouble of its own is worth one
    /// more publish; it is safe, since nothing was published under the failed one.
    pub(super) fn failed(mut self, reason: Option<&str>, at: Timestamp) -> Self {
        let fault = errors::outcome(reason, at);
        let expired = !self.may_publish() && fault.kind == FaultKind::OurBug;
        if (reason == Some("internal") && !self.retried) || expired {
            self.retried = true;
            return self.restart(at, fault);
        }
        self.done(Outcome::Failed(fault))
    }

    /// TikTok may hold the whole file, and says so if `complete`: the status is asked next.
    pub(super) fn ask(mut self, complete: bool, at: Timestamp) -> Self {
        if let Phase::Uploading {
            publish_id,
            opened_at,
            since,
            resends,
            ..
        } = &self.phase
        {
            self.phase = Phase::Processing {
                publish_id: publish_id.clone(),
                opened_at: *opened_at,
                since: since.unwrap_or(at),
                ask_at: at.plus_secs(pause(0)),
                polls: 0,
                complete,
                resends: *resends,
                refused: None,
            };
        }
        self
    }

    /// TikTok refused the last chunk when it was first sent: it is asked once, to be sure.
    pub(super) fn ask_once(self, why: Fault, at: Timestamp) -> Self {
        let mut machine = self.ask(false, at);
        if let Phase::Processing { refused, .. } = &mut machine.phase {
            *refused = Some(why);
        }
        machine
    }

    /// See [`Machine::ask_once`].
    pub(super) fn refused(&self) -> Option<Fault> {
        match &self.phase {
            Phase::Processing { refused, .. } => refused.clone(),
            _ => None,
        }
    }

    /// The status told no end: ask again later and not before `told`, but not for ever.
    pub(super) fn ask_again(
        mut self,
        holds_all: bool,
        told: Option<Timestamp>,
        at: Timestamp,
    ) -> Self {
        let Phase::Processing {
            since,
            ask_at,
            polls,
            complete,
            ..
        } = &mut self.phase
        else {
            return self;
        };
        if at >= since.plus_secs(PATIENCE) {
            let lost = Fault::new(FaultKind::PlatformDown).sentence(UNKNOWN);
            return self.done(Outcome::Unknown(lost));
        }
        *polls = polls.saturating_add(1);
        *ask_at = later(at.plus_secs(pause(*polls)), told, at);
        *complete |= holds_all;
        self
    }

    /// Back to sending, from `chunk` on: TikTok does not hold everything after all. `None` where the
    /// address is no longer good for it.
    pub(super) fn resend(&self, chunk: u64, at: Timestamp) -> Option<Self> {
        let Phase::Processing {
            publish_id,
            opened_at,
            since,
            complete: false,
            resends,
            ..
        } = &self.phase
        else {
            return None;
        };
        if *resends >= RESENDS || at >= opened_at.plus_secs(SEND_FOR) {
            return None;
        }
        let phase = Phase::Uploading {
            publish_id: publish_id.clone(),
            next: chunk.min(self.plan.count.saturating_sub(1)),
            opened_at: *opened_at,
            not_before: match resends.checked_sub(1) {
                None => at,
                Some(before) => at.plus_secs(grown(STALL_PAUSE, before)),
            },
            since: Some(*since),
            stalls: 0,
            resends: resends.saturating_add(1),
            doubt: None,
        };
        Some(Self {
            phase,
            ..self.clone()
        })
    }

    /// The upload goes on at `chunk`, which counts as progress only if it lies further on. Without
    /// progress it goes on ever more slowly, until the address's hour is over and TikTok is asked what
    /// to make of it.
    pub(super) fn advance(mut self, chunk: u64, at: Timestamp) -> Self {
        let Phase::Uploading { next, stalls, .. } = &mut self.phase else {
            return self;
        };
        let progress = chunk > *next;
        *next = chunk;
        if progress {
            *stalls = 0;
            return self;
        }
        self.stalled(Doubt::Stalled, at)
    }

    /// A chunk was sent in vain. `why` says whether TikTok is asked before it is sent again.
    pub(super) fn stalled(mut self, why: Doubt, at: Timestamp) -> Self {
        let Phase::Uploading {
            opened_at,
            not_before,
            stalls,
            doubt,
            since,
            ..
        } = &mut self.phase
        else {
            return self;
        };
        if at >= opened_at.plus_secs(PATIENCE) && since.is_none() {
            return self.done(Outcome::Failed(super::upload::stuck()));
        }
        *not_before = at.plus_secs(grown(STALL_PAUSE, *stalls));
        *stalls = stalls.saturating_add(1);
        if why == Doubt::Stalled && *stalls < ASK_FROM {
            return self;
        }
        if since.is_some() {
            return self.ask(false, at);
        }
        *doubt = Some(why);
        self
    }

    /// TikTok was asked in the middle of the upload: it goes on at `chunk`, or where it was.
    pub(super) fn resume(mut self, chunk: Option<u64>) -> Self {
        if let Phase::Uploading {
            next,
            stalls,
            doubt,
            ..
        } = &mut self.phase
        {
            *doubt = None;
            let chunk = chunk.unwrap_or(*next);
            if chunk > *next {
                *stalls = 0;
            }
            *next = chunk;
        }
        self
    }
}

/// The pause after `before` fruitless tries and one more, in seconds: three times as long each time,
/// a quarter of an hour at most.
fn grown(first: i64, before: u8) -> i64 {
    let growth = 3_i64.saturating_pow(u32::from(before));
    first.saturating_mul(growth).min(LONGEST_PAUSE)
}

/// `own`, or what TikTok told if that is later: of the coming day, so that a header cannot park a post.
fn later(own: Timestamp, told: Option<Timestamp>, at: Timestamp) -> Timestamp {
    let told = told.map(|told| told.min(at.plus_secs(PATIENCE)));
    told.map_or(own, |told| told.max(own))
}

/// The pause before question number `polls`, in seconds: 5 growing to 30, far below the 30 a minute
/// that TikTok allows a token (§4, §4.9).
fn pause(polls: u32) -> i64 {
    (5 + 5 * i64::from(polls.min(5) / 2) + 5 * i64::from(polls.min(8))).min(30)
}

/// How a publish ends that brought nothing but silence.
pub(super) const GIVEN_UP: &str =
    "TikTok did not answer as it should, again and again. It was given up: post it again later.";
const UNKNOWN: &str = "It cannot be known whether TikTok published this post. Look at the account, then mark it as published or post it again.";

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
