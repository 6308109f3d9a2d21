//! Targets that are due and that nobody has taken up: waits too long for a queue, messages that got
//! lost, workers that died.

use std::sync::Arc;
use std::time::Duration;

use domain::{AttemptId, Clock, Entropy, PostId, TargetId, Timestamp};
use store::{StoreError, Target, Targets};

use crate::error::RunError;
use crate::queue::{Message, PublishQueue, Work};

/// How many due targets of one shard are read at a time.
const PAGE: i32 = 50;
/// A target that was woken is left alone for this many times the lateness: its message may wait in
/// the queue behind others.
const PATIENCE: u32 = 5;

/// Wakes what is late.
#[derive(Clone)]
pub struct Sweep {
    /// The table.
    pub targets: Targets,
    /// Publishing steps.
    pub queue: PublishQueue,
    /// How late a target must be: until then its own message may be on its way.
    pub late: Duration,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Targets that were woken.
    pub woken: usize,
    /// Targets that could not be read, or whose message could not be sent: the next sweep meets them
    /// again.
    pub failed: usize,
}

impl Sweep {
    /// Sweeps one shard of the due index (`store::due::shard_name`) once, from the most overdue on,
    /// until its end or until `deadline` is near. Targets that cannot be woken hold up no other: the
    /// sweep walks past them.
    pub async fn shard(&self, shard: &str, deadline: Timestamp) -> Result<Swept, RunError> {
        let mut swept = Swept::default();
        let mut from = None;
        loop {
            let late = self.clock.now() - self.late;
            let (due, next) = self.targets.due_after(shard, late, PAGE, from).await?;
            for (post, target) in due {
                if self.clock.now() >= deadline {
                    return Ok(swept);
                }
                match self.wake(&post, &target).await {
                    Ok(true) => swept.woken += 1,
                    // The index lags behind: somebody else has it.
                    Ok(false) => {}
                    Err(error) => {
                        let (target, error) = (target.as_str(), error.to_string());
                        tracing::error!(target.id = target, error, "a due target was not woken");
                        swept.failed += 1;
                    }
                }
            }
            from = next;
            if from.is_none() {
                return Ok(swept);
            }
        }
    }

    async fn wake(&self, post: &PostId, target: &TargetId) -> Result<bool, RunError> {
        let now = self.clock.now();
        let Some(seen) = self.targets.get(post, target).await? else {
            return Ok(false);
        };
        if !is_late(&seen, now, self.late) || !self.nudge(&seen, now).await? {
            return Ok(false);
        }
        let work = Work::Target(Message::of(&seen));
        self.queue.send(&work, Duration::ZERO).await?;
        Ok(true)
    }

    async fn nudge(&self, seen: &Target, now: Timestamp) -> Result<bool, StoreError> {
        let attempt = AttemptId::new(now, self.entropy.as_ref());
        let next = now + self.late * PATIENCE;
        self.targets.nudge(seen, next, &attempt).await
    }
}

fn is_late(seen: &Target, now: Timestamp, late: Duration) -> bool {
    let held = seen.holder.is_some() && seen.lease_until > now;
    !held && seen.due_at.is_some_and(|due| due + late <= now)
}

#[cfg(test)]
mod tests {
    use domain::{Holder, SeededEntropy, TargetStatus};

    use super::*;
    use crate::decide::tests::{NOW, target};

    #[test]
    fn only_what_nobody_has_is_late() {
        let late = Duration::from_secs(60);
        let seen = |status, due: Option<i64>, lease: Option<i64>| Target {
            due_at: due.map(|secs| NOW.plus_secs(secs)),
            holder: lease.map(|_| Holder::new(NOW, &SeededEntropy::new(1))),
            lease_until: NOW.plus_secs(lease.unwrap_or(0)),
            ..target(status)
        };
        use TargetStatus::{Failed, Inbox, Publishing, Queued};
        for (seen, expected) in [
            (seen(Queued, Some(-60), None), true),
            (seen(Publishing, Some(-60), None), true),
            (seen(Publishing, Some(-59), None), false),
            (seen(Publishing, Some(-60), Some(1)), false),
            (seen(Publishing, Some(-60), Some(-1)), true),
            (seen(Publishing, None, None), false),
            (seen(Failed, None, None), false),
            // A draft may be posted yet.
            (seen(Inbox, Some(-60), None), true),
        ] {
            assert_eq!(is_late(&seen, NOW, late), expected, "{seen:?}");
        }
    }
}
