//! Trouble that is neither a platform's nor a caller's.

use store::StoreError;
use vault::VaultError;

/// Why it could not be done. Trying later may help unless it is a bug.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokensError {
    /// The database.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// The vault.
    #[error("the vault failed")]
    Vault(#[from] VaultError),
    /// A queue did not take a message; its error code.
    #[error("the queue did not take the message: {0}")]
    Queue(String),
    /// Renewed tokens could neither be written nor queued: they are lost if this process ends.
    #[error("renewed tokens could be kept nowhere")]
    NotKept,
    /// This process ends too soon to keep what a refresh would bring: somebody else does it.
    #[error("too little time is left to refresh a token")]
    NoTimeLeft,
    /// What was opened is not a token bundle.
    #[error("what was sealed is not a token bundle")]
    NotABundle,
    /// The platform is not configured, or cannot do what is asked.
    #[error("the platform is not configured for this")]
    NotConfigured,
    /// Other writers were there at the same moment, again and again.
    #[error("too many writers at once")]
    Contended,
}
