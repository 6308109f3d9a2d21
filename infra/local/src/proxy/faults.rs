//! Scripted faults: what to do to the n-th call that matches.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::identify::Request;

/// What happens to a call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The service refuses: status, error code and sentence as AWS words them.
    Error {
        /// HTTP status.
        status: u16,
        /// Error code, such as `InternalServerError`.
        code: String,
        /// The sentence.
        message: String,
    },
    /// A whole JSON error answer, for errors with more fields (`CancellationReasons`).
    Answer {
        /// HTTP status.
        status: u16,
        /// The body.
        body: Value,
    },
    /// The service's own words for "too fast".
    Throttle,
    /// The connection closes before the service saw the call.
    DropBefore,
    /// The service does it; the answer is lost.
    DropAfter,
    /// The call waits, then goes on.
    Delay(Duration),
    /// The calling process is killed before the service saw the call.
    KillBefore,
    /// The service does it; the calling process is killed before it hears so.
    KillAfter,
    /// The call waits, unseen by the service, until [`Scripted::release`].
    HoldBefore,
    /// The service does it; the answer waits until [`Scripted::release`].
    HoldAfter,
}

impl Fault {
    /// An error answer.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Error {
            status,
            code: code.to_owned(),
            message: "scripted fault".to_owned(),
        }
    }

    /// Whether the calling process dies of it.
    pub(super) const fn kills(&self) -> bool {
        matches!(self, Self::KillBefore | Self::KillAfter)
    }

    /// The answer that a fault gives in the service's place, if it gives one: status and body.
    pub(super) fn answer(&self, service: &str) -> Option<(u16, String)> {
        let (status, code, message) = match self {
            Self::Error {
                status,
                code,
                message,
            } => (*status, code.as_str(), message.as_str()),
            Self::Answer { status, body } => return Some((*status, body.to_string())),
            Self::Throttle => match service {
                "s3" => (503, "SlowDown", "Please reduce your request rate."),
                "dynamodb" => (
                    400,
                    "ProvisionedThroughputExceededException",
                    "The level of configured provisioned throughput for the table was exceeded.",
                ),
                "sqs" => (
                    400,
                    "RequestThrottled",
                    "The request was denied due to request throttling.",
                ),
                _ => (400, "ThrottlingException", "Rate exceeded"),
            },
            _ => return None,
        };
        if service == "s3" {
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>\
                 <Message>{message}</Message></Error>"
            );
            return Some((status, body));
        }
        Some((status, error_body(service, code, message).to_string()))
    }
}

/// An error body of a JSON service, its type qualified as the service does.
pub(super) fn error_body(service: &str, code: &str, message: &str) -> Value {
    let prefix = match service {
        "dynamodb" => "com.amazonaws.dynamodb.v20120810#",
        "sqs" => "com.amazonaws.sqs#",
        _ => "",
    };
    json!({"__type": format!("{prefix}{code}"), "message": message})
}

/// Which calls a fault is for.
#[derive(Debug, Clone)]
pub struct Rule {
    function: Option<String>,
    action: String,
    resource: Option<String>,
    first: usize,
    count: usize,
}

impl Rule {
    /// The first call of `action` (`dynamodb:UpdateItem`; the service alone, `dynamodb:`, or any
    /// other prefix matches more).
    pub fn on(action: &str) -> Self {
        Self {
            function: None,
            action: action.to_owned(),
            resource: None,
            first: 1,
            count: 1,
        }
    }

    /// Only calls of this function.
    pub fn by(mut self, function: &str) -> Self {
        self.function = Some(function.to_owned());
        self
    }

    /// Only calls that touch an ARN containing this (a table's physical name, a bucket key).
    pub fn touching(mut self, part: &str) -> Self {
        self.resource = Some(part.to_owned());
        self
    }

    /// The n-th matching call, counted from 1.
    pub fn nth(mut self, n: usize) -> Self {
        self.first = n;
        self
    }

