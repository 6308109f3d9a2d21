//! Time as a paused runtime has it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{Clock, Timestamp};
use tokio::time::Instant;

/// Lets time pass; on a paused runtime it costs none.
pub async fn pass(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Lets time pass until `at`; at once where it is past.
pub async fn pass_until(at: Instant) {
    tokio::time::sleep_until(at).await;
}

/// A clock that follows tokio's, from an instant of the calendar on, and that may go wrong: each
/// machine has its own, some milliseconds beside the true time.
#[derive(Debug)]
pub struct VirtualClock {
    epoch: Timestamp,
    origin: Instant,
    beside_ms: AtomicI64,
}

impl VirtualClock {
    /// A true clock that shows `epoch` now. Must be made on the runtime.
    pub fn starting(epoch: Timestamp) -> Self {
        Self {
            epoch,
            origin: Instant::now(),
            beside_ms: AtomicI64::new(0),
        }
    }

    /// Another machine's clock of the same world, `beside_ms` ahead (or, below zero, behind).
    #[must_use]
    pub fn beside(&self, beside_ms: i64) -> Self {
        Self {
            epoch: self.epoch,
            origin: self.origin,
            beside_ms: AtomicI64::new(beside_ms),
        }
    }

    /// Steps this clock.
    pub fn step(&self, by_ms: i64) {
        self.beside_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    /// The true time of an instant of tokio's, since the start of the world.
    pub fn at(&self, instant: Instant) -> Timestamp {
        self.epoch + instant.saturating_duration_since(self.origin)
    }

    /// The true time, however wrong this clock is.
    pub fn truth(&self) -> Timestamp {
        self.epoch + self.origin.elapsed()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let beside = self.beside_ms.load(Ordering::SeqCst);
        Timestamp::from_millis(self.truth().millis() + beside)
    }
}
