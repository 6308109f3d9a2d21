//! The seam at which calls are held back before they are made.

use domain::{Platform, Timestamp};
use platforms::CallLimit;
use transport::BoxFuture;

/// A call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// To which platform.
    pub platform: Platform,
    /// For which account.
    pub account_key: &'a str,
    /// The limit that it counts towards, as the platform states it.
    pub limit: CallLimit,
}

/// What lets calls through. Hold it as `Arc<dyn Gate>`.
pub trait Gate: Send + Sync {
    /// Counts the call as made now, or says when it may be made.
    fn admit<'a>(&'a self, call: Admission<'a>) -> BoxFuture<'a, Result<(), Timestamp>>;
}

/// Lets every call through.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenGate;

impl Gate for OpenGate {
    fn admit<'a>(&'a self, _call: Admission<'a>) -> BoxFuture<'a, Result<(), Timestamp>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
