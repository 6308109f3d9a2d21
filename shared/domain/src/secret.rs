//! Text that must not be seen.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A secret text: prints as redacted, is wiped when dropped, and is read through [`Secret::expose`]
/// alone. Serialising it writes the secret: only what is about to be sealed may be serialised.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text over as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for the one place that sends or seals it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A URL as a log may show it: scheme, host and path, no query, fragment or user part.
#[derive(Clone, Copy)]
pub struct MaskedUrl<'a>(pub &'a str);

impl fmt::Display for MaskedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, masked) = match self.0.find(['?', '#']) {
            Some(at) => (&self.0[..at], true),
            None => (self.0, false),
        };
        let (scheme, rest) = head.split_once("://").unwrap_or(("", head));
        let authority = rest.find('/').unwrap_or(rest.len());
        let host = rest[..authority].rsplit('@').next().unwrap_or_default();
        if !scheme.is_empty() {
            write!(f, "{scheme}://")?;
        }
        write!(f, "{host}{}", &rest[authority..])?;
        if masked { f.write_str("?…") } else { Ok(()) }
    }
}

impl fmt::Debug for MaskedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_print_redacted() {
        assert_eq!(format!("{:?}", Secret::new("act.example")), "[redacted]");
    }

    #[test]
    fn masked_urls_show_no_query_and_no_user() {
        for (url, shown) in [
            (
                "https://a.example/cb?code=1&state=2",
                "https://a.example/cb?…",
            ),
            ("https://u:p@a.example/x#token", "https://a.example/x?…"),
            ("https://a.example/x", "https://a.example/x"),
            ("https://a.example?u=b@c", "https://a.example?…"),
            ("nonsense?x", "nonsense?…"),
        ] {
            assert_eq!(MaskedUrl(url).to_string(), shown);
        }
    }
}
