//! Limits: what was called lately, of one account or of a whole app, shared by all workers.
//!
//! | access | by |
//! |---|---|
//! | read, write under the version that was read | `limit_key` (`<app>#account#<account id>`, `<app>#app`; an app is `<platform>` or `<platform>/sandbox`) |
//!
//! What the text of a row says is known to the crate `limits` alone. All limits of one owner lie in one
//! row, so a call that counts against several of them takes its places in all of them or in none.

use domain::{AttemptId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{key, text, value};
use crate::transaction::{Transacted, Transaction};
use crate::{StoreError, Table, Written};

/// One owner's calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitRow {
    /// Counts the writes; 0 where there is no row.
    #[serde(default)]
    pub version: u64,
    /// The book of its limits, as JSON text.
    #[serde(default)]
    pub book: String,
}

/// One owner's row as it is to be written over the version that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitWrite {
    /// Whose.
    pub key: String,
    /// The version that was read.
    pub seen: u64,
    /// The new book.
    pub book: String,
    /// From then on the row says nothing any more.
    pub expires_at: Timestamp,
}

/// The table of limits.
#[derive(Clone, Debug)]
pub struct Limits(Table);

impl Limits {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The owner's row; an empty one where there is none.
    pub async fn get(&self, owner: &str) -> Result<LimitRow, StoreError> {
        let found = self.0.get(key([("limit_key", owner)])).await?;
        Ok(found.unwrap_or_default())
    }

    /// Writes all of the rows, or none where one of them has changed since it was read: `false`.
    pub async fn write(
        &self,
        writes: &[LimitWrite],
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        if let [single] = writes {
            let (item, change) = (key([("limit_key", &single.key)]), change(single));
            let written: Written<LimitRow, _> = self.0.change(item, change, attempt).await?;
            return Ok(matches!(written, Written::Done(_)));
        }
        let mut transaction = Transaction::new(attempt.clone());
        for write in writes {
            let item = key([("limit_key", &write.key)]);
            transaction = transaction.update(change(write).in_transaction(&self.0.name, item)?);
        }
        Ok(transaction.run(&self.0.client).await? == Transacted::Done)
    }
}

fn change(write: &LimitWrite) -> Change {
    let change = Change::new()
        .set("version", value(write.seen + 1))
        .set("book", text(&write.book))
        .set("ttl", value(write.expires_at.secs()));
    match write.seen {
        0 => change.when("attribute_not_exists(#version)"),
        seen => change.when("#version = :seen").bind("seen", value(seen)),
    }
}
