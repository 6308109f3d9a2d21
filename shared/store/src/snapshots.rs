//! Snapshots: what a connection's statistics were on each day.
//!
//! | access | by |
//! |---|---|
//! | all connections of a user over some months | `user_id`, `slot` from month to month |
//! | write a day's entry | `user_id`, `slot` = `<month>#<connection id>` |
//!
//! One item holds one connection's month, a day in two attributes: `a09` for the account's figures of
//! the ninth, `m09` for what its media came to. So 90 days of eight connections are 32 items at most,
//! which is one query. An entry is written over only by one that was read later.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ConnectionId, Day, Figures, MediaTotals, Snapshot, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{self, Item, key, text, value};
use crate::{StoreError, Table, Transaction};

/// One month of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Month {
    /// Which connection.
    pub connection_id: ConnectionId,
    /// Which month, `2026-11`.
    pub month: String,
    /// Its days.
    pub days: BTreeMap<Day, Snapshot>,
}

/// The table of snapshots.
#[derive(Clone, Debug)]
pub struct Snapshots(Table);

/// A part of a day's entry.
#[derive(Serialize, Deserialize)]
pub(crate) struct Read<T> {
    /// When its reading was begun.
    pub(crate) at: Timestamp,
    /// What was read.
    pub(crate) read: T,
}

/// Sets the parts of a snapshot that there are, each unless one that was read later stands; `None`
/// where there are none.
pub(crate) fn parts(names: [&str; 2], snapshot: &Snapshot, at: Timestamp) -> Option<Change> {
    let [account, media] = names;
    let mut change = Change::new().bind("read_at", value(at));
    let mut any = false;
    let part = |change: Change, name: &str, read: AttributeValue| {
        let newer = format!("attribute_not_exists(#{name}) OR #{name}.#at < :read_at");
        change.set(name, read).when(&newer)
    };
    if let Some(read) = &snapshot.account {
        change = part(change, account, value(Read { at, read }));
        any = true;
    }
    if let Some(read) = &snapshot.media {
        change = part(change, media, value(Read { at, read }));
        any = true;
    }
    any.then_some(change)
}

impl Snapshots {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// Adds a day's entry, read at `at`, to a transaction, which is refused where one stands that was
    /// read later. Parts that `snapshot` does not have stay as they are.
    pub fn write(
        &self,
        transaction: Transaction,
        user: &UserId,
        connection: &ConnectionId,
        day: &Day,
        at: Timestamp,
        snapshot: &Snapshot,
    ) -> Result<Transaction, StoreError> {
        let (account, media) = (
            format!("a{}", day.of_month()),
            format!("m{}", day.of_month()),
        );
        let Some(change) = parts([&account, &media], snapshot, at) else {
            return Ok(transaction);
        };
        let slot = format!("{}#{connection}", day.month());
        let key = key([("user_id", user.as_str()), ("slot", &slot)]);
        Ok(transaction.update(change.in_transaction(&self.0.name, key)?))
    }

    /// A user's snapshots in the months from that of `first` to that of `last`, oldest month first.
    /// One query for each megabyte; a month of a connection has some 15 KB.
    pub async fn months(
        &self,
        user: &UserId,
        first: &Day,
        last: &Day,
    ) -> Result<Vec<Month>, StoreError> {
        let mut months = Vec::new();
        let mut from = None;
        loop {
            let answer = self
                .0
                .client
                .query()
                .table_name(&self.0.name)
                .key_condition_expression("user_id = :user AND slot BETWEEN :first AND :last")
                .expression_attribute_values(":user", text(user.as_str()))
                .expression_attribute_values(":first", text(first.month()))
                // `~` sorts behind all that an id holds.
                .expression_attribute_values(":last", text(format!("{}#~", last.month())))
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| StoreError::unavailable(&error))?;
            months.extend(answer.items.unwrap_or_default().iter().filter_map(month));
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(months);
            }
        }
    }
}

/// An item as a month; what this version cannot read is left out.
fn month(row: &Item) -> Option<Month> {
    let slot = row.get("slot")?.as_s().ok()?;
    let (month, connection) = slot.split_once('#')?;
    let mut days: BTreeMap<Day, Snapshot> = BTreeMap::new();
    for (name, part) in row {
        let (kind, of_month) = (name.get(..1).unwrap_or_default(), name.get(1..));
        let day = of_month.and_then(|of_month| format!("{month}-{of_month}").parse::<Day>().ok());
        let Some(day) = day else { continue };
        let entry = days.entry(day).or_default();
        match kind {
            "a" => entry.account = read::<Figures>(part),
            "m" => entry.media = read::<MediaTotals>(part),
            _ => {}
        }
    }
    Some(Month {
        connection_id: connection.parse().ok()?,
        month: month.to_owned(),
        days,
    })
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(part: &AttributeValue) -> Option<T> {
    let part = part.as_m().ok()?.clone();
    item::read::<Read<T>>("snapshots", part)
        .ok()
        .map(|part| part.read)
}
