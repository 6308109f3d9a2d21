//! The PostgreSQL projection: what the streams of the tables show becomes rows that a product can
//! query beside its own.
//!
//! Promises:
//! - the projection follows the tables and never goes backward: of each item the image with the
//!   greatest sequence number stands, whatever comes late, twice or at the same time;
//! - what is removed goes, and a late image of it does not bring it back;
//! - no token is copied, sealed or not: [`rows`] names every value that is;
//! - nothing is left in a session that the next transaction relies on ([`Database`]).

mod backfill;
mod change;
mod database;
mod error;
mod migrate;
mod schema;
mod secret;
mod sequence;
mod tls;
mod write;

pub mod rows;
pub mod tables;

pub use backfill::{Backfill, BackfillError, Desk, Message, Pace, Sliced, View};
pub use change::{Change, Effect, Happened, Poison, Record, item_hash, last_of_each};
pub use database::{Database, KeepsCredentials};
pub use error::CrmError;
pub use migrate::LATEST;
pub use rows::Row;
pub use schema::{InvalidSchema, Schema};
pub use secret::{BadSecret, Credentials};
pub use sequence::Sequence;
pub use tls::{Tls, TlsError};
pub use write::{Difference, Stale};
