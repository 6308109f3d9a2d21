//! How the publishing machine moves.

use domain::{Fault, FaultKind, Timestamp};

use super::errors;
use super::state::{Doubt, Machine, Outcome, Phase, Pull, SEND_FOR, Source};

/// How many publishes one target may begin on TikTok.
const INITS: u8 = 3;
/// How many starts in a row may end without a clear word: about 50 minutes of them.
const UNCLEAR: u8 = 8;
/// The first pause after such a start, and after a fruitless try of a chunk; see [`grown`].
const UNCLEAR_PAUSE: i64 = 10;
const STALL_PAUSE: i64 = 2;
const LONGEST_PAUSE: i64 = 15 * 60;
/// From this fruitless try of a chunk in a row on, TikTok is asked what it holds.
const ASK_FROM: u8 = 2;
/// The first pause where answers bring nothing to go by, and from which of them in a row on.
const IDLE_PAUSE: i64 = 30;
const IDLE_FROM: u8 = 2;
/// After so long without an end it cannot be known any more.
const PATIENCE: i64 = 24 * 3_600;
/// How often an upload is taken up again after it was asked about.
const RESENDS: u8 = 8;
/// How often TikTok may fail to fetch the files: the first address may have died while it waited.
const PULLS: u8 = 2;

/// What the question about a publish brought, where that is no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing to go by: silence, a word that is not known, or bytes missing that cannot be sent.
    Nothing,
    /// TikTok is at work.
    Busy,
    /// TikTok is at work, and holds the whole file.
    Whole,
}

impl Machine {
    /// A start, or the question before it, brought no clear word and surely publishes nothing: again
    /// later, not before `told`; or the end, after [`UNCLEAR`] of them.
    pub(super) fn unclear(mut self, at: Timestamp, told: Option<Timestamp>, why: Fault) -> Self {
        self.unclear = self.unclear.saturating_add(1);
        if self.unclear >= UNCLEAR {
            return self.done(Outcome::Failed(why.sentence(GIVEN_UP)), at);
        }
        let pause = at.plus_secs(grown(UNCLEAR_PAUSE, self.unclear - 1));
        self.phase = Phase::init(later(pause, told, at));
        self
    }

    /// A start brought no clear word, and TikTok may have begun a publish under an id that nobody
    /// knows. Of an upload that can come to nothing; what TikTok fetches may be published.
    pub(super) fn unclear_start(self, at: Timestamp, told: Option<Timestamp>, why: Fault) -> Self {
        match self.source {
            Source::Upload(_) => self.unclear(at, told, why),
            Source::Pull(_) => self.done(Outcome::Unknown(why.sentence(UNKNOWN)), at),
        }
    }

    /// A new publish instead of the one so far, which surely publishes nothing; or the end, after
    /// [`INITS`] of them.
    pub(super) fn restart(mut self, not_before: Timestamp, why: Fault) -> Self {
        if self.inits >= INITS {
            return self.done(Outcome::Failed(why), not_before);
        }
        self.phase = Phase::init(not_before);
        self
    }

    /// It has come to this end. Of an end that was known, what is newly learnt of it does not begin its
    /// time again.
    pub(super) fn done(mut self, outcome: Outcome, at: Timestamp) -> Self {
        let publish_id = self.publish_id().map(str::to_owned);
        let (since, asked_at) = match &self.phase {
            Phase::Done {
                outcome: before,
                since,
                asked_at,
                ..
            } if std::mem::discriminant(before) == std::mem::discriminant(&outcome) => {
                (*since, *asked_at)
            }
            _ => (Some(at), None),
        };
        self.phase = Phase::Done {
            publish_id,
            outcome,
            since,
            asked_at,
        };
        self
    }

    /// What follows from TikTok's word that the publish failed. Only trouble of its own, and files that
    /// it could not fetch, are worth one more publish; it is safe, since nothing was published under
    /// the failed one. A post that nobody wants any more is not begun again.
    pub(super) fn failed(mut self, reason: Option<&str>, at: Timestamp) -> Self {
        let fault = errors::outcome(reason, at);
        let expired = !self.may_publish() && fault.kind == FaultKind::OurBug;
        let internal = reason == Some("internal") && !self.retried;
        let unfetched = match (&mut self.source, reason) {
            (Source::Pull(Pull { failures }), Some("video_pull_failed" | "photo_pull_failed")) => {
                *failures = failures.saturating_add(1);
                *failures < PULLS
            }
            _ => false,
        };
        if !(internal || expired || unfetched) {
            let outcome = self.verdict(reason, fault);
            return self.done(outcome, at);
        }
        if self.cancel.is_some() {
            return self.done(Outcome::Cancelled, at);
        }
        self.retried |= internal || expired;
        self.restart(at, fault)
    }

