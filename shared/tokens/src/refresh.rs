//! The refresh protocol: lease, ask once, commit under the fence.
//!
//! What may be lost, and where: see the comments at the three marked lines. A process killed before
//! the request leaves the stored token as good as before; one killed after the commit has nothing
//! left to lose; in between, on a platform that rotates without grace, the connection ends as
//! `needs_reauth` with reason `rotation_lost`.

use std::time::Duration;

use domain::{
    AppRef, ConnectionId, Fault, FaultKind, Holder, Platform, ReauthReason, Timestamp, TokenBundle,
    UserId,
};
use platforms::{Answer, App, Apps, Refresh, RefreshPolicy};
use store::connections::{Commit, Lease, LeaseAsk, Release};
use store::{Connection, Written};
use transport::NoAnswer;
use vault::SealingKey;

use crate::decide::{self, Refusal};
use crate::ending;
use crate::figures;
use crate::message::{RefreshMessage, SeenDue};
use crate::{Tokens, TokensError};

/// The longest that keeping renewed tokens may take, table and rescue queue together. A refresh that
/// could not be kept in the time that its process has left is not begun.
pub(crate) const KEEPING: Duration = Duration::from_secs(10);

/// How long a connection whose app is not set up waits for it, unless somebody uses it before.
const APP_MISSING: Duration = Duration::from_secs(3_600);

/// How a refresh ended.
#[derive(Clone, Debug)]
pub enum Refreshed {
    /// There is a new token; the connection as committed.
    Fresh(Box<Connection>),
    /// Somebody else is at it, or a lost lease is still settling.
    Held,
    /// It was refreshed, ended or is no longer due since it was seen.
    Moved(Box<Connection>),
    /// The grant is dead; the creator was told by one event.
    GaveUp(ReauthReason),
    /// The trouble passes, or is the operator's; when it is tried again.
    Later {
        /// What it was.
        fault: Fault,
        /// When it is tried again.
        at: Timestamp,
    },
    /// Nothing was to be renewed: it ends soon, which the product is told, or nothing is due.
    Looked,
    /// There is no such connection.
    Absent,
}

/// Why somebody refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The schedule says that it is due.
    Due,
    /// A caller needs a token now.
    Wanted,
}

/// A connection as a refresher saw it.
struct Seen<'a> {
    user: &'a UserId,
    connection: &'a ConnectionId,
    platform: Platform,
    /// Of which app, where that is known before the lease: a row of the due index does not say.
    app: Option<AppRef>,
    version: u64,
}

/// The refresher's side of one lease.
pub(crate) struct Held<'a> {
    pub(crate) at: &'a Connection,
    pub(crate) holder: &'a Holder,
    pub(crate) policy: RefreshPolicy,
}

impl Tokens {
    /// Refreshes a queued connection. A worker that finds another one at it ends at once.
    pub async fn refresh(
        &self,
        apps: &Apps,
        message: &RefreshMessage,
    ) -> Result<Refreshed, TokensError> {
        let (user, connection) = (&message.user_id, &message.connection_id);
        if let Some(SeenDue {
            platform,
            token_version: version,
        }) = message.due
        {
            return self
                .refresh_seen(
                    apps,
                    &Seen {
                        user,
                        connection,
                        platform,
                        app: None,
                        version,
                    },
                    Why::Due,
                )
                .await;
        }
        match self.parts().connections.get(user, connection).await? {
            Some(at)
                if message
                    .version
                    .is_some_and(|wanted| wanted != at.token_version) =>
            {
                Ok(Refreshed::Moved(Box::new(at)))
            }
            Some(at) => self.refresh_at(apps, at, Why::Wanted).await,
            None => Ok(Refreshed::Absent),
        }
    }

    pub(crate) async fn refresh_at(
        &self,
        apps: &Apps,
        at: Connection,
        why: Why,
    ) -> Result<Refreshed, TokensError> {
        let (user, connection) = (&at.user_id, &at.connection_id);
        let seen = Seen {
            user,
            connection,
            platform: at.platform,
            app: Some(at.account.app()),
            version: at.token_version,
        };
        self.refresh_seen(apps, &seen, why).await
    }

