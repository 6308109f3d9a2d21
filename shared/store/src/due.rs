//! Due indexes: sparse, sharded by hash, sorted by time. An item is in one exactly while it has
//! something to wait for.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::Timestamp;

use serde::de::DeserializeOwned;

use crate::item::{self, Item};
use crate::{StoreError, Table};

/// How many partitions a due index is spread over: each takes some 1,000 writes a second.
pub const SHARDS: u32 = 8;

/// The keys of one due item, in the order of the table's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueKey(pub Vec<String>);

/// A place in a shard of a due index.
#[derive(Clone, Debug)]
pub struct Place(Item);

/// The shard of an item, by its own id.
pub fn shard_of(id: &str) -> String {
    shard_name(u32::try_from(hash(id) % u64::from(SHARDS)).unwrap_or(0))
}

/// One of `of` buckets, by the item's own id; within each shard too they are even.
pub fn bucket_of(id: &str, of: u32) -> u32 {
    let bucket = (hash(id) / u64::from(SHARDS)).checked_rem(u64::from(of));
    u32::try_from(bucket.unwrap_or(0)).unwrap_or(0)
}

/// FNV-1a: spread is all that is asked of it, and it never changes between versions.
fn hash(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The name of the shard that is looked at in place `place` of a run that begins at `first`: runs
/// begin at different shards, so that none is always the last.
pub fn turn(first: i64, place: u32) -> String {
    let first = u32::try_from(first.rem_euclid(i64::from(SHARDS))).unwrap_or(0);
    shard_name((first + place) % SHARDS)
}

/// The name of shard number `shard`.
pub fn shard_name(shard: u32) -> String {
    format!("s{shard}")
}

/// A due index and the attributes that are its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DueIndex {
    pub(crate) name: &'static str,
    pub(crate) shard: &'static str,
    pub(crate) at: &'static str,
}

/// The usual one.
const DUE: DueIndex = DueIndex {
    name: "due",
    shard: "due_shard",
    at: "due_at",
};

impl Table {
    /// The rows of one shard that are due at `now` and that `keep` wants, the most overdue first, at
    /// most `limit`. An index lags by some milliseconds: who acts on a row does so under a condition
    /// on the item. A row that this version cannot read (it may be a later version's) holds up no
    /// other.
    pub(crate) async fn due_rows<T: DeserializeOwned>(
        &self,
        shard: &str,
        now: Timestamp,
        limit: i32,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, StoreError> {
        self.due_rows_in(DUE, shard, now, limit, keep).await
    }

    /// The same of another due index.
    pub(crate) async fn due_rows_in<T: DeserializeOwned>(
        &self,
        index: DueIndex,
        shard: &str,
        now: Timestamp,
        limit: i32,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, StoreError> {
        let wanted = usize::try_from(limit).unwrap_or(0);
        self.between(index, shard, (None, now), wanted, keep).await
    }

    /// The same for rows that are due from `since` to `until`.
    pub(crate) async fn due_between<T: DeserializeOwned>(
        &self,
        shard: &str,
        since: Option<Timestamp>,
        until: Timestamp,
        wanted: usize,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, StoreError> {
        self.between(DUE, shard, (since, until), wanted, keep).await
    }

    async fn between<T: DeserializeOwned>(
        &self,
        index: DueIndex,
        shard: &str,
        span: (Option<Timestamp>, Timestamp),
        wanted: usize,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, StoreError> {
        let limit = i32::try_from(wanted).unwrap_or(i32::MAX);
        let mut rows = Vec::new();
        let mut from = None;
        loop {
            let (items, next) = self.due_page(index, shard, span, limit, from).await?;
            let read = items
                .into_iter()
                .filter_map(|item| item::read(&self.name, item).ok());
            rows.extend(read.filter(&keep));
            from = next;
            if from.is_none() || rows.len() >= wanted {
                rows.truncate(wanted);
                return Ok(rows);
            }
        }
    }

    /// The same where the index holds keys alone.
    pub(crate) async fn due(
        &self,
        shard: &str,
        now: Timestamp,
        limit: i32,
        keys: &[&str],
    ) -> Result<Vec<DueKey>, StoreError> {
        let (keys, _) = self.due_after(shard, now, limit, keys, None).await?;
        Ok(keys)
    }

    /// The same from a place in the shard on, and the place after it. Who walks on by places meets
    /// every row once, whatever cannot be done about those at the head.
    pub(crate) async fn due_after(
        &self,
        shard: &str,
        now: Timestamp,
        limit: i32,
        keys: &[&str],
        from: Option<Place>,
    ) -> Result<(Vec<DueKey>, Option<Place>), StoreError> {
        let from = from.map(|Place(item)| item);
        let (items, next) = self.due_page(DUE, shard, (None, now), limit, from).await?;
        let keys = items.iter().map(|item| due_key(item, keys)).collect();
        Ok((keys, next.map(Place)))
    }

    async fn due_page(
        &self,
        index: DueIndex,
        shard: &str,
        (since, until): (Option<Timestamp>, Timestamp),
        limit: i32,
        from: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        let millis = |at: Timestamp| AttributeValue::N(at.millis().to_string());
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(index.name)
            .key_condition_expression("#shard = :shard AND #at BETWEEN :since AND :until")
            .expression_attribute_names("#shard", index.shard)
            .expression_attribute_names("#at", index.at)
            .expression_attribute_values(":shard", AttributeValue::S(shard.to_owned()))
            .expression_attribute_values(":since", millis(since.unwrap_or_default()))
            .expression_attribute_values(":until", millis(until))
            .limit(limit)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }
}

fn due_key(item: &Item, keys: &[&str]) -> DueKey {
    let text = |name: &&str| match item.get(*name) {
        Some(AttributeValue::S(text)) => text.clone(),
        _ => String::new(),
    };
    DueKey(keys.iter().map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_stable_and_even() {
        assert_eq!(shard_of("conn_1"), shard_of("conn_1"));
        let mut counts = [0u32; SHARDS as usize];
        for n in 0..8_000 {
            let name = shard_of(&format!("conn_{n}"));
            counts[name[1..].parse::<usize>().unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn buckets_are_even_within_a_shard() {
        let mut counts = [0u32; 15];
        for n in 0..120_000 {
            let id = format!("conn_{n}");
            if shard_of(&id) == "s3" {
                counts[bucket_of(&id, 15) as usize] += 1;
            }
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }
}
