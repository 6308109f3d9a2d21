//! What the product is told.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EventId, Timestamp, UserId};

/// What happened. The names are part of the public contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// A connection was made or made again.
    #[serde(rename = "connection.connected")]
    ConnectionConnected,
    /// A connection needs its creator.
    #[serde(rename = "connection.needs_reauth")]
    ConnectionNeedsReauth,
    /// A connection ended.
    #[serde(rename = "connection.disconnected")]
    ConnectionDisconnected,
    /// A connection thought lost came back by itself (a rescued token).
    #[serde(rename = "connection.recovered")]
    ConnectionRecovered,
    /// A target was accepted.
    #[serde(rename = "post.queued")]
    PostQueued,
    /// A target's first call to the platform succeeded.
    #[serde(rename = "post.publishing")]
    PostPublishing,
    /// A target was published.
    #[serde(rename = "post.published")]
    PostPublished,
    /// A target waits as a draft.
    #[serde(rename = "post.inbox")]
    PostInbox,
    /// A target failed.
    #[serde(rename = "post.failed")]
    PostFailed,
    /// It cannot be known whether a target was published: the product decides.
    #[serde(rename = "post.outcome_unknown")]
    PostOutcomeUnknown,
    /// A target was cancelled before anything was published.
    #[serde(rename = "post.cancelled")]
    PostCancelled,
    /// Statistics of a connection were read.
    #[serde(rename = "stats.updated")]
    StatsUpdated,
    /// A connection ends soon, and only its creator can put that off.
    #[serde(rename = "connection.expiring")]
    ConnectionExpiring,
    /// A comment, reply or mention by somebody else.
    #[serde(rename = "comment.received")]
    CommentReceived,
    /// A private message to the account.
    #[serde(rename = "message.received")]
    MessageReceived,
    /// Somebody began to follow or to pay.
    #[serde(rename = "fan.new")]
    FanNew,
    /// Somebody prolonged what they pay for, or came back.
    #[serde(rename = "fan.renewed")]
    FanRenewed,
    /// Somebody no longer follows or pays.
    #[serde(rename = "fan.lost")]
    FanLost,
    /// Money was earned or taken back.
    #[serde(rename = "earning.recorded")]
    EarningRecorded,
}

impl EventKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::ConnectionConnected,
        Self::ConnectionDisconnected,
        Self::ConnectionNeedsReauth,
        Self::ConnectionRecovered,
        Self::ConnectionExpiring,
        Self::PostQueued,
        Self::PostPublishing,
        Self::PostPublished,
        Self::PostInbox,
        Self::PostFailed,
        Self::PostOutcomeUnknown,
        Self::PostCancelled,
        Self::StatsUpdated,
        Self::CommentReceived,
        Self::MessageReceived,
        Self::FanNew,
        Self::FanRenewed,
        Self::FanLost,
        Self::EarningRecorded,
    ];

    /// The name in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionConnected => "connection.connected",
            Self::ConnectionNeedsReauth => "connection.needs_reauth",
            Self::ConnectionDisconnected => "connection.disconnected",
            Self::ConnectionRecovered => "connection.recovered",
            Self::PostQueued => "post.queued",
            Self::PostPublishing => "post.publishing",
            Self::PostPublished => "post.published",
            Self::PostInbox => "post.inbox",
            Self::PostFailed => "post.failed",
            Self::PostOutcomeUnknown => "post.outcome_unknown",
            Self::PostCancelled => "post.cancelled",
            Self::StatsUpdated => "stats.updated",
            Self::ConnectionExpiring => "connection.expiring",
            Self::CommentReceived => "comment.received",
            Self::MessageReceived => "message.received",
            Self::FanNew => "fan.new",
            Self::FanRenewed => "fan.renewed",
            Self::FanLost => "fan.lost",
            Self::EarningRecorded => "earning.recorded",
        }
    }
}

/// One thing that the product is told, written in the transaction of the change that it tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its id, derived from its cause: see [`EventId::of`].
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// Whom it concerns.
    pub user_id: UserId,
    /// When it was committed.
    pub at: Timestamp,
    /// The particulars. Never a token, a code or a platform's raw text.
    pub detail: Value,
}