    async fn refresh_seen(
        &self,
        apps: &Apps,
        seen: &Seen<'_>,
        why: Why,
    ) -> Result<Refreshed, TokensError> {
        let platform = seen.platform;
        let refresh = platforms::refresh(platform).filter(|_| apps.get(platform).is_some());
        // A connection that nothing renews is due as well: its end is to be told.
        let policy = match refresh {
            Some(refresh) => refresh.policy(),
            None if why == Why::Due && platforms::refresh(platform).is_none() => {
                RefreshPolicy::NONE
            }
            None => return Err(TokensError::NotConfigured),
        };
        let needed = policy.timeout.min(self.parts().timing.http_timeout) + KEEPING;
        if self
            .deadline
            .is_some_and(|deadline| self.now() + needed >= deadline)
        {
            return Err(TokensError::NoTimeLeft);
        }
        let expected = seen.app.unwrap_or(platform.into());
        if let Some((fault, at)) = self.breaker(expected).await? {
            return Ok(Refreshed::Later { fault, at });
        }
        let holder = self.holder();
        let at = match self.take_lease(seen, why, &policy, &holder).await? {
            Lease::Taken(at) => at,
            Lease::Held(_) => return Ok(Refreshed::Held),
            Lease::Moved(at) => return Ok(Refreshed::Moved(at)),
            Lease::Absent => return Ok(Refreshed::Absent),
        };
        let held = Held {
            at: &at,
            holder: &holder,
            policy,
        };
        if why == Why::Due
            && let Some(ended) = self.end_is_near(&held).await?
        {
            return Ok(ended);
        }
        let refresh = refresh.ok_or(TokensError::NotConfigured)?;
        let Some(app) = apps.of(platform, at.client_id.as_deref()) else {
            let ended = self.without_app(&held).await;
            figures::tell(self.meter(), platform, &ended);
            return ended;
        };
        if at.account.app() != expected
            && let Some((fault, until)) = self.breaker(at.account.app()).await?
        {
            let fault = fault.until(until);
            let at = self.release(&held, fault.clone(), None, false).await?;
            return Ok(Refreshed::Later { fault, at });
        }
        let settle = self.parts().timing.settle;
        let (spent, abandoned) = (at.spent_since, at.lease_abandoned_at);
        if let Some(then) = decide::not_before(spent, abandoned, &policy, settle, self.now()) {
            let fault = Fault::new(FaultKind::PlatformDown).until(then);
            let at = self.release(&held, fault.clone(), None, true).await?;
            return Ok(Refreshed::Later { fault, at });
        }
        let ended = self.ask_and_commit(&held, refresh, app).await;
        figures::tell(self.meter(), platform, &ended);
        ended
    }

    async fn take_lease(
        &self,
        seen: &Seen<'_>,
        why: Why,
        policy: &RefreshPolicy,
        holder: &Holder,
    ) -> Result<Lease, TokensError> {
        let now = self.now();
        let settle = decide::settling(policy, self.parts().timing.settle);
        let ask = LeaseAsk {
            user: seen.user,
            connection: seen.connection,
            seen: seen.version,
            if_due: why == Why::Due,
            holder,
            now,
            until: now + policy.lease.min(self.parts().timing.lease),
            settled_before: now - settle,
        };
        Ok(self
            .parts()
            .connections
            .lease(&ask, &self.attempt())
            .await?)
    }

