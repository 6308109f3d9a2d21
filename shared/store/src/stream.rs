//! Items as streams and walks show them, for whoever keeps a copy of the tables elsewhere.
//! Touching writes the attribute `touched` and nothing else: no attempt id, version or lease. It makes
//! the stream carry the present image once more, behind all earlier ones of that item.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use data_encoding::BASE64;
use domain::{ConnectionId, Day, DeliveryId, Figures, MediaTotals, SyncId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::item::{self, Item};
use crate::snapshots::Read;
use crate::{Connection, Mark, Post, RecordRow, StoreError, SyncLog, Table, Target};

/// How often a touch that meets a transaction on the same item is tried.
const CONFLICT_TRIES: usize = 4;
/// The attribute that a touch writes.
const TOUCHED: &str = "touched";

/// A table that can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Connections.
    Connections,
    /// Posts.
    Posts,
    /// Their targets.
    Targets,
    /// Webhooks received.
    Deliveries,
    /// Daily statistics.
    Snapshots,
    /// What became of syncs.
    SyncLogs,
    /// Accounts' media.
    MediaItems,
    /// Comments.
    Comments,
    /// Fans.
    Fans,
    /// Messages.
    Messages,
    /// Earnings, follows and the like.
    AnalyticsEvents,
}

/// What a table's keys are called.
#[derive(Clone, Copy, Debug)]
struct KeyNames {
    hash: &'static str,
    range: &'static str,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Connections,
        Self::Posts,
        Self::Targets,
        Self::Deliveries,
        Self::Snapshots,
        Self::SyncLogs,
        Self::MediaItems,
        Self::Comments,
        Self::Fans,
        Self::Messages,
        Self::AnalyticsEvents,
    ];

    /// Its name in logs and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Posts => "posts",
            Self::Targets => "targets",
            Self::Deliveries => "deliveries",
            Self::Snapshots => "snapshots",
            Self::SyncLogs => "sync_logs",
            Self::MediaItems => "media_items",
            Self::Comments => "comments",
            Self::Fans => "fans",
            Self::Messages => "messages",
            Self::AnalyticsEvents => "analytics_events",
        }
    }

    const fn keys(self) -> KeyNames {
        let (hash, range) = match self {
            Self::Connections => ("user_id", "connection_id"),
            Self::Posts => ("user_id", "post_id"),
            Self::Targets => ("post_id", "target_id"),
            Self::Deliveries => ("delivery_id", "part"),
            Self::Snapshots => ("user_id", "slot"),
            Self::SyncLogs => ("sync_id", "part"),
            _ => ("account", "record_id"),
        };
        KeyNames { hash, range }
    }
}

/// The key of an item: its table's hash key, then its range key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemKey {
    /// The hash key.
    pub hash: String,
    /// The range key.
    pub range: String,
}

/// A stream's record is not what it should be. Never shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an image of a stream is not what it should be")]
pub struct BadImage;

/// One item, whole. Opaque: [`Image::read`] says what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Image(Item);

/// What an item is, as far as copies want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Followed {
    /// A connection. Its sealed tokens are not to be copied.
    Connection(Box<Connection>),
    /// A post.
    Post(Box<Post>),
    /// A target of a post. Its sealed state is not to be copied.
    Target(Box<Target>),
    /// A webhook received, without its body.
    Delivery(Box<Mark>),
    /// A month of a connection's statistics.
    Month(Box<FollowedMonth>),
    /// A sync.
    SyncLog(Box<SyncLog>),
    /// A record of an account.
    Record(Box<RecordRow>),
    /// A row of the table's own housekeeping.
    Nothing,
}

/// One month of one connection, with when each part was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowedMonth {
    /// Whose.
    pub user_id: UserId,
    /// Which connection.
    pub connection_id: ConnectionId,
    /// Which month, `2026-11`.
    pub month: String,
    /// Its days.
    pub days: BTreeMap<Day, FollowedDay>,
}

/// One day's entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowedDay {
    /// The account's own figures, and when their reading was begun.
    pub account: Option<(Timestamp, Figures)>,
    /// What its media came to, and when their reading was begun.
    pub media: Option<(Timestamp, MediaTotals)>,
}

