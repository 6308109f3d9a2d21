//! Where faults come in: between a caller and everything that it calls.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::Refusal;

/// One call, before it takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `dynamodb`, `sqs`, `kms`, `s3`, `secretsmanager`, or a platform's name.
    pub service: &'static str,
    /// As IAM names it: `dynamodb:UpdateItem`; or a platform call's own name.
    pub action: String,
    /// The tables, queue, key or object that it touches, separated by spaces.
    pub resource: String,
}

/// What becomes of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fate {
    /// Time that passes before it takes effect, or would have. A caller that gives up meanwhile does not
    /// stop it: the request is under way.
    pub before: Duration,
    /// Time that passes between the effect and the answer.
    pub after: Duration,
    /// How it ends.
    pub outcome: Outcome,
}

/// How a call ends.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Outcome {
    /// It takes effect, and the caller learns of it.
    #[default]
    Done,
    /// It takes effect, and the connection breaks before the answer.
    AnswerLost,
    /// The connection breaks before it takes effect; the caller cannot know that.
    RequestLost,
    /// There is no connection, and the caller knows that nothing was sent.
    NotConnected,
    /// It takes no effect; the service refuses.
    Refused(Refusal),
    /// It takes effect, and the service answers with an error all the same.
    DoneAndRefused(Refusal),
    /// It takes no effect and is never answered: for a caller that is ended here.
    NeverSent,
    /// It takes effect and is never answered: for a caller that is ended here.
    NeverAnswered,
}

impl From<Outcome> for Fate {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            ..Self::default()
        }
    }
}

/// A future behind a pointer.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Decides the fate of calls. It may wait before it does: calls of several callers are then put in an
/// order.
pub trait Seam: Send + Sync + std::fmt::Debug {
    /// What becomes of this call.
    fn meet<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Fate>;

    /// A call that is never answered has had its effect, or will have none: the caller may be ended.
    fn ended(&self) {}
}

/// Nothing goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Seam for NoFaults {
    fn meet<'a>(&'a self, _: &'a Call) -> BoxFuture<'a, Fate> {
        Box::pin(std::future::ready(Fate::default()))
    }
}
