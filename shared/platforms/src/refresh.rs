//! Keeping tokens alive, and ending them.

use std::time::Duration;

use domain::{Fault, TokenBundle};

use crate::{Answer, App, Call};

/// How tokens are renewed.
pub trait Refresh: Sync {
    /// When and under which time-outs.
    fn policy(&self) -> RefreshPolicy;

    /// The request that renews `bundle`; a fault where it holds nothing to renew with.
    fn request(&self, app: &App, bundle: &TokenBundle) -> Result<Call, Fault>;

    /// Reads the answer. What the platform left out is taken over from `old`, so a stored refresh
    /// token is never replaced by an absent or empty one. The fault's kind tells the three outcomes
    /// apart: `ReauthNeeded` is a dead grant, `AppRefused` is ours, the rest passes.
    fn read(&self, answer: Answer<'_>, old: &TokenBundle) -> Result<TokenBundle, Fault>;
}

/// When a platform's tokens are renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// At the latest this long before the access token dies …
    pub margin_at_least: Duration,
    /// … or this share of its life, if that is longer.
    pub margin_percent: u8,
    /// How old a token must be before the platform lets it be renewed.
    pub min_age: Duration,
    /// Whether renewing spends the refresh token.
    pub rotates: bool,
    /// For how long the platform states that a spent refresh token still works.
    pub grace: Option<Duration>,
    /// A connection not used for this long is idle: it is kept alive, not fresh.
    pub idle_after: Duration,
    /// An idle connection is renewed this long before its refresh token dies …
    pub idle_margin: Duration,
    /// … and in any case this long after the last renewal.
    pub idle_at_most: Duration,
    /// The whole request's time-out; under a third of the lease.
    pub timeout: Duration,
    /// How long one renewal holds the connection.
    pub lease: Duration,
}

impl RefreshPolicy {
    /// Of tokens that are never renewed: only the lease of whoever looks at them.
    pub const NONE: Self = Self {
        margin_at_least: Duration::ZERO,
        margin_percent: 0,
        min_age: Duration::ZERO,
        rotates: false,
        grace: None,
        idle_after: Duration::MAX,
        idle_margin: Duration::ZERO,
        idle_at_most: Duration::MAX,
        timeout: Duration::ZERO,
        lease: Duration::from_secs(30),
    };
}

/// How a platform is told that a connection ended.
pub trait Revoke: Sync {
    /// The request that ends `bundle` on the platform.
    fn request(&self, app: &App, bundle: &TokenBundle) -> Result<Call, Fault>;

    /// Reads the answer; tokens that the platform no longer knows count as ended.
    fn read(&self, answer: Answer<'_>) -> Result<(), Fault>;

    /// Whether one revoke ends every token that the app has of the account, so that nothing is left
    /// to tell of older ones. `false`: each grant, or each token, is ended by itself.
    fn ends_all(&self) -> bool {
        false
    }
}
