//! What stands before a step of a turn: the product's wish to cancel, and the platform's limits.

use domain::metric::LIMIT_WAITS;
use domain::{Fault, Labels, Timestamp};
use limits::Place;
use platforms::{Cancel, Finish, Limit, State};

use super::turn::{Machine, Turn};
use super::{Ran, owner_of};
use crate::error::RunError;

impl Turn<'_> {
    /// Sees to the product's wish to cancel, once a turn. `None`: the turn goes on.
    pub(super) async fn cancel(
        &mut self,
        machine: Machine<'_>,
        state: &mut State,
    ) -> Result<Option<Ran>, RunError> {
        let asked = self.item.cancel_asked_at.is_some() && !self.item.status.is_settled();
        if !asked || self.cancel_tried || self.item.intent.is_some() {
            return Ok(None);
        }
        self.cancel_tried = true;
        match machine.platform.cancel(state, self.now()) {
            Cancel::Stop => self.end(&Finish::Cancelled).await.map(Some),
            Cancel::Ask(next) if next != *state => {
                self.moved(machine, state, next, false, None).await
            }
            Cancel::Ask(_) | Cancel::TooLate => Ok(None),
        }
    }

    /// Takes the call's places, or tells what it must wait for.
    pub(super) async fn reserve(&self, limits: &[Limit]) -> Result<Place, RunError> {
        let limiter = &self.runner.limiter;
        let id = self.item.target_id.as_str();
        let place = limiter.reserve(owner_of(&self.item), limits, id).await?;
        if let Place::Later(wait) = &place {
            tracing::info!(
                target.id = id,
                platform = %self.item.platform,
                limit = wait.limit,
                until = %wait.until,
                "a platform's limit is kept"
            );
            let labels = Labels::from(self.item.platform).limit(wait.limit);
            self.runner.tokens.meter().count(&LIMIT_WAITS, labels);
        }
        Ok(place)
    }

    /// The platform clearly refused the call that took its places at `taken`: those that only count
    /// what comes of calls are given back. Never holds up the outcome; a place that is not given back
    /// costs time alone.
    pub(super) async fn give_back(&self, limits: &[Limit], taken: Timestamp) {
        let limiter = &self.runner.limiter;
        let (owner, id) = (owner_of(&self.item), self.item.target_id.as_str());
        if let Err(error) = limiter.give_back(owner, limits, id, taken).await {
            tracing::warn!(target.id = id, error = %error, "a refused call's places were not given back");
        }
    }

    /// Takes over what the platform says of its limits. Never holds up the outcome that brought it.
    pub(super) async fn correct(&self, limits: &[Limit], fault: &Fault) {
        let limiter = &self.runner.limiter;
        if let Err(error) = limiter.correct(owner_of(&self.item), limits, fault).await {
            tracing::warn!(error = %error, "a platform's word on its limit was not kept");
        }
    }
}
