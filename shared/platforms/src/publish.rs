//! Publishing as a machine whose state can be written down after every step.
//!
//! The runner (in `posts`) asks [`Publish::next`] what to do, does it, and hands the outcome back.
//! Between any two of these it may die: another runner goes on from the state as last written.

use std::ops::Range;

use bytes::Bytes;
use domain::{
    Account, Fault, MediaKind, PostOptions, PublishNews, PublishedPost, Secret, Timestamp,
    TokenBundle,
};
use http::Request;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Answer, App, Call, Repeat};

/// How posts are published.
pub trait Publish: Sync {
    /// Every rule of the platform that this post breaks, checked before anything is sent: an empty
    /// list means that it may be queued.
    fn check(&self, draft: &PostDraft<'_>) -> Vec<Violation>;

    /// The state of a post that was just accepted.
    fn start(&self, job: &Job<'_>) -> Result<State, Fault>;

    /// What is to be done in this state.
    fn next(&self, job: &Job<'_>, state: &State, now: Timestamp) -> Action;

    /// The request of [`Action::Call`].
    fn call(&self, job: &Job<'_>, state: &State, bundle: &TokenBundle) -> Result<Call, Fault>;

    /// The request of [`Action::Upload`], without its bytes.
    fn upload(&self, job: &Job<'_>, state: &State) -> Result<Upload, Fault>;

    /// The state after an answer. `Err` says that the call surely had no effect, and the fault says
    /// whether the same state may be tried again ([`Fault::retry`]). An answer that leaves the
    /// effect open is no `Err` but a state that asks the platform.
    fn answered(&self, job: &Job<'_>, state: &State, answer: Answer<'_>) -> Result<State, Fault>;

    /// The state after a call or an upload whose answer never came, or whose sender died.
    fn lost(&self, job: &Job<'_>, state: &State, now: Timestamp) -> State;

    /// The state after news by webhook; the same state where the news is old or of another publish.
    fn told(&self, state: &State, news: &PublishNews, now: Timestamp) -> State;

    /// The platform's id of the publish, once there is one: webhooks are matched by it.
    fn publish_id(&self, state: &State) -> Option<String>;

    /// The end when the runner gives up in this state: [`Finish::Failed`] only where it is sure that
    /// nothing was and nothing can be published.
    fn given_up(&self, _state: &State, fault: Fault) -> Finish {
        Finish::Unknown(fault)
    }
}

/// A post for one connection, before it is accepted.
#[derive(Clone, Copy, Debug)]
pub struct PostDraft<'a> {
    /// The caption, as the caller wrote it.
    pub text: &'a str,
    /// What the caller chose.
    pub options: &'a PostOptions,
    /// The files, in order.
    pub media: &'a [MediaInfo],
    /// Scopes that the connection was granted.
    pub scopes: &'a [String],
}

/// One file that is ready to be posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaInfo {
    /// What it is.
    pub kind: MediaKind,
    /// How many bytes.
    pub size: u64,
}

/// A rule that a post breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Where in the request: `options.privacy`, `text`, `media[0]`.
    pub field: String,
    /// Stable: `too_long`, `scope_missing`.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub sentence: String,
}

/// Everything about a post that does not change while it is published.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The operator's app.
    pub app: &'a App,
    /// Where it is published.
    pub account: &'a Account,
    /// The caption.
    pub text: &'a str,
    /// What the caller chose.
    pub options: &'a PostOptions,
    /// The files, in order.
    pub media: &'a [MediaInfo],
}

/// A machine's state: a part that may be seen in a table, and a part that is sealed with the
/// connection's key before it is written (an upload URL carries a token).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The visible part: the platform module's own type, as JSON.
    pub data: Value,
    /// The part to be sealed.
    pub secret: Option<Secret>,
}

/// What a machine wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send [`Publish::call`].
    Call(Repeat),
    /// Send [`Publish::upload`] with these bytes of the file; always repeatable, since a chunk has
    /// its place.
    Upload {
        /// Which file.
        media: usize,
        /// Which bytes of it, end exclusive.
        range: Range<u64>,
    },
    /// Nothing before this instant.
    Wait(Timestamp),
    /// Nothing any more.
    Finish(Finish),
}

/// How a publish ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Published; ids may be empty (private posts) or come later by webhook.
    Published(PublishedPost),
    /// The platform holds it as a draft for the creator.
    Inbox,
    /// It failed and nothing was published.
    Failed(Fault),
    /// It cannot be known whether it was published; the fault says what was lost.
    Unknown(Fault),
}

/// A request whose body is a range of a file.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its name in logs and metrics.
    pub name: &'static str,
    /// Method, URL and headers; the body is empty here.
    pub request: Request<Bytes>,
    /// Hosts that the URL may name, since it came from the platform: `*.tiktokapis.com`.
    pub allowed_hosts: &'static [&'static str],
}
