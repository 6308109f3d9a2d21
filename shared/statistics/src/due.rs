//! What follows from how a sync ended. Pure.

use domain::{Actor, Fault, FaultKind, Retry, Timestamp};
use store::Connection;

use crate::Calendar;

/// The pause after the first failure; doubles with each further one.
const FIRST_PAUSE_SECONDS: i64 = 15 * 60;
/// Pauses do not grow beyond this.
const LONGEST_PAUSE_SECONDS: i64 = 4 * 3_600;

/// When a connection whose sync failed is due again: what passes is tried again within the day, the
/// rest in its own place of the next day's run, which begins at `next_slot`. `failures` are those
/// before this one.
pub(crate) fn after_failure(
    fault: &Fault,
    failures: u32,
    now: Timestamp,
    next_slot: Timestamp,
) -> Timestamp {
    let pause = (FIRST_PAUSE_SECONDS << failures.min(8)).min(LONGEST_PAUSE_SECONDS);
    match fault.retry() {
        Retry::At(until) => until.max(now.plus_secs(60)),
        Retry::BackOff | Retry::AfterRefresh => now.plus_secs(pause),
        Retry::Never => next_slot,
    }
    .min(next_slot)
}

/// Whether today's own sync need not run any more: the connection was read well since the day opened.
pub(crate) fn is_read(calendar: &Calendar, connection: &Connection, now: Timestamp) -> bool {
    connection.stats_fault.is_none()
        && connection
            .stats_read_at
            .is_some_and(|read| read >= calendar.opening(now))
}

/// Whether a repair makes sense: the last sync failed, of something that may have passed by now.
pub(crate) fn may_have_passed(connection: &Connection, now: Timestamp) -> bool {
    let Some(fault) = &connection.stats_fault else {
        return false;
    };
    if fault.until.is_some_and(|until| until > now) {
        return false;
    }
    match fault.kind {
        FaultKind::TokenRejected
        | FaultKind::RateLimited
        | FaultKind::QuotaUsed
        | FaultKind::PlatformDown
        // An operator may have mended it, or a new version does.
        | FaultKind::AppRefused
        | FaultKind::AppNotApproved
        | FaultKind::OurBug => true,
        // A newer consent clears these; time alone does not.
        FaultKind::ReauthNeeded
        | FaultKind::ScopeMissing
        | FaultKind::AccountRestricted
        | FaultKind::MediaRejected
        | FaultKind::ContentRejected
        | FaultKind::NotFound
        | FaultKind::InvalidRequest => false,
    }
}

/// Whether a failure is one of the deployment, which its operator's alarms count: not what the
/// creator took away or the product asked for in vain.
pub(crate) fn counts(fault: &Fault) -> bool {
    matches!(fault.kind.actor(), Actor::Operator | Actor::Nobody)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const TOMORROW: Timestamp = NOW.plus_secs(86_400);

    #[test]
    fn what_passes_is_tried_again_within_the_day_and_the_rest_the_next_day() {
        let minutes = |minutes: i64| NOW.plus_secs(60 * minutes);
        let fault = Fault::new;
        for (fault, failures, due) in [
            (fault(FaultKind::PlatformDown), 0, minutes(15)),
            (fault(FaultKind::PlatformDown), 1, minutes(30)),
            (fault(FaultKind::RateLimited), 3, minutes(120)),
            (fault(FaultKind::RateLimited), 90, minutes(240)),
            (
                fault(FaultKind::RateLimited).until(minutes(7)),
                3,
                minutes(7),
            ),
            (
                fault(FaultKind::RateLimited).until(minutes(-7)),
                3,
                minutes(1),
            ),
            (
                fault(FaultKind::QuotaUsed).until(minutes(9_999)),
                0,
                TOMORROW,
            ),
            (fault(FaultKind::QuotaUsed), 0, TOMORROW),
            (fault(FaultKind::TokenRejected), 0, minutes(15)),
            (fault(FaultKind::ReauthNeeded), 0, TOMORROW),
            (fault(FaultKind::ScopeMissing), 0, TOMORROW),
            (fault(FaultKind::OurBug), 0, TOMORROW),
        ] {
            assert_eq!(
                after_failure(&fault, failures, NOW, TOMORROW),
                due,
                "{fault} {failures}"
            );
        }
    }

    #[test]
    fn only_the_deployments_own_trouble_counts() {
        for (kind, counted) in [
            (FaultKind::PlatformDown, true),
            (FaultKind::OurBug, true),
            (FaultKind::AppRefused, true),
            (FaultKind::ScopeMissing, false),
            (FaultKind::ReauthNeeded, false),
        ] {
            assert_eq!(counts(&Fault::new(kind)), counted, "{kind:?}");
        }
    }
}
