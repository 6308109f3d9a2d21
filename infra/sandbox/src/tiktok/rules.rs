//! Who may post what, and how much of it (tiktok.md §4.1, §4.5, §4.10).
//!
//! The papers give no order of refusals. The order here: what keeps the creator from posting at all
//! (as creator_info says it: banned, the creator's day, the app's users), then the privacy level,
//! then what an unaudited app may do, last the ownership of URLs.

use serde_json::Value;

use super::app::App;
use super::errors::{Refusal, refuse};
use super::publish::{Publish, Status};
use super::state::{Caller, State};

const DAY_MS: i64 = 24 * 3_600_000;

/// Whether the creator is banned; meets every kind of post.
pub(crate) fn banned(state: &State, caller: &Caller) -> Result<(), Refusal> {
    let (_, user) = state.behind(caller)?;
    if user.banned_from_posting {
        return Err(refuse(
            "spam_risk_user_banned_from_posting",
            "The user is banned from making new posts",
        ));
    }
    Ok(())
}

/// What keeps a creator from posting directly at all; creator_info refuses the same.
pub(crate) fn may_post(state: &State, caller: &Caller, now: i64) -> Result<(), Refusal> {
    banned(state, caller)?;
    if !state.settings.posting_caps {
        return Ok(());
    }
    let (app, _) = state.behind(caller)?;
    let today: Vec<&Publish> = state
        .publishes
        .values()
        .filter(|other| {
            other.direct && now - other.created_ms < DAY_MS && other.status != Status::Failed
        })
        .collect();
    // Across all apps.
    let own = today.iter().filter(|other| other.user == caller.user);
    if own.count() >= state.settings.direct_posts_per_day {
        return Err(refuse(
            "spam_risk_too_many_posts",
            "The daily post cap from the API is reached for this user",
        ));
    }
    let mut others: Vec<&str> = today
        .iter()
        .filter(|other| other.client_key == caller.client_key)
        .map(|other| other.user.as_str())
        .collect();
    others.sort_unstable();
    others.dedup();
    let known = others.contains(&caller.user.as_str());
    if !known && users_cap(state, app).is_some_and(|cap| others.len() >= cap) {
        return Err(refuse(
            "reached_active_user_cap",
            "The daily quota of active publishing users is reached",
        ));
    }
    Ok(())
}

fn users_cap(state: &State, app: &App) -> Option<usize> {
    let unaudited = app.is_limited();
    app.active_users_per_day
        .or(unaudited.then_some(state.settings.unaudited_users_per_day))
}

/// The privacy level against the creator's options, then against an unaudited app's.
pub(crate) fn privacy(state: &State, caller: &Caller, info: &Value) -> Result<(), Refusal> {
    let (app, user) = state.behind(caller)?;
    let mismatch = |text: &str| Err(refuse("privacy_level_option_mismatch", text));
    // A missing privacy level is answered like a wrong one (tiktok.md, addenda).
    let level = info.get("privacy_level").and_then(Value::as_str);
    if !level.is_some_and(|level| user.privacy_options().contains(&level)) {
        return mismatch("The privacy level is not one of the creator's options");
    }
    let alone = level == Some("SELF_ONLY");
    if app.is_limited() && !(user.private && alone) {
        return Err(refuse(
            "unaudited_client_can_only_post_to_private_accounts",
            "Unaudited clients can only post, for the account alone, to private accounts",
        ));
    }
    let branded = info.get("brand_content_toggle") == Some(&Value::Bool(true));
    if state.settings.refuse_branded_private && branded && alone {
        return mismatch("Branded content cannot be for the account alone");
    }
    Ok(())
}

/// Drafts: at most five wait for their user in 24 hours.
pub(crate) fn pending_shares(state: &State, caller: &Caller, now: i64) -> Result<(), Refusal> {
    if !state.settings.posting_caps {
        return Ok(());
    }
    let release = state.settings.pending_released_by;
    let pending = state
        .publishes
        .values()
        .filter(|other| {
            other.client_key == caller.client_key
                && other.user == caller.user
                && now - other.created_ms < DAY_MS
                && other.is_pending(release)
        })
        .count();
    if pending < state.settings.pending_shares_max {
        return Ok(());
    }
    Err(refuse(
        "spam_risk_too_many_pending_share",
        "There may be at most 5 pending shares within any 24-hour period",
    ))
}

/// Every URL must be the app's own.
pub(crate) fn owned<'a>(
    state: &State,
    caller: &Caller,
    mut urls: impl Iterator<Item = &'a str>,
) -> Result<(), Refusal> {
    let (app, _) = state.behind(caller)?;
    if urls.all(|url| app.owns(url)) {
        return Ok(());
    }
    Err(refuse(
        "url_ownership_unverified",
        "The ownership of the URL is not verified for this app",
    ))
}
