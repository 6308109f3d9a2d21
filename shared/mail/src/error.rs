//! Trouble of our own.

use store::StoreError;

/// Why it could not be done. Trying later may help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The database.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// The queue did not take a message; its error code.
    #[error("the queue did not take the message: {0}")]
    Queue(String),
}
