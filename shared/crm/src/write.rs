//! Changes become rows: batches in one transaction, by statements that let nothing go backward.
//!
//! A transaction holds the lock of its source. So of two that overlap one comes after the other, and
//! the later one sees all that the earlier one wrote: a removal and a late image of the same item
//! cannot pass each other by. That costs nothing that matters: a batch takes some ten milliseconds,
//! and no two sources share a lock.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use store::stream::{ItemKey, Source};

use crate::change::{Change, Effect, Poison, last_of_each};
use crate::database::Work;
use crate::rows::Row;
use crate::sequence::Sequence;
use crate::tables::{self, Table};
use crate::{CrmError, Database};

/// Streams keep records for a day; a removal is remembered for three.
const REMEMBER: &str = "interval '3 days'";

/// Rows that a backfill did not bring again.
#[derive(Clone, Debug, PartialEq)]
pub struct Stale {
    /// The item behind them.
    pub key: ItemKey,
    /// Its place in the stream, as the newest of them shows it.
    pub sequence: Sequence,
}

/// Where the projection and what it should be differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Rows that should be there and are not, as JSON.
    pub missing: Vec<String>,
    /// Rows that are there and should not be.
    pub extra: Vec<String>,
}

impl Database {
    /// Writes changes, of each item the last. Gives those that the database refuses for good, found by
    /// halving; the others stand.
    pub async fn apply(&self, changes: Vec<Change>) -> Result<Vec<(Change, Poison)>, CrmError> {
        let mut refused = Vec::new();
        let mut parts = vec![last_of_each(changes)];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match self.write(&part).await {
                Ok(()) => {}
                Err(CrmError::Row(code)) if part.len() == 1 => {
                    refused.extend(part.pop().map(|change| (change, Poison::Row(code))));
                }
                Err(CrmError::Row(_)) => {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }

    async fn write(&self, changes: &[Change]) -> Result<(), CrmError> {
        let sources: BTreeSet<Source> = changes.iter().map(|change| change.source).collect();
        let locks: Vec<i32> = sources.iter().map(|source| *source as i32).collect();
        let (mut upserts, mut removals) = (Rows::default(), Rows::default());
        let mut gone = Vec::new();
        for change in changes {
            match &change.effect {
                Effect::Upsert(rows) => {
                    for row in rows {
                        upserts.add(change, row);
                    }
                }
                Effect::Remove(row) => {
                    removals.add(change, row);
                    gone.push(Value::Object(placed(change, Map::new())));
                }
            }
        }
        let schema = &self.schema;
        let gone = Value::Array(gone).to_string();
        self.transact(&locks, async |work: &mut Work| {
            for (table, rows) in &upserts.0 {
                work.execute(&table.0.upsert(schema), &[&rows_text(rows)])
                    .await?;
            }
            for (table, rows) in &removals.0 {
                work.execute(&table.0.remove(schema), &[&rows_text(rows)])
                    .await?;
            }
            if !removals.0.is_empty() {
                work.execute(&tables::note_removals(schema), &[&gone])
                    .await?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets removals that no stream can contradict any more; how many.
    pub async fn forget_old_removals(&self) -> Result<u64, CrmError> {
        let removed = self.schema.table("removed_items");
        let sql =
            format!("DELETE FROM {removed} WHERE removed_at < clock_timestamp() - {REMEMBER}");
        self.transact(&[], async |work: &mut Work| work.execute(&sql, &[]).await)
            .await
    }

    /// The database's own present instant, for [`Database::stale`].
    pub async fn now(&self) -> Result<String, CrmError> {
        let sql = "SELECT clock_timestamp()::text";
        let found = self
            .transact(&[], async |work: &mut Work| work.query(sql, &[]).await)
            .await?;
        Ok(found.first().map(|row| row.get(0)).unwrap_or_default())
    }

    /// Items of a source whose rows were last written before `instant` (of [`Database::now`]), at most
    /// `limit` from after `after`, in the order of their keys.
    pub async fn stale(
        &self,
        source: Source,
        instant: &str,
        after: Option<&ItemKey>,
        limit: u32,
    ) -> Result<Vec<Stale>, CrmError> {
        let table = tables::of_source(source);
        let (hash, range) = table.origin;
        let name = self.schema.table(table.name);
        let sql = format!(
            "SELECT hash, range, max(sequence)::text FROM (\
             SELECT ({hash}) COLLATE \"C\" AS hash, ({range}) COLLATE \"C\" AS range, sequence \
             FROM {name} WHERE synced_at < $1::text::timestamptz) AS old \
             WHERE (hash, range) > ($2, $3) GROUP BY hash, range ORDER BY hash, range LIMIT {limit}"
        );
        let (hash, range) = after.map_or(("", ""), |key| (&*key.hash, &*key.range));
        let texts = [instant, hash, range];
        let found = self
            .transact(&[], async |work: &mut Work| work.query(&sql, &texts).await)
            .await?;
        let read = |row: &tokio_postgres::Row| {
            Some(Stale {
                key: ItemKey {
                    hash: row.get(0),
                    range: row.get(1),
                },
                sequence: Sequence::parse(row.get(2))?,
            })
        };
        Ok(found.iter().filter_map(read).collect())
    }

    /// Where a table and the rows that it should hold differ: for checks of the whole.
    pub async fn difference(&self, table: &Table, rows: &[Row]) -> Result<Difference, CrmError> {
        let expected = rows.iter().map(|row| Value::Object(row.values.clone()));
        let expected = Value::Array(expected.collect()).to_string();
        let [missing, extra] = table.differences(&self.schema);
        let found = self
            .transact(&[], async |work: &mut Work| {
                let texts = [&*expected];
                Ok([
                    work.query(&missing, &texts).await?,
                    work.query(&extra, &texts).await?,
                ])
            })
            .await?;
        let [missing, extra] = found.map(|rows| rows.iter().map(|row| row.get(0)).collect());
        Ok(Difference { missing, extra })
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &Table) -> Result<i64, CrmError> {
        let sql = format!("SELECT count(*) FROM {}", self.schema.table(table.name));
        let found = self
            .transact(&[], async |work: &mut Work| work.query(&sql, &[]).await)
            .await?;
        Ok(found.first().map_or(0, |row| row.get(0)))
    }
}

/// Rows by table, in an order that never varies.
#[derive(Default)]
struct Rows(BTreeMap<ByName, Vec<Value>>);

struct ByName(&'static Table);

impl Rows {
    fn add(&mut self, change: &Change, row: &Row) {
        let values = placed(change, row.values.clone());
        let rows = self.0.entry(ByName(row.table)).or_default();
        rows.push(Value::Object(values));
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for ByName {}

impl PartialOrd for ByName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.name.cmp(other.0.name)
    }
}

/// Values with the place of their change.
fn placed(change: &Change, mut values: Map<String, Value>) -> Map<String, Value> {
    values.insert("source".to_owned(), change.source.as_str().into());
    values.insert("item".to_owned(), change.item.clone().into());
    // As a text: JSON's numbers have an end for some readers, and this has 40 digits.
    values.insert("sequence".to_owned(), json!(change.sequence.as_str()));
    values
}

fn rows_text(rows: &[Value]) -> String {
    let mut text = String::from("[");
    for (index, row) in rows.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { "," });
        text.push_str(&row.to_string());
    }
    text.push(']');
    text
}
