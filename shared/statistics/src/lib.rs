//! Statistics: who is due, one sync from end to end, and what users ask for.
//!
//! Promises:
//! - a connection is read once a day, at an instant that its id alone decides, and a day that was
//!   missed is caught up at the first chance;
//! - a sync's message may come twice, or its worker may die: one reading is kept;
//! - nothing is kept for a connection that has ended, and nothing that was read earlier is written
//!   over what was read later;
//! - what was read before a call failed is kept, and what is missing is never told as zero.
//!
//! When something is due is decided by pure functions in `calendar` and `due`; the rest carries it
//! out. Nothing here knows HTTP of ours, reads the environment or names a platform.

mod ask;
mod calendar;
mod dispatch;
mod due;
mod error;
mod keep;
mod queue;
mod read;
mod repair;
mod settings;
mod sync;

pub use ask::{ASK_WINDOW_SECONDS, AskError, Asker, HandleView, MOST_ASKS};
pub use calendar::{Calendar, UnknownZone};
pub use dispatch::{Dispatch, Dispatched};
pub use error::StatisticsError;
pub use queue::{InsightsQueue, SyncMessage};
pub use settings::{Settings, caps, platforms_of};
pub use sync::{Synced, Syncer};
