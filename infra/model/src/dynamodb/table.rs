//! One table: its items, its rules, its lagging indexes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{Item, value};
use crate::Refusal;

/// A table as the template declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// The template's name of it.
    pub name: String,
    /// Key attribute to its type (`S`, `N` or `B`), those of the indexes too.
    pub attributes: BTreeMap<String, String>,
    /// The hash key.
    pub hash: String,
    /// The range key.
    pub range: Option<String>,
    /// Its global indexes.
    pub indexes: Vec<Index>,
}

/// A global secondary index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// The hash key.
    pub hash: String,
    /// The range key.
    pub range: Option<String>,
    /// What it holds beside the keys.
    pub projection: Projection,
}

/// What an index holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Projection {
    /// Its own keys, the table's, and these.
    Keys(Vec<String>),
    /// All.
    All,
}

/// An item's place: its keys, so written that they sort as DynamoDB sorts them.
pub(super) type Place = (String, String);

/// One partition of an index.
pub(super) type Partition = BTreeMap<(String, Place), Item>;

/// A table with what is in it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) spec: TableSpec,
    pub(super) items: BTreeMap<Place, Item>,
    /// The items as the indexes have them.
    indexed: BTreeMap<Place, Item>,
    /// What each index shows: its partitions, in the order of its range key.
    shown: Vec<BTreeMap<String, Partition>>,
    /// What the indexes do not have yet, oldest first.
    coming: VecDeque<(Instant, Place, Option<Item>)>,
}

impl Table {
    pub(super) fn new(spec: TableSpec) -> Self {
        Self {
            shown: vec![BTreeMap::new(); spec.indexes.len()],
            spec,
            items: BTreeMap::new(),
            indexed: BTreeMap::new(),
            coming: VecDeque::new(),
        }
    }

    /// The names of the table's own key attributes.
    pub(super) fn key_names(&self) -> Vec<&str> {
        let range = self.spec.range.as_deref();
        std::iter::once(self.spec.hash.as_str())
            .chain(range)
            .collect()
    }

    /// The place that a `Key` names: exactly the key attributes, of their types, not empty.
    pub(super) fn place_of_key(&self, key: &Value) -> Result<Place, Refusal> {
        let map = key.as_object().cloned().unwrap_or_default();
        let item: Item = map.into_iter().collect();
        if item.len() != self.key_names().len() {
            let sentence = "The provided key element does not match the schema";
            return Err(Refusal::invalid(sentence));
        }
        self.place(&item)
    }

    /// The place of an item.
    pub(super) fn place(&self, item: &Item) -> Result<Place, Refusal> {
        let text = |name: &str| {
            let found = item.get(name);
            let found = found.ok_or_else(|| {
                let sentence = "One of the required keys was not given a value";
                Refusal::invalid(format!("{sentence}: {name}"))
            })?;
            self.key_text(name, found)
        };
        let range = self.spec.range.as_deref().map(text).transpose()?;
        Ok((text(&self.spec.hash)?, range.unwrap_or_default()))
    }

    /// A key attribute's value as a text that sorts; refuses another type, and the empty one.
    pub(super) fn key_text(&self, name: &str, found: &Value) -> Result<String, Refusal> {
        let kind = self.spec.attributes.get(name).map_or("S", String::as_str);
        let inner = found.get(kind).and_then(Value::as_str);
        let inner = inner.ok_or_else(|| {
            let sentence = "One or more parameter values were invalid: Type mismatch for key";
            Refusal::invalid(format!("{sentence} {name} expected: {kind}"))
        })?;
        if inner.is_empty() {
            let sentence = "One or more parameter values are not valid. The AttributeValue for a \
                            key attribute cannot contain an empty string value. Key";
            return Err(Refusal::invalid(format!("{sentence}: {name}")));
        }
        value::sort_text(found).ok_or_else(|| Refusal::unknown(format!("the key {found}")))
    }

    /// Refuses an item that DynamoDB would not hold.
    pub(super) fn check(&self, item: &Item) -> Result<(), Refusal> {
        item.values().try_for_each(value::check)?;
        self.place(item)?;
        for index in &self.spec.indexes {
            for name in std::iter::once(&index.hash).chain(&index.range) {
                if let Some(value) = item.get(name) {
                    self.key_text(name, value)?;
                }
            }
        }
        if value::size(item) > value::MOST_BYTES {
            let sentence = "Item size has exceeded the maximum allowed size";
            return Err(Refusal::invalid(sentence));
        }
        Ok(())
    }

    /// Writes, or removes, an item; the indexes follow after `lag`.
    pub(super) fn write(&mut self, place: Place, item: Option<Item>, lag: Duration) {
        match &item {
            Some(item) => self.items.insert(place.clone(), item.clone()),
            None => self.items.remove(&place),
        };
        if self.spec.indexes.is_empty() {
            return;
        }
        self.catch_up();
        // Writes reach an index in their order.
        let after = self.coming.back().map(|(at, ..)| *at);
        let at = (Instant::now() + lag).max(after.unwrap_or_else(Instant::now));
        self.coming.push_back((at, place, item));
    }

    /// The items of one partition as the index of this number shows them now: those that have its
    /// keys, projected.
    pub(super) fn view(&mut self, index: usize, partition: &str) -> Partition {
        self.catch_up();
        let index = self.shown.get(index);
        let found = index.and_then(|index| index.get(partition));
        found.cloned().unwrap_or_default()
    }

    /// Lets the indexes have what has come to them by now.
    fn catch_up(&mut self) {
        let now = Instant::now();
        while self.coming.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, place, item)) = self.coming.pop_front() else {
                return;
            };
            let old = match &item {
                Some(item) => self.indexed.insert(place.clone(), item.clone()),
                None => self.indexed.remove(&place),
            };
            for (index, shown) in self.spec.indexes.iter().zip(&mut self.shown) {
                let gone = old.as_ref().and_then(|old| index.keys_of(old));
                if let Some((partition, range)) = gone
                    && let Some(here) = shown.get_mut(&partition)
                {
                    here.remove(&(range, place.clone()));
                }
                let come = item
                    .as_ref()
                    .and_then(|item| index.keys_of(item).zip(Some(item)));
                if let Some(((partition, range), item)) = come {
                    let projected = index.projected(&self.spec, item);
                    let here = shown.entry(partition).or_default();
                    here.insert((range, place.clone()), projected);
                }
            }
        }
    }
}

impl Index {
    /// Under which keys an item lies in it; `None` where it lacks one.
    fn keys_of(&self, item: &Item) -> Option<(String, String)> {
        let text = |name: &String| value::sort_text(item.get(name)?);
        let range = match &self.range {
            Some(name) => text(name)?,
            None => String::new(),
        };
        Some((text(&self.hash)?, range))
    }

    fn projected(&self, table: &TableSpec, item: &Item) -> Item {
        let Projection::Keys(more) = &self.projection else {
            return item.clone();
        };
        let own = [Some(&table.hash), table.range.as_ref()];
        let mine = [Some(&self.hash), self.range.as_ref()];
        let keys: Vec<&String> = own.into_iter().chain(mine).flatten().chain(more).collect();
        let kept = item.iter().filter(|(name, _)| keys.contains(name));
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}