    /// So many calls in a row.
    pub fn times(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// Every call from the n-th on.
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    fn matches(&self, function: &str, request: &Request) -> bool {
        self.function.as_deref().is_none_or(|name| name == function)
            && request.action.starts_with(&self.action)
            && self.resource.as_deref().is_none_or(|part| {
                request
                    .needs
                    .iter()
                    .any(|(_, resource)| resource.contains(part))
            })
    }
}

#[derive(Debug)]
struct Script {
    rule: Rule,
    fault: Fault,
    seen: AtomicUsize,
    fired: watch::Sender<usize>,
    released: watch::Sender<bool>,
}

/// A fault that was scripted: how often it fired, and its release. Dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct Scripted(Arc<Script>);

impl Scripted {
    /// How often it fired.
    pub fn fired(&self) -> usize {
        *self.0.fired.borrow()
    }

    /// Waits until it fired `count` times, for at most `bound`.
    pub async fn wait(&self, count: usize, bound: Duration) -> Result<()> {
        let mut fired = self.0.fired.subscribe();
        if tokio::time::timeout(bound, fired.wait_for(|n| *n >= count))
            .await
            .is_err()
        {
            bail!(
                "the fault on {} fired {} times within {bound:?}",
                self.0.rule.action,
                self.fired()
            );
        }
        Ok(())
    }

    /// Lets held calls, and later ones, go on.
    pub fn release(&self) {
        self.0.released.send_replace(true);
    }

    pub(super) fn fault(&self) -> &Fault {
        &self.0.fault
    }

    pub(super) async fn held(&self) {
        let mut released = self.0.released.subscribe();
        // The sender lives in `self`, so this ends only by the release.
        drop(released.wait_for(|released| *released).await);
    }
}

/// All scripted faults of one stack.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Scripted>>>);

impl Faults {
    /// Scripts a fault.
    pub fn script(&self, rule: Rule, fault: Fault) -> Scripted {
        let script = Scripted(Arc::new(Script {
            rule,
            fault,
            seen: AtomicUsize::new(0),
            fired: watch::Sender::new(0),
            released: watch::Sender::new(false),
        }));
        self.lock().push(script.clone());
        script
    }

    /// Removes all faults and releases what they hold.
    pub fn clear(&self) {
        for script in self.lock().drain(..) {
            script.release();
        }
    }

    /// Counts the call with every matching rule and gives the first whose turn it is.
    pub(super) fn strike(&self, function: &str, request: &Request) -> Option<Scripted> {
        let mut struck = None;
        for script in self
            .lock()
            .iter()
            .filter(|s| s.0.rule.matches(function, request))
        {
            let nth = script.0.seen.fetch_add(1, Ordering::SeqCst) + 1;
            let rule = &script.0.rule;
            if struck.is_none() && nth >= rule.first && nth - rule.first < rule.count {
                script.0.fired.send_modify(|count| *count += 1);
                struck = Some(script.clone());
            }
        }
        struck
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Scripted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_only_what_they_match() {
        let faults = Faults::default();
        let request = |action: &str, resource: &str| Request {
            action: action.to_owned(),
            needs: vec![(action.to_owned(), resource.to_owned())],
            ..Request::default()
        };
        let rule = Rule::on("dynamodb:UpdateItem")
            .by("f")
            .touching("table/a")
            .nth(2)
            .times(2);
        let script = faults.script(rule, Fault::DropBefore);
        let mut fired = Vec::new();
        for (function, action, resource) in [
            ("f", "dynamodb:UpdateItem", "table/a"),
            ("g", "dynamodb:UpdateItem", "table/a"),
            ("f", "dynamodb:PutItem", "table/a"),
            ("f", "dynamodb:UpdateItem", "table/b"),
            ("f", "dynamodb:UpdateItem", "table/a"),
            ("f", "dynamodb:UpdateItem", "table/a"),
            ("f", "dynamodb:UpdateItem", "table/a"),
        ] {
            fired.push(
                faults
                    .strike(function, &request(action, resource))
                    .is_some(),
            );
        }
        assert_eq!(fired, [false, false, false, false, true, true, false]);
        assert_eq!(script.fired(), 2);
    }
}