/// Whose item a key is, without its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowedKey {
    /// A connection.
    Connection(ConnectionId),
    /// A post, by its id.
    Post(String),
    /// A target, by its post's id and its own.
    Target(String, String),
    /// A webhook received.
    Delivery(DeliveryId),
    /// A month (`2026-11`) of a connection's statistics.
    Month(ConnectionId, String),
    /// A sync of a connection.
    SyncLog(SyncId, ConnectionId),
    /// A record of an account: the platform's name, the account's id, the record's.
    Record(String, String, String),
    /// A row of the table's own housekeeping.
    Nothing,
}

impl Image {
    /// Out of DynamoDB's JSON: `{"name": {"S": "text"}, …}`.
    pub fn of_stream(image: &Value) -> Result<Self, BadImage> {
        let members = image.as_object().ok_or(BadImage)?;
        let read = |(name, value): (&String, &Value)| Some((name.clone(), attribute(value)?));
        let item: Option<Item> = members.iter().map(read).collect();
        item.map(Self).ok_or(BadImage)
    }

    /// Its key, as an item of this table.
    pub fn key(&self, source: Source) -> Result<ItemKey, BadImage> {
        let names = source.keys();
        let text = |name: &str| match self.0.get(name) {
            Some(AttributeValue::S(text)) => Ok(text.clone()),
            _ => Err(BadImage),
        };
        Ok(ItemKey {
            hash: text(names.hash)?,
            range: text(names.range)?,
        })
    }

    /// What it is, as an item of this table.
    pub fn read(self, source: Source) -> Result<Followed, StoreError> {
        let key = self.key(source).map_err(|error| StoreError::Malformed {
            table: source.as_str().to_owned(),
            problem: error.to_string(),
        })?;
        if key.is_housekeeping(source) {
            return Ok(Followed::Nothing);
        }
        let name = source.as_str();
        Ok(match source {
            Source::Connections => Followed::Connection(item::read(name, self.0)?),
            Source::Posts => Followed::Post(item::read(name, self.0)?),
            Source::Targets => Followed::Target(item::read(name, self.0)?),
            Source::Deliveries => Followed::Delivery(item::read(name, self.0)?),
            Source::Snapshots => Followed::Month(Box::new(month(&key, self.0)?)),
            Source::SyncLogs => Followed::SyncLog(item::read(name, self.0)?),
            _ => Followed::Record(item::read(name, self.0)?),
        })
    }
}

impl ItemKey {
    /// Whether the row is the table's own and nobody else's affair: idempotency keys, raw bodies,
    /// requests, windows.
    fn is_housekeeping(&self, source: Source) -> bool {
        match source {
            Source::Posts => self.range.starts_with("idem#"),
            Source::Deliveries => self.range != "mark",
            Source::SyncLogs => matches!(&*self.range, "request" | "window"),
            _ => false,
        }
    }

    /// Whose item it is.
    pub fn followed(&self, source: Source) -> Result<FollowedKey, BadImage> {
        if self.is_housekeeping(source) {
            return Ok(FollowedKey::Nothing);
        }
        let (hash, range) = (&self.hash, &self.range);
        Ok(match source {
            Source::Connections => FollowedKey::Connection(id(range)?),
            Source::Posts => FollowedKey::Post(range.clone()),
            Source::Targets => FollowedKey::Target(hash.clone(), range.clone()),
            Source::Deliveries => FollowedKey::Delivery(id(hash)?),
            Source::Snapshots => {
                let (month, connection) = range.split_once('#').ok_or(BadImage)?;
                FollowedKey::Month(id(connection)?, month.to_owned())
            }
            Source::SyncLogs => FollowedKey::SyncLog(id(hash)?, id(range)?),
            _ => {
                let (platform, account) = hash.split_once('#').ok_or(BadImage)?;
                FollowedKey::Record(platform.to_owned(), account.to_owned(), range.clone())
            }
        })
    }