    /// The end of a publish that failed for this reason.
    pub(super) fn verdict(&self, reason: Option<&str>, fault: Fault) -> Outcome {
        match reason {
            Some("publish_cancelled") if self.cancel.is_some() => Outcome::Cancelled,
            _ => Outcome::Failed(fault),
        }
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
                idle: 0,
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

    /// The status told no end: ask again later and not before `told`, but not for ever, and ever more
    /// rarely while the answers bring nothing.
    pub(super) fn ask_again(
        mut self,
        heard: Heard,
        told: Option<Timestamp>,
        at: Timestamp,
    ) -> Self {
        let Phase::Processing {
            since,
            ask_at,
            polls,
            idle,
            complete,
            ..
        } = &mut self.phase
        else {
            return self;
        };
        if at >= since.plus_secs(PATIENCE) {
            let lost = Fault::new(FaultKind::PlatformDown).sentence(UNKNOWN);
            return self.done(Outcome::Unknown(lost), at);
        }
        *polls = polls.saturating_add(1);
        *idle = match heard {
            Heard::Nothing => idle.saturating_add(1),
            Heard::Busy | Heard::Whole => 0,
        };
        let pause = pause(*polls).max(idle_pause(*idle));
        *ask_at = later(at.plus_secs(pause), told, at);
        *complete |= heard == Heard::Whole;
        self
    }

    /// Back to sending, from `chunk` on: TikTok does not hold everything after all. `None` where the
    /// address is no longer good for it.
    pub(super) fn resend(&self, chunk: u64, at: Timestamp) -> Option<Self> {
        let plan = self.plan()?;
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
            next: chunk.min(plan.count.saturating_sub(1)),
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
            return self.done(Outcome::Failed(super::upload::stuck()), at);
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
pub(super) fn grown(first: i64, before: u8) -> i64 {
    let growth = 3_i64.saturating_pow(u32::from(before));
    first.saturating_mul(growth).min(LONGEST_PAUSE)
}

/// `own`, or what TikTok told if that is later: within a day, so that a header cannot park a post.
pub(super) fn later(own: Timestamp, told: Option<Timestamp>, at: Timestamp) -> Timestamp {
    let told = told.map(|told| told.min(at.plus_secs(PATIENCE)));
    told.map_or(own, |told| told.max(own))
}

/// The pause before question number `polls`, in seconds: 5 growing to 30, far below the 30 a minute
/// that TikTok allows a token (§4, §4.9).
pub(super) fn pause(polls: u32) -> i64 {
    (5 + 5 * i64::from(polls.min(5) / 2) + 5 * i64::from(polls.min(8))).min(30)
}

/// The least pause after `idle` questions in a row that brought nothing, in seconds: twice as long each
/// time, a quarter of an hour at most.
fn idle_pause(idle: u8) -> i64 {
    let Some(before) = idle.checked_sub(IDLE_FROM) else {
        return 0;
    };
    let growth = 2_i64.saturating_pow(u32::from(before));
    IDLE_PAUSE.saturating_mul(growth).min(LONGEST_PAUSE)
}

/// How a publish ends that brought nothing but silence.
pub(super) const GIVEN_UP: &str =
    "TikTok did not answer as it should, again and again. It was given up: post it again later.";
const UNKNOWN: &str = "It cannot be known whether TikTok published this post. Look at the account, then mark it as published or post it again.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_by_three_up_to_a_quarter_of_an_hour() {
        let pauses: Vec<_> = (0..7).map(|before| grown(UNCLEAR_PAUSE, before)).collect();
        assert_eq!(pauses, [10, 30, 90, 270, 810, 900, 900]);
        assert_eq!(grown(STALL_PAUSE, u8::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn questions_slow_down_and_stay_far_below_the_limit() {
        let pauses: Vec<_> = (0..12).map(pause).collect();
        assert_eq!(pauses[0], 5);
        assert!(pauses.is_sorted() && pauses[11] == 30, "{pauses:?}");
        let idle: Vec<_> = (0..9).map(idle_pause).collect();
        assert_eq!(idle, [0, 0, 30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(idle_pause(u8::MAX), LONGEST_PAUSE);
    }
}
