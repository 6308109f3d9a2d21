//! What a person may ask of their data: that all of it be erased, or that they be given it. Both are
//! jobs done in slices, each of which may die anywhere and is done again.
//!
//! Promises:
//! - an erasure leaves nothing of the user in any table, bucket or queue, and takes nothing from
//!   others who hold the same account; it is done only when a whole walk found nothing;
//! - a receipt names nobody once it is done;
//! - an export holds whatever is kept of the user, never a token, and never more in memory than one
//!   part.

mod chain;
pub mod erase;
mod error;
pub mod export;
mod objects;

use domain::JobId;
use serde::{Deserialize, Serialize};

pub use chain::{Pace, Queue, Sliced};
pub use error::RequestsError;
pub use objects::Objects;

/// The kind of an erasure's tasks.
pub const ERASURE: &str = "erasure";
/// The kind of an export's tasks.
pub const EXPORT: &str = "export";

/// The body of a message in the queue of these jobs. It names nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// Do this slice of an erasure.
    Erase {
        /// Which job.
        job_id: JobId,
        /// Which slice: one that was done means nothing.
        slice: u64,
    },
    /// Do this slice of an export.
    Export {
        /// Which job.
        job_id: JobId,
        /// Which slice.
        slice: u64,
    },
}