    /// From the lease to the durable write.
    async fn ask_and_commit(
        &self,
        held: &Held<'_>,
        refresh: &dyn Refresh,
        app: &App,
    ) -> Result<Refreshed, TokensError> {
        // Everything that the commit will need is fetched before the request is sent: afterwards
        // there is no KMS call and no read, only the write.
        let prepared = self.prepare(held).await;
        let (key, old) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                // Nothing was sent: the lease goes back at once, or runs out by itself.
                let fault = Fault::new(FaultKind::OurBug);
                self.release(held, fault, None, false).await?;
                return Err(error);
            }
        };
        let call = match refresh.request(app, &old) {
            Ok(call) => call,
            Err(fault) => {
                return self
                    .give_up(held, ReauthReason::CannotRefresh, &fault)
                    .await;
            }
        };
        let sent_at = self.now();
        let timeout = held.policy.timeout.min(self.parts().timing.http_timeout);
        // The window opens with this request …
        let response = match self.parts().wire.send(call, timeout).await {
            Ok(response) => response,
            Err(no_answer) => return self.unanswered(held, &no_answer, sent_at).await,
        };
        match refresh.read(
            Answer {
                response: &response,
                sent_at,
            },
            &old,
        ) {
            Ok(bundle) => self.keep(held, &key, &bundle, sent_at).await,
            Err(fault) => {
                // A 5xx may stand before or after the rotation: nobody can tell.
                let spent = response.status().is_server_error().then_some(sent_at);
                self.refused(held, fault, spent).await
            }
        }
    }

    async fn prepare(&self, held: &Held<'_>) -> Result<(SealingKey, TokenBundle), TokensError> {
        let sealed = held.at.sealed.as_ref().ok_or(TokensError::NotABundle)?;
        let key = self
            .parts()
            .vault
            .key_of(held.at.connection_id.as_str(), sealed)
            .await?;
        Ok((key, self.open_bundle(held.at).await?))
    }

    /// The platform answered with tokens: the next await is the write that keeps them.
    async fn keep(
        &self,
        held: &Held<'_>,
        key: &SealingKey,
        bundle: &TokenBundle,
        sent_at: Timestamp,
    ) -> Result<Refreshed, TokensError> {
        let at = held.at;
        let renewed = ending::Bundle {
            policy: Some(&held.policy),
            bundle,
            issued_at: sent_at,
            used_at: at.used_at,
            before: Some(at),
        };
        let commit = Commit {
            sealed: self.seal_next(at, key, bundle)?,
            seen: at.token_version,
            scopes: bundle.scopes.clone(),
            lifetime: renewed.lifetime(self.now(), &*self.parts().entropy),
        };
        // … and closes with this write, or with the rescue queue's receipt.
        match self.write_or_rescue(held.at, held.holder, &commit).await? {
            Written::Done(Some(at)) => {
                self.went_well(at.account.app()).await;
                tracing::info!(
                    connection.id = %at.connection_id,
                    platform = %at.platform,
                    token.version = at.token_version,
                    "token refreshed"
                );
                Ok(Refreshed::Fresh(Box::new(at)))
            }
            Written::Done(None) => {
                let soon = self.now() + self.parts().timing.rescue_delay;
                Ok(Refreshed::Later {
                    fault: Fault::new(FaultKind::PlatformDown),
                    at: soon,
                })
            }
            Written::Refused(standing) => self.lost_the_fence(at, &commit, bundle, standing).await,
        }
    }

    /// The platform refused.
    async fn refused(
        &self,
        held: &Held<'_>,
        fault: Fault,
        spent: Option<Timestamp>,
    ) -> Result<Refreshed, TokensError> {
        let at = held.at;
        let meaning = decide::refusal(
            &fault,
            &held.policy,
            at.may_be_spent(),
            at.refresh_expires_at,
            self.now(),
        );
        let meaning = match meaning {
            // What dies of age dies one by one, and is no surprise.
            Refusal::Dead(ReauthReason::RefreshExpired) => meaning,
            Refusal::Dead(_) if self.holds_end(at.account.app()).await? => Refusal::App,
            other => other,
        };
        if let Refusal::Dead(reason) = meaning {
            return self.give_up(held, reason, &fault).await;
        }
        if fault.kind == FaultKind::OurBug {
            tracing::error!(
                connection.id = %held.at.connection_id,
                platform = %held.at.platform,
                fault = %fault,
                "the platform answered a refresh in a way that is not known"
            );
        }
        let at = if meaning == Refusal::App {
            // The lease goes back first: one that runs out makes its next holder suspect a lost token.
            self.release(held, fault.clone(), spent, false).await?;
            self.trip(at.account.app(), &fault).await?
        } else {
            let next = self.release(held, fault.clone(), spent, true).await?;
            if fault.kind == FaultKind::PlatformDown {
                self.went_down(at.account.app()).await;
            }
            next
        };
        Ok(Refreshed::Later { fault, at })
    }

    /// The app that made the tokens is none of this deployment's. They are good with no other app, so
    /// nothing is asked and no connection is blamed: it waits for its operator.
    async fn without_app(&self, held: &Held<'_>) -> Result<Refreshed, TokensError> {
        tracing::error!(
            connection.id = %held.at.connection_id,
            platform = %held.at.platform,
            "the app that a connection was made with is not set up"
        );
        let fault = app_missing().until(self.now() + APP_MISSING);
        let at = self.release(held, fault.clone(), None, false).await?;
        Ok(Refreshed::Later { fault, at })
    }

    /// The request brought no answer.
    async fn unanswered(
        &self,
        held: &Held<'_>,
        no_answer: &NoAnswer,
        sent_at: Timestamp,
    ) -> Result<Refreshed, TokensError> {
        tracing::warn!(
            connection.id = %held.at.connection_id,
            platform = %held.at.platform,
            error = %no_answer,
            "refresh brought no answer"
        );
        let fault = Fault::new(FaultKind::PlatformDown);
        let spent = (!no_answer.surely_unseen()).then_some(sent_at);
        let at = self.release(held, fault.clone(), spent, true).await?;
        self.went_down(held.at.account.app()).await;
        Ok(Refreshed::Later { fault, at })
    }

    async fn release(
        &self,
        held: &Held<'_>,
        fault: Fault,
        spent_since: Option<Timestamp>,
        counts: bool,
    ) -> Result<Timestamp, TokensError> {
        let entropy = &*self.parts().entropy;
        let due_at = decide::next_try(&fault, held.at.failures, self.now(), entropy);
        let release = Release {
            due_at,
            fault,
            spent_since,
            counts,
        };
        self.parts()
            .connections
            .release(held.at, held.holder, &release, &self.attempt())
            .await?;
        Ok(due_at)
    }
}

/// The fault of a connection whose app is none of this deployment's.
fn app_missing() -> Fault {
    Fault::new(FaultKind::AppRefused).sentence(
        "The app that this account was connected with is not set up in this deployment. The operator must set it up again.",
    )
}
