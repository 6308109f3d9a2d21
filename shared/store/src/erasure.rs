//! What is of a user, in every table: the one list by which they are erased.
//!
//! | access | by |
//! |---|---|
//! | a user's rows, page by page | what [`RULES`] says of each table |
//! | delete them | the table's primary key |
//!
//! Whether a row is a user's is decided by whole attributes, never by a part of a text: ids are the
//! product's own, and one may be `1`. Tables that others read along the user are met by their key;
//! the rest by a walk over all of their rows, since no index of theirs would find every row that
//! names somebody.
//!
//! A new table with anything of users in it is one more entry of [`RULES`].

mod rules;
mod walk;

use std::collections::BTreeSet;

use domain::{ConnectionId, UserId};

pub use rules::RULES;
pub use walk::{Cursor, ErasurePage, FoundRow, Tables};

/// Who is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The product's id.
    pub user: UserId,
    /// All connections that they have or had.
    pub connections: BTreeSet<ConnectionId>,
    /// The keys of accounts that they hold or held and nobody else holds.
    pub accounts: BTreeSet<String>,
}

/// What is known of one table.
#[derive(Debug)]
pub struct Rule {
    /// What its rows are called, in counts and cursors.
    pub noun: &'static str,
    /// The attributes of its primary key, all texts.
    pub keys: &'static [&'static str],
    /// How rows are met.
    pub met: Met,
    /// What makes a row that a walk met the user's: any one of these. Rows met by a key are theirs.
    pub names: &'static [Names],
    /// An object that goes with the row.
    pub holds: Option<Holds>,
}

/// How a table's rows are met.
#[derive(Clone, Copy, Debug)]
pub enum Met {
    /// By the hash key of the table itself.
    Key(&'static str, Whose),
    /// By an index: its name and its hash key. It lags, so a row may be met by the next walk only.
    Index(&'static str, &'static str, Whose),
    /// All of them.
    Walk,
}

/// What a hash key holds.
#[derive(Clone, Copy, Debug)]
pub enum Whose {
    /// This and the user's id.
    User(&'static str),
    /// The key of an account that nobody else holds.
    Account,
    /// The key of the limits of such an account.
    AccountLimits,
}

/// The way to a value in an item: attributes, and places of lists.
pub type Path = &'static [&'static str];

/// A value that makes a row somebody's.
#[derive(Clone, Copy, Debug)]
pub enum Names {
    /// The user's id.
    User(Path),
    /// This and the user's id.
    UserAfter(&'static str, Path),
    /// The id of one of their connections.
    Connection(Path),
    /// The key of an account that nobody else holds.
    Account(Path),
}

/// An object in a bucket, by the value that is its key.
#[derive(Clone, Copy, Debug)]
pub struct Holds {
    /// In which bucket.
    pub bucket: Bucket,
    /// Where its key is.
    pub key: Path,
}

/// A bucket of the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// Files, their unfinished uploads, and archives.
    Media,
    /// Webhook bodies.
    Deliveries,
}
