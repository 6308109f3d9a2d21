//! What is kept of a record, and how a fact is merged into it.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Fan, Record, RecordKind};
use crate::{Subscription, Timestamp};

/// Characters of a text that are kept.
const MOST_TEXT: usize = 10_000;
/// Members of a list that are kept.
const MOST_LISTED: usize = 100;
/// An id of more bytes is kept as its hash: DynamoDB takes 1,024 in a key.
const MOST_ID: usize = 512;

/// What was true of a record at one instant. It need not be all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Of which noun.
    pub kind: RecordKind,
    /// The platform's id of it.
    pub id: String,
    /// When: the platform's clock where it tells, else when it was asked.
    pub as_of: Timestamp,
    /// The fields that are known.
    pub fields: BTreeMap<String, Value>,
}

impl Fact {
    /// The known fields of `record`. Texts are cut to 10,000 characters and lists to 100 members; an
    /// id of more than 512 bytes becomes its hash.
    pub(super) fn new<R: Record>(kind: RecordKind, id: &str, as_of: Timestamp, record: &R) -> Self {
        let fields = match serde_json::to_value(record) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let known = fields.into_iter().filter(|(_, value)| !value.is_null());
        Self {
            kind,
            id: key(id),
            as_of,
            fields: known.map(|(name, value)| (name, bounded(value))).collect(),
        }
    }
}

/// A record as it is kept: of each field what was told last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Of which noun.
    pub kind: RecordKind,
    /// The platform's id of it.
    #[serde(rename = "record_id")]
    pub id: String,
    /// What is known.
    pub fields: BTreeMap<String, Value>,
    /// Of which instant each field is.
    pub stamps: BTreeMap<String, Timestamp>,
    /// The earliest instant of which anything was told.
    pub seen_at: Timestamp,
    /// The latest instant at which it was gone: what was written before is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<Timestamp>,
}

impl Kept {
    /// What one fact tells.
    pub fn of(fact: &Fact) -> Self {
        let nothing = Self {
            kind: fact.kind,
            id: fact.id.clone(),
            fields: BTreeMap::new(),
            stamps: BTreeMap::new(),
            seen_at: fact.as_of,
            gone_at: None,
        };
        nothing.with(fact)
    }

    /// What is known after `fact` too. Any order of the same facts, with any of them repeated, comes to
    /// the same: of each field the latest stands, and of two of the same instant the greater text.
    #[must_use]
    pub fn with(mut self, fact: &Fact) -> Self {
        self.seen_at = self.seen_at.min(fact.as_of);
        if let Some(gone) = self.kind.gone()
            && fact.fields.get(gone) == Some(&Value::Bool(true))
        {
            self.gone_at = self.gone_at.max(Some(fact.as_of));
        }
        for (name, value) in &fact.fields {
            let newer = match (self.stamps.get(name), self.fields.get(name)) {
                (Some(stamp), Some(old)) => {
                    (*stamp, old.to_string()) < (fact.as_of, value.to_string())
                }
                _ => true,
            };
            if newer {
                self.fields.insert(name.clone(), value.clone());
                self.stamps.insert(name.clone(), fact.as_of);
            }
        }
        for name in self.kind.content() {
            if self.stamps.get(*name).copied() <= self.gone_at && self.gone_at.is_some() {
                self.fields.remove(*name);
                self.stamps.remove(*name);
            }
        }
        self
    }

    /// As its noun's own type; of a field that this version cannot read nothing is known.
    pub fn read<R: Record + Default>(&self) -> R {
        let fields: Map<String, Value> = self.fields.clone().into_iter().collect();
        let whole = serde_json::from_value::<R>(Value::Object(fields.clone()));
        let record = whole.unwrap_or_else(|_| {
            let readable = fields.into_iter().filter(|(name, value)| {
                let alone = Map::from_iter([(name.clone(), value.clone())]);
                serde_json::from_value::<R>(Value::Object(alone)).is_ok()
            });
            serde_json::from_value(Value::Object(readable.collect())).unwrap_or_default()
        });
        record.identified(&self.id)
    }

    /// Its own time: when it was published, written, sent, or happened.
    pub fn time(&self) -> Option<Timestamp> {
        let of = |name: &str| self.fields.get(name)?.as_i64().map(Timestamp::from_millis);
        match self.kind {
            RecordKind::Fan => [of("followed_at"), of("subscribed_at")]
                .into_iter()
                .flatten()
                .min(),
            kind => of(kind.time()),
        }
    }

    /// Where it stands in a list by time.
    pub fn listed_at(&self) -> Timestamp {
        self.time().unwrap_or(self.seen_at)
    }

