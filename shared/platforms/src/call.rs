//! One request to a platform, and its answer.

use bytes::Bytes;
use domain::Timestamp;
use http::{Request, Response};

use crate::RateHeaders;

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
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name in logs and metrics: `tiktok.token.refresh`.
    pub name: &'static str,
    /// The request, with the platform's real URL.
    pub request: Request<Bytes>,
    /// Whether it may be sent twice.
    pub repeat: Repeat,
}

/// What came back, and when the request had been sent: lifetimes count from before the sending.
#[derive(Clone, Copy, Debug)]
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
