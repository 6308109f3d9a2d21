//! Platforms with their lifetimes and refresh policies. TikTok's policy is the product's own; the
//! others are what their sheets ask for, until they have modules.

use std::time::Duration;

use domain::Platform;
use platforms::RefreshPolicy;

use crate::DAY;

const HOUR: Duration = Duration::from_secs(3_600);
const DAYS: Duration = Duration::from_secs(86_400);

/// A platform, or one of its variants.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What reports call it.
    pub name: &'static str,
    /// How many of a thousand connections are its.
    pub share: u32,
    /// When it is refreshed.
    pub policy: RefreshPolicy,
    /// How long an access token lives, in minutes; `None`: for ever.
    pub access: Option<u32>,
    /// How long a refresh token lives, in minutes; `None`: for ever.
    pub refresh: Option<u32>,
    /// Whether answers say how long the refresh token lives.
    pub told: bool,
}

/// All of them, a thousand shares together.
pub fn kinds() -> Vec<Kind> {
    let base = platforms::refresh(Platform::TikTok).map(|refresh| refresh.policy());
    let base = base.unwrap_or(LONG_LIVED);
    let long_lived = |name, share| Kind {
        name,
        share,
        policy: LONG_LIVED,
        access: Some(60 * DAY),
        // The token renews itself: dead, it cannot.
        refresh: Some(60 * DAY),
        told: true,
    };
    vec![
        // tiktok.md §1.4: the lifetimes of 2026, and those before.
        Kind {
            name: "tiktok 2 h",
            share: 220,
            policy: base,
            access: Some(120),
            refresh: Some(180 * DAY),
            told: true,
        },
        Kind {
            name: "tiktok 24 h",
            share: 80,
            policy: base,
            access: Some(DAY),
            refresh: Some(365 * DAY),
            told: true,
        },
        // instagram.md §2.3, threads.md §1.3.
        long_lived("instagram", 220),
        long_lived("threads", 90),
        // facebook.md: page tokens of long-lived users do not expire.
        Kind {
            name: "facebook",
            share: 190,
            policy: base,
            access: None,
            refresh: None,
            told: false,
        },
        // fanvue.md §1: an hour; rotates with 30 s of grace; how long a refresh token lives is not
        // known, so 30 days are assumed and half of it kept.
        Kind {
            name: "fanvue",
            share: 40,
            policy: RefreshPolicy {
                margin_at_least: Duration::from_secs(60),
                grace: Some(Duration::from_secs(30)),
                idle_at_most: 15 * DAYS,
                timeout: Duration::from_secs(6),
                lease: Duration::from_secs(20),
                ..base
            },
            access: Some(60),
            refresh: Some(30 * DAY),
            told: false,
        },
        // reddit.md §2.3: 24 hours, and a refresh token that stays.
        Kind {
            name: "reddit",
            share: 60,
            policy: RefreshPolicy {
                rotates: false,
                ..base
            },
            access: Some(DAY),
            refresh: None,
            told: false,
        },
        // x.md §2.4: two hours; some six months, which no answer says.
        Kind {
            name: "x",
            share: 100,
            policy: RefreshPolicy {
                margin_at_least: HOUR / 6,
                ..base
            },
            access: Some(120),
            refresh: Some(180 * DAY),
            told: false,
        },
    ]
}

/// Tokens of 60 days that renew themselves once they are a day old.
const LONG_LIVED: RefreshPolicy = RefreshPolicy {
    margin_at_least: Duration::from_secs(10 * 86_400),
    margin_percent: 10,
    min_age: Duration::from_secs(86_400),
    rotates: false,
    grace: None,
    idle_after: Duration::from_secs(7 * 86_400),
    idle_margin: Duration::from_secs(20 * 86_400),
    idle_at_most: Duration::from_secs(40 * 86_400),
    timeout: Duration::from_secs(9),
    lease: Duration::from_secs(30),
};

#[cfg(test)]
mod tests {
    #[test]
    fn shares_are_a_thousand() {
        let all = super::kinds();
        assert_eq!(all.iter().map(|kind| kind.share).sum::<u32>(), 1_000);
    }
}
