//! The circuit breaker of each platform: what a platform says of our whole app stops all refreshes
//! there for a while, and blames no connection.

use std::collections::HashMap;
use std::time::Duration;

use domain::{Fault, FaultKind, Platform, Timestamp};

use crate::{Tokens, TokensError};

/// A breaker's state is remembered for this long before it is read again.
const READ_EVERY: Duration = Duration::from_secs(15);

/// What was last read of each platform's breaker.
pub(crate) type BreakerCache = HashMap<Platform, Known>;

/// What was read of a breaker, and when.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    read_at: Timestamp,
    open_until: Timestamp,
    fault: Option<Fault>,
}

impl Tokens {
    /// Whether the platform's breaker is open: the fault that opened it, and until when.
    pub(crate) async fn breaker(
        &self,
        platform: Platform,
    ) -> Result<Option<(Fault, Timestamp)>, TokensError> {
        let now = self.now();
        let known = self.breakers().get(&platform).cloned();
        let known = match known {
            Some(known) if now.since(known.read_at) < READ_EVERY => known,
            _ => {
                let breaker = self.parts().platforms.breaker(platform).await?;
                let (open_until, fault) = (breaker.open_until, breaker.fault);
                let known = Known {
                    read_at: now,
                    open_until,
                    fault,
                };
                self.breakers().insert(platform, known.clone());
                known
            }
        };
        let fault = known
            .fault
            .unwrap_or_else(|| Fault::new(FaultKind::AppRefused));
        Ok((known.open_until > now).then_some((fault, known.open_until)))
    }

    /// The fault is of the whole app: nobody calls for a while, no connection is blamed, and the
    /// operator is told by the log line that the alarm counts.
    pub(crate) async fn trip(
        &self,
        platform: Platform,
        fault: &Fault,
    ) -> Result<Timestamp, TokensError> {
        let now = self.now();
        let trips = self.parts().platforms.breaker(platform).await?.trips;
        let open_until = now + crate::decide::breaker_pause(trips);
        self.parts()
            .platforms
            .open(platform, fault, now, open_until, &self.attempt())
            .await?;
        let known = Known {
            read_at: now,
            open_until,
            fault: Some(fault.clone()),
        };
        self.breakers().insert(platform, known);
        tracing::error!(
            platform = %platform,
            fault = %fault,
            until = %open_until,
            "circuit breaker opened: the platform refuses our app"
        );
        Ok(open_until)
    }

    /// Closes a breaker that was open lately. Never holds up the refresh that went well.
    pub(crate) async fn breaker_may_close(&self, platform: Platform) {
        let tripped = self
            .breakers()
            .get(&platform)
            .is_some_and(|known| known.fault.is_some());
        if !tripped {
            return;
        }
        match self
            .parts()
            .platforms
            .close(platform, &self.attempt())
            .await
        {
            Ok(()) => drop(self.breakers().remove(&platform)),
            Err(error) => {
                tracing::warn!(platform = %platform, error = %error, "breaker not closed")
            }
        }
    }

    fn breakers(&self) -> std::sync::MutexGuard<'_, BreakerCache> {
        self.inner
            .breakers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
