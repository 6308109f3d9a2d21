//! Records: what platforms tell of an account's life. Five tables of one layout, one for each noun.
//!
//! | access | by |
//! |---|---|
//! | read many before writing them, write one | `account` = `<platform>#<account id>`, `record_id` |
//! | an account's, newest first, between two instants | index `time`: `account`, `listed` = `<milliseconds>#<record id>` |
//! | all of an account, to delete them with it | `account` |
//!
//! Records belong to the account and not to a connection: two users who connected it see the same
//! ones. A row is written whole, under the revision that was read: merging is `domain::Kept`'s.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{KeysAndAttributes, Put};
use domain::{Kept, Platform, RecordKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{self, Item, key, text, value};
use crate::newest::{Ask, Listing, listed};
use crate::transaction::malformed;
use crate::{StoreError, Table, Transaction};

/// Keys of one BatchGetItem.
const MOST_READ: usize = 100;
/// Requests of one BatchWriteItem.
const MOST_DELETED: i32 = 25;
/// How often what a batch left undone is asked for again.
const TRIES: u32 = 5;

/// A record as it lies in its table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRow {
    /// Its account.
    pub account: String,
    /// On which platform.
    pub platform: Platform,
    /// What is known of it.
    #[serde(flatten)]
    pub kept: Kept,
    /// Counts its writes.
    pub revision: u64,
    /// When it was last written, by our clock.
    pub written_at: Timestamp,
}

/// A row with what lists need of it.
#[derive(Serialize)]
struct Listed<'a> {
    account_id: &'a str,
    at: Timestamp,
    listed: String,
    state: &'a str,
    #[serde(flatten)]
    row: &'a RecordRow,
}

/// Which records of some accounts are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordAsk<'a> {
    /// Of these accounts, by their keys.
    pub accounts: &'a [String],
    /// Not older.
    pub from: Option<Timestamp>,
    /// Older than this.
    pub to: Option<Timestamp>,
    /// In this state alone.
    pub state: Option<&'a str>,
    /// Where the page before ended.
    pub before: Option<&'a str>,
    /// At most so many.
    pub limit: usize,
}

/// The table of one noun.
#[derive(Clone, Debug)]
pub struct RecordTable {
    table: Table,
    kind: RecordKind,
}

impl RecordTable {
    /// Over the table of this name.
    pub fn new(
        client: aws_sdk_dynamodb::Client,
        table: impl Into<String>,
        kind: RecordKind,
    ) -> Self {
        Self {
            table: Table::new(client, table),
            kind,
        }
    }

    /// Which noun's it is.
    pub const fn kind(&self) -> RecordKind {
        self.kind
    }

    /// The rows of these ids that there are, as last written.
    pub async fn read(
        &self,
        account: &str,
        ids: &[&str],
    ) -> Result<BTreeMap<String, RecordRow>, StoreError> {
        let mut rows = BTreeMap::new();
        for ids in ids.chunks(MOST_READ) {
            let keys = ids
                .iter()
                .map(|id| key([("account", account), ("record_id", id)]));
            let mut wanted: Vec<Item> = keys.collect();
            for _ in 0..TRIES {
                if wanted.is_empty() {
                    break;
                }
                let (items, left) = self.batch(wanted).await?;
                for item in items {
                    let row: RecordRow = item::read(&self.table.name, item)?;
                    rows.insert(row.kept.id.clone(), row);
                }
                wanted = left;
            }
            if !wanted.is_empty() {
                return Err(StoreError::Unavailable("unprocessed keys".to_owned()));
            }
        }
        Ok(rows)
    }

    async fn batch(&self, keys: Vec<Item>) -> Result<(Vec<Item>, Vec<Item>), StoreError> {
        let name = &self.table.name;
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .build()
            .map_err(|error| malformed(name, &error))?;
        let answer = self
            .table
            .client
            .batch_get_item()
            .request_items(name, wanted)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        let items = answer.responses.and_then(|mut all| all.remove(name));
        let left = answer.unprocessed_keys.and_then(|mut all| all.remove(name));
        let left = left.map(|left| left.keys).unwrap_or_default();
        Ok((items.unwrap_or_default(), left))
    }

    /// Adds the record to a transaction, which is refused where it was written since `seen` was read.
    pub fn write(
        &self,
        transaction: Transaction,
        (account, platform, account_id): (&str, Platform, &str),
        seen: Option<&RecordRow>,
        kept: &Kept,
        now: Timestamp,
    ) -> Result<Transaction, StoreError> {
        let row = RecordRow {
            account: account.to_owned(),
            platform,
            kept: kept.clone(),
            revision: seen.map_or(0, |seen| seen.revision) + 1,
            written_at: now,
        };
        let listed = Listed {
            account_id,
            at: kept.listed_at(),
            listed: listed(kept.listed_at(), &kept.id),
            state: kept.state(),
            row: &row,
        };
        let condition = match seen {
            None => Change::new().when("attribute_not_exists(#account)"),
            Some(seen) => Change::new()
                .when("#revision = :seen")
                .bind("seen", value(seen.revision)),
        };
        let name = &self.table.name;
        let put = Put::builder()
            .table_name(name)
            .set_item(Some(item::write(name, &listed)?))
            .set_condition_expression(condition.condition())
            .set_expression_attribute_names(condition.names())
            .set_expression_attribute_values(condition.values())
            .build()
            .map_err(|error| malformed(name, &error))?;
        Ok(transaction.put(put))
    }

    /// One record, as last written.
    pub async fn get(&self, account: &str, id: &str) -> Result<Option<RecordRow>, StoreError> {
        self.table
            .get(key([("account", account), ("record_id", id)]))
            .await
    }

    /// Records of some accounts, newest first. The index lags by some milliseconds.
    pub async fn newest(
        &self,
        ask: &RecordAsk<'_>,
        keep: impl Fn(&RecordRow) -> bool,
    ) -> Result<Listing<RecordRow>, StoreError> {
        let bound = |at: Timestamp| format!("{:013}", at.millis());
        let (from, to) = (ask.from.map(bound), ask.to.map(bound));
        let before = match (ask.before, to.as_deref()) {
            (Some(cursor), Some(to)) => Some(cursor.min(to)),
            (cursor, to) => cursor.or(to),
        };
        let listing = Ask {
            index: Some("time"),
            hash: "account",
            partitions: ask.accounts.to_vec(),
            sort: "listed",
            before,
            from: from.as_deref(),
            limit: ask.limit,
        };
        let wanted =
            |row: &RecordRow| ask.state.is_none_or(|state| row.kept.state() == state) && keep(row);
        self.table.newest(&listing, wanted).await
    }

    /// Deletes up to 25 records of an account; how many there were. Zero says that none is left.
    pub async fn clear(&self, account: &str) -> Result<usize, StoreError> {
        let name = &self.table.name;
        let answer = self
            .table
            .client
            .query()
            .table_name(name)
            .key_condition_expression("account = :account")
            .expression_attribute_values(":account", text(account))
            .projection_expression("account, record_id")
            .consistent_read(true)
            .limit(MOST_DELETED)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        let keys = answer.items.unwrap_or_default();
        let found = keys.len();
        self.table.delete_all(keys).await?;
        Ok(found)
    }
}
