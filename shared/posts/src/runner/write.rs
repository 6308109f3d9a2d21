//! The end of a step: one conditional write, with what is sealed in it and what the product is told.

use platforms::State;
use store::targets::{Progress, SealedPart};

use super::Ran;
use super::turn::Turn;
use crate::decide::{self, Sealing, Step, Then};
use crate::error::RunError;
use crate::events::event;
use crate::figures::settled;
use crate::queue::{LONGEST_DELAY, Message};

impl Turn<'_> {
    /// Writes a step; `state` is the one before it. `None`: this worker goes on.
    pub(super) async fn write(
        &mut self,
        step: Step,
        state: &State,
    ) -> Result<Option<Ran>, RunError> {
        let now = self.now();
        let keep_until = (step.then == Then::GoOn).then(|| now + self.runner.settings.lease);
        let due_at = match step.then {
            Then::GoOn => keep_until,
            Then::Wait(until) | Then::Follow(until) => Some(until),
            Then::Over => None,
        };
        let was_settled = self.item.status.is_settled();
        let sealed = self.sealed(&step, state).await?;
        let event = step.event.map(|kind| {
            let (fault, published) = (step.fault.as_ref(), step.published.as_ref());
            let number = self.item.step + 1;
            event(&self.item, kind, number, now, fault, published)
        });
        let text = step.state.map(|state| state.data.to_string());
        let progress = Progress {
            status: step.status,
            state: text.or_else(|| self.item.state.clone()),
            sealed,
            due_at,
            heeds_cancel: matches!(step.then, Then::Wait(_)) && !self.cancel_tried,
            tries: step.tries,
            fault: step.fault,
            published: step.published,
            publish_key: self.item.publish_key.clone(),
            sent_bytes: step.sent_bytes,
            queued_at: self.item.queued_at,
            keep_until,
        };
        let attempt = self.attempt();
        let runner = self.runner;
        let written = runner
            .insist(&self.budget, async || {
                let event = event.as_ref().map(|event| (&runner.events, event));
                let holder = Some(&self.holder);
                runner
                    .targets
                    .advance(&self.item, holder, &progress, now, event, attempt.clone())
                    .await
            })
            .await?;
        let Some(item) = written else {
            return Ok(Some(Ran::Lost));
        };
        settled(runner.tokens.meter(), &self.item, step.status, now);
        self.item = item;
        if event.is_some() {
            super::release_open(&runner.limiter, &self.item, step.status).await;
        }
        let ended = match was_settled {
            true => None,
            false => Some(Ran::Ended(step.status)),
        };
        Ok(match step.then {
            Then::GoOn => None,
            Then::Wait(until) => {
                // Asked for while this worker had it: nobody else's message got through.
                let until = match self.item.cancel_asked_at {
                    Some(_) if !self.cancel_tried => self.now(),
                    _ => until,
                };
                self.wake_at(until).await;
                Some(Ran::Waits(until))
            }
            Then::Follow(until) => {
                self.wake_at(until).await;
                Some(ended.unwrap_or(Ran::Waits(until)))
            }
            Then::Over => Some(ended.unwrap_or(Ran::Settled)),
        })
    }

    /// Sends the target's next message, where the wait is short enough for one.
    async fn wake_at(&self, until: domain::Timestamp) {
        let delay = until.since(self.now());
        if delay <= LONGEST_DELAY {
            let message = Message::of(&self.item);
            self.runner.queue.send_or_leave(&message, delay).await;
        }
    }

    async fn sealed(&self, step: &Step, state: &State) -> Result<SealedPart, RunError> {
        let Some(next) = &step.state else {
            // At the end nothing is left to open.
            return Ok(match step.then {
                Then::Over | Then::Follow(_) if self.item.sealed.is_some() => SealedPart::Drop,
                _ => SealedPart::Keep,
            });
        };
        let new = match decide::sealing(&self.item, state.secret.as_ref(), next.secret.as_ref()) {
            Sealing::Keep => return Ok(SealedPart::Keep),
            Sealing::Drop => return Ok(SealedPart::Drop),
            Sealing::Seal(new) => new,
        };
        let vault = self.runner.tokens.vault();
        let made;
        let key = match &self.key {
            Some(key) => key,
            None => {
                made = vault.new_key(self.item.connection_id.as_str()).await?;
                &made
            }
        };
        let keys = self.item.keys();
        let place = self.item.place(&keys, self.item.step + 1);
        let sealed = vault.seal(key, &place, new.expose().as_bytes())?;
        Ok(SealedPart::New(sealed))
    }

    pub(super) fn log(&self, step: &Step) {
        let fault = step.fault.as_ref().map(|fault| fault.to_string());
        tracing::info!(
            target.id = %self.item.target_id,
            post.id = %self.item.post_id,
            connection.id = %self.item.connection_id,
            platform = %self.item.platform,
            status = step.status.as_str(),
            fault = fault.as_deref(),
            tries = step.tries,
            "target waits or ended"
        );
    }
}
