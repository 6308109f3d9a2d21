//! Trouble that is neither a platform's nor a caller's.

use store::StoreError;
use tokens::TokensError;

/// Why it could not be done. Trying later may help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatisticsError {
    /// The database.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// The access token.
    #[error("the access token could not be had")]
    Tokens(#[from] TokensError),
    /// The queue did not take a message; its error code.
    #[error("the queue did not take the message: {0}")]
    Queue(String),
}
