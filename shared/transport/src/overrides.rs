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

/// Why a URL is not called. Never shows the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// Other hosts have stand-ins and this one has none.
    #[error("no override for {0}")]
    NoOverride(String),
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

    /// Where a real URL is found: its path and query below the base of its host; itself where nothing
    /// is overridden at all. Where something is, a host without an override is an error, so that
    /// nothing leaves a machine that stand-ins were set up on.
    pub fn to_wire(&self, real: &Url) -> Result<Url, Refused> {
        if self.0.is_empty() {
            return Ok(real.clone());
        }
        let host = real.host_str().unwrap_or_default();
        let mut entries = self.0.iter();
        let entry = entries
            .find(|entry| host_matches(&entry.pattern, host))
            .ok_or_else(|| Refused::NoOverride(host.to_owned()))?;
        let mut wire = entry.base.clone();
        wire.set_path(&format!("{}{}", base_path(&entry.base), real.path()));
        wire.set_query(real.query());
        Ok(wire)
    }

    /// A text URL for a browser's redirect: where [`HostOverrides::to_wire`] finds it, or the text as
    /// it is where it is no URL or its host has no override.
    pub fn outward(&self, real: &str) -> String {
        match Url::parse(real) {
            Ok(url) if !self.0.is_empty() => self.to_wire(&url).map_or(real.to_owned(), Url::into),
            _ => real.to_owned(),
        }
    }

    /// The address for a URL that a platform returned: https on its usual port, without user part, at
    /// one of `allowed` hosts, turned round for the wire.
    ///
    /// Stand-ins may answer with their own addresses as well, wherever they lie: as long as there are
    /// overrides, an address on this machine is called as it is. Which real host it stands for is not
    /// asked, since several may share one base.
    pub fn checked(&self, returned: &str, allowed: &[&str]) -> Result<Url, Refused> {
        if returned.len() > LONGEST_URL {
            return Err(Refused::Unreadable);
        }
        let url = Url::parse(returned).map_err(|_| Refused::Unreadable)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserPart);
        }
        if !self.0.is_empty() && matches!(url.scheme(), "http" | "https") && is_loopback(&url) {
            return Ok(url);
        }
        if url.scheme() != "https" {
            return Err(Refused::NotHttps);
        }
        if url.port().is_some() {
            return Err(Refused::Port);
        }
        // IP literals are never a platform's: only names can match a pattern.
        match url.host() {
            Some(Host::Domain(host))
                if allowed.iter().any(|pattern| host_matches(pattern, host)) =>
            {
                self.to_wire(&url)
            }
            _ => Err(Refused::Host),
        }
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

#[cfg(test)]
#[path = "overrides_tests.rs"]
mod tests;
