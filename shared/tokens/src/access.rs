//! A usable access token for whoever is about to call a platform.

use std::time::Duration;

use domain::{ConnectionId, ConnectionStatus, Fault, FaultKind, TokenBundle, UserId};
use platforms::Apps;
use store::Connection;

use crate::refresh::Why;
use crate::{Refreshed, Tokens, TokensError};

/// A token that dies sooner than this is renewed before it is used.
const LEAST_LIFE_SECONDS: i64 = 60;
/// A use is written down at most this often.
const USE_NOTED_EVERY: Duration = Duration::from_secs(3_600);
/// How often a caller that waits for another's refresh looks, and how long it pauses before each.
const LOOKS: [u64; 8] = [100, 200, 400, 800, 1_200, 1_600, 2_000, 2_000];

/// An open connection. The bundle lives on the caller's stack and nowhere else.
#[derive(Clone, Debug)]
pub struct Access {
    /// The connection as it stood when it was opened.
    pub connection: Connection,
    /// Its tokens.
    pub bundle: TokenBundle,
}

/// Why there is no usable token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AccessError {
    /// For good, until the creator connects again.
    #[error("not connected: {0}")]
    NotConnected(Fault),
    /// For now; the fault may say until when.
    #[error("not now: {0}")]
    Later(Fault),
    /// Trouble of our own.
    #[error(transparent)]
    Internal(#[from] TokensError),
}

impl Tokens {
    /// A token that lives for at least another minute: the stored one, or a renewed one, or the one
    /// that somebody else is renewing just now.
    pub async fn access(
        &self,
        apps: &Apps,
        user: &UserId,
        connection: &ConnectionId,
    ) -> Result<Access, AccessError> {
        let access = self.access_in_passing(apps, user, connection).await?;
        let at = &access.connection;
        if let Err(error) = self.note_use(at).await {
            tracing::warn!(connection.id = %at.connection_id, error = %error, "a use was not noted");
        }
        Ok(access)
    }

    /// The same for what we do by ourselves: it does not count as a use, so an idle connection whose
    /// statistics are read every day is still kept alive and not fresh.
    pub async fn access_in_passing(
        &self,
        apps: &Apps,
        user: &UserId,
        connection: &ConnectionId,
    ) -> Result<Access, AccessError> {
        let at = self.read(user, connection).await?;
        let at = match at.expires_at {
            Some(end) if end <= self.now().plus_secs(LEAST_LIFE_SECONDS) => {
                self.renew(apps, at).await?
            }
            _ => at,
        };
        let bundle = self.open_bundle(&at).await?;
        Ok(Access {
            connection: at,
            bundle,
        })
    }

    /// A token other than the one that the platform just refused.
    pub async fn renewed(&self, apps: &Apps, refused: &Access) -> Result<Access, AccessError> {
        let seen = &refused.connection;
        let at = self.read(&seen.user_id, &seen.connection_id).await?;
        let at = if at.token_version == seen.token_version {
            self.renew(apps, at).await?
        } else {
            at
        };
        let bundle = self.open_bundle(&at).await?;
        Ok(Access {
            connection: at,
            bundle,
        })
    }

    async fn renew(&self, apps: &Apps, at: Connection) -> Result<Connection, AccessError> {
        // A refresh that failed is not tried again by every caller: the connection waits its turn.
        if let Some(due) = at.due_at.filter(|due| at.failures > 0 && *due > self.now()) {
            let fault = at
                .last_fault
                .unwrap_or_else(|| Fault::new(FaultKind::PlatformDown));
            return Err(AccessError::Later(fault.until(due)));
        }
        let version = at.token_version;
        let (user, connection) = (at.user_id.clone(), at.connection_id.clone());
        match self.refresh_at(apps, at, Why::Wanted).await? {
            Refreshed::Fresh(at) => Ok(*at),
            Refreshed::Held => self.wait_for(&user, &connection, version).await,
            Refreshed::Moved(at) => usable(*at),
            // Nobody who wants a token is answered `Looked`.
            Refreshed::GaveUp(_) | Refreshed::Looked | Refreshed::Absent => {
                Err(AccessError::NotConnected(ended()))
            }
            Refreshed::Later { fault, at } => Err(AccessError::Later(fault.until(at))),
        }
    }

    /// Waits for the holder's outcome; never refreshes. At most eight reads.
    async fn wait_for(
        &self,
        user: &UserId,
        connection: &ConnectionId,
        version: u64,
    ) -> Result<Connection, AccessError> {
        for pause in LOOKS {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let at = self.read(user, connection).await?;
            if at.token_version > version {
                return Ok(at);
            }
            if at.lease_holder.is_none() {
                // The holder came back without a token.
                let fault = at
                    .last_fault
                    .unwrap_or_else(|| Fault::new(FaultKind::PlatformDown));
                return Err(AccessError::Later(match at.due_at {
                    Some(due) => fault.until(due),
                    None => fault,
                }));
            }
        }
        let soon = self.now().plus_secs(30);
        Err(AccessError::Later(
            Fault::new(FaultKind::PlatformDown).until(soon),
        ))
    }

    async fn read(
        &self,
        user: &UserId,
        connection: &ConnectionId,
    ) -> Result<Connection, AccessError> {
        let found = self.parts().connections.get(user, connection).await;
        match found.map_err(TokensError::from)? {
            Some(at) => usable(at),
            None => Err(AccessError::NotConnected(ended())),
        }
    }

    /// An idle connection that is used again is kept fresh from now on.
    async fn note_use(&self, at: &Connection) -> Result<(), TokensError> {
        let now = self.now();
        // While refreshes fail, the due time is the next try's and stays.
        if now.since(at.used_at) < USE_NOTED_EVERY || at.failures > 0 {
            return Ok(());
        }
        let due = self.due(at, now);
        self.parts()
            .connections
            .used(at, now, due, &self.attempt())
            .await?;
        Ok(())
    }
}

fn usable(at: Connection) -> Result<Connection, AccessError> {
    match at.status {
        ConnectionStatus::Active => Ok(at),
        ConnectionStatus::NeedsReauth | ConnectionStatus::Disconnected => {
            Err(AccessError::NotConnected(ended()))
        }
    }
}

fn ended() -> Fault {
    Fault::new(FaultKind::ReauthNeeded)
}
