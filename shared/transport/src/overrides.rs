//! Where real hosts are found, and which returned URLs may be called.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::MaskedUrl;
use url::{Host, Url};

/// The longest URL that is taken from a platform.
const LONGEST_URL: usize = 8 * 1024;

/// Real hosts and the loopback addresses that stand in for them; empty in the cloud. Patterns are
/// exact hosts or `*.suffix`; an exact one wins over a wildcard, a longer suffix over a shorter one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostOverrides(Vec<Override>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Override {
    pattern: String,
    base: Url,
}

/// Why overrides cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOverride {
    /// Not an object from texts to texts.
    #[error("it must be a JSON object from host patterns to base URLs")]
    Shape,
    /// Not a host, nor `*.` and a host.
    #[error(
        "`{0}` is no host pattern: it must be a host or `*.` before one, without scheme or port"
    )]
    Pattern(String),
    /// Not a plain http(s) URL to this machine.
    #[error(
        "the base of `{0}` must be an http(s) URL to a loopback address, with nothing after its path"
    )]
    Base(String),
}

/// Why a returned URL is not called. Never shows the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be read, or is too long.
    #[error("the URL cannot be read")]
    Unreadable,
    /// It is not https.
    #[error("the URL is not https")]
    NotHttps,
    /// It carries a user part.
    #[error("the URL carries a user part")]
    UserPart,
    /// It names a port other than https's own.
    #[error("the URL names a port")]
    Port,
    /// Its host is not one of those allowed.
    #[error("the URL's host is not one of the platform's")]
    Host,
}

impl HostOverrides {
    /// Reads the JSON object; every base must be on this machine, so that no setting can send tokens
    /// anywhere else.
    pub fn parse(json: &str) -> Result<Self, InvalidOverride> {
        let entries: BTreeMap<String, String> =
            serde_json::from_str(json).map_err(|_| InvalidOverride::Shape)?;
        let mut overrides = Vec::with_capacity(entries.len());
        for (pattern, base) in entries {
            let pattern = pattern.to_ascii_lowercase();
            if !is_pattern(&pattern) {
                return Err(InvalidOverride::Pattern(pattern));
            }
            match Url::parse(&base) {
                Ok(base) if is_loopback_base(&base) => overrides.push(Override { pattern, base }),
                _ => return Err(InvalidOverride::Base(pattern)),
            }
        }
        // Exact patterns first, then the longest suffix: the first that matches is the one.
        overrides.sort_by_key(|entry| {
            (
                entry.pattern.starts_with('*'),
                std::cmp::Reverse(entry.pattern.len()),
            )
        });
        Ok(Self(overrides))
    }

    /// Where a real URL is found: itself, or its path and query below the base of its host.
    pub fn to_wire(&self, real: &Url) -> Url {
        let entry = real.host_str().and_then(|host| {
            self.0
                .iter()
                .find(|entry| host_matches(&entry.pattern, host))
        });
        let Some(entry) = entry else {
            return real.clone();
        };
        let mut wire = entry.base.clone();
        wire.set_path(&format!("{}{}", base_path(&entry.base), real.path()));
        wire.set_query(real.query());
        wire
    }

    /// A text URL for a browser's redirect: [`HostOverrides::to_wire`], or the text as it is where it
    /// is no URL.
    pub fn outward(&self, real: &str) -> String {
        match Url::parse(real) {
            Ok(url) if !self.0.is_empty() => self.to_wire(&url).into(),
            _ => real.to_owned(),
        }
    }

    /// A URL under an override's base, back under its real host (the longest base wins; a wildcard's
    /// `*` becomes `override`); any other URL as it is. Stand-ins may thus answer with their own
    /// addresses and still be checked against the platform's rules.
    pub fn to_real(&self, url: &Url) -> Url {
        let under = self
            .0
            .iter()
            .filter_map(|entry| Some((entry, path_below(&entry.base, url)?)))
            .max_by_key(|(entry, _)| base_path(&entry.base).len());
        let Some((entry, path)) = under else {
            return url.clone();
        };
        let host = entry.pattern.replacen('*', "override", 1);
        let Ok(mut real) = Url::parse(&format!("https://{host}")) else {
            return url.clone();
        };
        real.set_path(path);
        real.set_query(url.query());
        real
    }

