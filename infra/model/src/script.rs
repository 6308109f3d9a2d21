//! Faults by a script: what happens to the n-th call that matches. The words are those of the local
//! cloud's proxy, so that a test reads alike on both.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::seam::BoxFuture;
use crate::{Call, Fate, Outcome, Refusal, Seam};

/// What happens to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The service refuses with this status and code.
    Error {
        /// HTTP status.
        status: u16,
        /// Error code, such as `InternalServerError`.
        code: String,
    },
    /// The service's own words for "too fast".
    Throttle,
    /// Another transaction is at the item at the same moment (DynamoDB's writes only).
    Conflict,
    /// The connection closes before the service saw the call.
    DropBefore,
    /// The service does it; the answer is lost.
    DropAfter,
    /// The service does it and answers with an error.
    ErrorAfter {
        /// HTTP status.
        status: u16,
        /// Error code.
        code: String,
    },
    /// The call waits, then goes on.
    Delay(Duration),
    /// The calling process ends before the service saw the call. The seam only leaves the call
    /// unanswered: whoever runs the process drops it.
    KillBefore,
    /// The service does it; the calling process ends before it hears so. As above.
    KillAfter,
}

impl Fault {
    /// An error answer.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Error {
            status,
            code: code.to_owned(),
        }
    }

    /// What it makes of a call.
    pub fn fate(&self, call: &Call) -> Fate {
        let refusal = |status: u16, code: &str| {
            Refusal::new(status, code, "a fault was asked for".to_owned())
        };
        Fate::from(match self {
            Self::Error { status, code } => Outcome::Refused(refusal(*status, code)),
            Self::ErrorAfter { status, code } => Outcome::DoneAndRefused(refusal(*status, code)),
            Self::Throttle => Outcome::Refused(throttled(call.service)),
            Self::Conflict => match conflict(call) {
                Some(refusal) => Outcome::Refused(refusal),
                None => Outcome::Done,
            },
            Self::DropBefore => Outcome::RequestLost,
            Self::DropAfter => Outcome::AnswerLost,
            Self::KillBefore => Outcome::NeverSent,
            Self::KillAfter => Outcome::NeverAnswered,
            Self::Delay(before) => {
                return Fate {
                    before: *before,
                    ..Fate::default()
                };
            }
        })
    }
}

/// "Too fast", as each service says it.
fn throttled(service: &str) -> Refusal {
    let (status, code) = match service {
        "s3" => (503, "SlowDown"),
        "dynamodb" => (400, "ProvisionedThroughputExceededException"),
        "sqs" => (400, "RequestThrottled"),
        _ => (400, "ThrottlingException"),
    };
    Refusal::new(status, code, "Rate exceeded")
}

fn conflict(call: &Call) -> Option<Refusal> {
    match call.action.as_str() {
        "dynamodb:TransactWriteItems" => {
            let tables = call.resource.split(' ').count();
            let mut reasons = vec![serde_json::json!({ "Code": "None" }); tables];
            reasons[0] = serde_json::json!({ "Code": "TransactionConflict" });
            let sentence = "Transaction cancelled, please refer cancellation reasons";
            let refusal = Refusal::new(400, "TransactionCanceledException", sentence);
            Some(refusal.with("CancellationReasons", reasons.into()))
        }
        "dynamodb:UpdateItem" | "dynamodb:PutItem" | "dynamodb:DeleteItem" => Some(Refusal::new(
            400,
            "TransactionConflictException",
            "Transaction is ongoing for the item",
        )),
        _ => None,
    }
}

/// Which calls a fault is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    caller: Option<String>,
    action: String,
    resource: Option<String>,
    first: usize,
    count: usize,
}

impl Rule {
    /// The first call of `action` (`dynamodb:UpdateItem`; the service alone, `dynamodb:`, or any other
    /// prefix matches more).
    pub fn on(action: &str) -> Self {
        Self {
            caller: None,
            action: action.to_owned(),
            resource: None,
            first: 1,
            count: 1,
        }
    }

    /// Only calls of this function.
    #[must_use]
    pub fn by(mut self, caller: &str) -> Self {
        self.caller = Some(caller.to_owned());
        self
    }

    /// Only calls that touch a resource whose name contains this.
    #[must_use]
    pub fn touching(mut self, part: &str) -> Self {
        self.resource = Some(part.to_owned());
        self
    }

    /// The n-th matching call, counted from 1.
    #[must_use]
    pub fn nth(mut self, n: usize) -> Self {
        self.first = n;
        self
    }

    /// So many matching calls in a row.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    fn matches(&self, caller: &str, call: &Call) -> bool {
        self.caller.as_deref().is_none_or(|name| name == caller)
            && call.action.starts_with(&self.action)
            && self
                .resource
                .as_deref()
                .is_none_or(|part| call.resource.contains(part))
    }
}

/// A fault in place; counts how often it struck.
#[derive(Clone, Debug)]
pub struct Scripted(Arc<Entry>);

impl Scripted {
    /// How often it struck so far.
    pub fn fired(&self) -> usize {
        self.0.fired.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Entry {
    rule: Rule,
    fault: Fault,
    met: AtomicUsize,
    fired: AtomicUsize,
}

/// Faults and a record of all calls, shared by the callers of one model.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Arc<Entry>>,
    record: Vec<(String, Call)>,
}

impl Script {
    /// Puts a fault in place; older ones come first.
    pub fn fault(&self, rule: Rule, fault: Fault) -> Scripted {
        let entry = Arc::new(Entry {
            rule,
            fault,
            met: AtomicUsize::new(0),
            fired: AtomicUsize::new(0),
        });
        self.lock().entries.push(entry.clone());
        Scripted(entry)
    }

    /// The seam through which the function of this name calls.
    pub fn caller(&self, name: &str) -> Arc<dyn Seam> {
        Arc::new(Caller {
            script: self.clone(),
            name: name.to_owned(),
        })
    }

    /// The calls of one function so far, each try of the SDK by itself.
    pub fn calls_of(&self, name: &str) -> Vec<Call> {
        let inner = self.lock();
        let own = inner.record.iter().filter(|(caller, _)| caller == name);
        own.map(|(_, call)| call.clone()).collect()
    }

    fn fate(&self, caller: &str, call: &Call) -> Fate {
        let mut inner = self.lock();
        inner.record.push((caller.to_owned(), call.clone()));
        for entry in &inner.entries {
            if !entry.rule.matches(caller, call) {
                continue;
            }
            let number = entry.met.fetch_add(1, Ordering::SeqCst) + 1;
            if (entry.rule.first..entry.rule.first + entry.rule.count).contains(&number) {
                entry.fired.fetch_add(1, Ordering::SeqCst);
                return entry.fault.fate(call);
            }
        }
        Fate::default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Caller {
    script: Script,
    name: String,
}

impl Seam for Caller {
    fn meet<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Fate> {
        Box::pin(std::future::ready(self.script.fate(&self.name, call)))
    }
}