    fn item(&self, source: Source) -> Item {
        let names = source.keys();
        item::key([(names.hash, &self.hash), (names.range, &self.range)])
    }
}
fn id<T: std::str::FromStr>(text: &str) -> Result<T, BadImage> {
    text.parse().map_err(|_| BadImage)
}

/// A month's item: a day in two attributes, see [`crate::snapshots`]. Unlike there, a part that
/// cannot be read is an error: a copy must not lose it without a word.
fn month(key: &ItemKey, row: Item) -> Result<FollowedMonth, StoreError> {
    let malformed = |problem: &str| StoreError::Malformed {
        table: Source::Snapshots.as_str().to_owned(),
        problem: problem.to_owned(),
    };
    let slot = key.range.split_once('#');
    let (month, connection) = slot.ok_or_else(|| malformed("no slot"))?;
    let mut days: BTreeMap<Day, FollowedDay> = BTreeMap::new();
    for (name, part) in row {
        let (kind, of_month) = (name.get(..1).unwrap_or_default(), name.get(1..));
        let day = of_month.and_then(|of_month| format!("{month}-{of_month}").parse::<Day>().ok());
        let (Some(day), AttributeValue::M(part)) = (day, part) else {
            continue;
        };
        let entry = days.entry(day).or_default();
        match kind {
            "a" => {
                let part: Read<Figures> = item::read("snapshots", part)?;
                entry.account = Some((part.at, part.read));
            }
            "m" => {
                let part: Read<MediaTotals> = item::read("snapshots", part)?;
                entry.media = Some((part.at, part.read));
            }
            _ => {}
        }
    }
    Ok(FollowedMonth {
        user_id: key.hash.parse().map_err(|_| malformed("no user"))?,
        connection_id: connection.parse().map_err(|_| malformed("no connection"))?,
        month: month.to_owned(),
        days,
    })
}

/// One value of DynamoDB's JSON.
fn attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object()?.iter().next()?;
    let text = || value.as_str().map(str::to_owned);
    let texts = || -> Option<Vec<String>> {
        let all = value.as_array()?.iter();
        all.map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let bytes = |text: &str| BASE64.decode(text.as_bytes()).ok().map(Blob::new);
    Some(match kind.as_str() {
        "S" => AttributeValue::S(text()?),
        "N" => AttributeValue::N(text()?),
        "B" => AttributeValue::B(bytes(value.as_str()?)?),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(true),
        "SS" => AttributeValue::Ss(texts()?),
        "NS" => AttributeValue::Ns(texts()?),
        "BS" => {
            let all = value.as_array()?.iter();
            AttributeValue::Bs(all.map(|one| bytes(one.as_str()?)).collect::<Option<_>>()?)
        }
        "L" => {
            let all = value.as_array()?.iter();
            AttributeValue::L(all.map(attribute).collect::<Option<_>>()?)
        }
        "M" => {
            let all = value.as_object()?.iter();
            let read = |(name, value): (&String, &Value)| Some((name.clone(), attribute(value)?));
            AttributeValue::M(all.map(read).collect::<Option<HashMap<_, _>>>()?)
        }
        _ => return None,
    })
}

/// Where a walk stands. The default is its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalkCursor {
    source: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<ItemKey>,
}

/// One page of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkPage {
    /// Of which table.
    pub source: Source,
    /// Its items, those of its housekeeping left out.
    pub keys: Vec<ItemKey>,
    /// Where to go on; `None` at the end of the last table.
    pub next: Option<WalkCursor>,
}

/// The tables that can be followed, to be walked over.
#[derive(Clone, Debug)]
pub struct FollowedTables(BTreeMap<Source, Table>);

impl FollowedTables {
    /// Over the tables of these names.
    pub fn new(client: &aws_sdk_dynamodb::Client, names: &BTreeMap<Source, String>) -> Self {
        let table = |(source, name): (&Source, &String)| {
            (*source, Table::new(client.clone(), name.clone()))
        };
        Self(names.iter().map(table).collect())
    }

