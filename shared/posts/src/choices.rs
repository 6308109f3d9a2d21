//! What an account may choose for its next post, asked of its platform at this moment.

use std::sync::Arc;

use domain::metric::LIMIT_WAITS;
use domain::{ConnectionId, Fault, FaultKind, Labels, UserId};
use limits::{Limiter, Owner, Place};
use platforms::{Answer, Apps, Choices, PostingChoices};
use store::StoreError;
use tokens::{Access, AccessError, Tokens, TokensError};
use transport::{NoAnswerKind, Wire};

/// What asks.
#[derive(Clone)]
pub struct Chooser {
    /// The way to access tokens.
    pub tokens: Tokens,
    /// The way out to platforms.
    pub wire: Arc<dyn Wire>,
    /// The platforms' limits.
    pub limiter: Limiter,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ChoicesError {
    /// The user has no such connection.
    #[error("no such connection")]
    Absent,
    /// The platform's word, or what stands for it.
    #[error("{0}")]
    Fault(Fault),
    /// The database.
    #[error("limits could not be read or written")]
    Store(#[from] StoreError),
    /// The tokens.
    #[error("the connection's tokens could not be read")]
    Tokens(#[from] TokensError),
}

impl From<AccessError> for ChoicesError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NotConnected(fault) | AccessError::Later(fault) => Self::Fault(fault),
            AccessError::Internal(error) => Self::Tokens(error),
        }
    }
}

impl Chooser {
    /// Asks the platform of the user's connection.
    pub async fn choices(
        &self,
        apps: &Apps,
        user: &UserId,
        connection: &ConnectionId,
    ) -> Result<PostingChoices, ChoicesError> {
        let found = self.tokens.connections().get(user, connection).await?;
        let Some(found) = found else {
            return Err(ChoicesError::Absent);
        };
        let Some(platform) = platforms::choices(found.platform) else {
            return Err(ChoicesError::Fault(
                Fault::new(FaultKind::InvalidRequest).sentence(
                    "This platform tells nothing about what may be chosen: see the reference for its options.",
                ),
            ));
        };
        let access = self.tokens.access(apps, user, connection).await?;
        match self.ask(apps, platform, &access).await {
            Err(ChoicesError::Fault(fault)) if fault.kind == FaultKind::TokenRejected => {
                let access = self.tokens.renewed(apps, &access).await?;
                self.ask(apps, platform, &access).await
            }
            asked => asked,
        }
    }

    async fn ask(
        &self,
        apps: &Apps,
        platform: &dyn Choices,
        access: &Access,
    ) -> Result<PostingChoices, ChoicesError> {
        let account = &access.connection.account;
        let client_id = access.connection.client_id.as_deref();
        let app = apps.of(account.platform, client_id).ok_or_else(|| {
            ChoicesError::Fault(Fault::new(FaultKind::AppRefused).sentence(
                "The app that this account was connected with is not set up in this deployment. The operator must set it up.",
            ))
        })?;
        let call = platform.request(app, &access.bundle);
        let call = call.map_err(ChoicesError::Fault)?;
        let owner = Owner::from(account);
        let sent_at = self.tokens.clock().now();
        // One place is kept for whoever asks of this connection next, so that a caller who waits as
        // told gets through.
        let id = access.connection.connection_id.as_str();
        let limits = call.limits.clone();
        if let Place::Later(wait) = self.limiter.reserve(owner, &limits, id).await? {
            let labels = Labels::from(account.platform).limit(wait.limit);
            self.tokens.meter().count(&LIMIT_WAITS, labels);
            return Err(ChoicesError::Fault(wait.fault));
        }
        let answer = self.wire.send(call, self.tokens.http_timeout()).await;
        let response = answer.map_err(|error| {
            tracing::warn!(error = %error, "a platform was not asked for its choices");
            let kind = match error.kind() {
                NoAnswerKind::Refused => FaultKind::OurBug,
                _ => FaultKind::PlatformDown,
            };
            ChoicesError::Fault(Fault::new(kind))
        })?;
        let answer = Answer {
            response: &response,
            sent_at,
        };
        let read = platform.read(app, answer);
        // Never holds up the answer that brought it.
        if let Err(fault) = &read
            && let Err(error) = self.limiter.correct(owner, &limits, fault).await
        {
            tracing::warn!(error = %error, "a platform's word on its limit was not kept");
        }
        read.map_err(ChoicesError::Fault)
    }
}
