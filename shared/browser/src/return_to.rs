//! Where a browser may be sent in the end: never anywhere that the operator did not name.

use url::Url;

/// An address that a session may return to: a path of ours, or a URL of a registered origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

/// Why an address is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReturnTo {
    /// It is neither an absolute https URL nor a path.
    #[error("give an absolute https URL, or a path that starts with a single /")]
    Malformed,
    /// Its origin is not registered.
    #[error("its origin is not among those that this deployment may return to (ReturnToOrigins)")]
    ForeignOrigin,
}

impl ReturnTo {
    /// Checks an address against the registered origins (oauth-hardening.md §1.5): the parsed scheme,
    /// host and port must be one of them, and the URL is given back as the parser spells it.
    pub fn parse(text: &str, origins: &[String]) -> Result<Self, InvalidReturnTo> {
        let odd = text.is_empty()
            || text.len() > 2_048
            || text.contains('\\')
            || text.chars().any(|c| c.is_control() || c.is_whitespace());
        if odd {
            return Err(InvalidReturnTo::Malformed);
        }
        if text.starts_with('/') {
            let path = !text.starts_with("//") && !text.contains('#');
            return if path {
                Ok(Self(text.to_owned()))
            } else {
                Err(InvalidReturnTo::Malformed)
            };
        }
        let url = Url::parse(text).map_err(|_| InvalidReturnTo::Malformed)?;
        let user = !url.username().is_empty() || url.password().is_some();
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let scheme = url.scheme() == "https" || (url.scheme() == "http" && local);
        if user || !scheme || url.fragment().is_some() {
            return Err(InvalidReturnTo::Malformed);
        }
        let origin = url.origin().ascii_serialization();
        let known = origins.iter().any(|known| {
            Url::parse(known).is_ok_and(|known| known.origin().ascii_serialization() == origin)
        });
        if known {
            Ok(Self(url.into()))
        } else {
            Err(InvalidReturnTo::ForeignOrigin)
        }
    }

    /// An address that was checked when it was stored.
    pub fn trusted(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its origin, where it is not a path of ours: a page whose form ends there must name it in its
    /// policy.
    pub fn origin(&self) -> Option<String> {
        Url::parse(&self.0)
            .ok()
            .map(|url| url.origin().ascii_serialization())
    }
}

/// The address with what became of the attempt in its query. Never a token or a code.
pub fn with_result(address: &str, result: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(result);
    let join = if address.contains('?') { '&' } else { '?' };
    format!("{address}{join}{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_and_registered_origins_pass() {
        use InvalidReturnTo::{ForeignOrigin, Malformed};
        let origins = [
            "https://app.example.com".to_owned(),
            "http://localhost:5173".to_owned(),
        ];
        let table: &[(&str, Result<&str, InvalidReturnTo>)] = &[
            (
                "https://app.example.com/done?x=1",
                Ok("https://app.example.com/done?x=1"),
            ),
            ("https://APP.example.com", Ok("https://app.example.com/")),
            (
                "https://app.example.com:443/a",
                Ok("https://app.example.com/a"),
            ),
            ("http://localhost:5173/a", Ok("http://localhost:5173/a")),
            ("/portal", Ok("/portal")),
            ("//evil.example", Err(Malformed)),
            ("/\\evil.example", Err(Malformed)),
            ("https://app.example.com\\@evil.example", Err(Malformed)),
            ("https://u:p@app.example.com/", Err(Malformed)),
            ("https://app.example.com.evil.example/", Err(ForeignOrigin)),
            ("https://app.example.com:8443/", Err(ForeignOrigin)),
            ("http://app.example.com/", Err(Malformed)),
            ("http://localhost:9/", Err(ForeignOrigin)),
            ("javascript:alert(1)", Err(Malformed)),
            ("https://app.example.com/#x", Err(Malformed)),
            ("https://app.example.com/\r\nx", Err(Malformed)),
            ("", Err(Malformed)),
        ];
        for (text, expected) in table {
            let found = ReturnTo::parse(text, &origins);
            assert_eq!(
                found.as_ref().map(ReturnTo::as_str),
                expected.as_ref().map(|text| *text),
                "{text}"
            );
        }
    }

    #[test]
    fn results_are_added_to_whatever_query_there_is() {
        assert_eq!(with_result("/a", &[("status", "ok")]), "/a?status=ok");
        assert_eq!(with_result("/a?b=c", &[("e", "x y")]), "/a?b=c&e=x+y");
    }

    mod fuzz {
        use proptest::prelude::*;
        use url::Url;

        use super::super::{ReturnTo, with_result};

        /// Addresses as somebody would write them who wants to be sent elsewhere.
        fn addresses() -> impl Strategy<Value = String> {
            let part = prop_oneof![
                Just("https:"),
                Just("http:"),
                Just("//"),
                Just("/"),
                Just("\\"),
                Just("@"),
                Just(":"),
                Just("app.example.com"),
                Just("evil.example"),
                Just("localhost"),
                Just("127.0.0.1"),
                Just("."),
                Just("?"),
                Just("#"),
                Just("%2f"),
                Just("%00"),
                Just("\t"),
                Just("\n"),
                Just(" "),
                Just("javascript:"),
                Just("a"),
                Just("443"),
                Just("[::1]"),
                Just("xn--"),
                Just("\u{ff0f}"),
            ];
            prop_oneof![
                3 => proptest::collection::vec(part, 0..9).prop_map(|parts| parts.concat()),
                1 => any::<String>(),
            ]
        }

        proptest! {
            #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases * 16, ..ProptestConfig::default() })]

            /// Wherever a browser is sent, it is a path of ours or a registered origin, as a browser
            /// reads it.
            #[test]
            fn nobody_is_sent_elsewhere(text in addresses(), result in any::<String>()) {
                let origins = ["https://app.example.com".to_owned()];
                if let Ok(to) = ReturnTo::parse(&text, &origins) {
                    let ours = Url::parse("https://passerelle.example").unwrap();
                    for address in [to.as_str().to_owned(), with_result(to.as_str(), &[("result", &result)])] {
                        let reached = ours.join(&address).unwrap().origin().ascii_serialization();
                        prop_assert!(
                            reached == "https://passerelle.example" || reached == origins[0],
                            "{text:?} leads to {reached}"
                        );
                        prop_assert!(!address.contains(['\r', '\n']));
                    }
                }
            }
        }
    }
}
