//! One record of a stream, read.

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use domain::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use store::stream::{Image, ItemKey, Source};

use crate::rows::{self, Row};
use crate::sequence::Sequence;

/// One record of a stream as Lambda hands it over.
#[derive(Clone, Deserialize)]
pub struct Record {
    /// Its id, for logs.
    #[serde(rename = "eventID", default)]
    pub id: String,
    /// `INSERT`, `MODIFY` or `REMOVE`.
    #[serde(rename = "eventName", default)]
    pub name: String,
    /// The stream.
    #[serde(rename = "eventSourceARN", default)]
    pub stream: String,
    /// What happened.
    pub dynamodb: Happened,
}

/// The part of a record that is DynamoDB's own.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Happened {
    /// The place in the stream.
    pub sequence_number: String,
    /// When it happened, in seconds; whole ones as a rule.
    #[serde(default)]
    pub approximate_creation_date_time: f64,
    /// The item's key.
    pub keys: Value,
    /// The item; none where it was removed.
    #[serde(default)]
    pub new_image: Option<Value>,
}

/// What a record asks of the projection.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Of which table.
    pub source: Source,
    /// Which item, as a hash.
    pub item: String,
    /// Its place in the stream.
    pub sequence: Sequence,
    /// The rows that are to stand, or the key of those that are to go.
    pub effect: Effect,
}

/// What becomes of an item's rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// They are written.
    Upsert(Vec<Row>),
    /// They go.
    Remove(Row),
}

/// A record that will never become a row. Shows no value of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    /// The record is not one of DynamoDB's streams.
    #[error("the record is not what a stream holds")]
    Record,
    /// The item is not of a form that this version knows. What the reader says of it quotes values.
    #[error("the item is not of a form that is known")]
    Item,
    /// PostgreSQL refuses the row; its code.
    #[error("the row is refused ({0})")]
    Row(String),
    /// The code that reads it panicked.
    #[error("reading it panicked")]
    Panicked,
}

impl Poison {
    /// A short name for messages and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Item => "item",
            Self::Row(_) => "row",
            Self::Panicked => "panic",
        }
    }
}

impl Record {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        let millis = self.dynamodb.approximate_creation_date_time * 1_000.0;
        Timestamp::from_millis(millis as i64)
    }

    /// The name of the table whose stream it is of: `arn:…:table/<name>/stream/…`.
    pub fn table(&self) -> &str {
        let after = self.stream.split_once(":table/").map(|(_, after)| after);
        after
            .and_then(|after| after.split('/').next())
            .unwrap_or_default()
    }

    /// What it asks for; `None` where that is nothing.
    pub fn change(&self, source: Source) -> Result<Option<Change>, Poison> {
        let happened = &self.dynamodb;
        let sequence = Sequence::parse(&happened.sequence_number).ok_or(Poison::Record)?;
        let keys = Image::of_stream(&happened.keys).map_err(|_| Poison::Record)?;
        let key = keys.key(source).map_err(|_| Poison::Record)?;
        let effect = match (&*self.name, &happened.new_image) {
            ("REMOVE", _) => {
                let followed = key.followed(source);
                let followed = followed.map_err(|_| Poison::Item)?;
                match rows::key_of(source, &followed) {
                    Some(row) => Effect::Remove(row),
                    None => return Ok(None),
                }
            }
            ("INSERT" | "MODIFY", Some(image)) => {
                let image = Image::of_stream(image).map_err(|_| Poison::Record)?;
                let item = image.read(source);
                let rows = rows::rows_of(&item.map_err(|_| Poison::Item)?);
                if rows.is_empty() {
                    return Ok(None);
                }
                Effect::Upsert(rows)
            }
            _ => return Err(Poison::Record),
        };
        Ok(Some(Change {
            source,
            item: item_hash(source, &key),
            sequence,
            effect,
        }))
    }
}

/// What stands for an item where its key must not: keys of others' records name people.
pub fn item_hash(source: Source, key: &ItemKey) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [source.as_str(), &key.hash, &key.range] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    HEXLOWER.encode(&context.finish().as_ref()[..16])
}

/// The last change of each item. Of one item only the last counts, and one statement must not meet the
/// same row twice.
pub fn last_of_each(changes: Vec<Change>) -> Vec<Change> {
    let mut last: std::collections::BTreeMap<(Source, String), Change> = Default::default();
    for change in changes {
        let place = (change.source, change.item.clone());
        match last.get(&place) {
            Some(seen) if seen.sequence >= change.sequence => {}
            _ => {
                last.insert(place, change);
            }
        }
    }
    last.into_values().collect()
}
