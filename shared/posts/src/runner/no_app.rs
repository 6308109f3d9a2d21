//! A turn with a target whose platform has no app in this deployment any more.

use domain::{AttemptId, Fault, FaultKind, Timestamp};
use platforms::{Finish, State};

use super::Ran;
use super::turn::Turn;
use crate::decide::{self, Trouble};
use crate::error::RunError;

/// How long a call whose answer is missing is kept for asking about it, where its platform has no app here
/// any more: the operator may set it up again.
const APP_PATIENCE: i64 = 24 * 3_600;

impl Turn<'_> {
    /// The operator took the app away. Nothing is sent and nothing is known to be wrong: it waits,
    /// as does a call that is open, for a day: see [`abandoned`].
    pub(super) async fn without_app(mut self) -> Result<Ran, RunError> {
        if let Some(open) = &self.item.intent {
            tracing::error!(target.id = %self.item.target_id, "the platform has no app here");
            return match abandoned(open, self.now()) {
                Some(finish) => self.end(&finish).await,
                None => Ok(Ran::Stuck),
            };
        }
        let fault = Fault::new(FaultKind::AppRefused).sentence(
            "The app that this account was connected with is not set up in this deployment. The operator must set it up.",
        );
        let nothing_sent = self.item.state.is_none();
        // Without an app nobody can be asked, so a wish to cancel is met now or not in this turn.
        self.cancel_tried = true;
        if nothing_sent && self.item.cancel_asked_at.is_some() {
            return self.end(&Finish::Cancelled).await;
        }
        let give_up = |fault: Fault| match nothing_sent {
            true => Finish::Failed(fault),
            false => Finish::Unknown(fault),
        };
        let now = self.now();
        let entropy = self.runner.entropy.as_ref();
        let trouble = match self.item.status.is_settled() {
            // What was to come late is no longer asked for.
            true => Trouble::NotConnected(fault),
            false => Trouble::Later(fault),
        };
        let step = decide::troubled(&self.item, &trouble, now, entropy, &give_up);
        self.log(&step);
        let state = State {
            data: serde_json::Value::Null,
            secret: None,
        };
        Ok(self.write(step, &state).await?.unwrap_or(Ran::Lost))
    }
}

/// The end of a target whose platform has no app here any more, where the call that is open has waited long
/// enough for one; `None` while it waits.
fn abandoned(open: &AttemptId, now: Timestamp) -> Option<Finish> {
    (now >= open.made_at().plus_secs(APP_PATIENCE)).then(|| {
        Finish::Unknown(Fault::new(FaultKind::AppRefused).sentence(
            "The operator took this platform out of the deployment before it could be known what became of the post, and for 24 hours did not set it up again. Look at the account, then mark the post as published or post it again.",
        ))
    })
}

#[cfg(test)]
mod tests {
    use domain::{EventKind, SeededEntropy, TargetStatus};

    use super::*;
    use crate::decide::finished;
    use crate::decide::tests::{NOW, target};

    #[test]
    fn a_call_left_open_without_an_app_ends_after_a_day() {
        let open = AttemptId::new(NOW, &SeededEntropy::new(1));
        for (secs, ends) in [
            (0, false),
            (86_399, false),
            (86_400, true),
            (9_999_999, true),
        ] {
            let end = abandoned(&open, NOW.plus_secs(secs));
            assert_eq!(end.is_some(), ends, "{secs}");
            let Some(finish) = end else { continue };
            let step = finished(&target(TargetStatus::Queued), None, &finish);
            assert_eq!(step.status, TargetStatus::OutcomeUnknown);
            assert_eq!(step.event, Some(EventKind::PostOutcomeUnknown));
            let why = step.fault.unwrap();
            assert!(why.explain().contains("took this platform out"));
        }
    }
}
