//! Connections that end: what only their creator can put off is told before, and what has ended is
//! given up.

use domain::{Entropy, EventKind, Fault, FaultKind, ReauthReason, Timestamp, TokenBundle};
use platforms::RefreshPolicy;
use serde_json::json;
use store::connections::{END_TOLD_BEFORE_SECONDS, Lifetime};
use store::{Connection, Transacted};

use crate::due::{Life, due_at};
use crate::refresh::Held;
use crate::{Refreshed, Tokens, TokensError};

/// Between two renewals that are closer than this nobody can see whether an end moves with them.
const TELLING_SECONDS: i64 = 3_600;

/// A bundle, and what its instants depend on.
pub(crate) struct Bundle<'a> {
    /// How its platform renews; `None` where it does not, or not this one.
    pub(crate) policy: Option<&'a RefreshPolicy>,
    pub(crate) bundle: &'a TokenBundle,
    pub(crate) issued_at: Timestamp,
    pub(crate) used_at: Timestamp,
    /// The connection as it stood, where this bundle replaces one of the same consent.
    pub(crate) before: Option<&'a Connection>,
}

impl Bundle<'_> {
    pub(crate) fn lifetime(&self, now: Timestamp, entropy: &dyn Entropy) -> Lifetime {
        let life = Life {
            issued_at: self.issued_at,
            expires_at: self.bundle.expires_at,
            refresh_expires_at: self.bundle.refresh_expires_at,
            used_at: self.used_at,
        };
        let renewal = self
            .policy
            .and_then(|policy| due_at(policy, &life, now, entropy));
        let end = life.refresh_expires_at.or(life.expires_at);
        let lifetime = Lifetime {
            issued_at: self.issued_at,
            expires_at: life.expires_at,
            refresh_expires_at: life.refresh_expires_at,
            grant_ends_at: self.before.and_then(|before| fixed_end(before, &life)),
            tokens_end_at: end.filter(|end| renewal.is_none_or(|renewal| renewal >= *end)),
            due_at: None,
        };
        let to_tell = lifetime.end_to_tell(self.before.and_then(|before| before.end_told));
        Lifetime {
            due_at: next_look(renewal, to_tell, lifetime.tokens_end_at),
            ..lifetime
        }
    }
}

/// When the consent ends, as far as two bundles of it tell: a refresh token's end that does not move
/// as the tokens are renewed is the consent's own.
fn fixed_end(before: &Connection, now: &Life) -> Option<Timestamp> {
    let (old, new) = before.refresh_expires_at.zip(now.refresh_expires_at)?;
    let elapsed = now.issued_at.since(before.issued_at);
    if elapsed.as_secs() < TELLING_SECONDS.unsigned_abs() {
        return before.grant_ends_at;
    }
    // One that moves moves as far as time went on; whole seconds and clocks make it inexact.
    (new.since(old) < elapsed / 2).then_some(new)
}

/// When a worker must look at a connection next: to renew its tokens, to tell of an end that was not
/// told (`to_tell`), or to note an end of its tokens.
fn next_look(
    renewal: Option<Timestamp>,
    to_tell: Option<Timestamp>,
    tokens_end_at: Option<Timestamp>,
) -> Option<Timestamp> {
    let tell = to_tell.map(|end| end.plus_secs(-END_TOLD_BEFORE_SECONDS));
    renewal.into_iter().chain(tell).chain(tokens_end_at).min()
}

impl Tokens {
    /// When a worker must look at a connection that was used at `used_at`.
    pub(crate) fn due(&self, at: &Connection, used_at: Timestamp) -> Option<Timestamp> {
        let life = Life {
            issued_at: at.issued_at,
            expires_at: at.expires_at,
            refresh_expires_at: at.refresh_expires_at,
            used_at,
        };
        let renews = at.tokens_end_at.is_none();
        let renewal = platforms::refresh(at.platform)
            .filter(|_| renews)
            .and_then(|refresh| {
                due_at(&refresh.policy(), &life, self.now(), &*self.parts().entropy)
            });
        next_look(renewal, at.end_to_tell(), at.tokens_end_at)
    }

