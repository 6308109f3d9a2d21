//! From a code to a connection: the exchange, the sealed wait for the creator, the confirmation.

use domain::{
    Account, ConnectionId, Event, EventId, EventKind, Fault, FaultKind, Timestamp, TokenBundle,
    missing_scopes,
};
use platforms::{Answer, App, Authorize, CodeGrant, Linked, Step};
use serde_json::json;
use store::connections::{Confirmed as Stored, NewTokens};
use store::flows::Grant;
use store::{Connection, Flow, Issued};
use vault::{Sealed, SealingKey};

use crate::ending::Bundle;
use crate::{Tokens, TokensError};

/// The field of a flow in which the bundles wait.
const GRANT: &str = "grant";
/// An exchange makes at most this many calls; more is a machine that does not end.
const MOST_CALLS: usize = 20;
/// A connection's first statistics are read at once; where the message for it got lost, they are due
/// this long after.
const FIRST_SYNC_WITHIN_SECONDS: i64 = 300;

/// A connection that was confirmed.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// As it stands.
    pub connection: Connection,
}

/// Why a confirmation did not come about.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfirmError {
    /// The flow is over: confirmed before, cancelled, swept or expired.
    #[error("the flow is over")]
    FlowOver,
    /// The chosen account is not among those that the consent opened.
    #[error("no such account in this flow")]
    NoSuchAccount,
    /// The account's access was ended since the consent: the creator must start again.
    #[error("the tokens were ended before they were confirmed")]
    Revoked,
    /// The account is being revoked just now; in a minute it is known whether these tokens live.
    #[error("the account is being disconnected just now")]
    Barred,
    /// Trouble of our own.
    #[error(transparent)]
    Internal(#[from] TokensError),
}

impl Tokens {
    /// Exchanges a code. Every call is made once: a code works once, and a lost answer ends the
    /// attempt with a fault that asks the creator to start again.
    pub async fn exchange(
        &self,
        platform: &dyn Authorize,
        app: &App,
        grant: CodeGrant,
    ) -> Result<Vec<Linked>, Fault> {
        let mut machine = platform.connect(app, grant);
        let mut step = machine.next(None);
        for _ in 0..MOST_CALLS {
            let call = match step {
                Step::Done(mut linked) => {
                    for one in &mut linked {
                        one.account.environment = app.environment();
                    }
                    return Ok(linked);
                }
                Step::Failed(fault) => return Err(fault),
                Step::Send(call) => call,
            };
            let sent_at = self.now();
            let name = call.name;
            let answered = self.parts().wire.send(call, self.http_timeout()).await;
            let response = answered.map_err(|error| {
                tracing::warn!(call = name, error = %error, "exchange brought no answer");
                Fault::new(FaultKind::PlatformDown)
                    .sentence("The platform did not answer. Please start again.")
            })?;
            step = machine.next(Some(Answer {
                response: &response,
                sent_at,
            }));
        }
        Err(Fault::new(FaultKind::OurBug))
    }

    /// The key for sealing what an exchange will bring. Obtain it before the exchange: a code works
    /// once, so nothing that can fail should stand between its tokens and the table.
    pub async fn grant_key(&self, flow: &Flow) -> Result<SealingKey, TokensError> {
        Ok(self.parts().vault.new_key(flow.flow_id.as_str()).await?)
    }

    /// Seals what an exchange that began at `issued_at` brought into the flow, to wait for the
    /// creator. No await.
    pub fn seal_grant(
        &self,
        flow: &Flow,
        key: &SealingKey,
        linked: &[Linked],
        issued_at: Timestamp,
    ) -> Result<Grant, TokensError> {
        let keys = [flow.flow_id.as_str()];
        let bundles: Vec<&TokenBundle> = linked.iter().map(|one| &one.bundle).collect();
        let sealed = self.seal_as(key, &flow.place(&keys, GRANT), &bundles)?;
        let accounts = linked.iter().map(|one| one.account.clone()).collect();
        let scopes = linked
            .first()
            .map(|one| one.bundle.scopes.clone())
            .unwrap_or_default();
        Ok(Grant {
            accounts,
            scopes,
            sealed,
            issued_at,
        })
    }

    /// What waits in a flow.
    pub(crate) async fn open_grant(
        &self,
        flow: &Flow,
        grant: &Grant,
    ) -> Result<Vec<TokenBundle>, TokensError> {
        let keys = [flow.flow_id.as_str()];
        self.open_as(
            flow.flow_id.as_str(),
            &flow.place(&keys, GRANT),
            &grant.sealed,
        )
        .await
    }

