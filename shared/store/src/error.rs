//! Why the database could not do it.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Trouble that is not an unmet condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB did not do it, even after the SDK's retries; its error code. Trying later may help.
    #[error("the database did not answer as needed: {0}")]
    Unavailable(String),
    /// An item is not of the form that this version writes.
    #[error("an item of {table} cannot be read: {problem}")]
    Malformed {
        /// Which table.
        table: String,
        /// What serde said; it names fields, not values.
        problem: String,
    },
    /// The item would be larger than DynamoDB's 400 KB.
    #[error("an item of {0} would be too large")]
    TooLarge(String),
}

impl StoreError {
    pub(crate) fn unavailable<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Self {
        let code = match error {
            SdkError::TimeoutError(_) => "time-out",
            SdkError::DispatchFailure(_) => "no connection",
            other => other.code().unwrap_or("unreadable answer"),
        };
        Self::Unavailable(code.to_owned())
    }
}
