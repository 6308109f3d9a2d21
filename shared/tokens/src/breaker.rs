//! The circuit breaker of each app: what a platform says of our whole app stops all of the app's
//! refreshes for a while, and blames no connection. So does what many of its refreshes tell together:
//! the platform is down, or it declares grants dead that are not. A sandbox's app has its own: what is
//! said of it, or fails in it alone (tiktok.md §1.7), does not hold up the production.
//!
//! How refreshes end is counted in this process, and added to the platform's sums when the breaker is
//! read anyway: counting costs no call. Only a dead grant is added at once, before it is believed.

use std::collections::HashMap;
use std::time::Duration;

use domain::{AppRef, Fault, FaultKind, Timestamp};
use store::Breaker;
use store::platforms::Ends;

use crate::decide::{self, Lately};
use crate::{Tokens, TokensError};

/// A breaker's state is remembered for this long before it is read again.
const READ_EVERY: Duration = Duration::from_secs(15);

/// What was last read of each app's breaker.
pub(crate) type BreakerCache = HashMap<AppRef, Known>;

/// What was read of a breaker, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    read_at: Timestamp,
    open_until: Timestamp,
    fault: Option<Fault>,
    /// Not yet added to the platform's sums.
    ends: Ends,
}

impl Tokens {
    /// Whether the platform's breaker is open: the fault that opened it, and until when.
    pub(crate) async fn breaker(
        &self,
        app: AppRef,
    ) -> Result<Option<(Fault, Timestamp)>, TokensError> {
        let now = self.now();
        let known = self.breakers().get(&app).cloned();
        let known = match known {
            Some(known) if now.since(known.read_at) < READ_EVERY => known,
            _ => self.look(app).await?,
        };
        let fault = known
            .fault
            .unwrap_or_else(|| Fault::new(FaultKind::AppRefused));
        Ok((known.open_until > now).then_some((fault, known.open_until)))
    }

    /// Reads the breaker, telling it how refreshes ended here since the last time; opens it where the
    /// sums say that the platform is down.
    async fn look(&self, app: AppRef) -> Result<Known, TokensError> {
        let ends = self.take_ends(app);
        let table = &self.parts().platforms;
        let breaker = if ends == Ends::default() {
            table.breaker(app).await?
        } else {
            table.count(app, ends, self.now(), &self.attempt()).await?
        };
        let known = self.learn(app, &breaker);
        if lately(&breaker).is_down() && breaker.open_until <= self.now() {
            let fault = Fault::new(FaultKind::PlatformDown);
            let pause = decide::down_pause(breaker.trips);
            let open_until = self.open(app, &fault, pause).await?;
            tracing::warn!(
                platform = %app,
                until = %open_until,
                "circuit breaker opened: the platform is down"
            );
            return Ok(Known {
                open_until,
                fault: Some(fault),
                ..known
            });
        }
        Ok(known)
    }

    /// The fault is of the whole app: nobody calls for a while, no connection is blamed, and the
    /// operator is told by the log line that the alarm counts.
    pub(crate) async fn trip(&self, app: AppRef, fault: &Fault) -> Result<Timestamp, TokensError> {
        let trips = self.parts().platforms.breaker(app).await?.trips;
        let open_until = self.open(app, fault, decide::breaker_pause(trips)).await?;
        tracing::error!(
            platform = %app,
            fault = %fault,
            until = %open_until,
            "circuit breaker opened: the platform refuses our app"
        );
        Ok(open_until)
    }

    async fn open(
        &self,
        app: AppRef,
        fault: &Fault,
        pause: Duration,
    ) -> Result<Timestamp, TokensError> {
        let now = self.now();
        let open_until = now + pause;
        self.parts()
            .platforms
            .open(app, fault, now, open_until, &self.attempt())
            .await?;
        let known = Known {
            read_at: now,
            open_until,
            fault: Some(fault.clone()),
            ends: Ends::default(),
        };
        self.breakers().insert(app, known);
        Ok(open_until)
    }

    /// Whether the end of a grant is held back, because many of the platform die at once: then it is
    /// the platform that errs, and no connection is flipped (oauth-hardening.md §3.5, item 12).
    pub(crate) async fn holds_end(&self, app: AppRef) -> Result<bool, TokensError> {
        let mut ends = self.take_ends(app);
        ends.died += 1;
        let (now, table) = (self.now(), &self.parts().platforms);
        let breaker = table.count(app, ends, now, &self.attempt()).await?;
        self.learn(app, &breaker);
        // Doubted before: the sums begin anew with each opening, the doubt does not.
        let doubted = now.since(breaker.held_since) < decide::NOT_BELIEVED && breaker.trips > 0;
        if !doubted && !lately(&breaker).many_die() {
            return Ok(false);
        }
        let held = decide::holds_ends(breaker.held_since, breaker.believed_until, now);
        if held && now.since(breaker.held_since) >= decide::NOT_BELIEVED {
            table.hold(&breaker, now, &self.attempt()).await?;
        }
        if held {
            tracing::error!(
                platform = %app,
                died = breaker.died,
                kept = breaker.kept,
                "many grants of the platform die at once: their end is not believed"
            );
        }
        Ok(held)
    }

    /// Counts a refresh that went well, and closes a breaker that was open lately. Never holds up the
    /// refresh.
    pub(crate) async fn went_well(&self, app: AppRef) {
        let tripped = {
            let mut breakers = self.breakers();
            let known = breakers.entry(app).or_default();
            known.ends.kept += 1;
            known.fault.is_some()
        };
        if !tripped {
            return;
        }
        let (now, attempt) = (self.now(), self.attempt());
        match self.parts().platforms.close(app, now, &attempt).await {
            Ok(()) => drop(self.breakers().remove(&app)),
            Err(error) => {
                tracing::warn!(platform = %app, error = %error, "breaker not closed")
            }
        }
    }

    /// Counts a refresh that failed of the platform's own trouble; a process that saw many looks at
    /// the breaker before its time. Never fails the refresh, which has ended.
    pub(crate) async fn went_down(&self, app: AppRef) {
        let many = {
            let mut breakers = self.breakers();
            let known = breakers.entry(app).or_default();
            known.ends.down += 1;
            u64::from(known.ends.down) >= decide::DOWN_AT_LEAST
        };
        if !many {
            return;
        }
        if let Err(error) = self.look(app).await {
            tracing::warn!(platform = %app, error = %error, "ends of refreshes not counted");
        }
    }

    /// Takes what is not counted yet.
    fn take_ends(&self, app: AppRef) -> Ends {
        let mut breakers = self.breakers();
        let known = breakers.get_mut(&app);
        known
            .map(|known| std::mem::take(&mut known.ends))
            .unwrap_or_default()
    }

    fn learn(&self, app: AppRef, breaker: &Breaker) -> Known {
        let mut breakers = self.breakers();
        let known = breakers.entry(app).or_default();
        known.read_at = self.now();
        known.open_until = breaker.open_until;
        known.fault = breaker.fault.clone();
        known.clone()
    }

    fn breakers(&self) -> std::sync::MutexGuard<'_, BreakerCache> {
        self.inner
            .breakers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn lately(breaker: &Breaker) -> Lately {
    Lately {
        kept: breaker.kept,
        died: breaker.died,
        down: breaker.down,
    }
}
