//! When a connection is to be refreshed. Pure: the simulation runs this very code.

use std::time::Duration;

use domain::{Entropy, Timestamp};
use platforms::RefreshPolicy;

/// The largest jitter is one of so many parts of the time from issue to the latest due time. What is
/// connected, or comes back after an outage, within a few minutes is due together again and again;
/// with less jitter such a herd stays one for weeks (the simulation shows it).
const JITTER_SHARE: u32 = 8;

/// What the due time depends on.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// When the bundle was issued.
    pub issued_at: Timestamp,
    /// When its access token dies.
    pub expires_at: Option<Timestamp>,
    /// When its refresh token dies.
    pub refresh_expires_at: Option<Timestamp>,
    /// When the connection was last used.
    pub used_at: Timestamp,
}

/// When the bundle is to be renewed; `None` where nothing ends. A connection that was used lately is
/// kept fresh, an idle one is kept alive. Jitter spreads bundles that were issued together; it only
/// ever moves the time to the safe side, the earlier one.
pub fn due_at(
    policy: &RefreshPolicy,
    life: &Life,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Option<Timestamp> {
    let allowed_from = life.issued_at + policy.min_age;
    let idle = now.since(life.used_at) >= policy.idle_after;
    let due = if idle {
        idle_due(policy, life)
    } else {
        fresh_due(policy, life)
    };
    // A platform may end the refresh token before an idle connection's turn comes.
    let due = match (due, life.expires_at, life.refresh_expires_at) {
        (Some((at, span)), _, _) => Some((at, span)),
        (None, Some(_), _) => fresh_due(policy, life),
        (None, None, _) => None,
    }?;
    let (at, span) = due;
    let span = span / JITTER_SHARE;
    let jitter = Duration::from_millis(entropy.below(span.as_millis().try_into().unwrap_or(0)));
    Some((at - jitter).max(allowed_from))
}

/// The pause before try number `failures + 1`: doubles from 30 s to at most an hour, and lies
/// anywhere in its upper half.
pub fn backoff(failures: u32, entropy: &dyn Entropy) -> Duration {
    let whole = Duration::from_secs(30 << failures.min(7)).min(Duration::from_secs(3_600));
    let half = whole / 2;
    half + Duration::from_millis(entropy.below(half.as_millis().try_into().unwrap_or(u64::MAX)))
}

/// The latest due time, and how long after the issue it is.
fn fresh_due(policy: &RefreshPolicy, life: &Life) -> Option<(Timestamp, Duration)> {
    let expires = life.expires_at?;
    let whole = expires.since(life.issued_at);
    let share = whole * u32::from(policy.margin_percent) / 100;
    let margin = share.max(policy.margin_at_least).min(whole);
    Some((expires - margin, whole - margin))
}

fn idle_due(policy: &RefreshPolicy, life: &Life) -> Option<(Timestamp, Duration)> {
    let at_most = life.issued_at + policy.idle_at_most;
    let span = at_most.since(life.issued_at);
    let due = match life.refresh_expires_at {
        // Never before a third of its life: one shorter than the margin would be due at once, again
        // and again.
        Some(end) => (end - policy.idle_margin)
            .max(life.issued_at + end.since(life.issued_at) / 3)
            .min(at_most),
        None => at_most,
    };
    // Nothing to keep alive where the access token itself never ends.
    life.expires_at
        .map(|_| (due, span.min(due.since(life.issued_at))))
}

#[cfg(test)]
mod tests {
    use domain::SeededEntropy;

    use super::*;

    const HOUR: i64 = 3_600;
    const DAY: i64 = 24 * HOUR;

    fn policy() -> RefreshPolicy {
        RefreshPolicy {
            margin_at_least: Duration::from_secs(60),
            margin_percent: 10,
            min_age: Duration::ZERO,
            rotates: true,
            grace: None,
            idle_after: Duration::from_secs(7 * 86_400),
            idle_margin: Duration::from_secs(30 * 86_400),
            idle_at_most: Duration::from_secs(60 * 86_400),
            timeout: Duration::from_secs(9),
            lease: Duration::from_secs(30),
        }
    }

    fn life(expires: Option<i64>, refresh: Option<i64>) -> Life {
        Life {
            issued_at: Timestamp::from_secs(0),
            expires_at: expires.map(Timestamp::from_secs),
            refresh_expires_at: refresh.map(Timestamp::from_secs),
            used_at: Timestamp::from_secs(0),
        }
    }

    fn due(policy: &RefreshPolicy, life: &Life, now: i64) -> Option<i64> {
        due_at(
            policy,
            life,
            Timestamp::from_secs(now),
            &SeededEntropy::new(1),
        )
        .map(Timestamp::secs)
    }

    #[test]
    fn used_connections_are_fresh_and_idle_ones_alive() {
        let two_hours = life(Some(2 * HOUR), Some(180 * DAY));
        let at = due(&policy(), &two_hours, 0).unwrap();
        assert!(
            (5_670..=6_480).contains(&at),
            "a tenth before the end, with jitter: {at}"
        );

        let idle_for = 8 * DAY;
        let at = due(&policy(), &two_hours, idle_for).unwrap();
        assert!(
            (52 * DAY..=60 * DAY).contains(&at),
            "sixty days at most: {at}"
        );

        let short_refresh = life(Some(2 * HOUR), Some(50 * DAY));
        let at = due(&policy(), &short_refresh, idle_for).unwrap();
        assert!(
            (17 * DAY..=20 * DAY).contains(&at),
            "thirty days before the refresh token: {at}"
        );
    }

    #[test]
    fn a_refresh_token_shorter_than_the_margin_is_not_due_at_once() {
        let at = due(&policy(), &life(Some(2 * HOUR), Some(20 * DAY)), 8 * DAY).unwrap();
        assert!((5 * DAY..=7 * DAY).contains(&at), "{at}");
    }

    /// Ten thousand connected in the same minute: after one life, no minute has more than its share of
    /// a quarter of an hour.
    #[test]
    fn what_is_issued_together_is_not_due_together() {
        let entropy = SeededEntropy::new(5);
        let mut minutes = std::collections::BTreeMap::new();
        for _ in 0..10_000 {
            let life = life(Some(2 * HOUR), Some(180 * DAY));
            let now = Timestamp::from_secs(0);
            let at = due_at(&policy(), &life, now, &entropy).unwrap();
            *minutes.entry(at.secs() / 60).or_insert(0) += 1;
        }
        let most = minutes.values().max().unwrap();
        assert!(*most < 1_000, "{most} of 10,000 in one minute");
    }

    #[test]
    fn nothing_is_due_where_nothing_ends() {
        assert_eq!(due(&policy(), &life(None, None), 0), None);
        assert_eq!(due(&policy(), &life(None, None), 9 * DAY), None);
    }

    #[test]
    fn a_token_is_not_renewed_before_the_platform_lets_it() {
        let young = RefreshPolicy {
            min_age: Duration::from_secs(86_400),
            ..policy()
        };
        assert_eq!(due(&young, &life(Some(2 * HOUR), None), 0), Some(DAY));
    }

    #[test]
    fn tiny_lives_do_not_turn_negative() {
        let at = due(&policy(), &life(Some(10), None), 0).unwrap();
        assert!((0..=10).contains(&at));
    }

    #[test]
    fn backoff_grows_to_an_hour() {
        let entropy = SeededEntropy::new(3);
        let pauses: Vec<_> = (0..12).map(|n| backoff(n, &entropy).as_secs()).collect();
        assert!((15..30).contains(&pauses[0]), "{pauses:?}");
        assert!((120..240).contains(&pauses[3]), "{pauses:?}");
        assert!(
            pauses[7..]
                .iter()
                .all(|pause| (1_800..3_600).contains(pause)),
            "{pauses:?}"
        );
    }
}
