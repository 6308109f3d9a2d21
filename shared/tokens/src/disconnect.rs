//! Ending a connection.

use domain::{ConnectionId, ConnectionStatus, EventKind, Revocation, Timestamp, UserId};
use platforms::Apps;
use serde_json::json;
use store::connections::Ended;
use store::{AccountHolders, Connection};

use crate::{Tokens, TokensError};

/// Who ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The user or the product, through us: the platform is told.
    Us,
    /// The platform, at this instant: nothing is left to revoke. Tokens issued after it stay.
    Platform(Timestamp),
}

/// Why it could not be ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DisconnectError {
    /// There is no such connection.
    #[error("no such connection")]
    Absent,
    /// Trouble of our own.
    #[error(transparent)]
    Internal(#[from] TokensError),
}

impl Tokens {
    /// Ends a connection and tells what became of the revocation at the platform. Ending it again
    /// changes nothing and answers the same.
    pub async fn disconnect(
        &self,
        apps: &Apps,
        user: &UserId,
        connection: &ConnectionId,
        by: EndedBy,
    ) -> Result<Connection, DisconnectError> {
        for _ in 0..8 {
            let found = self.parts().connections.get(user, connection).await;
            let Some(at) = found.map_err(TokensError::from)? else {
                return Err(DisconnectError::Absent);
            };
            let newer = matches!(by, EndedBy::Platform(when) if at.issued_at > when);
            if newer || at.status == ConnectionStatus::Disconnected {
                return Ok(at);
            }
            if let Some(ended) = self.end(apps, &at, by).await? {
                return Ok(ended);
            }
        }
        Err(TokensError::Contended.into())
    }

    /// One try; `None` if the row or its account changed under it.
    async fn end(
        &self,
        apps: &Apps,
        at: &Connection,
        by: EndedBy,
    ) -> Result<Option<Connection>, TokensError> {
        let parts = self.parts();
        let holders = parts.accounts.get(&at.account.key()).await?;
        let kept = by == EndedBy::Us && self.others_live(&holders, at).await?;
        let pending = match by {
            EndedBy::Us if !kept => self.revocation_of(apps, at).await?,
            EndedBy::Us | EndedBy::Platform(_) => None,
        };
        let outcome = match &pending {
            Some(_) => Revocation::Pending,
            None if kept => Revocation::KeptForOtherConnections,
            None => Revocation::NotNeeded,
        };
        let by_whom = match by {
            EndedBy::Us => "product",
            EndedBy::Platform(_) => "platform",
        };
        let extra = json!({ "by": by_whom, "revocation": outcome });
        let event = self.event(at, EventKind::ConnectionDisconnected, extra);
        let events = parts.events.acting(self.who.clone());
        let ended = parts
            .connections
            .end(
                at,
                &holders,
                &parts.accounts,
                outcome,
                pending
                    .as_ref()
                    .map(|pending| (&parts.revocations, pending)),
                (&events, &event),
                self.attempt(),
            )
            .await?;
        if ended == Ended::Moved {
            return Ok(None);
        }
        tracing::info!(
            connection.id = %at.connection_id,
            platform = %at.platform,
            by = by_whom,
            "connection ended"
        );
        if let Some(pending) = pending {
            // The row is written: if this try fails, or this process dies, the sweeper goes on.
            if let Err(error) = self.try_revocation(apps, &pending.revocation_id).await {
                tracing::warn!(connection.id = %at.connection_id, error = %error, "revocation not tried");
            }
        }
        Ok(parts
            .connections
            .get(&at.user_id, &at.connection_id)
            .await?)
    }

    /// Whether another connection, of any user, still lives on this account: a revoke would end it.
    pub(crate) async fn others_live(
        &self,
        holders: &AccountHolders,
        but: &Connection,
    ) -> Result<bool, TokensError> {
        for (user, connection) in holders.holders() {
            if connection == but.connection_id {
                continue;
            }
            let other = self.parts().connections.get(&user, &connection).await?;
            if other.is_some_and(|other| other.status == ConnectionStatus::Active) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
