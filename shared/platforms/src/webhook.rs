//! Webhooks: whether they are genuine, and what they say.

use std::time::Duration;

use domain::{Delivery, Fault, Timestamp};
use http::HeaderMap;

use crate::App;

/// How webhooks are checked and read.
pub trait Webhook: Sync {
    /// The largest body that is taken, in bytes.
    fn max_body(&self) -> usize;

    /// Headers that [`Webhook::read`] needs later, lower-case. Never a signature: it is checked once.
    fn kept_headers(&self) -> &'static [&'static str];

    /// The answer to a GET, for platforms that greet an endpoint so; `None` for the others.
    fn handshake(&self, app: &App, query: &[(String, String)]) -> Option<Handshake>;

    /// Checks the signature over the raw bytes, in constant time, against every current secret.
    /// `tolerance` bounds the age of a signed time stamp, both ways; `None` accepts any age.
    fn verify(
        &self,
        app: &App,
        headers: &HeaderMap,
        raw: &[u8],
        now: Timestamp,
        tolerance: Option<Duration>,
    ) -> Result<Verified, Unverified>;

    /// Reads a genuine body into single deliveries.
    fn read(&self, headers: &HeaderMap, raw: &[u8]) -> Result<Vec<Delivery>, Fault>;
}

/// The answer to a greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// 200 with this body and media type.
    Answer {
        /// The media type.
        content_type: &'static str,
        /// The body.
        body: String,
    },
    /// 403: the greeting is not the platform's.
    Refused,
}

/// A genuine delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Which secret signed it: 0 is the newest. A higher one is worth a log line.
    pub secret: usize,
    /// How old its time stamp is, where it has one.
    pub age: Option<Duration>,
}

/// Why a delivery is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// No signature, or one that cannot be read.
    #[error("no readable signature")]
    Missing,
    /// No current secret made this signature.
    #[error("the signature does not match")]
    Mismatch,
    /// It matches, but its time stamp is outside the tolerance.
    #[error("the signature is too old or too new")]
    Stale,
}
