//! What can go wrong with the database, sorted by what helps.

use tokio_postgres::error::SqlState;

use crate::secret::BadSecret;
use crate::tls::TlsError;

/// Trouble of the projection.
#[derive(Debug, thiserror::Error)]
pub enum CrmError {
    /// There is no session, or it broke; trying again helps.
    #[error("the database cannot be reached")]
    Unreachable(#[source] tokio_postgres::Error),
    /// It took longer than we wait; trying again helps.
    #[error("the database did not answer in time")]
    TimedOut,
    /// It does not know us: the password was changed, or is wrong.
    #[error("the database refuses our credentials ({0})")]
    Credentials(String),
    /// The schema or something in it is not there.
    #[error("the schema is not there or not whole ({0})")]
    Schema(String),
    /// The rows are at fault, and would be again; the database's code.
    #[error("the database refuses a row ({0})")]
    Row(String),
    /// Anything else that the database says; it may pass. Its code.
    #[error("the database is in trouble ({0})")]
    Trouble(String),
    /// The secret is not what it should be.
    #[error("the database secret cannot be used")]
    Secret(#[from] BadSecret),
    /// TLS cannot be set up.
    #[error("TLS to the database cannot be set up")]
    Tls(#[from] TlsError),
}

impl CrmError {
    /// Sorts what the driver says. Never carries the database's own words: they quote values.
    pub(crate) fn of(error: tokio_postgres::Error) -> Self {
        let Some(state) = error.code() else {
            return Self::Unreachable(error);
        };
        let code = state.code().to_owned();
        match state {
            // A login is refused with these two; 28P01 is the password's.
            &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                Self::Credentials(code)
            }
            &SqlState::UNDEFINED_TABLE
            | &SqlState::UNDEFINED_COLUMN
            | &SqlState::INVALID_SCHEMA_NAME => Self::Schema(code),
            // 22: data; 23: a constraint; 54: too large for an index or a row.
            _ if ["22", "23", "54"].contains(&&code[..2.min(code.len())]) => Self::Row(code),
            _ => Self::Trouble(code),
        }
    }

    /// Whether the rows that were sent are at fault, and not the database or the way to it.
    pub const fn is_the_rows_fault(&self) -> bool {
        matches!(self, Self::Row(_))
    }
}
