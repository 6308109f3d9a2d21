//! What is set in the developer portal (apps), who exists (users), with the portal's own rules.

use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

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

/// One registered app.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// TikTok's name for the client id.
    pub client_key: String,
    /// Signs webhooks too.
    pub client_secret: String,
    /// Shown on the consent page; the client key when empty.
    #[serde(default)]
    pub name: String,
    /// Redirect URIs of the web platform: https.
    #[serde(default)]
    pub web_redirect_uris: Vec<String>,
    /// Redirect URIs of the desktop platform: loopback with a port, `*` for any.
    #[serde(default)]
    pub desktop_redirect_uris: Vec<String>,
    /// Scopes that the app was granted.
    #[serde(default = "all_scopes")]
    pub scopes: Vec<String>,
    /// Whether the Content Posting audit was passed.
    #[serde(default)]
    pub audited: bool,
    /// A portal sandbox: never a public post, whatever `audited` says.
    #[serde(default)]
    pub sandbox: bool,
    /// Who may sign in to a portal sandbox; everybody when empty.
    #[serde(default)]
    pub target_users: Vec<String>,
    /// Where webhooks go; loopback only.
    #[serde(default)]
    pub webhook_url: Option<String>,
    /// Prefixes proven to be the app's own, for PULL_FROM_URL.
    #[serde(default)]
    pub verified_url_prefixes: Vec<String>,
}

/// One person with an account.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// The account's name, and its key in control calls.
    pub username: String,
    /// Shown name; the user name when empty.
    pub display_name: String,
    /// A private account: other privacy options, and the only kind an unaudited app may post to.
    pub private: bool,
    /// The profile's text.
    pub bio_description: String,
    /// The badge.
    pub is_verified: bool,
    /// Followers.
    pub follower_count: i64,
    /// Followed accounts.
    pub following_count: i64,
    /// Likes received.
    pub likes_count: i64,
    /// Public videos.
    pub video_count: i64,
    /// Comments switched off by the creator.
    pub comment_disabled: bool,
    /// Duets switched off by the creator.
    pub duet_disabled: bool,
    /// Stitches switched off by the creator.
    pub stitch_disabled: bool,
    /// Longest video in seconds; 600 when 0.
    pub max_video_post_duration_sec: i64,
}

impl Config {
    /// One unaudited app with a web and a loopback redirect, and three creators.
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
        Self {
            apps: vec![App {
                name: "Passerelle demo".into(),
                web_redirect_uris: vec!["https://passerelle.test/oauth/tiktok/callback".into()],
                desktop_redirect_uris: vec!["http://127.0.0.1:*/oauth/tiktok/callback".into()],
                ..App::new("awexample0001", "tt-client-secret-example")
            }],
            users: vec![
                user("mara.cooks", "Mara", true, 1203),
                user("joris.bikes", "Joris", false, 48_210),
                user("noor.paints", "Noor", true, 77),
            ],
            settings: Settings::default(),
        }
    }
}

impl App {
    /// An app with every scope and nothing else registered.
    #[must_use]
    pub fn new(client_key: &str, client_secret: &str) -> Self {
        Self {
            client_key: client_key.into(),
            client_secret: client_secret.into(),
            name: String::new(),
            web_redirect_uris: Vec::new(),
            desktop_redirect_uris: Vec::new(),
            scopes: all_scopes(),
            audited: false,
            sandbox: false,
            target_users: Vec::new(),
            webhook_url: None,
            verified_url_prefixes: Vec::new(),
        }
    }

