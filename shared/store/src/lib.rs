//! DynamoDB, one file per table: its access patterns at the top, its items as types, its writes as
//! named conditional operations. No attribute map leaves this crate, and no platform is named here.
//!
//! Promises: every conditional write carries an attempt id and recognises its own first try when the
//! SDK repeated it; an item past its `expires_at` counts as absent; items stay under 400 KB by our
//! own check, since emulators are laxer than DynamoDB.

mod error;
mod expression;
mod item;
mod newest;
mod table;
mod transaction;

pub mod accounts;
pub mod archive;
pub mod audit;
pub mod connections;
pub mod deliveries;
pub mod due;
pub mod endpoints;
pub mod erasure;
pub mod events;
pub mod figures;
pub mod flows;
pub mod jobs;
pub mod lanes;
pub mod limits;
pub mod mails;
pub mod media;
pub mod messages;
pub mod platforms;
pub mod posts;
pub mod records;
pub mod revocations;
pub mod sealed;
pub mod sessions;
pub mod snapshots;
pub mod stream;
pub mod suppressions;
pub mod sync_logs;
pub mod targets;
pub mod tasks;
pub mod users;

pub use accounts::{AccountHolders, Accounts};
pub use archive::Archive;
pub use audit::{AuditEntry, AuditTable};
pub use connections::{Connection, Connections};
pub use deliveries::{Deliveries, Mark, RawBody};
pub use due::DueKey;
pub use endpoints::{Endpoint, Endpoints};
pub use error::StoreError;
pub use events::{EventRow, Events};
pub use figures::FiguresTable;
pub use flows::{Flow, Flows};
pub use jobs::{BackfillJob, Jobs, RewrapJob};
pub use lanes::{Lane, LaneKey, Lanes};
pub use limits::Limits;
pub use mails::{MailState, Mails};
pub use media::{Media, MediaTable};
pub use messages::{Messages, Outgoing};
pub use newest::Listing;
pub use platforms::{Breaker, Platforms};
pub use posts::{Post, Posts};
pub use records::{RecordAsk, RecordRow, RecordTable};
pub use revocations::{Issued, PendingRevocation, Revocations};
pub use sealed::{SealedText, SealedTexts};
pub use sessions::{BrowserSession, SessionLink, Sessions};
pub use snapshots::Snapshots;
pub use suppressions::Suppressions;
pub use sync_logs::{SyncLog, SyncLogs};
pub(crate) use table::Table;
pub use targets::{Target, Targets};
pub use tasks::{Task, Tasks};
pub use transaction::{Transacted, Transaction};
pub use users::{User, Users};

/// A write that was made under a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written<T, R> {
    /// It stands.
    Done(T),
    /// The condition did not hold; what stands instead.
    Refused(R),
}
