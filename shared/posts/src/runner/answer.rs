//! What an answer, or the lack of one, comes to.

use domain::{Fault, FaultKind, Timestamp};
use http::HeaderMap;
use platforms::{RateHeaders, State};
use tokens::AccessError;
use transport::NoAnswerKind;

use crate::decide::Trouble;
use crate::error::RunError;

/// How an action went.
pub(super) enum Done {
    /// An answer moved the machine.
    Moved(State),
    /// No answer came, and it may have had its effect.
    Lost,
    /// It surely had no effect.
    Trouble(Trouble),
    /// The target is no longer this worker's; nothing was sent.
    NotOurs,
}

/// What may be concluded where no answer came. `given`: the platform itself gave the address.
pub(super) fn unanswered(kind: NoAnswerKind, given: bool) -> Done {
    match kind {
        NoAnswerKind::NotSent => Done::Trouble(Trouble::Fault(Fault::new(FaultKind::PlatformDown))),
        // The address is one that we do not call: the same again would be refused again.
        NoAnswerKind::Refused => Done::Trouble(Trouble::Fault(
            Fault::new(FaultKind::OurBug).sentence(if given {
                "The platform gave an upload address that may not be called."
            } else {
                "The platform's address may not be called from here. The operator must check the host overrides."
            }),
        )),
        NoAnswerKind::Lost | NoAnswerKind::TooLarge => Done::Lost,
    }
}

/// The fault, with the instant that the answer's headers tell where its body does not.
pub(super) fn timed(fault: Fault, headers: &HeaderMap, now: Timestamp) -> Fault {
    let passes = matches!(fault.kind, FaultKind::RateLimited | FaultKind::PlatformDown);
    match RateHeaders::read(headers, now).wait_until() {
        Some(until) if passes && fault.until.is_none() => fault.until(until),
        _ => fault,
    }
}

pub(super) fn no_access(error: AccessError) -> Result<Trouble, RunError> {
    match error {
        AccessError::NotConnected(fault) => Ok(Trouble::NotConnected(fault)),
        AccessError::Later(fault) => Ok(Trouble::Later(fault)),
        AccessError::Internal(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_answer_is_not_a_failed_call() {
        for (kind, lost) in [
            (NoAnswerKind::NotSent, false),
            (NoAnswerKind::Refused, false),
            (NoAnswerKind::Lost, true),
            (NoAnswerKind::TooLarge, true),
        ] {
            for given in [false, true] {
                let done = unanswered(kind, given);
                assert_eq!(matches!(done, Done::Lost), lost, "{kind:?}");
            }
        }
    }

    #[test]
    fn an_address_that_may_not_be_called_is_told_to_the_operator() {
        for (given, names) in [(true, "upload address"), (false, "host overrides")] {
            let Done::Trouble(Trouble::Fault(fault)) = unanswered(NoAnswerKind::Refused, given)
            else {
                panic!("no fault");
            };
            assert_eq!(fault.kind.actor(), domain::Actor::Operator);
            assert_eq!(fault.retry(), domain::Retry::Never);
            assert!(fault.explain().contains(names), "{}", fault.explain());
        }
    }

    #[test]
    fn headers_say_when_where_the_body_does_not() {
        let now = Timestamp::from_secs(1_800_000_000);
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", http::HeaderValue::from_static("30"));
        let later = now.plus_secs(30);
        let own = now.plus_secs(5);
        for (fault, until) in [
            (Fault::new(FaultKind::RateLimited), Some(later)),
            (Fault::new(FaultKind::PlatformDown), Some(later)),
            (Fault::new(FaultKind::RateLimited).until(own), Some(own)),
            (Fault::new(FaultKind::ContentRejected), None),
        ] {
            assert_eq!(timed(fault, &headers, now).until, until);
        }
    }
}
