//! Connecting: the consent page's address, the way back, and the exchange.

use domain::{Account, Fault, Secret, TokenBundle};

use crate::{Answer, App, Call};

/// How accounts are connected by OAuth.
pub trait Authorize: Sync {
    /// The scopes that are asked for where the operator names none.
    fn default_scopes(&self) -> &'static [&'static str];

    /// Every origin that the consent page may lead the browser through. Browsers hold the redirects
    /// after a form to the policy of the form's page, so the page with the button must name them.
    fn consent_origins(&self) -> &'static [&'static str];

    /// What a scope lets the product do, in words that continue "The product will be able to":
    /// English, then French. `None` for a scope that needs no mention.
    fn scope_meaning(&self, scope: &str) -> Option<[&'static str; 2]>;

    /// The issuer that the platform states as `iss` on the way back (RFC 9207), where it is known to
    /// send it. Where it is not, an `iss` that comes all the same is ignored.
    fn issuer(&self) -> Option<&'static str>;

    /// Whether this flow carries PKCE; the caller then draws a verifier of 43 to 128 characters.
    fn wants_verifier(&self, app: &App, redirect_uri: &str) -> bool;

    /// The address of the platform's consent page. It carries the state: mask it in logs.
    fn consent_url(&self, app: &App, consent: &ConsentRequest<'_>) -> Secret;

    /// Reads the query of the way back, already percent-decoded and free of duplicates.
    fn read_callback(&self, query: &[(String, String)]) -> CallbackAnswer;

    /// The exchange: from the code to tokens and the accounts that they open. Consumes the verifier.
    fn connect(&self, app: &App, grant: CodeGrant) -> Box<dyn Connect>;
}

/// What the consent page is asked.
#[derive(Clone, Copy, Debug)]
pub struct ConsentRequest<'a> {
    /// Exactly as registered; the exchange sends the same.
    pub redirect_uri: &'a str,
    /// Comes back unchanged.
    pub state: &'a Secret,
    /// What the creator is asked to allow.
    pub scopes: &'a [String],
    /// Present if [`Authorize::wants_verifier`] said so.
    pub verifier: Option<&'a Secret>,
}

/// How the browser came back.
#[derive(Debug)]
pub enum CallbackAnswer {
    /// With a code.
    Code {
        /// The code, percent-decoded once.
        code: Secret,
        /// The scopes that were granted, where the platform tells them here.
        granted: Option<Vec<String>>,
    },
    /// Without one.
    Refused(Refusal),
}

/// Why there is no code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The creator said no.
    ByCreator,
    /// The platform refused, for a reason that this fault tells.
    ByPlatform(Fault),
}

/// A code and what proves that it is ours. Not `Clone`: it is exchanged once.
#[derive(Debug)]
pub struct CodeGrant {
    /// The code, percent-decoded once.
    pub code: Secret,
    /// The same as on the consent page.
    pub redirect_uri: String,
    /// The same as on the consent page.
    pub verifier: Option<Secret>,
    /// The scopes that hold where the token's answer names none: those told on the way back, else
    /// those that were asked for (RFC 6749 §5.1).
    pub scopes: Vec<String>,
}

/// The exchange as a machine: call [`Connect::next`] with no answer first, then with the answer to
/// the call that it asked for, until it is done. Its calls are never repeated.
pub trait Connect: Send {
    /// The next thing to do.
    fn next(&mut self, answer: Option<Answer<'_>>) -> Step;
}

/// What an exchange wants next.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on a stack; a box would only make its users longer"
)]
#[derive(Debug)]
pub enum Step {
    /// Send this and come back with the answer.
    Send(Call),
    /// Connected. Never empty; several where one consent opens several accounts.
    Done(Vec<Linked>),
    /// It ended.
    Failed(Fault),
}

/// An account and the tokens that open it.
#[derive(Clone, Debug)]
pub struct Linked {
    /// Whose. Its environment is the app's, which is noted by who runs the exchange.
    pub account: Account,
    /// Its tokens, with the scopes as granted.
    pub bundle: TokenBundle,
}
