//! Records: what platforms tell of an account's life — its media, comments, fans, messages, and what
//! was earned.
//!
//! A record belongs to a platform's account and is known by the platform's id of it. What is told of
//! it comes as [`Fact`]s, from webhooks, syncs and imports, in any order and more than once;
//! [`Kept::with`] merges them so that the order makes no difference.

mod kept;
mod news;
mod nouns;

pub use kept::{Fact, Kept};
pub use news::{News, Telling, news};
pub use nouns::{
    AnalyticsEvent, AnalyticsKind, Comment, Direction, Fan, MediaItem, MediaItemKind, Message,
    Subscription,
};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{EventKind, Timestamp};

/// The nouns of which records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// A post of the account, as the platform shows it.
    MediaItem,
    /// A comment, reply or mention.
    Comment,
    /// A person who follows, subscribes or spends.
    Fan,
    /// A private message.
    Message,
    /// A fact of the account's business: an earning, a tip, a refund, a follow.
    AnalyticsEvent,
}

impl RecordKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::MediaItem,
        Self::Comment,
        Self::Fan,
        Self::Message,
        Self::AnalyticsEvent,
    ];

    /// The name in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MediaItem => "media_item",
            Self::Comment => "comment",
            Self::Fan => "fan",
            Self::Message => "message",
            Self::AnalyticsEvent => "analytics_event",
        }
    }

    /// The field that says that the platform no longer has it, where there is one.
    const fn gone(self) -> Option<&'static str> {
        match self {
            Self::MediaItem => Some("removed"),
            Self::Comment | Self::Message => Some("deleted"),
            Self::Fan | Self::AnalyticsEvent => None,
        }
    }

    /// The fields that go with it: what a person wrote is not kept after it was deleted.
    const fn content(self) -> &'static [&'static str] {
        match self {
            Self::MediaItem => &["title", "caption", "permalink"],
            Self::Comment => &["author_id", "author_name", "text"],
            Self::Message => &["text", "media"],
            Self::Fan | Self::AnalyticsEvent => &[],
        }
    }

    /// The field that holds the record's own time.
    const fn time(self) -> &'static str {
        match self {
            Self::MediaItem => "published_at",
            Self::Comment => "written_at",
            Self::Fan => "followed_at",
            Self::Message => "sent_at",
            Self::AnalyticsEvent => "occurred_at",
        }
    }

    /// The event that tells of a new one, where each is told of.
    const fn received(self) -> Option<EventKind> {
        match self {
            Self::Comment => Some(EventKind::CommentReceived),
            Self::Message => Some(EventKind::MessageReceived),
            Self::AnalyticsEvent => Some(EventKind::EarningRecorded),
            Self::MediaItem | Self::Fan => None,
        }
    }
}

/// A noun's own type. Fields that are not known are absent and never empty or zero.
pub trait Record: Serialize + DeserializeOwned {
    /// Which noun.
    const KIND: RecordKind;

    /// The platform's id of it; unique per platform and account, not globally.
    fn id(&self) -> &str;

    /// The same with this id, which is no field.
    #[must_use]
    fn identified(self, id: &str) -> Self;

    /// What was true of it at `as_of`.
    fn fact(&self, as_of: Timestamp) -> Fact {
        Fact::new(Self::KIND, self.id(), as_of, self)
    }
}
