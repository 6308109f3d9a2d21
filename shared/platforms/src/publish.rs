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
use serde::Serialize;
use serde_json::Value;

use crate::{Answer, App, Call, Limit, Repeat};

/// How posts are published.
pub trait Publish: Sync {
    /// Every rule of the platform that this post breaks, checked before anything is sent: an empty
    /// list means that it may be queued.
    fn check(&self, draft: &PostDraft<'_>) -> Vec<Violation>;

    /// The state of a post that was just accepted.
    fn start(&self, job: &Job<'_>) -> Result<State, Fault>;

    /// The state as time alone has made it: what was learnt too long ago to act on is forgotten. Who
    /// acts asks this before [`Publish::next`], while no *once* call is open, and goes on from its
    /// answer. It need not be written: the same comes out again.
    fn aged(&self, state: &State, _now: Timestamp) -> State {
        state.clone()
    }

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

    /// What can be done in this state for a caller who no longer wants the post. Asked only while no
    /// *once* call is open.
    fn cancel(&self, _state: &State, _now: Timestamp) -> Cancel {
        Cancel::TooLate
    }

    /// The limit of open posts ([`crate::Rule::Open`]) that such a post counts against until it is
    /// published, has failed or was cancelled: the runner releases it then.
    fn open_limit(&self, _options: &PostOptions) -> Option<Limit> {
        None
    }
}

/// A post for one connection, before it is accepted.
#[derive(Clone, Copy, Debug)]
pub struct PostDraft<'a> {
    /// The operator's app.
    pub app: &'a App,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaInfo {
    /// What it is.
    pub kind: MediaKind,
    /// How many bytes.
    pub size: u64,
    /// How long it plays, in milliseconds, where the file says so.
    pub duration_ms: Option<u64>,
    /// Whether we hold its bytes. If not, the platform can only fetch it from its address.
    pub stored: bool,
    /// Where the platform can fetch it: https, without redirects, under a prefix that the operator
    /// has verified with the platforms, for some hours from now. `None`: this deployment has none.
    pub address: Option<Secret>,
}

impl MediaInfo {
    /// A file whose bytes we hold and that has no address.
    pub const fn uploaded(kind: MediaKind, size: u64) -> Self {
        Self {
            kind,
            size,
            duration_ms: None,
            stored: true,
            address: None,
        }
    }
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
    /// It has come to this end as far as anybody must wait for it, and is looked at again at this
    /// instant: a draft may be posted yet, a post may get its id late. From then on
    /// [`Publish::next`] wants a repeatable call, or says the same with a later instant.
    Follow(Finish, Timestamp),
}

/// What can be done for a caller who no longer wants a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// Nothing was published and nothing can be any more: it may simply end.
    Stop,
    /// The platform is asked: in this state the machine wants the call that does, and its outcome is
    /// told by the platform's status or webhook, whichever comes first.
    Ask(State),
    /// The platform takes nothing back any more.
    TooLate,
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
    /// It was cancelled and nothing was published.
    Cancelled,
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
