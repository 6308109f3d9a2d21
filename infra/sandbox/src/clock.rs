//! The stand-ins' clock: the machine's, moved forward by whoever drives a test.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// Time in milliseconds since the epoch, which a control call may move.
#[derive(Debug)]
pub(crate) struct Clock {
    ahead_ms: AtomicI64,
    moved: watch::Sender<u64>,
}

impl Clock {
    /// The machine's time.
    pub(crate) fn new() -> Self {
        Self {
            ahead_ms: AtomicI64::new(0),
            moved: watch::Sender::new(0),
        }
    }

    /// Now, in milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        let real = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(real.as_millis()).unwrap_or(i64::MAX) + self.ahead_ms.load(Ordering::SeqCst)
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
