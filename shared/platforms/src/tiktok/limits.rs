//! TikTok's limits, as they are kept before the call (tiktok.md §2, §4, §4.5, §4.10).
//!
//! None is told by headers. The codes beside them are TikTok's word that a limit is reached whatever we
//! counted: other apps post to the same accounts.

use std::time::Duration;

use crate::{App, Counts, Limit, LimitOf, Rule};

use super::settings;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const TOO_FAST: &[&str] = &["rate_limit_exceeded"];

/// Every start of a publish, of whatever kind: the sheet's table names 6 a minute and user token at
/// each of the three endpoints, its error table 6 a minute and token. Counted together, both hold.
pub(super) const START: Limit = per_minute("publish.start", 6, LimitOf::Account);

/// The question what a creator may choose.
pub(super) const CREATOR: Limit = per_minute("publish.creator", 20, LimitOf::Account);

/// The question what became of a publish.
pub(super) const STATUS: Limit = per_minute("publish.status", 30, LimitOf::Account);

/// Taking a publish back. Its limit is not confirmed (§4): the smallest of the others is kept.
pub(super) const CANCEL: Limit = per_minute("publish.cancel", 6, LimitOf::Account);

/// User info. Whether TikTok counts 600 a minute per app or per token is not stated (§2, §7), here and
/// for the videos: per app is the reading that keeps both.
pub(super) const USER_INFO: Limit = per_minute("user.info", 600, LimitOf::App);

/// The list of an account's videos.
pub(super) const VIDEO_LIST: Limit = per_minute("video.list", 600, LimitOf::App);

/// The question about single videos.
pub(super) const VIDEO_QUERY: Limit = per_minute("video.query", 600, LimitOf::App);

/// Drafts that wait in one creator's inbox: 5 in any 24 hours (§4.5).
pub(super) const PENDING: Limit = Limit {
    name: "publish.pending",
    of: LimitOf::Account,
    rule: Rule::Open { most: 5, per: DAY },
    counts: Counts::Effects,
    codes: &["spam_risk_too_many_pending_share"],
};

/// Accounts that post directly in any 24 hours, while the app is not audited (§4.10).
const UNAUDITED: Limit = Limit {
    name: "publish.accounts",
    of: LimitOf::App,
    rule: Rule::Accounts { most: 5, per: DAY },
    counts: Counts::Effects,
    codes: &["reached_active_user_cap"],
};

/// What a direct start counts against.
pub(super) fn direct(app: &App) -> Vec<Limit> {
    let mut limits = vec![START];
    if let Some(calls) = settings::daily_posts(app) {
        limits.push(Limit {
            name: "publish.daily",
            of: LimitOf::Account,
            rule: Rule::Window { calls, per: DAY },
            counts: Counts::Effects,
            codes: &["spam_risk_too_many_posts"],
        });
    }
    if settings::audited(app) == Some(false) {
        limits.push(UNAUDITED);
    }
    limits
}

const fn per_minute(name: &'static str, calls: u32, of: LimitOf) -> Limit {
    Limit {
        name,
        of,
        rule: Rule::Window { calls, per: MINUTE },
        counts: Counts::Calls,
        codes: TOO_FAST,
    }
}