    /// Whether a connection that is due is so for its end. One that comes soon is told, and the lease
    /// goes back: what is to be renewed as well is so at the next turn. One that has come is noted.
    /// `None`: its tokens are to be renewed.
    pub(crate) async fn end_is_near(
        &self,
        held: &Held<'_>,
    ) -> Result<Option<Refreshed>, TokensError> {
        let (at, now) = (held.at, self.now());
        if at.tokens_end_at.is_some_and(|end| end <= now) {
            let fault = Fault::new(FaultKind::ReauthNeeded);
            let gave_up = self.give_up(held, ReauthReason::RefreshExpired, &fault);
            return gave_up.await.map(Some);
        }
        let soon = now.plus_secs(END_TOLD_BEFORE_SECONDS);
        let end = at.end_to_tell().filter(|end| *end <= soon);
        if end.is_none() && at.tokens_end_at.is_none() && platforms::refresh(at.platform).is_some()
        {
            return Ok(None);
        }
        self.look_again(held, end).await.map(Some)
    }

    /// Gives the lease back; of an end, together with telling it.
    async fn look_again(
        &self,
        held: &Held<'_>,
        end: Option<Timestamp>,
    ) -> Result<Refreshed, TokensError> {
        let at = held.at;
        let told = end.map(|end| {
            let cause = match at.grant_ends_at == Some(end) {
                true => "consent_ends",
                false => "tokens_end",
            };
            let extra = json!({ "cause": cause, "ends_at": end.rfc3339() });
            let day = end.secs().div_euclid(86_400).to_string();
            let kind = EventKind::ConnectionExpiring;
            (end, self.event_of(at, kind, &day, extra))
        });
        let after = Connection {
            end_told: end.or(at.end_told),
            ..at.clone()
        };
        let due_at = self.due(&after, at.used_at);
        let parts = self.parts();
        for _ in 0..5 {
            let told = told
                .as_ref()
                .map(|(end, event)| (*end, &parts.events, event));
            let done = parts
                .connections
                .looked(at, held.holder, due_at, told, self.attempt())
                .await?;
            match done {
                Transacted::Done => {
                    tracing::info!(
                        connection.id = %at.connection_id,
                        platform = %at.platform,
                        ends_at = end.map(Timestamp::rfc3339),
                        "connection looked at; nothing renews it"
                    );
                    return Ok(Refreshed::Looked);
                }
                Transacted::Refused(_) => return self.as_it_stands(at).await,
                Transacted::Conflict => {}
            }
        }
        Err(TokensError::Contended)
    }

    /// Another writer was there first.
    async fn as_it_stands(&self, at: &Connection) -> Result<Refreshed, TokensError> {
        let connections = &self.parts().connections;
        let found = connections.get(&at.user_id, &at.connection_id).await?;
        Ok(found.map_or(Refreshed::Absent, |at| Refreshed::Moved(Box::new(at))))
    }

