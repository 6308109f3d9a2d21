//! The people who have accounts.

use serde::{Deserialize, Serialize};

/// One person with an account.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// The account's name, and its key in control calls.
    pub username: String,
    /// Shown name; the user name when empty.
    pub display_name: String,
    /// A private account: other privacy options, and the only kind an unaudited app may post to.
    pub private: bool,
    /// The profile's text.
    pub bio_description: String,
    /// The badge.
    pub is_verified: bool,
    /// Followers.
    pub follower_count: i64,
    /// Followed accounts.
    pub following_count: i64,
    /// Likes received beside those of the videos that the stand-in holds.
    pub likes_count: i64,
    /// Public videos beside those that the stand-in holds.
    pub video_count: i64,
    /// Banned from posting through the API.
    pub banned_from_posting: bool,
    /// The person's TikTok app is older than 31.8, too old for photo drafts.
    pub old_app: bool,
    /// The picture's address; one is made up, with an expiry, when empty.
    pub avatar_url: String,
    /// Comments switched off by the creator.
    pub comment_disabled: bool,
    /// Duets switched off by the creator.
    pub duet_disabled: bool,
    /// Stitches switched off by the creator.
    pub stitch_disabled: bool,
    /// Longest video in seconds; 600 when 0.
    pub max_video_post_duration_sec: i64,
}

impl User {
    /// The shown name.
    pub(crate) fn shown(&self) -> &str {
        if self.display_name.is_empty() {
            &self.username
        } else {
            &self.display_name
        }
    }

    /// What the creator may choose from (tiktok.md §4.1).
    pub(crate) fn privacy_options(&self) -> [&'static str; 3] {
        let widest = if self.private {
            "FOLLOWER_OF_CREATOR"
        } else {
            "PUBLIC_TO_EVERYONE"
        };
        [widest, "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]
    }

    /// Seconds of the longest video that may be posted.
    pub(crate) fn longest_seconds(&self) -> i64 {
        match self.max_video_post_duration_sec {
            0 => 600,
            seconds => seconds,
        }
    }

    /// The picture's address, good for `seconds` from now.
    pub(crate) fn avatar(&self, size: u32, now_ms: i64, seconds: i64) -> String {
        if !self.avatar_url.is_empty() {
            return self.avatar_url.clone();
        }
        super::text::signed_image(&format!("{}~{size}", self.username), now_ms, seconds)
    }
}
