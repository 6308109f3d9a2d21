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
/// The upload address lives 1 hour (tiktok.md §4.2). No chunk is begun in its last quarter, since a
/// sender that has decided to send lives up to 15 minutes more (Lambda's limit): so an answer to a
/// request that was sent after the hour is surely no chunk's.
pub(super) const SEND_FOR: i64 = 45 * 60;
pub(super) const URL_LIFE: i64 = 60 * 60;
/// After so long without an end it cannot be known any more.
pub(super) const PATIENCE: i64 = 24 * 3_600;
/// Fruitless tries of one chunk, and returns to sending, before the publish counts as stuck.
const STALLS: u8 = 8;
const RESENDS: u8 = 5;

/// Everything about one target's publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    /// How the file is cut: decided once, so that a changed setting cannot split a publish.
    pub(super) plan: Plan,
    /// How many publishes were begun, or may have been.
    pub(super) inits: u8,
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
    },
    /// Nothing is left to do.
    Done {
        publish_id: Option<String>,
        outcome: Outcome,
    },
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
            };
        }
        self
    }

    /// The status told no end: ask again later, but not for ever.
    pub(super) fn ask_again(mut self, holds_all: bool, at: Timestamp) -> Self {
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
        *ask_at = at.plus_secs(pause(*polls));
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
            not_before: at,
            since: Some(*since),
            stalls: 0,
            resends: resends.saturating_add(1),
        };
        Some(Self {
            phase,
            ..self.clone()
        })
    }

    /// The upload goes on at `chunk`, which counts as progress only if it lies further on.
    pub(super) fn advance(mut self, chunk: u64, at: Timestamp, why: Fault) -> Self {
        let Phase::Uploading {
            next,
            not_before,
            stalls,
            ..
        } = &mut self.phase
        else {
            return self;
        };
        if chunk > *next {
            *stalls = 0;
        } else {
            *stalls = stalls.saturating_add(1);
            *not_before = at.plus_secs(i64::from(*stalls) * 2);
        }
        *next = chunk;
        match (*stalls >= STALLS, self.may_publish()) {
            (false, _) => self,
            (true, true) => self.ask(false, at),
            (true, false) => self.restart(at.plus_secs(30), why),
        }
    }
}

/// The pause before question number `polls`, in seconds: 5 growing to 30, far below the 30 a minute
/// that TikTok allows a token (§4, §4.9).
fn pause(polls: u32) -> i64 {
    (5 + 5 * i64::from(polls.min(5) / 2) + 5 * i64::from(polls.min(8))).min(30)
}

const UNKNOWN: &str = "It cannot be known whether TikTok published this post. Look at the account, then mark it as published or post it again.";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times() -> impl Strategy<Value = Timestamp> {
        any::<i64>().prop_map(Timestamp::from_millis)
    }

    fn faults() -> impl Strategy<Value = Fault> {
        prop_oneof![
            Just(Fault::new(FaultKind::PlatformDown)),
            times().prop_map(|at| Fault::new(FaultKind::QuotaUsed)
                .until(at)
                .code("spam_risk_too_many_posts")
                .sentence("Wait.")),
        ]
    }

    fn phases() -> impl Strategy<Value = Phase> {
        let id = "[!-~]{1,64}";
        prop_oneof![
            times().prop_map(|not_before| Phase::Init { not_before }),
            (
                id,
                any::<(u64, u8, u8)>(),
                times(),
                proptest::option::of(times())
            )
                .prop_map(|(publish_id, (next, stalls, resends), opened_at, since)| {
                    Phase::Uploading {
                        publish_id,
                        next,
                        opened_at,
                        not_before: opened_at,
                        since,
                        stalls,
                        resends,
                    }
                }),
            (id, any::<(u32, bool, u8)>(), times(), times()).prop_map(
                |(publish_id, (polls, complete, resends), opened_at, since)| {
                    Phase::Processing {
                        publish_id,
                        opened_at,
                        since,
                        ask_at: since,
                        polls,
                        complete,
                        resends,
                    }
                }
            ),
            (
                proptest::option::of(id),
                prop_oneof![
                    proptest::collection::vec("[0-9]{1,19}", 0..3)
                        .prop_map(|ids| { Outcome::Published(PublishedPost { ids, url: None }) }),
                    Just(Outcome::Inbox),
                    faults().prop_map(Outcome::Failed),
                    faults().prop_map(Outcome::Unknown),
                ]
            )
                .prop_map(|(publish_id, outcome)| Phase::Done {
                    publish_id,
                    outcome
                }),
        ]
    }

    proptest! {
        #[test]
        fn a_state_survives_being_written_down(
            phase in phases(),
            size in 1u64..5_000_000_000,
            inits in any::<u8>(),
            retried in any::<bool>(),
        ) {
            let plan = Plan::new(size, None).unwrap();
            let machine = Machine { plan, inits, retried, phase };
            let state = machine.clone().close(None);
            let text = state.data.to_string();
            let data = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(Machine::open(&State { data, secret: None }), Ok(machine));
        }
    }

    #[test]
    fn questions_slow_down_and_stay_far_below_the_limit() {
        let pauses: Vec<_> = (0..12).map(pause).collect();
        assert_eq!(pauses[0], 5);
        assert!(pauses.is_sorted() && pauses[11] == 30, "{pauses:?}");
    }
}