    /// The tables that there are, in the order of a walk.
    pub fn sources(&self) -> impl Iterator<Item = Source> + '_ {
        self.0.keys().copied()
    }

    /// The keys of the next `limit` items, by a strongly consistent scan. Items that come to be behind
    /// the cursor are not met: the stream shows them anyway.
    pub async fn page(&self, from: &WalkCursor, limit: i32) -> Result<WalkPage, StoreError> {
        let mut all = self.0.iter();
        let Some((source, table)) = all.nth(from.source) else {
            return Err(StoreError::Unavailable("the walk is over".to_owned()));
        };
        let (source, last) = (*source, all.next().is_none());
        let (names, after) = (source.keys(), from.after.as_ref());
        let answer = table
            .client
            .scan()
            .table_name(&table.name)
            .consistent_read(true)
            .projection_expression("#hash, #range")
            .expression_attribute_names("#hash", names.hash)
            .expression_attribute_names("#range", names.range)
            .set_exclusive_start_key(after.map(|key| key.item(source)))
            .limit(limit)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        let keys = answer.items.unwrap_or_default().into_iter();
        let mut keys: Vec<ItemKey> = keys.filter_map(|row| Image(row).key(source).ok()).collect();
        keys.retain(|key| !key.is_housekeeping(source));
        let after = answer.last_evaluated_key;
        let next = match after.map(|row| Image(row).key(source)) {
            Some(Ok(key)) => Some(WalkCursor {
                source: from.source,
                after: Some(key),
            }),
            _ => (!last).then_some(WalkCursor {
                source: from.source + 1,
                after: None,
            }),
        };
        Ok(WalkPage { source, keys, next })
    }

    /// Touches an item; `false` where it is gone. `mark` must be another than at the last touch, or
    /// the stream shows nothing.
    pub async fn touch(
        &self,
        source: Source,
        key: &ItemKey,
        mark: &str,
    ) -> Result<bool, StoreError> {
        let table = self.table(source)?;
        let mut last = None;
        for _ in 0..CONFLICT_TRIES {
            let result = table
                .client
                .update_item()
                .table_name(&table.name)
                .set_key(Some(key.item(source)))
                .update_expression("SET #touched = :mark")
                .condition_expression("attribute_exists(#hash)")
                .expression_attribute_names("#touched", TOUCHED)
                .expression_attribute_names("#hash", source.keys().hash)
                .expression_attribute_values(":mark", item::text(mark))
                .send()
                .await;
            let Err(error) = result else { return Ok(true) };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => return Ok(false),
                // A transaction on the item at this moment, which the SDK does not try again.
                Some(UpdateItemError::TransactionConflictException(_)) => {
                    last = Some(StoreError::unavailable(&error));
                }
                _ => return Err(StoreError::unavailable(&error)),
            }
        }
        Err(last.unwrap_or_else(|| StoreError::Unavailable("conflict".to_owned())))
    }

    /// The item as last written.
    pub async fn image(&self, source: Source, key: &ItemKey) -> Result<Option<Image>, StoreError> {
        let table = self.table(source)?;
        let answer = table
            .client
            .get_item()
            .table_name(&table.name)
            .set_key(Some(key.item(source)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        Ok(answer.item.map(Image))
    }

    /// Every item of a table, housekeeping included: for checks of whole copies.
    pub async fn images(&self, source: Source) -> Result<Vec<Image>, StoreError> {
        let table = self.table(source)?;
        let (mut images, mut after) = (Vec::new(), None);
        loop {
            let answer = table
                .client
                .scan()
                .table_name(&table.name)
                .consistent_read(true)
                .set_exclusive_start_key(after)
                .send()
                .await
                .map_err(|error| StoreError::unavailable(&error))?;
            images.extend(answer.items.unwrap_or_default().into_iter().map(Image));
            after = answer.last_evaluated_key;
            if after.is_none() {
                return Ok(images);
            }
        }
    }

    fn table(&self, source: Source) -> Result<&Table, StoreError> {
        let missing = || StoreError::Unavailable(format!("{} is not followed", source.as_str()));
        self.0.get(&source).ok_or_else(missing)
    }
}
