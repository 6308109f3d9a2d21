//! Posts and their targets.

use serde::{Deserialize, Serialize};

/// How a platform is asked to take a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Publish.
    #[default]
    Direct,
    /// Hand over as a draft that the creator finishes in the platform's app.
    Inbox,
}

/// How a platform gets a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transfer {
    /// We send the bytes.
    Upload,
    /// The platform fetches them from our media address.
    Pull,
}

/// What a caller may say about a post on one platform. A platform refuses what it cannot honour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostOptions {
    /// Publish, or hand over as a draft.
    pub mode: Mode,
    /// Who may see it, in the platform's own words (TikTok: `SELF_ONLY` …).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<String>,
    /// Comments are switched off.
    pub disable_comment: bool,
    /// TikTok duets are switched off.
    pub disable_duet: bool,
    /// TikTok stitches are switched off.
    pub disable_stitch: bool,
    /// Which frame is the cover, in milliseconds from the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cover_at_ms: Option<u32>,
    /// Paid partnership with a third party.
    pub branded_content: bool,
    /// Advertises the creator's own business.
    pub own_brand: bool,
    /// Labelled as made by AI.
    pub ai_generated: bool,
    /// A title beside the text, where a platform has both (TikTok photos).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How the platform gets the files; absent: as suits it best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer>,
    /// The platform may put music under photos.
    pub add_music: bool,
    /// Which photo is the cover, from 0; the first where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cover_index: Option<u32>,
}

/// Where a target stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetStatus {
    /// Accepted; nothing was sent yet.
    Queued,
    /// Under way.
    Publishing,
    /// The platform published it.
    Published,
    /// The platform holds it as a draft; the creator must finish it there.
    Inbox,
    /// It ended with a fault.
    Failed,
    /// A call's answer was lost and the platform cannot be asked: the product decides.
    OutcomeUnknown,
    /// The product took it back before anything was published.
    Cancelled,
}

impl TargetStatus {
    /// The name in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Publishing => "publishing",
            Self::Published => "published",
            Self::Inbox => "inbox",
            Self::Failed => "failed",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether our workers have nothing more to do with it.
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Queued | Self::Publishing)
    }
}

/// What the platform calls a published post.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPost {
    /// The platform's ids of it: none for a private post, several where a draft was posted twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Where it can be seen, where the platform says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
