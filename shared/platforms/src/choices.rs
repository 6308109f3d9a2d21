//! What an account may post at present, for the form that its creator fills in.

use domain::{Fault, TokenBundle};
use serde::Serialize;

use crate::{Answer, App, Call};

/// How a platform is asked what an account may choose for its next post.
pub trait Choices: Sync {
    /// The request. Repeatable.
    fn request(&self, app: &App, bundle: &TokenBundle) -> Result<Call, Fault>;

    /// Reads the answer. A fault where the account or the app may not post at all.
    fn read(&self, app: &App, answer: Answer<'_>) -> Result<PostingChoices, Fault>;
}

/// What an account may choose for its next post, as the platform said just now. A form shows these
/// and nothing else; they must not be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PostingChoices {
    /// Who posts, as the form must show it.
    pub creator: Creator,
    /// Values of `options.privacy` to choose from. There is no default: the creator chooses.
    pub privacy: Vec<String>,
    /// What may be left switched on under the post; what is not allowed here is always switched off.
    pub interactions: Interactions,
    /// The longest video, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_video_seconds: Option<u64>,
    /// What the form must say, and what will be refused although it can be chosen.
    pub notices: Vec<Notice>,
}

/// The account, as its creator knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Creator {
    /// The handle without `@`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The name that people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// A picture. Its address dies within hours: show it, do not keep it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// What viewers may do with a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interactions {
    /// Comment on it.
    pub comment: bool,
    /// Make a duet with it.
    pub duet: bool,
    /// Make a stitch of it.
    pub stitch: bool,
}

/// Something that a form must say, or that its creator should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Stable: `unaudited`, `public_account`, `sandbox`, `music_usage`, `branded_content`.
    pub code: &'static str,
    /// What it means and what to do.
    pub sentence: String,
}
