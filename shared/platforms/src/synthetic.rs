//! Webhooks that an operator sends to try the path: built and signed as the platform builds and signs
//! its own, so that nothing on the way can tell them apart.

use domain::Timestamp;

use crate::{App, Violation};

/// What builds a platform's webhooks.
pub trait Synthetic: Sync {
    /// The names of what may happen, as the platform spells them.
    fn kinds(&self) -> &'static [&'static str];

    /// The webhook, signed at `now` with the app's first secret; else what the wish lacks.
    fn webhook(
        &self,
        app: &App,
        wish: &SyntheticWish,
        now: Timestamp,
    ) -> Result<SignedWebhook, Violation>;
}

/// What is to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyntheticWish {
    /// What happened: one of [`Synthetic::kinds`].
    pub kind: String,
    /// The platform's id of the account.
    pub account_id: Option<String>,
    /// The platform's id of a publish, for news of one.
    pub publish_id: Option<String>,
    /// The platform's id of a post, for news of one.
    pub post_id: Option<String>,
    /// The platform's own code for why, where the kind has one.
    pub reason: Option<String>,
}

/// A webhook as it goes over the wire. Its signature is no secret, the key that made it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedWebhook {
    /// Names, lower-case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}
