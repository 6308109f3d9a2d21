//! A worker's time.

use std::time::Duration;

use domain::Timestamp;
use platforms::Action;

/// Kept back for writing down the last outcome.
const MARGIN: Duration = Duration::from_secs(8);

/// What is left of a worker's time, and what an action takes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    total: Duration,
    end: Timestamp,
    /// When the process is ended.
    deadline: Timestamp,
    longest_upload: Duration,
}

impl Budget {
    /// From now on to the end of the function's time.
    pub(crate) fn new(now: Timestamp, deadline: Timestamp) -> Self {
        let whole = deadline.since(now);
        let margin = MARGIN.min(whole / 4);
        Self {
            total: whole - margin,
            end: deadline - margin,
            deadline,
            longest_upload: Duration::ZERO,
        }
    }

    /// How long an action that begins now may take.
    pub(crate) fn left(&self, now: Timestamp) -> Duration {
        self.end.since(now)
    }

    /// Whether even the margin is used up.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now + Duration::from_secs(1) >= self.deadline
    }

    /// Notes how long an upload took.
    pub(crate) fn uploaded(&mut self, took: Duration) {
        self.longest_upload = self.longest_upload.max(took);
    }

    /// Whether this action is worth beginning: an upload that is cut off is sent again from its
    /// beginning, so it must have twice the time that the longest one took so far.
    pub(crate) fn allows(&self, action: &Action, now: Timestamp, call_timeout: Duration) -> bool {
        let needed = match action {
            Action::Upload { .. } => (self.longest_upload * 2).max(self.total / 4),
            Action::Call(_) => call_timeout.min(self.total / 2),
            Action::Wait(_) | Action::Finish(_) | Action::Follow(..) => Duration::ZERO,
        };
        self.left(now) >= needed
    }
}

#[cfg(test)]
mod tests {
    use platforms::Repeat;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn an_action_is_begun_only_with_time_to_end_it() {
        let upload = Action::Upload {
            media: 0,
            range: 0..1,
        };
        let call = Action::Call(Repeat::Once);
        // 120 seconds, of which 112 are for work.
        let mut budget = Budget::new(NOW, NOW.plus_secs(120));
        budget.uploaded(Duration::from_secs(20));
        let timeout = Duration::from_secs(10);
        for (gone, uploads, calls) in [
            (0, true, true),
            (72, true, true),
            (73, false, true),
            (103, false, false),
        ] {
            let now = NOW.plus_secs(gone);
            assert_eq!(budget.allows(&upload, now, timeout), uploads, "{gone}");
            assert_eq!(budget.allows(&call, now, timeout), calls, "{gone}");
        }
        assert_eq!(budget.left(NOW.plus_secs(200)), Duration::ZERO);
        assert!(!budget.is_over(NOW.plus_secs(118)) && budget.is_over(NOW.plus_secs(119)));
        // A short life still does something.
        let short = Budget::new(NOW, NOW.plus_secs(8));
        assert!(short.allows(&upload, NOW, timeout) && short.allows(&call, NOW, timeout));
    }
}
