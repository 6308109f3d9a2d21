//! Which stand-ins `dev` runs with: the sandbox, or what a `--platforms` file names.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, anyhow, bail, ensure};
use domain::{Platform, Secret};
use platforms::Apps;
use sandbox::Sandbox;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use transport::HostOverrides;
use url::{Host, Url};

/// Which stand-ins to use; the content of the `--platforms` file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platforms {
    /// Host pattern to loopback base URL: every function's `HOST_OVERRIDES`.
    pub host_overrides: BTreeMap<String, String>,
    /// App credentials by platform: the value of the platforms secret.
    pub platforms: BTreeMap<String, Value>,
    /// Redirect URIs as registered, by platform.
    #[serde(default)]
    pub redirect_uris: BTreeMap<String, Vec<String>>,
    /// Origins of https redirect URIs, and where the local gateway serves them.
    #[serde(default)]
    pub served_at: BTreeMap<String, String>,
}

impl Platforms {
    /// Reads a `--platforms` file and checks all of it, for an API at `api_url`. The first redirect
    /// URI of a platform becomes its app's, unless the app sets one.
    pub fn read(path: &Path, api_url: &str) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text, api_url).with_context(|| path.display().to_string())
    }

    fn parse(text: &[u8], api_url: &str) -> Result<Self> {
        let mut json = serde_json::Deserializer::from_slice(text);
        let mut read: Self = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| anyhow!("{}: {}", error.path(), error.inner()))?;
        json.end()?;
        HostOverrides::parse(&read.overrides()).context("host_overrides")?;
        known("platforms", read.platforms.keys())?;
        known("redirect_uris", read.redirect_uris.keys())?;
        let secret = Secret::new(json!(read.platforms).to_string());
        Apps::parse(&secret)
            .map_err(|invalid| anyhow!("platforms.{}: {}", invalid.field, invalid.problem))?;
        read.served_at = read
            .served_at
            .iter()
            .map(|(origin, at)| served(origin, at))
            .collect::<Result<_>>()?;
        for (platform, uris) in &read.redirect_uris {
            let Some(app) = read.platforms.get_mut(platform) else {
                bail!("redirect_uris.{platform}: platforms has no app of that platform");
            };
            for (number, uri) in uris.iter().enumerate() {
                check_redirect(platform, uri, api_url, &read.served_at)
                    .with_context(|| format!("redirect_uris.{platform}[{number}]"))?;
            }
            if let Some(first) = uris.first()
                && app["redirect_uri"].is_null()
            {
                app["redirect_uri"] = json!(first);
            }
        }
        for (platform, app) in &read.platforms {
            if let Some(uri) = app["redirect_uri"].as_str() {
                check_redirect(platform, uri, api_url, &read.served_at)
                    .with_context(|| format!("platforms.{platform}.redirect_uri"))?;
            }
        }
        Ok(read)
    }

    /// The sandbox's own first TikTok app with the portal sandbox beside it, their webhooks sent to
    /// `api_url`.
    pub async fn sandbox(api_url: &str) -> Result<(Self, Sandbox)> {
        let mut config = sandbox::Config::demo();
        for app in &mut config.tiktok.apps {
            app.webhook_url = Some(format!("{api_url}/webhooks/tiktok"));
        }
        let mut portal = config.tiktok.apps.iter().filter(|app| app.sandbox);
        let portal = portal.next().map(credentials);
        let app = config.tiktok.apps.iter_mut().find(|app| !app.sandbox);
        let app = app.context("the sandbox has no app")?;
        // An app that has not passed TikTok's audit could post to private accounts only.
        app.audited = true;
        let mut tiktok = credentials(app);
        if let Some(portal) = portal {
            tiktok["sandbox"] = portal;
        }
        let web = app
            .web_redirect_uris
            .first()
            .and_then(|uri| Url::parse(uri).ok());
        // TikTok has a flow for web redirects and one for loopback redirects: both are registered.
        let own = format!("{api_url}/oauth/tiktok/callback");
        let both = app
            .web_redirect_uris
            .first()
            .cloned()
            .into_iter()
            .chain([own])
            .rev()
            .collect();
        let served_at = web
            .map(|uri| (uri.origin().ascii_serialization(), api_url.to_owned()))
            .into_iter()
            .collect();
        let sandbox = Sandbox::start(config).await?;
        let platforms = Self {
            host_overrides: sandbox.host_overrides(),
            platforms: BTreeMap::from([("tiktok".to_owned(), tiktok)]),
            redirect_uris: BTreeMap::from([("tiktok".to_owned(), both)]),
            served_at,
        };
        Ok((platforms, sandbox))
    }

    /// The redirect URIs that the app has registered with a platform, as far as is known: what the
    /// demo walks one after the other. The first is the deployment's own loopback address, unless
    /// the file names others.
    pub fn redirect_uris(&self, platform: &str, api_url: &str) -> Vec<String> {
        let own = format!("{api_url}/oauth/{platform}/callback");
        match self.redirect_uris.get(platform) {
            Some(named) if !named.is_empty() => named.clone(),
            _ => {
                let set = self
                    .platforms
                    .get(platform)
                    .and_then(|app| app["redirect_uri"].as_str());
                vec![set.map_or(own, str::to_owned)]
            }
        }
    }

    /// Where browsers reach the API, if the redirect URI is registered under another name: the session
    /// cookie must come back to the origin that set it.
    pub(super) fn public_base(&self) -> Option<String> {
        let mut uris = self.platforms.values();
        let uri = uris.find_map(|app| app["redirect_uri"].as_str())?;
        Some(Url::parse(uri).ok()?.origin().ascii_serialization())
    }

    /// The value of every function's `HOST_OVERRIDES`.
    pub fn overrides(&self) -> String {
        json!(self.host_overrides).to_string()
    }
}

