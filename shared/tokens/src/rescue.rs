//! Keeping renewed tokens when the table does not take them.

use std::time::Duration;

use data_encoding::BASE64;
use domain::metric::{RESCUE_SENT, RESCUED};
use domain::{ConnectionId, ConnectionStatus, EventKind, Holder, Timestamp, TokenBundle, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::connections::{Commit, Lifetime};
use store::{Connection, Issued, Transacted, Written};
use vault::Sealed;

use crate::{Refreshed, Tokens, TokensError};

/// Pauses before each further try of the write.
const TRIES_MS: [u64; 3] = [0, 100, 400];
/// The longest that one try may take: a table that hangs must not keep the rescue queue waiting. All
/// of it stays within [`crate::refresh::KEEPING`].
const ONE_TRY: Duration = Duration::from_millis(1_500);

/// A renewed bundle in the rescue queue: sealed for the row and version that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescueMessage {
    user_id: UserId,
    connection_id: ConnectionId,
    /// The client id of the app that made the tokens; the connection's where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// Base64.
    sealed: String,
    seen: u64,
    scopes: Vec<String>,
    #[serde(flatten)]
    lifetime: Lifetime,
    /// By when the platform had issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known_at: Option<Timestamp>,
}

/// How a rescue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescued {
    /// The bundle stands.
    Kept,
    /// Something newer stands, or nothing does.
    NotNeeded,
    /// The connection was ended in the meantime; a revocation of the bundle is queued.
    Ended,
}

