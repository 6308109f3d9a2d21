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
pub fn next_try(fault: &Fault, failures: u32, now: Timestamp, entropy: &dyn Entropy) -> Timestamp {
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

/// Whether a token that may be spent is sent (again) now; else when. Inside the grace that a platform
/// states its reuse is harmless. Later it ends the whole family (fanvue.md §1), by which nothing is
/// lost: nobody has the successor, and if the platform never spent it, it still works. Unless the
/// successor is on its way: a holder that vanished may have left it in the rescue queue.
pub fn not_before(
    spent_since: Option<Timestamp>,
    lease_abandoned_at: Option<Timestamp>,
    policy: &RefreshPolicy,
    settle: Duration,
    now: Timestamp,
) -> Option<Timestamp> {
    let grace = policy.grace.filter(|_| policy.rotates)?;
    let end = lease_abandoned_at?;
    // A lease that was never given back began at most its own length before it ended.
    let spent = spent_since.unwrap_or(end - policy.lease);
    let settled = end + settle;
    (now > spent + grace && now < settled).then_some(settled)
}

// ---- what many connections of a platform tell together

/// How the refreshes of one platform ended lately, over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lately {
    /// With new tokens.
    pub kept: u64,
    /// The platform said that the grant is dead.
    pub died: u64,
    /// With no answer, or with one that says that the platform is in trouble.
    pub down: u64,
}

/// Fewer ends than this say nothing.
const ENDS_AT_LEAST: u64 = 10;
/// Fewer failures than this say nothing.
pub(crate) const DOWN_AT_LEAST: u64 = 20;
/// Ends of many at once are not believed for so long; then they are, for as long again.
pub(crate) const NOT_BELIEVED: Duration = Duration::from_secs(24 * 3_600);
/// How long a breaker first opens for a platform that is down, and at most.
const DOWN_FIRST: Duration = Duration::from_secs(60);
const DOWN_MOST: Duration = Duration::from_secs(600);
/// After a breaker closed, the connections that waited take their turns within this time.
pub const RAMP_MINUTES: u32 = 30;

impl Lately {
    /// Whether more than a fifth died at once, and not just a few: grants end one by one, so it is the
    /// platform that errs (oauth-hardening.md §3.5, item 12).
    pub fn many_die(&self) -> bool {
        self.died >= ENDS_AT_LEAST && self.died * 4 > self.kept
    }

    /// Whether the platform is down: most refreshes fail.
    pub fn is_down(&self) -> bool {
        self.down >= DOWN_AT_LEAST && self.down > self.kept
    }
}

/// Whether the end of a grant is held back, when many die at once: for a day from `held_since`, unless
/// the operator believes it (`believed_until`). A platform that says the same for longer means it.
pub fn holds_ends(held_since: Timestamp, believed_until: Timestamp, now: Timestamp) -> bool {
    let since = now.since(held_since);
    now >= believed_until && (since < NOT_BELIEVED || since >= NOT_BELIEVED * 2)
}

/// How long a breaker opens for a platform that is down. Short: what brings it back is a refresh that
/// goes well, and creators wait.
pub fn down_pause(trips: u32) -> Duration {
    (DOWN_FIRST * 2u32.pow(trips.min(4))).min(DOWN_MOST)
}

/// Whether a connection that waited for a breaker has its turn. All at once would be a herd, and would
/// stay one: what is renewed together is due together. `bucket` is the connection's own, below
/// [`RAMP_MINUTES`]; each opening begins with other ones.
pub fn has_its_turn(bucket: u32, open_until: Timestamp, now: Timestamp) -> bool {
    let elapsed = now.since(open_until).as_secs() / 60;
    let elapsed = u32::try_from(elapsed).unwrap_or(u32::MAX);
    let first = u32::try_from((open_until.secs() / 60).rem_euclid(i64::from(RAMP_MINUTES)));
    (bucket + RAMP_MINUTES - first.unwrap_or(0)) % RAMP_MINUTES <= elapsed
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
