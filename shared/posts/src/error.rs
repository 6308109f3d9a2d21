//! Why a request about media or posts cannot be met, and why a run stopped.

use platforms::Violation;
use store::StoreError;
use vault::VaultError;

use crate::files::FilesError;
use crate::queue::QueueError;

/// Why a request cannot be met. What a caller may see is in the variant; the source is for a log.
#[derive(Debug, thiserror::Error)]
pub enum PostsError {
    /// The user has no such thing. What another user has counts as absent.
    #[error("no such {what}")]
    NotFound {
        /// `media`, `post`, `target`, `connection`.
        what: &'static str,
        /// Where in the request it was named, where that was in the body.
        field: Option<String>,
    },
    /// The request breaks these rules. Never empty.
    #[error("the request breaks {} rules", .0.len())]
    Invalid(Vec<Violation>),
    /// It does not fit how things stand.
    #[error("{sentence}")]
    Conflict {
        /// Stable: `media_in_use`.
        code: &'static str,
        /// What is in the way and what to do.
        sentence: &'static str,
    },
    /// The idempotency key was used before, for another request.
    #[error("the idempotency key was used before, for another request")]
    KeyReused,
    /// The database.
    #[error("media and posts could not be read or written")]
    Store(#[from] StoreError),
    /// The bucket.
    #[error("the media bucket could not be used")]
    Files(#[from] FilesError),
    /// The queue.
    #[error("publishing steps could not be queued")]
    Queue(#[from] QueueError),
}

impl PostsError {
    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::NotFound { what, field: None }
    }

    pub(crate) fn not_found_at(what: &'static str, field: impl Into<String>) -> Self {
        let field = Some(field.into());
        Self::NotFound { what, field }
    }
}

/// Why a run stopped without an outcome. The target is left as it is: its lease ends by itself, and
/// the sweeper has it tried again.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database.
    #[error("targets could not be read or written")]
    Store(#[from] StoreError),
    /// The vault.
    #[error("a target's state could not be sealed or opened")]
    Vault(#[from] VaultError),
    /// The tokens.
    #[error("the connection's tokens could not be read")]
    Tokens(#[from] tokens::TokensError),
    /// The queue.
    #[error("publishing steps could not be queued")]
    Queue(#[from] QueueError),
    /// The bucket.
    #[error("the media bucket could not be used")]
    Files(#[from] FilesError),
}