/// An app's part of the platforms secret.
fn credentials(app: &sandbox::tiktok::App) -> Value {
    json!({ "client_key": app.client_key, "client_secret": app.client_secret })
}

/// Refuses names of platforms that this version does not know: a typing error would leave the real
/// one without its app.
fn known<'a>(field: &str, names: impl Iterator<Item = &'a String>) -> Result<()> {
    for name in names {
        if name.parse::<Platform>().is_err() {
            let all: Vec<&str> = Platform::ALL.iter().map(|one| one.as_str()).collect();
            bail!(
                "{field}.{name}: no such platform; known: {}",
                all.join(", ")
            );
        }
    }
    Ok(())
}

/// One entry of `served_at`, its origin as browsers write it.
fn served(origin: &str, at: &str) -> Result<(String, String)> {
    let field = || format!("served_at.{origin}");
    let named = Url::parse(origin).with_context(field)?;
    ensure!(
        named.has_host() && bare(&named),
        "{}: it must be an origin, such as https://passerelle.test",
        field()
    );
    let base = Url::parse(at).with_context(field)?;
    let local = match base.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    ensure!(
        base.scheme() == "http" && local && bare(&base),
        "{}: {at} must be an http address of this machine, without a path",
        field()
    );
    Ok((named.origin().ascii_serialization(), at.to_owned()))
}

fn bare(url: &Url) -> bool {
    matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none()
}

