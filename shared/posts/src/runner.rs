//! The runner: moves one target through its publishing machine, a step at a time.
//!
//! Every step ends in one write, conditional on the holder and on the step that was seen. Before a
//! call that must not be made twice, and before the bytes that complete a file, the intent is written;
//! an intent that is found means that the outcome is unknown, and the machine says how to find it out. Whoever loses the target ends
//! without a word: it is somebody else's, or will be.

use std::sync::Arc;
use std::time::Duration;

use domain::{AttemptId, Clock, Entropy, Holder, TargetStatus, Timestamp};
use limits::{Limiter, Owner};
use platforms::Apps;
use store::{Events, StoreError, Target, Targets};
use tokens::Tokens;
use transport::Wire;

use crate::error::RunError;
use crate::files::Files;
use crate::queue::{Message, PublishQueue};

mod answer;
mod before;
mod budget;
mod no_app;
mod turn;
mod write;

use budget::Budget;
use turn::Turn;

/// What moves targets. Every part may be shared.
#[derive(Clone)]
pub struct Runner {
    /// Targets.
    pub targets: Targets,
    /// What the product is told.
    pub events: Events,
    /// The way to access tokens.
    pub tokens: Tokens,
    /// The way out to platforms.
    pub wire: Arc<dyn Wire>,
    /// The platforms' limits.
    pub limiter: Limiter,
    /// The files to be posted.
    pub files: Files,
    /// Publishing steps.
    pub queue: PublishQueue,
    /// Times.
    pub settings: RunnerSettings,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// Times of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunnerSettings {
    /// How long a worker holds a target without a sign of life; longer than its function's time-out.
    pub lease: Duration,
    /// How long one call may take. Uploads may take what is left of the worker's time.
    pub call_timeout: Duration,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// There is no such target.
    Absent,
    /// It had come to its end before.
    Settled,
    /// The message was for an earlier step.
    Behind,
    /// Another worker holds it.
    Held,
    /// It became another worker's, or a webhook moved it.
    Lost,
    /// The platform has no app here any more, and a call is open: it is left until it has one, for a day
    /// at most.
    Stuck,
    /// It waits until this instant.
    Waits(Timestamp),
    /// It waits until this instant for a limit of the platform, by the limit's name.
    Limited(&'static str, Timestamp),
    /// It came to its end.
    Ended(TargetStatus),
}

impl Runner {
    /// Works on the target that `message` names until it waits, ends, or `deadline` is near. An error
    /// leaves it as it is; its lease ends and the sweeper has it tried again.
    ///
    /// Every outcome but an error lets the message go: an unfinished target is in the due index, and
    /// its next message is sent by whoever wrote its last step.
    pub async fn run(
        &self,
        apps: &Apps,
        message: &Message,
        deadline: Timestamp,
    ) -> Result<Ran, RunError> {
        let found = self.targets.get(&message.post_id, &message.target_id).await;
        let Some(seen) = found? else {
            return Ok(Ran::Absent);
        };
        if seen.due_at.is_none() {
            return Ok(Ran::Settled);
        }
        if seen.step > message.step {
            return Ok(Ran::Behind);
        }
        let now = self.clock.now();
        let holder = Holder::new(now, self.entropy.as_ref());
        let until = now + self.settings.lease;
        let taken = self
            .targets
            .take(&seen, &holder, now, until, &self.attempt())
            .await?;
        let Some(target) = taken else {
            return Ok(Ran::Held);
        };
        let budget = Budget::new(now, deadline);
        Turn::new(self, apps, holder, budget, target).run().await
    }

    fn attempt(&self) -> AttemptId {
        AttemptId::new(self.clock.now(), self.entropy.as_ref())
    }

    /// Runs a write again where the database failed or another writer was there at the same moment.
    /// The same attempt id makes it the same write.
    async fn insist<T>(
        &self,
        budget: &Budget,
        mut write: impl AsyncFnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut pause = Duration::from_millis(50);
        loop {
            match write().await {
                Err(StoreError::Unavailable(code)) if !budget.is_over(self.clock.now()) => {
                    tracing::warn!(code, "a step's outcome was not written; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
                other => return other,
            }
        }
    }
}

/// Gives the place of a target that is settled back, where the platform counts what is open. A failure
/// costs only time: a place is free again by itself after the limit's span.
pub async fn release_open(limiter: &Limiter, target: &Target, status: TargetStatus) {
    let ended = matches!(
        status,
        TargetStatus::Published | TargetStatus::Failed | TargetStatus::Cancelled
    );
    let platform = platforms::publish(target.platform).filter(|_| ended);
    let Some(limit) = platform.and_then(|platform| platform.open_limit(&target.options)) else {
        return;
    };
    let owner = owner_of(target);
    if let Err(error) = limiter
        .release(owner, &limit, target.target_id.as_str())
        .await
    {
        let target = target.target_id.as_str();
        tracing::warn!(target.id = target, limit = limit.name, error = %error, "a place was not given back");
    }
}

/// Whose limits a target's calls count against.
pub(crate) fn owner_of(target: &Target) -> Owner<'_> {
    Owner::from(&target.account)
}
