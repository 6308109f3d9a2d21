//! A call without an answer, and what may be concluded from it.

use std::fmt;

use domain::MaskedUrl;

/// What is known about a request that brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswerKind {
    /// The platform surely did not receive it: no address, no connection, or no TLS. Sending it
    /// again cannot repeat it.
    NotSent,
    /// It was sent at least in part: it may have had its effect.
    Lost,
    /// The answer came and was larger than the cap, so it was not read: it may have had its effect.
    TooLarge,
    /// It was never tried: its URL is not one that may be called.
    Refused,
}

/// A call without an answer. Shows the method, the URL without its query, and why.
#[derive(Debug, thiserror::Error)]
pub struct NoAnswer {
    kind: NoAnswerKind,
    what: String,
    why: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl NoAnswer {
    /// A call that ended so; `url` is masked here. Tests that stand in for platforms make them too.
    pub fn new(
        kind: NoAnswerKind,
        method: &http::Method,
        url: &str,
        why: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            what: format!("{method} {}", MaskedUrl(url)),
            why: why.into(),
            source: None,
        }
    }

    /// What may be concluded.
    pub fn kind(&self) -> NoAnswerKind {
        self.kind
    }

    /// Whether the platform surely did not see the request.
    pub fn surely_unseen(&self) -> bool {
        matches!(self.kind, NoAnswerKind::NotSent | NoAnswerKind::Refused)
    }

    /// reqwest's error holds the URL with its query, so the URL is taken out before it is kept.
    pub(crate) fn from_reqwest(method: &http::Method, url: &str, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let (kind, why) = if error.is_connect() {
            let why = match (error.is_dns(), error.is_timeout()) {
                (true, _) => "the host has no address",
                (_, true) => "connecting took too long",
                _ => "no connection",
            };
            (NoAnswerKind::NotSent, why)
        } else if error.is_builder() {
            (NoAnswerKind::Refused, "the request cannot be built")
        } else if error.is_timeout() {
            (NoAnswerKind::Lost, "no answer in time")
        } else {
            (
                NoAnswerKind::Lost,
                "the connection broke before the answer was whole",
            )
        };
        Self {
            source: Some(Box::new(error)),
            ..Self::new(kind, method, url, why)
        }
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}