/// Whether a browser that a platform sends to `uri` arrives at the API.
fn check_redirect(
    platform: &str,
    uri: &str,
    api_url: &str,
    served_at: &BTreeMap<String, String>,
) -> Result<()> {
    let url = Url::parse(uri).with_context(|| format!("{uri} is no URL"))?;
    let path = format!("/oauth/{platform}/callback");
    let plain = url.query().is_none() && url.fragment().is_none();
    ensure!(
        url.path() == path && plain,
        "{uri}: the API serves the path {path}, and nothing after it"
    );
    let origin = url.origin().ascii_serialization();
    let api = Url::parse(api_url)?;
    let own = url.scheme() == "http"
        && matches!(url.host_str(), Some("127.0.0.1" | "localhost"))
        && url.port_or_known_default() == api.port_or_known_default();
    if own || served_at.contains_key(&origin) {
        return Ok(());
    }
    let hint = format!("add \"served_at\": {{\"{origin}\": \"{api_url}\"}}");
    match (url.scheme(), url.port()) {
        ("http", Some(port)) => {
            bail!("{uri}: the API is at {api_url}: use --port {port}, or {hint}")
        }
        _ => bail!("{uri}: it is not said where {origin} is served: {hint}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const API: &str = "http://127.0.0.1:3000";

    /// A good file with one field changed.
    fn file(pointer: &str, value: Value) -> Result<Platforms> {
        let mut file = json!({
            "host_overrides": { "www.tiktok.com": "http://127.0.0.1:8090" },
            "platforms": { "tiktok": { "client_key": "aw1", "client_secret": "s" } },
            "redirect_uris": { "tiktok": [
                "http://127.0.0.1:3000/oauth/tiktok/callback",
                "https://passerelle.test/oauth/tiktok/callback",
            ] },
            "served_at": { "https://passerelle.test/": "http://127.0.0.1:3000" },
        });
        if let Some((parent, name)) = pointer.rsplit_once('/') {
            let place = file.pointer_mut(parent).unwrap();
            place[name] = value;
        }
        Platforms::parse(file.to_string().as_bytes(), API)
    }

    #[test]
    fn the_first_redirect_uri_is_the_apps_own_unless_it_sets_one() {
        let own = "http://127.0.0.1:3000/oauth/tiktok/callback";
        let other = "https://passerelle.test/oauth/tiktok/callback";
        let read = file("", Value::Null).unwrap();
        assert_eq!(read.platforms["tiktok"]["redirect_uri"], own);
        assert_eq!(read.public_base().as_deref(), Some(API));
        assert_eq!(read.redirect_uris("tiktok", API), [own, other]);
        let read = file("/platforms/tiktok/redirect_uri", json!(other)).unwrap();
        assert_eq!(read.platforms["tiktok"]["redirect_uri"], other);
        assert_eq!(
            read.public_base().as_deref(),
            Some("https://passerelle.test")
        );
        let read = file("/redirect_uris", json!({})).unwrap();
        assert!(read.platforms["tiktok"]["redirect_uri"].is_null());
        assert_eq!(read.public_base(), None);
        assert_eq!(read.redirect_uris("tiktok", API), [own]);
        let localhost = json!(["http://localhost:3000/oauth/tiktok/callback"]);
        assert!(file("/redirect_uris/tiktok", localhost).is_ok());
    }

    #[test]
    fn errors_name_the_field_and_what_to_do() {
        let uri = |uri: &str| json!([uri]);
        for (pointer, value, says) in [
            (
                "/host_override",
                json!({}),
                "host_override: unknown field `host_override`",
            ),
            (
                "/host_overrides/www.tiktok.com",
                json!(1),
                "host_overrides.www.tiktok.com: invalid type",
            ),
            (
                "/host_overrides/www.tiktok.com",
                json!("http://10.0.0.1"),
                "host_overrides: the base of `www.tiktok.com` must be",
            ),
            (
                "/host_overrides/https:x",
                json!(API),
                "host_overrides: `https:x` is no host pattern",
            ),
            (
                "/platforms/tiktock",
                json!({}),
                "platforms.tiktock: no such platform; known: tiktok",
            ),
            (
                "/platforms/tiktok",
                json!({ "client_key": "aw1" }),
                "platforms.tiktok: it must be an object",
            ),
            (
                "/platforms/tiktok/redirect_uri",
                json!("https://x.test/oauth/tiktok/callback"),
                "platforms.tiktok.redirect_uri: https://x.test/oauth/tiktok/callback: it is not said",
            ),
            (
                "/redirect_uris/titok",
                json!([]),
                "redirect_uris.titok: no such platform; known: tiktok",
            ),
            (
                "/redirect_uris/tiktok",
                json!("x"),
                "redirect_uris.tiktok: invalid type",
            ),
            (
                "/redirect_uris/tiktok",
                uri("/callback"),
                "redirect_uris.tiktok[0]: /callback is no URL",
            ),
            (
                "/redirect_uris/tiktok",
                uri("http://127.0.0.1:3000/callback"),
                "the API serves the path /oauth/tiktok/callback",
            ),
            (
                "/redirect_uris/tiktok",
                uri("http://127.0.0.1:3000/oauth/tiktok/callback?a=b"),
                "and nothing after it",
            ),
            (
                "/redirect_uris/tiktok",
                uri("https://other.test/oauth/tiktok/callback"),
                "add \"served_at\": {\"https://other.test\": \"http://127.0.0.1:3000\"}",
            ),
            (
                "/redirect_uris/tiktok",
                uri("http://127.0.0.1:8080/oauth/tiktok/callback"),
                "use --port 8080, or add",
            ),
            ("/served_at/x", json!(API), "served_at.x: relative URL"),
            (
                "/served_at",
                json!({ "https://x.test/y": API }),
                "served_at.https://x.test/y: it must be an origin",
            ),
            (
                "/served_at",
                json!({ "https://x.test": "https://y.test" }),
                "served_at.https://x.test: https://y.test must be an http address of this machine",
            ),
        ] {
            let told = format!("{:#}", file(pointer, value).unwrap_err());
            assert!(told.contains(says), "{pointer}: {told}");
            assert!(!told.contains('\n'), "{told}");
        }
    }
}
