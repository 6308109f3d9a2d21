//! Apps, with the rules of the developer portal.

use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::config::SCOPES;

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
    /// Who may sign in to a portal sandbox, at most 10; to any other app everybody may.
    #[serde(default)]
    pub target_users: Vec<String>,
    /// Every refresh is answered `invalid_grant`, as one report says of sandbox apps (tiktok.md §1.7).
    #[serde(default)]
    pub refresh_always_fails: bool,
    /// Users who may post through it in 24 hours; the setting for unaudited apps where this is none.
    #[serde(default)]
    pub active_users_per_day: Option<usize>,
    /// Where webhooks go; loopback only.
    #[serde(default)]
    pub webhook_url: Option<String>,
    /// Domains proven to be the app's own, for PULL_FROM_URL; subdomains are covered.
    #[serde(default)]
    pub verified_domains: Vec<String>,
    /// Prefixes proven to be the app's own, `https://host/path/`, compared as text.
    #[serde(default)]
    pub verified_url_prefixes: Vec<String>,
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
            refresh_always_fails: false,
            active_users_per_day: None,
            webhook_url: None,
            verified_domains: Vec::new(),
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
        ensure!(
            self.sandbox || self.target_users.is_empty(),
            "target users are for sandbox apps"
        );
        for domain in &self.verified_domains {
            let read = Url::parse(&format!("https://{domain}/"))?;
            ensure!(
                matches!(read.host(), Some(Host::Domain(name)) if name == domain)
                    && domain.contains('.'),
                "{domain} is not a domain"
            );
        }
        for prefix in &self.verified_url_prefixes {
            let read = Url::parse(prefix)?;
            ensure!(
                read.scheme() == "https" && matches!(read.host(), Some(Host::Domain(_))),
                "{prefix}: a prefix is https on a named host"
            );
            ensure!(
                read.query().is_none() && read.fragment().is_none(),
                "{prefix}: a prefix has neither query nor fragment"
            );
        }
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

    /// Posts of such an app are limited to private accounts, and to be seen by the account alone.
    pub(crate) fn is_limited(&self) -> bool {
        self.sandbox || !self.audited
    }

    /// Whether this person may sign in to the app.
    pub(crate) fn admits(&self, user: &str) -> bool {
        !self.sandbox || self.target_users.iter().any(|name| name == user)
    }

    /// Whether a URL was proven to be the app's own: below a domain, or behind a prefix that is
    /// compared as text (tiktok.md §4.7).
    pub(crate) fn owns(&self, url: &str) -> bool {
        let Ok(read) = Url::parse(url) else {
            return false;
        };
        let host = read.host_str().unwrap_or_default();
        let below = |domain: &String| {
            host.strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        // What is fetched is the URL without `..`, so that must lie behind the prefix too.
        let behind = |prefix: &String| {
            url.starts_with(prefix.as_str()) && read.as_str().starts_with(prefix.as_str())
        };
        self.verified_domains.iter().any(below) || self.verified_url_prefixes.iter().any(behind)
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
