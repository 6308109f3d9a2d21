//! What an answer means, and when the next try is due. Pure.

use std::time::Duration;

use domain::{Entropy, Timestamp};
use http::StatusCode;
use transport::{NoAnswerKind, NotFetched, Pushed};

/// The pauses of the Standard Webhooks specification's example: ten tries over 75 hours.
pub(crate) const SCHEDULE: [u64; 9] =
    [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// After so many failures in a row, of all its lanes, an endpoint rests.
pub(crate) const FAILURES_BEFORE_REST: u32 = 5;
/// Its first rest; each further failure doubles it.
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(300);
/// The longest wait that an endpoint may ask for of one message, and of all of them.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3_600);
const LONGEST_ASKED_REST: Duration = Duration::from_secs(3_600);
/// A message that is over age is given up after so many tries: the ones before it in its lane have
/// shown that the address does not answer.
const TRIES_OVER_AGE: u32 = 3;
/// A pause is prolonged by chance by up to this part of it.
const JITTER_PART: u64 = 5;

/// The pauses between the tries of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries(Vec<Duration>);

impl Default for Retries {
    fn default() -> Self {
        Self(SCHEDULE.map(Duration::from_secs).to_vec())
    }
}

impl Retries {
    /// Out of a comma-separated list of seconds, one pause or more.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let pauses = text.split(',').map(|pause| pause.trim().parse::<u64>());
        let pauses: Result<Vec<u64>, _> = pauses.collect();
        match pauses {
            Ok(pauses) if !pauses.is_empty() => {
                Ok(Self(pauses.into_iter().map(Duration::from_secs).collect()))
            }
            _ => Err("must be whole numbers of seconds, comma separated"),
        }
    }
}

/// The deployment's times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How old an event must be to be sent: what another writer commits meanwhile for the same
    /// connection keeps its place.
    pub settle: Duration,
    /// The pauses between tries.
    pub retries: Retries,
    /// How long an endpoint may fail before it is disabled, and how old a message may grow.
    pub give_up: Duration,
    /// How long one try may take.
    pub timeout: Duration,
    /// How long a worker holds a lane.
    pub lease: Duration,
}

/// What became of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was accepted.
    Accepted,
    /// The endpoint wants nothing any more.
    Gone,
    /// It was not accepted.
    Failed {
        /// Why, as a code.
        reason: String,
        /// The endpoint's own word for when to come again.
        asked: Option<Duration>,
        /// It is the endpoint that is too busy, not this message that is wrong.
        busy: bool,
    },
}

/// Reads what came of a try.
pub(crate) fn verdict(answer: &Result<Pushed, NotFetched>, now: Timestamp) -> Verdict {
    let failed = |reason: String| Verdict::Failed {
        reason,
        asked: None,
        busy: false,
    };
    let pushed = match answer {
        Ok(pushed) => pushed,
        Err(NotFetched::Refused(_)) => return failed("address_refused".to_owned()),
        Err(NotFetched::NoAnswer(none)) => {
            let reason = match none.kind() {
                NoAnswerKind::NotSent => "no_connection",
                NoAnswerKind::Lost => "no_answer",
                NoAnswerKind::TooLarge => "too_large",
                NoAnswerKind::Refused => "address_refused",
            };
            return failed(reason.to_owned());
        }
        Err(_) => return failed("no_answer".to_owned()),
    };
    match pushed.status {
        status if status.is_success() => Verdict::Accepted,
        StatusCode::GONE => Verdict::Gone,
        status => Verdict::Failed {
            reason: format!("http_{}", status.as_u16()),
            asked: pushed
                .retry_after
                .as_deref()
                .and_then(|text| retry_after(text, now)),
            busy: matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
            ),
        },
    }
}

/// `Retry-After`: seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(LONGEST_ASKED));
    }
    let at = httpdate::parse_http_date(text.trim()).ok()?;
    let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    let at = Timestamp::from_secs(i64::try_from(since.as_secs()).ok()?);
    Some(at.since(now).min(LONGEST_ASKED))
}

/// What follows for a message after its try number `tries` (from 1) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is tried again after this long.
    Again(Duration),
    /// It is a dead letter.
    Dead,
}

pub(crate) fn next(
    pace: &Pace,
    tries: u32,
    age: Duration,
    asked: Option<Duration>,
    entropy: &dyn Entropy,
) -> Next {
    let place = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    let over_age = age >= pace.give_up && tries >= TRIES_OVER_AGE;
    let Some(pause) = pace.retries.0.get(place).filter(|_| !over_age) else {
        return Next::Dead;
    };
    let pause = prolonged(*pause, entropy);
    Next::Again(asked.map_or(pause, |asked| asked.max(pause)))
}

/// With its jitter: never shorter, so that what an endpoint was promised holds.
pub(crate) fn prolonged(pause: Duration, entropy: &dyn Entropy) -> Duration {
    let most = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) / JITTER_PART;
    pause + Duration::from_millis(entropy.below(most + 1))
}

/// How long an endpoint rests after its failure number `failures` in a row.
pub(crate) fn rest(failures: u32, asked: Option<Duration>, busy: bool) -> Option<Duration> {
    let asked = asked
        .filter(|_| busy)
        .map(|asked| asked.min(LONGEST_ASKED_REST));
    let more = failures.checked_sub(FAILURES_BEFORE_REST);
    let usual = more.map(|more| {
        let factor = 1u32.checked_shl(more.min(16)).unwrap_or(u32::MAX);
        FIRST_REST.saturating_mul(factor).min(LONGEST_REST)
    });
    asked.max(usual)
}