    /// The address for a URL that a platform returned: turned back into its real host, checked to be
    /// https on its usual port, without user part, at one of `allowed` hosts, then turned round for
    /// the wire.
    pub fn checked(&self, returned: &str, allowed: &[&str]) -> Result<Url, Refused> {
        if returned.len() > LONGEST_URL {
            return Err(Refused::Unreadable);
        }
        let url = Url::parse(returned).map_err(|_| Refused::Unreadable)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserPart);
        }
        let real = self.to_real(&url);
        if real.scheme() != "https" {
            return Err(Refused::NotHttps);
        }
        if real.port().is_some() {
            return Err(Refused::Port);
        }
        // IP literals are never a platform's: only names can match a pattern.
        let Some(Host::Domain(host)) = real.host() else {
            return Err(Refused::Host);
        };
        if !allowed.iter().any(|pattern| host_matches(pattern, host)) {
            return Err(Refused::Host);
        }
        Ok(self.to_wire(&real))
    }
}

impl std::fmt::Display for HostOverrides {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, entry) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let base = MaskedUrl(entry.base.as_str());
            write!(f, "{comma}{} -> {base}", entry.pattern)?;
        }
        Ok(())
    }
}

/// Whether `host` (lower-case, as `url` gives it) is what `pattern` names. `*.` stands for one label
/// or more; a trailing dot matches nothing.
fn host_matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        None => host == pattern,
    }
}

fn is_pattern(pattern: &str) -> bool {
    let host = pattern.strip_prefix("*.").unwrap_or(pattern);
    !host.ends_with('.')
        && !host.contains('*')
        && matches!(Host::parse(host), Ok(Host::Domain(parsed)) if parsed == host)
        && host.contains('.')
}

