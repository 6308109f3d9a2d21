//! From a held sync to a reading: the token, the limits, the calls.

use std::time::Duration;

use domain::metric::LIMIT_WAITS;
use domain::{Fault, FaultKind, Labels, Timestamp};
use limits::{Owner, Place};
use platforms::{Answer, Apps, Call, Limit, RateHeaders, Reading, StatisticsReading, Wanted};
use tokens::{Access, AccessError};
use transport::{NoAnswer, NoAnswerKind};

use crate::StatisticsError;
use crate::sync::{Held, Syncer};

/// A reading makes at most this many calls; more is one that does not end.
const MOST_CALLS: usize = 40;
/// A call is not begun when less than this is left of the function's time.
const RESERVE_SECONDS: i64 = 10;
/// A limit that allows the call within this time is waited for.
const SHORT: Duration = Duration::from_secs(3);

/// How reading went.
pub(crate) enum Read {
    /// It ended; its fault says whether before its time.
    Reading(Box<Reading>),
    /// It could not be begun.
    Failed(Fault),
    /// A limit allows the next call only then.
    Waits(Timestamp),
}

impl Syncer {
    /// Reads what the sync is for.
    pub(crate) async fn read(
        &self,
        apps: &Apps,
        held: &Held<'_>,
        deadline: Timestamp,
    ) -> Result<Read, StatisticsError> {
        let tokens = self.tokens.until(deadline);
        let (user, connection) = (&held.at.user_id, &held.at.connection_id);
        let mut access = match tokens.access_in_passing(apps, user, connection).await {
            Ok(access) => access,
            Err(error) => return Ok(Read::Failed(no_access(error)?)),
        };
        let media = &held.message.media;
        let mut reading = held.platform.start(&Wanted {
            account: &access.connection.account,
            scopes: &access.connection.scopes,
            media: (!media.is_empty()).then_some(media.as_slice()),
        });
        let mut renewed = false;
        for _ in 0..MOST_CALLS {
            let next = match reading.next(&access.bundle) {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(fault) => {
                    reading.give_up(fault);
                    continue;
                }
            };
            if self.now() >= deadline.plus_secs(-RESERVE_SECONDS) {
                reading.give_up(Fault::new(FaultKind::PlatformDown));
                break;
            }
            let limits = next.limits.clone();
            if let Some(until) = self.reserved(held, &limits).await? {
                return Ok(Read::Waits(until));
            }
            let called = self.call(&mut *reading, next, &access).await;
            if let Err(fault) = &called {
                // Never holds up the outcome that brought it.
                if let Err(error) = self.limiter.correct(owner(held), &limits, fault).await {
                    tracing::warn!(error = %error, "a platform's word on its limit was not kept");
                }
            }
            match called {
                Ok(()) => {}
                Err(fault) if fault.kind == FaultKind::TokenRejected && !renewed => {
                    renewed = true;
                    match tokens.renewed(apps, &access).await {
                        Ok(fresh) => access = fresh,
                        Err(error) => reading.give_up(no_access(error)?),
                    }
                }
                Err(fault) => reading.give_up(fault),
            }
        }
        Ok(Read::Reading(Box::new(reading.finish())))
    }

    /// `None` once the call may be made; a short wait is sat out.
    async fn reserved(
        &self,
        held: &Held<'_>,
        limits: &[Limit],
    ) -> Result<Option<Timestamp>, StatisticsError> {
        let id = held.message.sync_id.as_str();
        for last in [false, true] {
            let wait = match self.limiter.reserve(owner(held), limits, id).await? {
                Place::Now(_) => return Ok(None),
                Place::Later(wait) => wait,
            };
            let pause = wait.until.since(self.now());
            if last || pause > SHORT {
                let labels = Labels::from(held.at.platform).limit(wait.limit);
                self.tokens.meter().count(&LIMIT_WAITS, labels);
                return Ok(Some(wait.until));
            }
            tokio::time::sleep(pause).await;
        }
        Ok(None)
    }

    async fn call(
        &self,
        reading: &mut dyn StatisticsReading,
        call: Call,
        access: &Access,
    ) -> Result<(), Fault> {
        let (name, connection) = (call.name, &access.connection.connection_id);
        let sent_at = self.now();
        let answer = self.wire.send(call, self.tokens.http_timeout()).await;
        let elapsed_ms = u64::try_from(self.now().since(sent_at).as_millis()).unwrap_or(u64::MAX);
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                tracing::warn!(call = name, connection.id = %connection, elapsed_ms, error = %error, "no answer");
                return Err(unanswered(&error));
            }
        };
        let status = response.status().as_u16();
        tracing::debug!(call = name, connection.id = %connection, status, elapsed_ms, "answered");
        let answer = Answer {
            response: &response,
            sent_at,
        };
        reading.answered(answer).map_err(|fault| {
            let passes = matches!(fault.kind, FaultKind::RateLimited | FaultKind::PlatformDown);
            match RateHeaders::read(response.headers(), sent_at).wait_until() {
                Some(until) if passes && fault.until.is_none() => fault.until(until),
                _ => fault,
            }
        })
    }
}

fn owner<'a>(held: &'a Held<'_>) -> Owner<'a> {
    Owner::from(&held.at.account)
}

/// What the lack of an answer comes to: every call of a reading is repeatable.
fn unanswered(error: &NoAnswer) -> Fault {
    match error.kind() {
        NoAnswerKind::Refused => Fault::new(FaultKind::OurBug).sentence(
            "The platform's address may not be called from here. The operator must check the host overrides.",
        ),
        NoAnswerKind::TooLarge => Fault::new(FaultKind::OurBug),
        NoAnswerKind::NotSent | NoAnswerKind::Lost => Fault::new(FaultKind::PlatformDown),
    }
}

fn no_access(error: AccessError) -> Result<Fault, StatisticsError> {
    match error {
        AccessError::NotConnected(fault) | AccessError::Later(fault) => Ok(fault),
        AccessError::Internal(error) => Err(error.into()),
    }
}
