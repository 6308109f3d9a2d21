//! What a refresh decides, without I/O: the simulation runs this very code.

use std::time::Duration;

use domain::{Entropy, Fault, FaultKind, ReauthReason, Timestamp};
use platforms::RefreshPolicy;

use crate::backoff;

/// The first opening of a breaker; doubles with every further one, up to [`BREAKER_MOST`].
const BREAKER_FIRST: Duration = Duration::from_secs(300);
const BREAKER_MOST: Duration = Duration::from_secs(3_600);

/// What a platform's refusal of a refresh means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The grant is dead.
    Dead(ReauthReason),
    /// The fault is of the whole app: the breaker opens, and no connection is blamed.
    App,
    /// It passes.
    Passes,
}

/// Tells the outcomes apart. `may_be_spent`: an earlier refresh of this version may have spent its
/// token.
pub fn refusal(
    fault: &Fault,
    policy: &RefreshPolicy,
    may_be_spent: bool,
    refresh_expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Refusal {
    if fault.kind == FaultKind::ReauthNeeded {
        let ended = refresh_expires_at.is_some_and(|end| end <= now);
        return Refusal::Dead(match () {
            () if policy.rotates && may_be_spent => ReauthReason::RotationLost,
            () if ended => ReauthReason::RefreshExpired,
            () => ReauthReason::GrantRevoked,
        });
    }
    if fault.kind.concerns_app() {
        Refusal::App
    } else {
        Refusal::Passes
    }
}

/// When a connection is tried again whose refresh failed: when the platform said, else after the
/// back-off.
pub fn next_try(
    fault: &Fault,
    failures: u32,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Timestamp {
    let pause = backoff(failures, entropy);
    match fault.until {
        Some(until) if until > now => until,
        _ => now + pause,
    }
}

/// How long a breaker opens that was opened `trips` times in a row.
pub fn breaker_pause(trips: u32) -> Duration {
    (BREAKER_FIRST * 2u32.pow(trips.min(4))).min(BREAKER_MOST)
}

/// How long a lease that was never given back is left alone. A holder that vanished may have left a
/// renewed bundle in the rescue queue, so the old token waits for the settling time; except where
/// nothing rotates, or where the platform lets a spent token be used again for a while.
pub fn settling(policy: &RefreshPolicy, settle: Duration) -> Duration {
    if policy.rotates && policy.grace.is_none() {
        settle
    } else {
        Duration::ZERO
    }
}

/// Where a platform states a grace, a token that may be spent is sent again inside it only: later
/// its reuse would end the whole family (fanvue.md §1). Gives since when it may be spent.
pub fn spent_beyond_grace(
    spent_since: Option<Timestamp>,
    lease_abandoned_at: Option<Timestamp>,
    policy: &RefreshPolicy,
    now: Timestamp,
) -> Option<Timestamp> {
    let grace = policy.grace.filter(|_| policy.rotates)?;
    // A lease that was never given back began at most its own length before it ended.
    let abandoned = lease_abandoned_at.map(|end| end - policy.lease);
    let spent = spent_since.or(abandoned)?;
    (now > spent + grace).then_some(spent)
}
