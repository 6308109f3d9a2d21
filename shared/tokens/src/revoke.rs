//! Telling a platform that a connection ended: once at least, for 24 hours at most, and never while
//! another connection holds the account.

use domain::metric::REVOCATIONS_FAILED;
use domain::{Account, ConnectionStatus, FaultKind, Platform, Revocation, TokenBundle};
use platforms::{Answer, App, Apps, Linked, Revoke};
use store::{Connection, Issued, PendingRevocation};

use crate::refresh::Why;
use crate::{Refreshed, Tokens, TokensError, backoff};

/// Failed revokes are repeated for this long.
const GIVE_UP_SECONDS: i64 = 24 * 3_600;
/// How long one try may take: nobody else tries, and nobody connects the account, in the meantime.
const TRY_SECONDS: i64 = 45;

/// How sending a revoke ended.
enum Sent {
    /// With nothing left to tell.
    Over(Revocation),
    /// The platform does not take these tokens.
    Refused,
    /// It is to be tried again.
    NotNow,
}

/// How renewing a token for its own revocation ended.
enum Renewed {
    Yes(TokenBundle),
    GrantDead,
    NotNow,
}

impl Tokens {
    /// Tries one revocation that is owed. Settled ones are no error.
    pub async fn try_revocation(&self, apps: &Apps, id: &str) -> Result<(), TokensError> {
        let parts = self.parts();
        let Some(row) = parts.revocations.get(id).await? else {
            return Ok(());
        };
        let busy_until = self.now().plus_secs(TRY_SECONDS);
        let pause = backoff(row.tries, &*parts.entropy);
        let next = busy_until + pause;
        let Some(row) = parts.revocations.take(&row, next, &self.attempt()).await? else {
            return Ok(());
        };
        let holders = parts.accounts.get(&row.account_key).await?;
        if self.held_by_living(&holders).await? {
            return self.settle(&row, Revocation::KeptForOtherConnections).await;
        }
        let ends_all = platforms::revoke(row.platform).is_some_and(Revoke::ends_all);
        let issued = row.issued.filter(|_| ends_all);
        if issued.is_some_and(|issued| issued.by <= holders.ended_at) {
            return self.settle(&row, Revocation::Done).await;
        }
        let may_have_ended = issued.is_some_and(|issued| issued.after <= holders.ended_at);
        // From here until the answer nobody may connect the account: a revoke ends all of its grants,
        // those included that still wait for their creator.
        let key = &row.account_key;
        if !parts
            .accounts
            .bar(&holders, self.now(), busy_until, &self.attempt())
            .await?
        {
            return Ok(());
        }
        let asked_at = self.now();
        let outcome = match self.open_and_send(apps, &row).await {
            Ok(Sent::Over(outcome)) => Ok(Some(outcome)),
            // Asked for before the platform ended all, and refused since: they ended with the rest.
            Ok(Sent::Refused) if may_have_ended => Ok(Some(Revocation::Done)),
            Ok(Sent::Refused | Sent::NotNow) => Ok(None),
            Err(error) => Err(error),
        };
        let ended = ends_all && matches!(outcome, Ok(Some(Revocation::Done)));
        let ended_at = ended.then_some(asked_at);
        if let Err(error) = parts
            .accounts
            .unbar(key, busy_until, self.now(), ended_at, &self.attempt())
            .await
        {
            // The bar runs out by itself.
            tracing::warn!(platform = %row.platform, error = %error, "an account stayed barred");
        }
        match outcome {
            Ok(Some(outcome)) => self.settle(&row, outcome).await,
            _ if self.now() >= row.give_up_at => self.settle(&row, Revocation::Failed).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The row for revoking what `at` holds; `None` where there is nothing to revoke with. An access
    /// token that has died is renewed first: the platform takes no dead one.
    pub(crate) async fn revocation_of(
        &self,
        apps: &Apps,
        at: &Connection,
    ) -> Result<Option<PendingRevocation>, TokensError> {
        let can = platforms::revoke(at.platform).is_some() && apps.get(at.platform).is_some();
        let dead = at.expires_at.is_some_and(|end| end <= self.now());
        // A connection that needs its creator may still hold an access token that lives.
        let usable = match at.status {
            ConnectionStatus::Active => true,
            ConnectionStatus::NeedsReauth => !dead,
            ConnectionStatus::Disconnected => false,
        };
        if !can || at.sealed.is_none() || !usable {
            return Ok(None);
        }
        let at = if dead {
            match self.refresh_at(apps, at.clone(), Why::Wanted).await {
                Ok(Refreshed::Fresh(fresh)) => *fresh,
                Ok(Refreshed::GaveUp(_)) => return Ok(None),
                Ok(_) | Err(_) => at.clone(),
            }
        } else {
            at.clone()
        };
        let bundle = self.open_bundle(&at).await?;
        let of = (&at.account, at.client_id.as_deref());
        Ok(Some(
            self.pending(of, Some(&at), &bundle, Issued::at(at.issued_at))
                .await?,
        ))
    }

    /// Queues the revocation of tokens that arrived after their connection had ended, unless another
    /// connection lives on the account. `at`: the connection when the tokens were asked for.
    pub(crate) async fn owe_revocation(
        &self,
        at: &Connection,
        bundle: &TokenBundle,
        issued: Issued,
    ) -> Result<(), TokensError> {
        if platforms::revoke(at.platform).is_none() {
            return Ok(());
        }
        let of = (&at.account, at.client_id.as_deref());
        let pending = self.pending(of, None, bundle, issued).await?;
        Ok(self.parts().revocations.put(&pending).await?)
    }

    /// A row that holds `bundle`, sealed under a key of its own; with the account and the client id of
    /// the app that the tokens are of.
    pub(crate) async fn pending(
        &self,
        (account, client_id): (&Account, Option<&str>),
        of: Option<&Connection>,
        bundle: &TokenBundle,
        issued: Issued,
    ) -> Result<PendingRevocation, TokensError> {
        let id = self.attempt().to_string();
        let key = self.parts().vault.new_key(&id).await?;
        let keys = [id.as_str()];
        let place = PendingRevocation::place(account.platform, &keys);
        let sealed = self.seal_as(&key, &place, bundle)?;
        let now = self.now();
        Ok(PendingRevocation {
            platform: account.platform,
            client_id: client_id.map(str::to_owned),
            account_key: account.key(),
            connection: of.map(|at| (at.user_id.clone(), at.connection_id.clone())),
            sealed,
            issued: Some(issued),
            due_at: now,
            due_shard: PendingRevocation::shard(&id),
            give_up_at: now.plus_secs(GIVE_UP_SECONDS),
            tries: 0,
            revocation_id: id,
        })
    }

    /// Ends tokens that could not be kept: a failed seal or write right after an exchange. Tried once,
    /// since there is nowhere to note that it is owed; tokens that are not ended die by themselves.
    pub async fn forget(&self, app: &App, linked: &[Linked]) {
        for one in linked {
            let platform = one.account.platform;
            let holders = match self.parts().accounts.get(&one.account.key()).await {
                Ok(holders) => self.held_by_living(&holders).await,
                Err(error) => Err(error.into()),
            };
            // A revoke would end the living connections of the account as well.
            let revoked = match holders {
                Ok(false) => match platforms::revoke(platform) {
                    Some(revoke) => {
                        let sent = self.send(revoke, app, &one.bundle, platform).await;
                        matches!(sent, Sent::Over(_))
                    }
                    None => true,
                },
                Ok(true) | Err(_) => false,
            };
            tracing::error!(platform = %platform, revoked, "tokens of an exchange could not be kept");
        }
    }

    /// Opens what a row holds, and sends it.
    async fn open_and_send(
        &self,
        apps: &Apps,
        row: &PendingRevocation,
    ) -> Result<Sent, TokensError> {
        let keys = [row.revocation_id.as_str()];
        let place = PendingRevocation::place(row.platform, &keys);
        let bundle: TokenBundle = self
            .open_as(&row.revocation_id, &place, &row.sealed)
            .await?;
        if bundle.expires_at.is_none_or(|end| end > self.now()) {
            return Ok(self.send_revoke(apps, row, &bundle).await);
        }
        match self.renew_to_revoke(apps, row, &bundle).await? {
            Renewed::Yes(bundle) => Ok(self.send_revoke(apps, row, &bundle).await),
            Renewed::GrantDead => Ok(Sent::Over(Revocation::Done)),
            Renewed::NotNow => Ok(Sent::NotNow),
        }
    }

    /// Renews an access token that died while its revocation waited: platforms take no dead one, and
    /// the grant behind it lives. The renewed bundle is written down before it is used.
    async fn renew_to_revoke(
        &self,
        apps: &Apps,
        row: &PendingRevocation,
        bundle: &TokenBundle,
    ) -> Result<Renewed, TokensError> {
        let app = apps.of(row.platform, row.client_id.as_deref());
        let Some((refresh, app)) = platforms::refresh(row.platform).zip(app) else {
            return Ok(Renewed::NotNow);
        };
        let Ok(call) = refresh.request(app, bundle) else {
            return Ok(Renewed::NotNow);
        };
        let key = self
            .parts()
            .vault
            .key_of(&row.revocation_id, &row.sealed)
            .await?;
        let sent_at = self.now();
        let Ok(response) = self.parts().wire.send(call, self.http_timeout()).await else {
            return Ok(Renewed::NotNow);
        };
        match refresh.read(
            Answer {
                response: &response,
                sent_at,
            },
            bundle,
        ) {
            Ok(renewed) => {
                let keys = [row.revocation_id.as_str()];
                let place = PendingRevocation::place(row.platform, &keys);
                let sealed = self.seal_as(&key, &place, &renewed)?;
                self.parts()
                    .revocations
                    .renewed(row, &sealed, &self.attempt())
                    .await?;
                Ok(Renewed::Yes(renewed))
            }
            Err(fault) if fault.kind == FaultKind::ReauthNeeded => Ok(Renewed::GrantDead),
            Err(_) => Ok(Renewed::NotNow),
        }
    }

    /// Has the app end its own tokens; later, where that app is not set up just now. No other app can
    /// end them.
    async fn send_revoke(
        &self,
        apps: &Apps,
        row: &PendingRevocation,
        bundle: &TokenBundle,
    ) -> Sent {
        let Some(revoke) = platforms::revoke(row.platform) else {
            return Sent::Over(Revocation::NotNeeded);
        };
        let Some(app) = apps.of(row.platform, row.client_id.as_deref()) else {
            self.not_revoked(row.platform, "the app is not set up");
            return Sent::NotNow;
        };
        self.send(revoke, app, bundle, row.platform).await
    }

    /// The call itself.
    async fn send(
        &self,
        revoke: &dyn Revoke,
        app: &App,
        bundle: &TokenBundle,
        platform: Platform,
    ) -> Sent {
        let Ok(call) = revoke.request(app, bundle) else {
            return Sent::Over(Revocation::NotNeeded);
        };
        let sent_at = self.now();
        let answered = self.parts().wire.send(call, self.http_timeout()).await;
        let response = match answered {
            Ok(response) => response,
            Err(error) => {
                self.not_revoked(platform, &error.to_string());
                return Sent::NotNow;
            }
        };
        match revoke.read(Answer {
            response: &response,
            sent_at,
        }) {
            Ok(()) => Sent::Over(Revocation::Done),
            Err(fault) => {
                self.not_revoked(platform, &fault.to_string());
                match fault.kind {
                    FaultKind::OurBug | FaultKind::TokenRejected | FaultKind::ReauthNeeded => {
                        Sent::Refused
                    }
                    _ => Sent::NotNow,
                }
            }
        }
    }

    fn not_revoked(&self, platform: Platform, why: &str) {
        tracing::warn!(platform = %platform, error = why, "revocation failed; it is tried again");
    }

    async fn settle(
        &self,
        row: &PendingRevocation,
        outcome: Revocation,
    ) -> Result<(), TokensError> {
        let parts = self.parts();
        tracing::info!(platform = %row.platform, outcome = outcome.as_str(), "revocation settled");
        if outcome == Revocation::Failed {
            self.meter().count(&REVOCATIONS_FAILED, row.platform.into());
        }
        Ok(parts
            .revocations
            .settle(row, outcome, &parts.connections, self.attempt())
            .await?)
    }

    async fn held_by_living(&self, holders: &store::AccountHolders) -> Result<bool, TokensError> {
        for (user, connection) in holders.holders() {
            let at = self.parts().connections.get(&user, &connection).await?;
            if at.is_some_and(|at| at.status == ConnectionStatus::Active) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