    /// The one word by which lists are filtered.
    pub fn state(&self) -> &'static str {
        let is = |name: &str| self.fields.get(name) == Some(&Value::Bool(true));
        match self.kind {
            RecordKind::MediaItem if is("removed") => "removed",
            RecordKind::MediaItem => "visible",
            RecordKind::Comment if is("deleted") => "deleted",
            RecordKind::Comment if is("hidden") => "hidden",
            RecordKind::Comment => "visible",
            RecordKind::Message if is("deleted") => "deleted",
            RecordKind::Message if is("read") => "read",
            RecordKind::Message => "unread",
            RecordKind::AnalyticsEvent if is("reversed") => "reversed",
            RecordKind::AnalyticsEvent => "recorded",
            RecordKind::Fan => {
                let fan: Fan = self.read();
                match (fan.subscription, fan.following) {
                    (Some(Subscription::Active), _) => "subscriber",
                    (_, Some(true)) => "follower",
                    (Some(Subscription::Expired), _) | (_, Some(false)) => "lost",
                    _ => "known",
                }
            }
        }
    }
}

/// The key of a record of this id.
fn key(id: &str) -> String {
    if id.len() <= MOST_ID {
        return id.to_owned();
    }
    let hash = digest::digest(&digest::SHA256, id.as_bytes());
    format!("sha256-{}", HEXLOWER.encode(hash.as_ref()))
}

fn bounded(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > MOST_TEXT => {
            Value::String(text.chars().take(MOST_TEXT).collect())
        }
        Value::Array(list) => {
            Value::Array(list.into_iter().take(MOST_LISTED).map(bounded).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Comment, Message};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn comment(as_of: i64, text: Option<&str>, deleted: Option<bool>) -> Fact {
        let comment = Comment {
            id: "c1".into(),
            text: text.map(str::to_owned),
            deleted,
            ..Comment::default()
        };
        comment.fact(at(as_of))
    }

    fn merged(facts: &[Fact]) -> Kept {
        let (first, rest) = facts.split_first().unwrap();
        rest.iter().fold(Kept::of(first), Kept::with)
    }

    #[test]
    fn of_each_field_the_latest_stands() {
        let kept = merged(&[
            comment(20, Some("later"), None),
            comment(10, Some("earlier"), Some(false)),
        ]);
        let read: Comment = kept.read();
        assert_eq!(read.text.as_deref(), Some("later"));
        assert_eq!((read.deleted, read.hidden), (Some(false), None));
        assert_eq!((kept.stamps["text"], kept.seen_at), (at(20), at(10)));
    }

    #[test]
    fn what_was_deleted_is_not_kept_and_does_not_come_back() {
        for facts in [
            [
                comment(10, Some("secret"), None),
                comment(20, None, Some(true)),
            ],
            [
                comment(20, None, Some(true)),
                comment(10, Some("secret"), None),
            ],
            [
                comment(20, Some("secret"), Some(true)),
                comment(20, Some("secret"), None),
            ],
        ] {
            let kept = merged(&facts);
            assert_eq!(kept.state(), "deleted");
            assert!(
                !serde_json::to_string(&kept).unwrap().contains("secret"),
                "{facts:?}"
            );
        }
        // What was written afterwards is another text.
        let back = merged(&[
            comment(20, None, Some(true)),
            comment(30, Some("new"), Some(false)),
        ]);
        assert_eq!(back.read::<Comment>().text.as_deref(), Some("new"));
        assert_eq!(back.state(), "visible");
    }

    #[test]
    fn texts_lists_and_ids_are_bounded() {
        let message = Message {
            id: "m".repeat(600),
            text: Some("é".repeat(20_000)),
            media: Some(vec!["x".to_owned(); 500]),
            ..Message::default()
        };
        let fact = message.fact(at(1));
        assert!(fact.id.starts_with("sha256-"), "{}", fact.id);
        let read: Message = Kept::of(&fact).read();
        assert_eq!(read.text.unwrap().chars().count(), 10_000);
        assert_eq!(read.media.unwrap().len(), 100);
    }

    #[test]
    fn a_field_that_cannot_be_read_hides_no_other() {
        let mut kept = Kept::of(&comment(1, Some("text"), None));
        kept.fields.insert("hidden".into(), Value::from("perhaps"));
        assert_eq!(kept.read::<Comment>().text.as_deref(), Some("text"));
    }

    fn facts() -> impl Strategy<Value = Vec<Fact>> {
        let text = proptest::option::of(prop_oneof![Just("a"), Just("b"), Just("c")]);
        let deleted = proptest::option::of(any::<bool>());
        let one = (0..6i64, text, deleted).prop_map(|(at, text, gone)| comment(at, text, gone));
        proptest::collection::vec(one, 1..8)
    }

    proptest! {
        #[test]
        fn order_and_repetition_make_no_difference(
            (facts, others) in facts().prop_flat_map(|facts| {
                let others = facts.iter().chain(&facts).cloned().collect::<Vec<_>>();
                (Just(facts), Just(others).prop_shuffle())
            }),
        ) {
            prop_assert_eq!(merged(&others), merged(&facts));
        }
    }
}
