//! Limits that a platform sets on calls, as this product keeps them *before* the call.

use std::time::Duration;

/// A limit that a call counts against. Who calls reserves a place first (`limits::Limiter`), shared by
/// all workers, and learns when the call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name in tables, logs and metrics: `publish.start`. Unique on its platform.
    pub name: &'static str,
    /// Whose calls are counted together.
    pub of: LimitOf,
    /// What is allowed.
    pub rule: Rule,
    /// Which calls the platform counts.
    pub counts: Counts,
    /// The platform's codes that say that it is reached, whatever our own count says: it is then
    /// closed until the fault's own instant, or for [`Rule::span`] where the fault names none. One of
    /// what is open ([`Rule::Open`]) is closed for twice as long each time that it is said again.
    pub codes: &'static [&'static str],
}

/// Which calls the platform counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Each one, whatever its answer: a limit on calling.
    Calls,
    /// Those that it does not clearly refuse: a limit on what comes of them. The place of a refused one
    /// is given back; one whose answer is lost or unclear keeps it.
    Effects,
}

/// Whose calls are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitOf {
    /// Those of one account: one access token, one creator.
    Account,
    /// Those of the operator's whole app on the platform.
    App,
}

/// What a limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// At most so many calls in any span of this length: a sliding window.
    Window {
        /// How many.
        calls: u32,
        /// In which span.
        per: Duration,
    },
    /// Calls of at most so many different accounts in any span of this length; more calls of an
    /// account that is counted already are free.
    Accounts {
        /// How many.
        most: u32,
        /// In which span.
        per: Duration,
    },
    /// At most so many open at a time. One stays open until it is released, or for this long.
    Open {
        /// How many.
        most: u32,
        /// For how long one counts at most.
        per: Duration,
    },
    /// So many calls in a span of this length on average, with bursts of as many: a bucket.
    Bucket {
        /// How many.
        calls: u32,
        /// In which span.
        per: Duration,
    },
}

impl Rule {
    /// The span that it speaks of.
    pub const fn span(self) -> Duration {
        match self {
            Self::Window { per, .. }
            | Self::Accounts { per, .. }
            | Self::Open { per, .. }
            | Self::Bucket { per, .. } => per,
        }
    }
}
