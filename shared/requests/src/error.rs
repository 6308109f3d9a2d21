//! Trouble that may pass.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use store::StoreError;
use tokens::TokensError;

/// Why a slice could not go on: it is done again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestsError {
    /// The database.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// Ending a connection.
    #[error("a connection could not be ended")]
    Tokens(#[from] TokensError),
    /// A queue did not do it; its error code.
    #[error("a queue did not do it: {0}")]
    Queue(String),
    /// A bucket did not do it; its error code.
    #[error("a bucket did not do it: {0}")]
    Bucket(String),
    /// There are more dead letters than one slice can look at.
    #[error("there are too many dead letters to look at: drop some")]
    Letters,
    /// A row has no form in JSON.
    #[error("a row has no form in JSON")]
    Json,
}

impl RequestsError {
    /// A short name of it, for those who look at a job.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(_) => "database",
            Self::Tokens(_) => "connections",
            Self::Queue(_) => "queue",
            Self::Bucket(_) => "bucket",
            Self::Letters => "dead_letters",
            Self::Json => "json",
        }
    }
}

/// The error code of a call that failed.
pub(crate) fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    let code = match error {
        SdkError::TimeoutError(_) => "time-out",
        SdkError::DispatchFailure(_) => "no connection",
        other => other.code().unwrap_or("unreadable answer"),
    };
    code.to_owned()
}
