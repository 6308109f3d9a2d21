//! Records: the one place where facts that platforms told become rows, and rows become news.
//!
//! Webhooks, syncs and imports come in any order, and twice. A record is read, merged by
//! `domain::Kept`, and written under the revision that was read, together with the events that tell of
//! the change and with a check that the account is still somebody's: what is erased does not come
//! back by a worker that was slow.

mod keep;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{AppRef, Clock, ConnectionId, Entropy, RecordKind, UserId};
use store::{Accounts, Connections, Events, RecordTable};

/// The tables of all nouns.
#[derive(Clone, Debug)]
pub struct Tables(BTreeMap<RecordKind, RecordTable>);

impl Tables {
    /// Of these tables, one for each noun.
    pub fn new(tables: impl IntoIterator<Item = RecordTable>) -> Self {
        Self(
            tables
                .into_iter()
                .map(|table| (table.kind(), table))
                .collect(),
        )
    }

    /// The table of a noun, where this function has it.
    pub fn of(&self, kind: RecordKind) -> Option<&RecordTable> {
        self.0.get(&kind)
    }

    /// Every table that this function has.
    pub fn all(&self) -> impl Iterator<Item = &RecordTable> {
        self.0.values()
    }
}

/// Keeps records. Every part may be shared.
#[derive(Clone)]
pub struct Ledger {
    /// The records.
    pub tables: Tables,
    /// Who holds which account.
    pub accounts: Accounts,
    /// Connections, for what comes through one of them.
    pub connections: Connections,
    /// What the product is told.
    pub events: Events,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// What facts came through. They are kept only while that is so.
#[derive(Clone, Copy, Debug)]
pub enum Through<'a> {
    /// An active connection.
    Connection(&'a UserId, &'a ConnectionId),
    /// The platform's word about an account that somebody here holds.
    Account,
}

/// Of which account facts are.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// With which app it was connected.
    pub app: AppRef,
    /// The platform's id of it.
    pub account_id: &'a str,
}

/// How keeping facts ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They stand.
    Kept(Tally),
    /// What they came through has ended: nothing more is written.
    Gone,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that were written; those that told nothing new are not.
    pub written: usize,
    /// Events that were told.
    pub told: usize,
}