    /// The creator confirmed: seals the chosen account's bundle under the connection's own key and
    /// makes, or makes again, the connection. Connecting again never loses a refresh token that the
    /// platform did not send anew.
    pub async fn confirm(&self, flow: &Flow, account_id: &str) -> Result<Confirmed, ConfirmError> {
        let grant = flow.grant.as_ref().ok_or(ConfirmError::FlowOver)?;
        let place = grant
            .accounts
            .iter()
            .position(|account| account.id == account_id);
        let place = place.ok_or(ConfirmError::NoSuchAccount)?;
        let bundles = self.open_grant(flow, grant).await?;
        let (Some(bundle), Some(account)) = (bundles.get(place), grant.accounts.get(place)) else {
            return Err(TokensError::NotABundle.into());
        };
        let id = ConnectionId::to(&flow.user_id, account);
        let key = self
            .parts()
            .vault
            .new_key(id.as_str())
            .await
            .map_err(TokensError::from)?;
        for _ in 0..5 {
            let found = self.parts().connections.get(&flow.user_id, &id).await;
            let seen = found.map_err(TokensError::from)?;
            let of_same_app = seen
                .as_ref()
                .filter(|seen| seen.client_id == flow.client_id);
            let bundle = self.with_old_refresh_token(bundle, of_same_app).await?;
            let version = seen.as_ref().map_or(0, |seen| seen.token_version);
            let sealed = {
                let keys = [flow.user_id.as_str(), id.as_str()];
                let place = vault::Place {
                    table: store::connections::TABLE,
                    keys: &keys,
                    platform: flow.platform,
                    field: "tokens",
                    version: version + 1,
                };
                self.seal_as(&key, &place, &bundle)?
            };
            match self
                .store_confirmed(flow, grant, account, &bundle, &sealed, version, &id)
                .await?
            {
                Stored::Done => {
                    let found = self.parts().connections.get(&flow.user_id, &id).await;
                    let connection = found.map_err(TokensError::from)?;
                    let connection = connection.ok_or(TokensError::Contended)?;
                    return Ok(Confirmed { connection });
                }
                Stored::FlowOver => return Err(ConfirmError::FlowOver),
                Stored::AccountBarred => return Err(self.barred(account, grant).await),
                Stored::RowMoved | Stored::Conflict => {}
            }
        }
        Err(TokensError::Contended.into())
    }

    /// Why an account could not be joined.
    async fn barred(&self, account: &Account, grant: &Grant) -> ConfirmError {
        match self.parts().accounts.get(&account.key()).await {
            Ok(holders) if holders.revoked_at >= grant.issued_at => ConfirmError::Revoked,
            Ok(_) => ConfirmError::Barred,
            Err(error) => TokensError::from(error).into(),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one row out of several sources")]
    async fn store_confirmed(
        &self,
        flow: &Flow,
        grant: &Grant,
        account: &Account,
        bundle: &TokenBundle,
        sealed: &Sealed,
        seen: u64,
        id: &ConnectionId,
    ) -> Result<Stored, TokensError> {
        let now = self.now();
        let missing = missing_scopes(&flow.scopes, &bundle.scopes);
        let policy = platforms::refresh(flow.platform).map(|refresh| refresh.policy());
        let granted = Bundle {
            policy: policy.as_ref().filter(|_| bundle.refresh_token.is_some()),
            bundle,
            issued_at: grant.issued_at,
            used_at: now,
            before: None,
        };
        let new = NewTokens {
            user: &flow.user_id,
            connection: id,
            account,
            client_id: flow.client_id.as_deref(),
            seen,
            sealed,
            scopes: &bundle.scopes,
            missing_scopes: &missing,
            lifetime: granted.lifetime(now, &*self.parts().entropy),
            stats_due_at: platforms::statistics(flow.platform)
                .map(|_| now.plus_secs(FIRST_SYNC_WITHIN_SECONDS)),
            now,
        };
        let version = (seen + 1).to_string();
        let event = Event {
            id: EventId::of(&[
                id.as_str(),
                EventKind::ConnectionConnected.as_str(),
                &version,
            ]),
            kind: EventKind::ConnectionConnected,
            user_id: flow.user_id.clone(),
            at: now,
            detail: json!({
                "connection_id": id,
                "platform": flow.platform,
                "account_id": account.id,
                "scopes": bundle.scopes,
                "missing_scopes": missing,
            }),
        };
        let parts = self.parts();
        Ok(parts
            .connections
            .confirm(
                &new,
                (&parts.flows, flow),
                &parts.accounts,
                (&parts.events, &event),
                self.attempt(),
            )
            .await?)
    }

    /// `seen`: the connection as it stands, where the same app made its tokens.
    async fn with_old_refresh_token(
        &self,
        new: &TokenBundle,
        seen: Option<&Connection>,
    ) -> Result<TokenBundle, TokensError> {
        let mut bundle = new.clone();
        let old = seen.filter(|seen| bundle.refresh_token.is_none() && seen.sealed.is_some());
        if let Some(old) = old {
            let old = self.open_bundle(old).await?;
            bundle.refresh_token = old.refresh_token;
            bundle.refresh_expires_at = bundle.refresh_expires_at.or(old.refresh_expires_at);
        }
        Ok(bundle)
    }

    /// Ends a flow that nobody confirmed (or that the creator cancelled): its tokens leave the table,
    /// and are revoked at the platform unless a connection lives on the account.
    pub async fn abandon(&self, flow: &Flow) -> Result<bool, TokensError> {
        let mut owed = Vec::new();
        if let Some(grant) = flow
            .grant
            .as_ref()
            .filter(|_| platforms::revoke(flow.platform).is_some())
        {
            for (account, bundle) in grant
                .accounts
                .iter()
                .zip(self.open_grant(flow, grant).await?)
            {
                let of = (account, flow.client_id.as_deref());
                owed.push(
                    self.pending(of, None, &bundle, Issued::at(grant.issued_at))
                        .await?,
                );
            }
        }
        let parts = self.parts();
        Ok(parts
            .flows
            .abandon(flow, &owed, &parts.revocations, self.now(), self.attempt())
            .await?)
    }
}
