//! What is set in the developer portal (apps), who exists (users), with the portal's own rules.

use serde::{Deserialize, Serialize};

use super::app::App;
use super::people::User;
use super::settings::Settings;

/// The scopes of tiktok.md §1.8 that the stand-in serves.
pub const SCOPES: [&str; 6] = [
    "user.info.basic",
    "user.info.profile",
    "user.info.stats",
    "video.list",
    "video.upload",
    "video.publish",
];

/// Apps, users and settings at the start and after a reset.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The registered apps.
    pub apps: Vec<App>,
    /// The people who can sign in.
    pub users: Vec<User>,
    /// The knobs that stay as set.
    pub settings: Settings,
}

impl Config {
    /// One unaudited app with a web and a loopback redirect, its portal sandbox, and three creators, two
    /// of whom are the sandbox's target users.
    #[must_use]
    pub fn demo() -> Self {
        let user = |username: &str, display_name: &str, private, follower_count| User {
            username: username.into(),
            display_name: display_name.into(),
            private,
            follower_count,
            bio_description: format!("{display_name} on the stand-in TikTok"),
            ..User::default()
        };
        let app = |client_key: &str, client_secret: &str| App {
            web_redirect_uris: vec!["https://passerelle.test/oauth/tiktok/callback".into()],
            desktop_redirect_uris: vec!["http://127.0.0.1:*/oauth/tiktok/callback".into()],
            verified_url_prefixes: vec!["https://media.passerelle.test/".into()],
            ..App::new(client_key, client_secret)
        };
        Self {
            apps: vec![
                App {
                    name: "Passerelle demo".into(),
                    ..app("awexample0001", "tt-client-secret-example")
                },
                App {
                    name: "Passerelle demo (sandbox)".into(),
                    sandbox: true,
                    target_users: vec!["mara.cooks".into(), "noor.paints".into()],
                    ..app("sbawexample0001", "tt-sandbox-secret-example")
                },
            ],
            users: vec![
                user("mara.cooks", "Mara", true, 1203),
                user("joris.bikes", "Joris", false, 48_210),
                user("noor.paints", "Noor", true, 77),
            ],
            settings: Settings::default(),
        }
    }
}
