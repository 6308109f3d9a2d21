//! From a held sync to a reading: the token, the gate, the calls.

use std::time::Duration;

use domain::{Fault, FaultKind, Timestamp};
use platforms::{
    Answer, Apps, CallLimit, NextCall, RateHeaders, Reading, StatisticsReading, Wanted,
};
use tokens::{Access, AccessError};
use transport::{NoAnswer, NoAnswerKind};

use crate::sync::{Held, Syncer};
use crate::{Admission, StatisticsError};

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
            if let Some(until) = self.admitted(held, &next).await {
                return Ok(Read::Waits(until));
            }
            match self.call(&mut *reading, next, &access).await {
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
    async fn admitted(&self, held: &Held<'_>, next: &NextCall) -> Option<Timestamp> {
        let known = held.platform.limits().iter();
        let limit: CallLimit = *known.into_iter().find(|limit| limit.name == next.limit)?;
        let account_key = held.at.account.key();
        let asked = Admission {
            platform: held.at.platform,
            account_key: &account_key,
            limit,
        };
        let until = self.gate.admit(asked).await.err()?;
        let wait = until.since(self.now());
        if wait > SHORT {
            return Some(until);
        }
        tokio::time::sleep(wait).await;
        self.gate.admit(asked).await.err()
    }

    async fn call(
        &self,
        reading: &mut dyn StatisticsReading,
        next: NextCall,
        access: &Access,
    ) -> Result<(), Fault> {
        let (name, connection) = (next.call.name, &access.connection.connection_id);
        let sent_at = self.now();
        let answer = self.wire.send(next.call, self.tokens.http_timeout()).await;
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
