//! One request to a platform, and its answer.

use std::fmt;

use bytes::Bytes;
use domain::{MaskedUrl, Timestamp};
use http::{Request, Response};

use crate::{Limit, RateHeaders};

/// Whether a request may be sent again when its answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Sending it twice is harmless (a read, a chunk at a fixed place).
    Repeatable,
    /// It may have had its effect: it goes over a fresh connection, is never sent again by itself,
    /// and its intent is written down before.
    Once,
}

/// A request with what its sender must know.
#[derive(Clone)]
pub struct Call {
    /// Its name in logs and metrics: `tiktok.token.refresh`.
    pub name: &'static str,
    /// The request, with the platform's real URL.
    pub request: Request<Bytes>,
    /// Whether it may be sent twice.
    pub repeat: Repeat,
    /// What it counts against: a place in each is reserved before it is sent.
    pub limits: Vec<Limit>,
}

impl Call {
    /// A call that counts against no limit.
    pub const fn new(name: &'static str, request: Request<Bytes>, repeat: Repeat) -> Self {
        Self {
            name,
            request,
            repeat,
            limits: Vec::new(),
        }
    }

    /// The same, counting against these limits.
    #[must_use]
    pub fn within(mut self, limits: impl IntoIterator<Item = Limit>) -> Self {
        self.limits.extend(limits);
        self
    }
}

/// What came back, and when the request had been sent: lifetimes count from before the sending.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// Status, headers and the whole body.
    pub response: &'a Response<Bytes>,
    /// The instant just before the request was sent.
    pub sent_at: Timestamp,
}

impl Answer<'_> {
    /// When the next call may be made, where the answer's headers say that it must wait.
    pub fn wait_until(&self) -> Option<Timestamp> {
        RateHeaders::read(self.response.headers(), self.sent_at).wait_until()
    }
}

/// Shows no header and no body: they hold secrets and tokens.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.request.uri().to_string();
        f.debug_struct("Call")
            .field("name", &self.name)
            .field("method", self.request.method())
            .field("url", &MaskedUrl(&url))
            .field("repeat", &self.repeat)
            .finish_non_exhaustive()
    }
}

/// Shows no header and no body: they hold tokens.
impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.response.status())
            .field("bytes", &self.response.body().len())
            .field("sent_at", &self.sent_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_answers_show_no_secret() {
        let request = Request::post("https://api.example/token?code=planted")
            .header("authorization", "Bearer planted")
            .body(Bytes::from_static(b"client_secret=planted"));
        let call = Call::new("x.token", request.unwrap(), Repeat::Once);
        let response = Response::new(Bytes::from_static(b"{\"access_token\":\"planted\"}"));
        let answer = Answer {
            response: &response,
            sent_at: Timestamp::default(),
        };
        let shown = format!("{call:?} {answer:?}");
        assert!(shown.contains("https://api.example/token"), "{shown}");
        assert!(!shown.contains("planted"), "{shown}");
    }
}