impl Tokens {
    /// The write that closes the window: the table, tried hard; else the rescue queue (`Done(None)`).
    pub(crate) async fn write_or_rescue(
        &self,
        at: &Connection,
        holder: &Holder,
        commit: &Commit,
    ) -> Result<Written<Option<Connection>, Option<Connection>>, TokensError> {
        // One attempt id for all tries: a try that succeeded without our knowing is recognised.
        let attempt = self.attempt();
        for round in 0..2 {
            for pause in TRIES_MS {
                if pause > 0 {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                let tried = self
                    .parts()
                    .connections
                    .commit(at, holder, commit, &attempt);
                match tokio::time::timeout(ONE_TRY, tried).await {
                    Ok(Ok(Written::Done(at))) => return Ok(Written::Done(Some(at))),
                    Ok(Ok(Written::Refused(standing))) => return Ok(Written::Refused(standing)),
                    Ok(Err(error)) => tracing::warn!(
                        connection.id = %at.connection_id,
                        error = %error,
                        round,
                        "renewed token not written yet"
                    ),
                    Err(_) => tracing::warn!(
                        connection.id = %at.connection_id,
                        round,
                        "renewed token not written yet: the table does not answer"
                    ),
                }
            }
            match self.send_to_rescue(at, commit).await {
                Ok(()) => {
                    tracing::error!(
                        connection.id = %at.connection_id,
                        "the table did not take a renewed token; it waits in the rescue queue"
                    );
                    return Ok(Written::Done(None));
                }
                Err(error) => tracing::error!(
                    connection.id = %at.connection_id,
                    error = %error,
                    "the rescue queue did not take a renewed token"
                ),
            }
        }
        Err(TokensError::NotKept)
    }

    /// Writes a bundle out of the rescue queue: whoever holds the lease, if nothing newer stands.
    pub async fn rescue(&self, message: &RescueMessage) -> Result<Rescued, TokensError> {
        let commit = message.commit()?;
        for _ in 0..5 {
            let found = self
                .parts()
                .connections
                .get(&message.user_id, &message.connection_id)
                .await?;
            let Some(at) = found else {
                return Ok(Rescued::NotNeeded);
            };
            if at.status == ConnectionStatus::Disconnected {
                let keys = at.keys();
                let place = at.place(&keys, commit.seen + 1);
                let subject = at.connection_id.as_str();
                let bundle: TokenBundle = self.open_as(subject, &place, &commit.sealed).await?;
                // It may have been made again with another app, and ended, since.
                let client_id = message.client_id.clone().or(at.client_id.clone());
                let asked = Connection { client_id, ..at };
                let issued = Issued {
                    after: commit.lifetime.issued_at,
                    by: message.known_at.unwrap_or(self.now()),
                };
                self.owe_revocation(&asked, &bundle, issued).await?;
                return Ok(Rescued::Ended);
            }
            if at.token_version != commit.seen {
                return Ok(Rescued::NotNeeded);
            }
            if self.rescue_over(&at, &commit).await?.is_some() {
                tracing::info!(connection.id = %at.connection_id, "renewed token rescued");
                self.meter().count(&RESCUED, at.platform.into());
                return Ok(Rescued::Kept);
            }
        }
        Err(TokensError::Contended)
    }

    /// The commit was refused: somebody else wrote the row after our lease ran out. Our bundle is
    /// the living one all the same if the version still is the one that we spent.
    pub(crate) async fn lost_the_fence(
        &self,
        at: &Connection,
        commit: &Commit,
        bundle: &TokenBundle,
        standing: Option<Connection>,
    ) -> Result<Refreshed, TokensError> {
        tracing::warn!(connection.id = %at.connection_id, "a refresh outlived its lease");
        match self.settle_fence(at, commit, bundle, standing).await {
            Ok(ended) => Ok(ended),
            // The bundle may be the only living one: it must not end with this process.
            Err(error) => {
                self.send_to_rescue(at, commit).await?;
                Err(error)
            }
        }
    }

    async fn settle_fence(
        &self,
        at: &Connection,
        commit: &Commit,
        bundle: &TokenBundle,
        standing: Option<Connection>,
    ) -> Result<Refreshed, TokensError> {
        let issued = Issued {
            after: commit.lifetime.issued_at,
            by: self.now(),
        };
        let Some(mut standing) = standing else {
            self.owe_revocation(at, bundle, issued).await?;
            return Ok(Refreshed::Absent);
        };
        for _ in 0..5 {
            if standing.status == ConnectionStatus::Disconnected {
                self.owe_revocation(at, bundle, issued).await?;
                return Ok(Refreshed::Moved(Box::new(standing)));
            }
            if standing.token_version != commit.seen {
                return Ok(Refreshed::Moved(Box::new(standing)));
            }
            if let Some(kept) = self.rescue_over(&standing, commit).await? {
                return Ok(Refreshed::Fresh(Box::new(kept)));
            }
            let found = self
                .parts()
                .connections
                .get(&at.user_id, &at.connection_id)
                .await?;
            match found {
                Some(found) => standing = found,
                None => return Ok(Refreshed::Absent),
            }
        }
        Err(TokensError::Contended)
    }

    /// Writes the bundle over `at`, active or given up; `None` if `at` is not what stands any more.
    async fn rescue_over(
        &self,
        at: &Connection,
        commit: &Commit,
    ) -> Result<Option<Connection>, TokensError> {
        let connections = &self.parts().connections;
        if at.status == ConnectionStatus::Active {
            return Ok(
                match connections.rescue(at, commit, &self.attempt()).await? {
                    Written::Done(at) => Some(at),
                    Written::Refused(_) => None,
                },
            );
        }
        let event = self.event(at, EventKind::ConnectionRecovered, json!({}));
        let done = connections
            .rescue_lost(at, commit, &self.parts().events, &event, self.attempt())
            .await?;
        match done {
            Transacted::Done => Ok(connections.get(&at.user_id, &at.connection_id).await?),
            Transacted::Refused(_) | Transacted::Conflict => Ok(None),
        }
    }

    async fn send_to_rescue(&self, at: &Connection, commit: &Commit) -> Result<(), TokensError> {
        let message = RescueMessage {
            user_id: at.user_id.clone(),
            connection_id: at.connection_id.clone(),
            client_id: at.client_id.clone(),
            sealed: BASE64.encode(commit.sealed.as_bytes()),
            seen: commit.seen,
            scopes: commit.scopes.clone(),
            lifetime: commit.lifetime,
            known_at: Some(self.now()),
        };
        let body = serde_json::to_string(&message).map_err(|_| TokensError::NotKept)?;
        let delay = i32::try_from(self.parts().timing.rescue_delay.as_secs()).unwrap_or(900);
        self.parts()
            .sqs
            .send_message()
            .queue_url(&self.parts().rescue_queue)
            .message_body(body)
            .delay_seconds(delay.min(900))
            .send()
            .await
            .map_err(|error| queue_error(&error))?;
        self.meter().count(&RESCUE_SENT, at.platform.into());
        Ok(())
    }
}

impl RescueMessage {
    fn commit(&self) -> Result<Commit, TokensError> {
        let sealed = BASE64
            .decode(self.sealed.as_bytes())
            .map_err(|_| TokensError::NotABundle)?;
        Ok(Commit {
            sealed: Sealed::from_bytes(sealed),
            seen: self.seen,
            scopes: self.scopes.clone(),
            lifetime: self.lifetime,
        })
    }
}

fn queue_error<E, R>(error: &aws_sdk_sqs::error::SdkError<E, R>) -> TokensError
where
    E: aws_sdk_sqs::error::ProvideErrorMetadata,
{
    use aws_sdk_sqs::error::ProvideErrorMetadata;
    TokensError::Queue(error.code().unwrap_or("no answer").to_owned())
}
