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

/// A table with what is in it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) spec: TableSpec,
    pub(super) items: BTreeMap<Place, Item>,
    /// The items as the indexes have them.
    indexed: BTreeMap<Place, Item>,
    /// What the indexes do not have yet, oldest first.
    coming: VecDeque<(Instant, Place, Option<Item>)>,
}

impl Table {
    pub(super) fn new(spec: TableSpec) -> Self {
        Self {
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
        // Writes reach an index in their order.
        let after = self.coming.back().map(|(at, ..)| *at);
        let at = (Instant::now() + lag).max(after.unwrap_or_else(Instant::now));
        self.coming.push_back((at, place, item));
    }

    /// The items of one partition as an index shows them now: those that have its keys, projected.
    pub(super) fn view(
        &mut self,
        index: &Index,
        partition: &Value,
    ) -> BTreeMap<(String, Place), Item> {
        let now = Instant::now();
        while self.coming.front().is_some_and(|(at, ..)| *at <= now) {
            if let Some((_, place, item)) = self.coming.pop_front() {
                match item {
                    Some(item) => self.indexed.insert(place, item),
                    None => self.indexed.remove(&place),
                };
            }
        }
        let keys = std::iter::once(&index.hash).chain(&index.range);
        let keys: Vec<&String> = keys.collect();
        let mut view = BTreeMap::new();
        for (place, item) in &self.indexed {
            let here = item
                .get(&index.hash)
                .is_some_and(|found| value::same(found, partition));
            if !here || !keys.iter().all(|name| item.contains_key(*name)) {
                continue;
            }
            let range = index
                .range
                .as_ref()
                .and_then(|name| value::sort_text(&item[name]));
            let shown = match &index.projection {
                Projection::All => item.clone(),
                Projection::Keys(more) => {
                    let own = self.key_names();
                    let kept = |name: &String| {
                        own.contains(&name.as_str()) || keys.contains(&name) || more.contains(name)
                    };
                    let pairs = item.iter().filter(|(name, _)| kept(name));
                    pairs
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .collect()
                }
            };
            view.insert((range.unwrap_or_default(), place.clone()), shown);
        }
        view
    }
}