fn is_loopback_base(base: &Url) -> bool {
    matches!(base.scheme(), "http" | "https")
        && is_loopback(base)
        && base.username().is_empty()
        && base.password().is_none()
        && base.query().is_none()
        && base.fragment().is_none()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => Ipv4Addr::is_loopback(&address),
        Some(Host::Ipv6(address)) => Ipv6Addr::is_loopback(&address),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The base's path without a slash at its end.
fn base_path(base: &Url) -> &str {
    base.path().trim_end_matches('/')
}

/// What `url`'s path holds below `base`, if it lies there. All names of this machine are one.
fn path_below<'a>(base: &Url, url: &'a Url) -> Option<&'a str> {
    let same_host = url.host() == base.host() || is_loopback(url);
    let same = same_host
        && url.scheme() == base.scheme()
        && url.port_or_known_default() == base.port_or_known_default();
    let rest = url.path().strip_prefix(base_path(base))?;
    (same && (rest.is_empty() || rest.starts_with('/'))).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = r#"{
        "www.tiktok.com": "http://127.0.0.1:8090/tiktok/www",
        "open.tiktokapis.com": "http://127.0.0.1:8090/tiktok/open/",
        "*.tiktokapis.com": "http://127.0.0.1:8090/tiktok/upload",
        "*.eu.tiktokapis.com": "http://[::1]:8091"
    }"#;
    const ALLOWED: &[&str] = &["*.tiktokapis.com", "open-upload.tiktokapis.com"];

    fn local() -> HostOverrides {
        HostOverrides::parse(LOCAL).unwrap()
    }

    #[test]
    fn real_urls_go_to_their_bases() {
        for (real, wire) in [
            (
                "https://open.tiktokapis.com/v2/oauth/token/?a=b%20c",
                "http://127.0.0.1:8090/tiktok/open/v2/oauth/token/?a=b%20c",
            ),
            (
                "https://OPEN-upload.TikTokAPIs.com/video/?id=1&t=2",
                "http://127.0.0.1:8090/tiktok/upload/video/?id=1&t=2",
            ),
            ("https://x.eu.tiktokapis.com/a", "http://[::1]:8091/a"),
            (
                "https://www.tiktok.com",
                "http://127.0.0.1:8090/tiktok/www/",
            ),
            ("https://tiktokapis.com/a", "https://tiktokapis.com/a"),
            ("https://graph.example/a", "https://graph.example/a"),
        ] {
            assert_eq!(local().outward(real), wire);
        }
        let unchanged = "https://open.tiktokapis.com?x";
        assert_eq!(HostOverrides::default().outward(unchanged), unchanged);
    }

    #[test]
    fn own_addresses_turn_back_into_real_ones() {
        for (own, real) in [
            (
                "http://127.0.0.1:8090/tiktok/upload/video/?id=1",
                "https://override.tiktokapis.com/video/?id=1",
            ),
            (
                "http://localhost:8090/tiktok/open/v2/x",
                "https://open.tiktokapis.com/v2/x",
            ),
            (
                "http://127.0.0.1:8090/tiktok/open",
                "https://open.tiktokapis.com/",
            ),
            (
                "http://127.0.0.1:8090/tiktok/open/../upload/x",
                "https://override.tiktokapis.com/x",
            ),
            (
                "http://[::1]:8091/tiktok/upload/x",
                "https://override.eu.tiktokapis.com/tiktok/upload/x",
            ),
            // Neither a base with more letters in it, nor another port, nor another scheme.
            (
                "http://127.0.0.1:8090/tiktok/openly/x",
                "http://127.0.0.1:8090/tiktok/openly/x",
            ),
            (
                "http://127.0.0.1:8099/tiktok/open/x",
                "http://127.0.0.1:8099/tiktok/open/x",
            ),
            (
                "https://127.0.0.1:8090/tiktok/open/x",
                "https://127.0.0.1:8090/tiktok/open/x",
            ),
        ] {
            let url = Url::parse(own).unwrap();
            assert_eq!(local().to_real(&url).as_str(), real);
        }
    }

    #[test]
    fn the_longest_base_wins() {
        let nested = HostOverrides::parse(
            r#"{"a.example":"http://127.0.0.1:1","b.example":"http://127.0.0.1:1/b"}"#,
        )
        .unwrap();
        for (own, real) in [
            ("http://127.0.0.1:1/b/c", "https://b.example/c"),
            ("http://127.0.0.1:1/c", "https://a.example/c"),
        ] {
            let url = Url::parse(own).unwrap();
            assert_eq!(nested.to_real(&url).as_str(), real);
        }
    }

    #[test]
    fn returned_urls_must_be_the_platforms() {
        let long = format!("https://open-upload.tiktokapis.com/{}", "x".repeat(9_000));
        for (returned, expected) in [
            ("https://open-upload.tiktokapis.com/v?t=1", Ok(())),
            ("https://open-upload-i18n.tiktokapis.com:443/v", Ok(())),
            ("HTTPS://Open-Upload.TikTokApis.COM/v", Ok(())),
            (
                "https://open-upload.tiktokapis.com.evil.test/v",
                Err(Refused::Host),
            ),
            ("https://eviltiktokapis.com/v", Err(Refused::Host)),
            ("https://tiktokapis.com/v", Err(Refused::Host)),
            ("https://.tiktokapis.com/v", Err(Refused::Host)),
            ("https://open-upload.tiktokapis.com./v", Err(Refused::Host)),
            (
                "https://evil.test/open-upload.tiktokapis.com",
                Err(Refused::Host),
            ),
            ("https://evil.test#.tiktokapis.com", Err(Refused::Host)),
            ("https://evil.test?.tiktokapis.com", Err(Refused::Host)),
            ("https://evil.test\\.tiktokapis.com/v", Err(Refused::Host)),
            (
                "https://open-upload.tiktokapis.com@evil.test/v",
                Err(Refused::UserPart),
            ),
            (
                "https://u:p@open-upload.tiktokapis.com/v",
                Err(Refused::UserPart),
            ),
            (
                "https://:p@open-upload.tiktokapis.com/v",
                Err(Refused::UserPart),
            ),
            (
                "http://open-upload.tiktokapis.com/v",
                Err(Refused::NotHttps),
            ),
            ("file:///etc/passwd", Err(Refused::NotHttps)),
            ("ftp://open-upload.tiktokapis.com/v", Err(Refused::NotHttps)),
            (
                "https://open-upload.tiktokapis.com:8443/v",
                Err(Refused::Port),
            ),
            (
                "https://open-upload.tiktokapis.com:80/v",
                Err(Refused::Port),
            ),
            ("https://169.254.169.254/latest", Err(Refused::Host)),
            ("https://0xa9fea9fe/latest", Err(Refused::Host)),
            ("https://[::1]/v", Err(Refused::Host)),
            ("https://127.0.0.1/v", Err(Refused::Host)),
            ("//open-upload.tiktokapis.com/v", Err(Refused::Unreadable)),
            ("/v", Err(Refused::Unreadable)),
            ("", Err(Refused::Unreadable)),
            (long.as_str(), Err(Refused::Unreadable)),
        ] {
            let cloud = HostOverrides::default().checked(returned, ALLOWED);
            assert_eq!(cloud.map(|_| ()), expected, "{returned}");
        }
    }

    #[test]
    fn a_stand_in_may_answer_with_real_or_own_addresses_but_not_with_others() {
        let wire = "http://127.0.0.1:8090/tiktok/upload/v?t=1";
        for returned in ["https://open-upload.tiktokapis.com/v?t=1", wire] {
            let sent = local().checked(returned, ALLOWED).unwrap();
            assert_eq!(sent.as_str(), wire);
        }
        for (returned, why) in [
            ("http://127.0.0.1:8090/elsewhere", Refused::NotHttps),
            ("http://127.0.0.1:8090/tiktok/www/v", Refused::Host),
            ("http://u@127.0.0.1:8090/tiktok/upload/v", Refused::UserPart),
        ] {
            assert_eq!(local().checked(returned, ALLOWED), Err(why), "{returned}");
        }
    }

    #[test]
    fn bases_off_this_machine_are_refused() {
        for base in [
            "http://127.1.2.3:1/x",
            "https://localhost",
            "http://[::1]:9",
        ] {
            let json = format!(r#"{{"a.example":"{base}"}}"#);
            assert!(HostOverrides::parse(&json).is_ok(), "{base}");
        }
        for base in [
            "http://10.0.0.1",
            "https://evil.test",
            "http://localhost.evil.test",
            "http://127.0.0.1.evil.test",
            "http://0.0.0.0",
            "ftp://127.0.0.1",
            "http://127.0.0.1/?a",
            "http://127.0.0.1/#a",
            "http://u@127.0.0.1",
            "127.0.0.1:80",
        ] {
            let json = format!(r#"{{"a.example":"{base}"}}"#);
            let refused = HostOverrides::parse(&json);
            assert_eq!(
                refused,
                Err(InvalidOverride::Base("a.example".into())),
                "{base}"
            );
        }
        for pattern in [
            "",
            "*",
            "*.",
            "a",
            "https://a.example",
            "a.example:1",
            "a.*.b",
            "127.0.0.1",
        ] {
            let json = format!(r#"{{"{pattern}":"http://127.0.0.1"}}"#);
            let refused = HostOverrides::parse(&json);
            assert_eq!(
                refused,
                Err(InvalidOverride::Pattern(pattern.into())),
                "{pattern}"
            );
        }
        assert_eq!(HostOverrides::parse("[]"), Err(InvalidOverride::Shape));
    }
}
