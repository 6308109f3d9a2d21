//! The only way to a usable access token, and the only code that replaces one.
//!
//! Promises (the protocol is walked through in ARCHITECTURE.md):
//! - however many callers want the same expired token, one of them asks the platform;
//! - a refresh ends in one of three ways: the grant is dead, the trouble passes, or the trouble is
//!   ours; only the first flips the connection;
//! - between the platform's answer and the first durable write there is nothing but that write;
//! - what a disconnect ended, nothing brings back.

mod access;
mod breaker;
mod connect;
pub mod decide;
mod disconnect;
mod due;
mod ending;
mod error;
mod event;
mod figures;
mod message;
mod refresh;
mod rescue;
mod revoke;
mod seal;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{AttemptId, Clock, Entropy, Holder, Meter, Silent, Timestamp, Who};
use store::{Accounts, Connections, Events, Flows, Platforms, Revocations};
use transport::Wire;
use vault::Vault;

pub use access::{Access, AccessError};
pub use connect::{ConfirmError, Confirmed};
pub use disconnect::{DisconnectError, EndedBy};
pub use due::{Life, backoff, due_at};
pub use error::TokensError;
pub use message::{RefreshMessage, SeenDue};
pub use refresh::Refreshed;
pub use rescue::{RescueMessage, Rescued};

/// What the token protocols need of the outside. A function builds it with the tables that its
/// policy lets it touch.
#[derive(Clone)]
pub struct Tokens {
    inner: Arc<Inner>,
    deadline: Option<Timestamp>,
    meter: Arc<dyn Meter>,
    who: Who,
}

/// The parts of [`Tokens`].
pub struct Parts {
    /// Connections.
    pub connections: Connections,
    /// Who holds which account.
    pub accounts: Accounts,
    /// What the product is told.
    pub events: Events,
    /// Revocations that are owed.
    pub revocations: Revocations,
    /// OAuth attempts.
    pub flows: Flows,
    /// Circuit breakers.
    pub platforms: Platforms,
    /// Sealing and opening.
    pub vault: Vault,
    /// The way out to platforms: a `Transport`, or a test's own.
    pub wire: Arc<dyn Wire>,
    /// For the rescue queue.
    pub sqs: aws_sdk_sqs::Client,
    /// The rescue queue's URL.
    pub rescue_queue: String,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Times that a deployment may choose.
    pub timing: Timing,
}

/// Times that a deployment may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease that was never given back is left alone, so that a rescue may still arrive.
    pub settle: Duration,
    /// How long a rescued bundle waits in its queue.
    pub rescue_delay: Duration,
    /// The longest that a refresh holds a connection; a platform's own policy may say less.
    pub lease: Duration,
    /// The longest that one request to a platform takes; a platform's own policy may say less.
    pub http_timeout: Duration,
}

struct Inner {
    parts: Parts,
    breakers: Mutex<breaker::BreakerCache>,
}

impl Tokens {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self {
            deadline: None,
            meter: Arc::new(Silent),
            who: Who::SYSTEM,
            inner: Arc::new(Inner {
                parts,
                breakers: Mutex::default(),
            }),
        }
    }

    /// The same for a process that ends at `deadline`: no refresh is begun whose tokens could not be
    /// kept by then.
    #[must_use]
    pub fn until(&self, deadline: Timestamp) -> Self {
        Self {
            deadline: Some(deadline),
            ..self.clone()
        }
    }

    /// The same for what `who` does: the audit trail says so.
    #[must_use]
    pub fn acting(&self, who: Who) -> Self {
        Self {
            who,
            ..self.clone()
        }
    }

    /// The same with somebody who takes its figures; without, they are dropped.
    #[must_use]
    pub fn measured(self, meter: Arc<dyn Meter>) -> Self {
        Self { meter, ..self }
    }

    /// Who takes the figures.
    pub fn meter(&self) -> &dyn Meter {
        &*self.meter
    }

    /// The connections.
    pub fn connections(&self) -> &Connections {
        &self.inner.parts.connections
    }

    /// The way out to platforms.
    pub fn wire(&self) -> &Arc<dyn Wire> {
        &self.inner.parts.wire
    }

    /// Sealing and opening.
    pub fn vault(&self) -> &Vault {
        &self.inner.parts.vault
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.parts.clock
    }

    /// Chance.
    pub fn entropy(&self) -> &Arc<dyn Entropy> {
        &self.inner.parts.entropy
    }

    /// The longest that one request to a platform takes.
    pub fn http_timeout(&self) -> Duration {
        self.inner.parts.timing.http_timeout
    }

    fn parts(&self) -> &Parts {
        &self.inner.parts
    }

    fn now(&self) -> Timestamp {
        self.inner.parts.clock.now()
    }

    fn attempt(&self) -> AttemptId {
        AttemptId::new(self.now(), &*self.inner.parts.entropy)
    }

    fn holder(&self) -> Holder {
        Holder::new(self.now(), &*self.inner.parts.entropy)
    }
}
