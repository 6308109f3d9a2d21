//! The stand-ins' clock: the machine's, moved forward by whoever drives a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// Time in milliseconds since the epoch, which a control call may move.
pub(crate) struct Clock {
    given: Option<Now>,
    ahead_ms: AtomicI64,
    moved: watch::Sender<u64>,
}

/// Another time than the machine's, in milliseconds since the epoch.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

impl Clock {
    /// The machine's time.
    pub(crate) fn new() -> Self {
        Self::over(None)
    }

    /// The given time, or the machine's.
    pub(crate) fn over(given: Option<Now>) -> Self {
        Self {
            given,
            ahead_ms: AtomicI64::new(0),
            moved: watch::Sender::new(0),
        }
    }

    /// Now, in milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        let now = self.given.as_ref().map_or_else(machine_ms, |now| now());
        now + self.ahead_ms.load(Ordering::SeqCst)
    }

    /// Moves the clock; waits that are due by then end at once.
    pub(crate) fn advance_ms(&self, by: i64) {
        self.ahead_ms.fetch_add(by, Ordering::SeqCst);
        self.moved.send_modify(|count| *count += 1);
    }

    /// Back to the machine's time.
    pub(crate) fn reset(&self) {
        self.ahead_ms.store(0, Ordering::SeqCst);
        self.moved.send_modify(|count| *count += 1);
    }

    /// Waits until this clock shows `at_ms`.
    pub(crate) async fn sleep_until(&self, at_ms: i64) {
        let mut moved = self.moved.subscribe();
        loop {
            let left = at_ms - self.now_ms();
            let Ok(left @ 1..) = u64::try_from(left) else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(left)) => {}
                _ = moved.changed() => {}
            }
        }
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clock")
            .field("now_ms", &self.now_ms())
            .finish_non_exhaustive()
    }
}

fn machine_ms() -> i64 {
    let real = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(real.as_millis()).unwrap_or(i64::MAX)
}
