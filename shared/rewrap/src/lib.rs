//! Moves everything that is sealed to another KMS key: walks over all tables, wraps each data key
//! anew inside KMS, and writes the text back if it still stands. No text is opened.
//!
//! Promises:
//! - a text opens before, during and after; no version, lease or refresh in flight is touched;
//! - a slice that dies is done again from where it last wrote, by its message coming again;
//! - the job is done only when a whole walk met no text under another key, so what a function of the
//!   former deployment sealed in the meantime is moved too.
//!
//! The target is the key that this deployment seals under ([`Vault`]'s own): new texts are under it
//! already.

mod desk;
mod slice;

use serde::{Deserialize, Serialize};

pub use desk::{Desk, View};
pub use slice::{Pace, Sliced, Worker};

use domain::JobId;
use store::StoreError;

/// The body of a message in the queue of this job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// Begin, or go on with what lies still: what an operator may send by hand.
    Start,
    /// Do this slice of this job.
    GoOn {
        /// Which job.
        job_id: JobId,
        /// Which slice: one that was done means nothing.
        slice: u64,
    },
}

/// Trouble that may pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewrapError {
    /// The database.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// The queue did not take a message; its error code.
    #[error("the queue did not take the message: {0}")]
    Queue(String),
}
