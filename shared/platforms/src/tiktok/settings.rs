//! The operator's settings that publishing knows; see the module's own page for all of them.

use domain::{Environment, Mode, PostOptions};
use serde_json::Value;

use crate::App;

/// Whether TikTok has audited the app; `None` where the operator does not say.
pub(super) fn audited(app: &App) -> Option<bool> {
    app.settings.get("audited").and_then(Value::as_bool)
}

/// Whether the credentials are those of one of TikTok's sandboxes.
pub(super) fn sandbox(app: &App) -> bool {
    app.environment() == Environment::Sandbox
}

/// How many direct posts a creator may make in 24 hours, over all apps: TikTok documents "typically
/// around 15" (tiktok.md §4.10). `None`: not kept before the call.
pub(super) fn daily_posts(app: &App) -> Option<u32> {
    match app.number("daily_posts") {
        None => Some(15),
        Some(0) => None,
        Some(posts) => Some(u32::try_from(posts).unwrap_or(u32::MAX)),
    }
}

/// What a post of an app that TikTok has not audited breaks, if it does.
pub(super) fn breaks_unaudited(app: &App, options: &PostOptions) -> bool {
    options.mode == Mode::Direct
        && audited(app) == Some(false)
        && options.privacy.as_deref() != Some(ONLY_ME)
}

/// The privacy values with rules of their own.
pub(super) const EVERYONE: &str = "PUBLIC_TO_EVERYONE";
pub(super) const ONLY_ME: &str = "SELF_ONLY";