#[cfg(test)]
mod tests {
    use domain::SeededEntropy;
    use http::Method;
    use transport::NoAnswer;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

    fn pace() -> Pace {
        Pace {
            settle: Duration::from_secs(1),
            retries: Retries::default(),
            give_up: Duration::from_secs(259_200),
            timeout: Duration::from_secs(15),
            lease: Duration::from_secs(90),
        }
    }

    #[test]
    fn answers_are_read_as_the_specification_says() {
        let failed = |reason: &str, asked: Option<u64>, busy| Verdict::Failed {
            reason: reason.to_owned(),
            asked: asked.map(Duration::from_secs),
            busy,
        };
        for (status, retry_after, expected) in [
            (200, None, Verdict::Accepted),
            (204, None, Verdict::Accepted),
            (301, None, failed("http_301", None, false)),
            (307, None, failed("http_307", None, false)),
            (400, None, failed("http_400", None, false)),
            (404, None, failed("http_404", None, false)),
            (410, None, Verdict::Gone),
            (429, Some("7"), failed("http_429", Some(7), true)),
            (429, Some("soon"), failed("http_429", None, true)),
            (500, None, failed("http_500", None, false)),
            (
                503,
                Some("Thu, 01 Jan 2026 00:02:00 GMT"),
                failed("http_503", Some(120), true),
            ),
            (
                503,
                Some("Thu, 01 Jan 2015 00:02:00 GMT"),
                failed("http_503", Some(0), true),
            ),
            (
                503,
                Some("99999999999"),
                failed("http_503", Some(86_400), true),
            ),
        ] {
            let answer = Ok(Pushed {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: retry_after.map(str::to_owned),
            });
            assert_eq!(verdict(&answer, NOW), expected, "{status} {retry_after:?}");
        }
        for (kind, reason) in [
            (NoAnswerKind::NotSent, "no_connection"),
            (NoAnswerKind::Lost, "no_answer"),
            (NoAnswerKind::Refused, "address_refused"),
        ] {
            let none = NoAnswer::new(kind, &Method::POST, "https://a.example/", "why");
            let answer = Err(NotFetched::NoAnswer(none));
            assert_eq!(verdict(&answer, NOW), failed(reason, None, false));
        }
    }

    #[test]
    fn tries_follow_the_schedule_and_end() {
        let entropy = SeededEntropy::new(1);
        let young = Duration::from_secs(60);
        let mut whole = Duration::ZERO;
        for (place, pause) in SCHEDULE.into_iter().enumerate() {
            let tries = u32::try_from(place).unwrap() + 1;
            let Next::Again(next) = next(&pace(), tries, young, None, &entropy) else {
                panic!("try {tries} is not the last");
            };
            let pause = Duration::from_secs(pause);
            assert!(
                (pause..=pause + pause / 5).contains(&next),
                "{tries}: {next:?}"
            );
            whole += pause;
        }
        assert!(whole >= Duration::from_secs(3 * 24 * 3_600));
        assert_eq!(next(&pace(), 10, young, None, &entropy), Next::Dead);
    }

    #[test]
    fn what_waited_behind_others_is_given_up_sooner() {
        let entropy = SeededEntropy::new(1);
        let old = Duration::from_secs(259_200);
        for (tries, dead) in [(1, false), (2, false), (3, true), (4, true)] {
            let next = next(&pace(), tries, old, None, &entropy);
            assert_eq!(next == Next::Dead, dead, "{tries}");
        }
    }

    #[test]
    fn the_endpoints_word_prolongs_a_pause_and_never_shortens_it() {
        let entropy = SeededEntropy::new(1);
        let after = |asked: u64| {
            let asked = Some(Duration::from_secs(asked));
            next(&pace(), 2, Duration::ZERO, asked, &entropy)
        };
        assert_eq!(after(1_000), Next::Again(Duration::from_secs(1_000)));
        let Next::Again(short) = after(1) else {
            panic!("not the last");
        };
        assert!(short >= Duration::from_secs(300));
    }

    #[test]
    fn an_endpoint_rests_longer_the_longer_it_fails() {
        let secs = |failures, asked: Option<u64>, busy| {
            rest(failures, asked.map(Duration::from_secs), busy).map(|rest| rest.as_secs())
        };
        for (failures, asked, busy, expected) in [
            (1, None, false, None),
            (4, None, false, None),
            (5, None, false, Some(5)),
            (6, None, false, Some(10)),
            (11, None, false, Some(300)),
            (4_000_000, None, false, Some(300)),
            (1, Some(20), true, Some(20)),
            (1, Some(20), false, None),
            (1, Some(86_400), true, Some(3_600)),
            (9, Some(20), true, Some(80)),
        ] {
            assert_eq!(
                secs(failures, asked, busy),
                expected,
                "{failures} {asked:?}"
            );
        }
    }

    #[test]
    fn schedules_are_read() {
        assert_eq!(Retries::parse("5, 300").unwrap().0.len(), 2);
        for bad in ["", "5,", "5;6", "-1", "a"] {
            assert!(Retries::parse(bad).is_err(), "{bad}");
        }
        let text = SCHEDULE.map(|pause| pause.to_string()).join(",");
        assert_eq!(Retries::parse(&text).unwrap(), Retries::default());
    }
}