    /// Applies the portal's rules for registration (tiktok.md §1.1).
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.client_key.is_empty(), "client_key is empty");
        ensure!(!self.client_secret.is_empty(), "client_secret is empty");
        for uri in &self.web_redirect_uris {
            check_static(uri)?;
            ensure!(
                Url::parse(uri)?.scheme() == "https",
                "{uri}: a web redirect URI is https"
            );
        }
        for uri in &self.desktop_redirect_uris {
            check_static(uri)?;
            check_desktop(uri)?;
        }
        for list in [&self.web_redirect_uris, &self.desktop_redirect_uris] {
            ensure!(list.len() <= 10, "more than 10 redirect URIs");
        }
        for scope in &self.scopes {
            ensure!(SCOPES.contains(&scope.as_str()), "unknown scope {scope}");
        }
        ensure!(self.target_users.len() <= 10, "more than 10 target users");
        if let Some(url) = &self.webhook_url {
            ensure!(
                is_loopback(&Url::parse(url)?),
                "{url}: webhooks go to loopback addresses only"
            );
        }
        Ok(())
    }

    /// Whether `uri` is registered; a desktop entry may leave the port open.
    pub(crate) fn allows_redirect(&self, uri: &str) -> bool {
        self.web_redirect_uris.iter().any(|known| known == uri)
            || self
                .desktop_redirect_uris
                .iter()
                .any(|known| desktop_matches(known, uri))
    }

    /// Posts of such an app are limited to private accounts.
    pub(crate) fn is_limited(&self) -> bool {
        self.sandbox || !self.audited
    }

    /// Whether this person may sign in to the app.
    pub(crate) fn admits(&self, user: &str) -> bool {
        self.target_users.is_empty() || self.target_users.iter().any(|name| name == user)
    }

    /// The name on the consent page.
    pub(crate) fn title(&self) -> &str {
        if self.name.is_empty() {
            &self.client_key
        } else {
            &self.name
        }
    }
}

impl User {
    /// The shown name.
    pub(crate) fn shown(&self) -> &str {
        if self.display_name.is_empty() {
            &self.username
        } else {
            &self.display_name
        }
    }

    /// What the creator may choose from (tiktok.md §4.1).
    pub(crate) fn privacy_options(&self) -> [&'static str; 3] {
        let widest = if self.private {
            "FOLLOWER_OF_CREATOR"
        } else {
            "PUBLIC_TO_EVERYONE"
        };
        [widest, "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]
    }
}

/// Whether a redirect URI leads back to the machine, where TikTok requires PKCE (tiktok.md §1.2).
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn all_scopes() -> Vec<String> {
    SCOPES.map(str::to_owned).to_vec()
}

fn check_static(uri: &str) -> anyhow::Result<()> {
    ensure!(uri.len() < 512, "a redirect URI is under 512 characters");
    ensure!(
        !uri.contains(['?', '#']),
        "{uri}: a redirect URI has neither query nor fragment"
    );
    Ok(())
}

/// `http(s)://localhost|127.0.0.1:<port or *>/…`.
fn check_desktop(uri: &str) -> anyhow::Result<()> {
    let Some((_, host, port, _)) = split(uri) else {
        bail!("{uri}: a desktop redirect URI is http(s)://host:port/path");
    };
    ensure!(
        host == "localhost" || host == "127.0.0.1",
        "{uri}: a desktop redirect URI is on localhost or 127.0.0.1"
    );
    ensure!(
        port == "*" || port.parse::<u16>().is_ok(),
        "{uri}: a desktop redirect URI has a port, or * for any"
    );
    Ok(())
}

fn desktop_matches(known: &str, uri: &str) -> bool {
    let (Some(known), Some(given)) = (split(known), split(uri)) else {
        return false;
    };
    let port =
        known.2 == given.2 || (known.2 == "*" && given.2.parse::<u16>().is_ok_and(|port| port > 0));
    (known.0, known.1, known.3) == (given.0, given.1, given.3) && port
}

/// Scheme, host, port and the rest, as written; `None` without a port.
fn split(uri: &str) -> Option<(&str, &str, &str, &str)> {
    let (scheme, rest) = uri.split_once("://")?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let (host, port) = authority.split_once(':')?;
    (scheme == "http" || scheme == "https").then_some((scheme, host, port, path))
}