    /// The grant is dead. The write is conditional on the version that was asked with, which is the
    /// re-read: if a newer token stands, it wins.
    pub(crate) async fn give_up(
        &self,
        held: &Held<'_>,
        reason: ReauthReason,
        fault: &Fault,
    ) -> Result<Refreshed, TokensError> {
        let at = held.at;
        let event = self.event(
            at,
            EventKind::ConnectionNeedsReauth,
            json!({ "reason": reason }),
        );
        for _ in 0..5 {
            let done = self
                .parts()
                .connections
                .give_up(
                    at,
                    held.holder,
                    reason,
                    fault,
                    &self.parts().events,
                    &event,
                    self.attempt(),
                )
                .await?;
            match done {
                Transacted::Done => {
                    tracing::warn!(
                        connection.id = %at.connection_id,
                        platform = %at.platform,
                        reason = reason.as_str(),
                        fault = %fault,
                        "connection needs its creator"
                    );
                    return Ok(Refreshed::GaveUp(reason));
                }
                Transacted::Refused(_) => return self.as_it_stands(at).await,
                Transacted::Conflict => {}
            }
        }
        Err(TokensError::Contended)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::SeededEntropy;

    use super::*;

    const DAY: i64 = 86_400;
    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn days(days: i64) -> Timestamp {
        NOW.plus_secs(days * DAY)
    }

    fn policy() -> RefreshPolicy {
        RefreshPolicy {
            margin_at_least: Duration::from_secs(600),
            idle_after: Duration::from_secs(7 * 86_400),
            idle_margin: Duration::from_secs(30 * 86_400),
            idle_at_most: Duration::from_secs(60 * 86_400),
            ..RefreshPolicy::NONE
        }
    }

    fn bundle(expires: Option<Timestamp>, refresh: Option<Timestamp>) -> TokenBundle {
        TokenBundle {
            access_token: domain::Secret::new("access"),
            refresh_token: None,
            expires_at: expires,
            refresh_expires_at: refresh,
            scopes: Vec::new(),
            extra: Default::default(),
        }
    }

    /// The same consent, renewed before.
    fn before(issued: Timestamp, refresh: Timestamp, grant: Option<Timestamp>) -> Connection {
        let row = json!({
            "user_id": "u", "connection_id": "conn_aaaaaaaaaaaaaaaaaaaaaaaaaa", "platform": "tiktok",
            "account": { "platform": "tiktok", "id": "a", "display_name": "Joris" },
            "status": "active", "token_version": 3, "created_at": 1, "updated_at": 1,
            "issued_at": issued, "refresh_expires_at": refresh, "grant_ends_at": grant,
        });
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn what_only_the_creator_can_put_off_is_known_and_looked_at_in_time() {
        let hours = NOW.plus_secs(7_200);
        let told = Connection {
            end_told: Some(days(10)),
            ..before(days(-1), days(10), None)
        };
        for (what, renews, expires, refresh, before, grant, tokens, due) in [
            (
                "renewed for a year",
                true,
                Some(hours),
                Some(days(365)),
                None,
                None,
                None,
                Some(NOW.plus_secs(6_600)),
            ),
            (
                "a year that moves along",
                true,
                Some(hours),
                Some(days(365)),
                Some(before(days(-1), days(364), Some(days(364)))),
                None,
                None,
                Some(NOW.plus_secs(6_600)),
            ),
            (
                "a year that does not",
                true,
                Some(hours),
                Some(days(1)),
                Some(before(days(-1), days(1).plus_secs(-2), None)),
                Some(days(1)),
                None,
                Some(days(-2)),
            ),
            (
                "the same, and the product knows",
                true,
                Some(hours),
                Some(days(10)),
                Some(told),
                Some(days(10)),
                None,
                Some(NOW.plus_secs(6_600)),
            ),
            (
                "renewed again at once: nothing new is known",
                true,
                Some(hours),
                Some(days(365)),
                Some(before(NOW.plus_secs(-60), days(365), Some(days(365)))),
                Some(days(365)),
                None,
                Some(NOW.plus_secs(6_600)),
            ),
            (
                "a long token that nothing renews",
                false,
                Some(days(60)),
                None,
                None,
                None,
                Some(days(60)),
                Some(days(57)),
            ),
            (
                "one that ends before it can be renewed",
                true,
                None,
                Some(days(60)),
                None,
                None,
                Some(days(60)),
                Some(days(57)),
            ),
            ("no end at all", false, None, None, None, None, None, None),
        ] {
            let policy = policy();
            let bundle = bundle(expires, refresh);
            let one = Bundle {
                policy: Some(&policy).filter(|_| renews),
                bundle: &bundle,
                issued_at: NOW,
                used_at: NOW,
                before: before.as_ref(),
            };
            // Jitter only ever makes it earlier: an eighth of the time at most.
            let found = one.lifetime(NOW, &SeededEntropy::new(1));
            assert_eq!(
                (found.grant_ends_at, found.tokens_end_at),
                (grant, tokens),
                "{what}"
            );
            let earliest = due.map(|due| due - due.since(NOW) / 8);
            assert!(
                found.due_at <= due && found.due_at >= earliest,
                "{what}: {found:?}"
            );
        }
    }
}
