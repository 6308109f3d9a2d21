//! The nouns and their fields. A field is written only where it is known.

use serde::{Deserialize, Serialize};

use super::{Record, RecordKind};
use crate::{Figures, Money, Timestamp};

macro_rules! record {
    ($name:ident) => {
        impl Record for $name {
            const KIND: RecordKind = RecordKind::$name;

            fn id(&self) -> &str {
                &self.id
            }

            fn identified(self, id: &str) -> Self {
                Self {
                    id: id.to_owned(),
                    ..self
                }
            }
        }
    };
}

record!(MediaItem);
record!(Comment);
record!(Fan);
record!(Message);
record!(AnalyticsEvent);

/// A post of the account, as the platform shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MediaItem {
    /// The platform's id of it.
    #[serde(skip)]
    pub id: String,
    /// What it is.
    pub kind: Option<MediaItemKind>,
    /// Its title, where the platform has one beside the caption.
    pub title: Option<String>,
    /// Its text.
    pub caption: Option<String>,
    /// Where it can be seen.
    pub permalink: Option<String>,
    /// When it was published.
    pub published_at: Option<Timestamp>,
    /// Whether the platform no longer shows it.
    pub removed: Option<bool>,
    /// Its figures, all of one reading.
    pub figures: Option<Figures>,
}

/// What a media item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaItemKind {
    /// A video.
    Video,
    /// A picture.
    Image,
    /// Several of either.
    Carousel,
    /// Words alone.
    Text,
    /// A link with words.
    Link,
    /// What is shown for a day.
    Story,
    /// A short upright video, where the platform tells it from others.
    Reel,
    /// Anything else.
    Other,
}

/// A comment on a media item, a reply to one, or a mention elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Comment {
    /// The platform's id of it.
    #[serde(skip)]
    pub id: String,
    /// The media item under which it stands.
    pub media_id: Option<String>,
    /// The comment to which it replies.
    pub parent_id: Option<String>,
    /// The platform's id of who wrote it.
    pub author_id: Option<String>,
    /// What the platform calls them.
    pub author_name: Option<String>,
    /// What they wrote.
    pub text: Option<String>,
    /// When.
    pub written_at: Option<Timestamp>,
    /// Whether it is hidden from others.
    pub hidden: Option<bool>,
    /// Whether it is gone; its author and text are then not kept.
    pub deleted: Option<bool>,
    /// Whether the account itself wrote it.
    pub own: Option<bool>,
    /// Whether it mentions the account elsewhere, rather than standing under one of its media.
    pub mention: Option<bool>,
}

/// A person who follows, subscribes or spends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fan {
    /// The platform's id of them; a pseudonym where it tells names only.
    #[serde(skip)]
    pub id: String,
    /// Their handle, without `@`.
    pub handle: Option<String>,
    /// What the platform calls them.
    pub display_name: Option<String>,
    /// Whether they follow.
    pub following: Option<bool>,
    /// Since when.
    pub followed_at: Option<Timestamp>,
    /// Whether they pay.
    pub subscription: Option<Subscription>,
    /// Since when.
    pub subscribed_at: Option<Timestamp>,
    /// Until when they have paid.
    pub expires_at: Option<Timestamp>,
    /// What they spent in all.
    pub spent: Option<Money>,
}

/// Whether a fan pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subscription {
    /// They do.
    Active,
    /// They did.
    Expired,
    /// They never did.
    None,
}

/// A private message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    /// The platform's id of it.
    #[serde(skip)]
    pub id: String,
    /// The conversation, by the platform's id.
    pub chat_id: Option<String>,
    /// With whom.
    pub fan_id: Option<String>,
    /// From them or to them.
    pub direction: Option<Direction>,
    /// What it says.
    pub text: Option<String>,
    /// The platform's ids of what came with it.
    pub media: Option<Vec<String>>,
    /// What opening it costs.
    pub price: Option<Money>,
    /// Whether that was paid.
    pub purchased: Option<bool>,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
    /// Whether the other side has read it.
    pub read: Option<bool>,
    /// Whether it is gone; its text and media are then not kept.
    pub deleted: Option<bool>,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the account.
    In,
    /// From the account.
    Out,
}

/// A fact of the account's business. Its id is the platform's transaction id, or a fingerprint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnalyticsEvent {
    /// The platform's id of it.
    #[serde(skip)]
    pub id: String,
    /// What happened.
    pub kind: Option<AnalyticsKind>,
    /// What the account gets of it; negative where it is taken back.
    pub amount: Option<Money>,
    /// What was paid.
    pub gross: Option<Money>,
    /// What the platform kept.
    pub fee: Option<Money>,
    /// Who paid or followed.
    pub fan_id: Option<String>,
    /// For which media item.
    pub media_id: Option<String>,
    /// For which message.
    pub message_id: Option<String>,
    /// When.
    pub occurred_at: Option<Timestamp>,
    /// Whether it was taken back afterwards.
    pub reversed: Option<bool>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnalyticsKind {
    /// Something was earned; the platform does not say by what.
    Earning,
    /// A gift of money.
    Tip,
    /// A first subscription.
    Subscription,
    /// A subscription went on.
    Renewal,
    /// Something was bought.
    Purchase,
    /// Money was taken back.
    Refund,
    /// Money left for the creator's bank.
    Payout,
    /// Somebody began to follow.
    Follow,
    /// Somebody no longer follows.
    Unfollow,
    /// Anything else.
    Other,
}

impl AnalyticsKind {
    /// Whether it is about money that came or went back.
    pub const fn earns(self) -> bool {
        match self {
            Self::Earning
            | Self::Tip
            | Self::Subscription
            | Self::Renewal
            | Self::Purchase
            | Self::Refund => true,
            Self::Payout | Self::Follow | Self::Unfollow | Self::Other => false,
        }
    }
}
