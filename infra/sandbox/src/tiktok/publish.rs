//! A publish from its init on: what was asked, where its bytes are, what became of it.

use aws_lc_rs::digest;
use serde::Serialize;
use serde_json::Value;

use super::choices::PendingRelease;
use super::people::User;
use super::plan::Plan;
use super::probe::Probe;
use super::settings::Settings;

/// One publish, from its init on.
#[derive(Clone, Debug)]
pub(crate) struct Publish {
    pub(crate) publish_id: String,
    pub(crate) client_key: String,
    pub(crate) user: String,
    pub(crate) open_id: String,
    pub(crate) direct: bool,
    /// Photos, not a video.
    pub(crate) photo: bool,
    pub(crate) created_ms: i64,
    /// `post_info` as sent; null for video drafts.
    pub(crate) post_info: Value,
    pub(crate) source: Source,
    pub(crate) status: Status,
    pub(crate) fail_reason: Option<String>,
    /// A draft that its user threw away.
    pub(crate) discarded: bool,
    /// Public posts not yet through moderation.
    pub(crate) in_moderation: u32,
    /// `complete` events that wait for their `publicly_available`.
    pub(crate) complete_owed: u32,
    /// The delivery that last told of completion.
    pub(crate) told_complete: Option<u64>,
    /// Status calls since it was complete.
    pub(crate) polls: u32,
    pub(crate) posts: Vec<Post>,
}

/// Where the bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// `FILE_UPLOAD`.
    File(Box<Upload>),
    /// `PULL_FROM_URL`: one video, or photos in their order.
    Pull(Vec<Pulled>),
}

/// An upload under way.
#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) upload_id: String,
    pub(crate) upload_token: String,
    pub(crate) expires_ms: i64,
    pub(crate) plan: Plan,
    pub(crate) received: u64,
    /// State of the hash at the last chunk boundary.
    pub(crate) hash: digest::Context,
    pub(crate) probe: Probe,
    pub(crate) chunks: Vec<Chunk>,
    /// The bytes, where settings ask to keep them.
    pub(crate) kept: Option<Vec<u8>>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload")
            .field("upload_id", &self.upload_id)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl Upload {
    /// Whether every byte came.
    pub(crate) fn is_complete(&self) -> bool {
        self.received == self.plan.video_size
    }
}

/// One file that is fetched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulled {
    pub(crate) url: String,
    pub(crate) received: u64,
    /// Length by its source's headers, once known.
    pub(crate) expected: Option<u64>,
    /// The status that the source answered.
    pub(crate) status: Option<u16>,
    /// Why it could not be had.
    pub(crate) error: Option<String>,
    /// Hash of the bytes; known when all are in.
    pub(crate) sha256: Option<String>,
    pub(crate) probe: Probe,
    /// The bytes, where settings ask to keep them.
    pub(crate) kept: Option<Vec<u8>>,
}

/// One accepted chunk.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Chunk {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) at_ms: i64,
}

/// One post that came of a publish; a draft may be posted more than once.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Post {
    pub(crate) post_id: u64,
    pub(crate) available: bool,
}

/// The documented states (tiktok.md §4.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    ProcessingUpload,
    ProcessingDownload,
    SendToUserInbox,
    PublishComplete,
    Failed,
}

impl Publish {
    /// `DIRECT_PUBLISH` or `INBOX_SHARE`, as webhooks say it.
    pub(crate) fn publish_type(&self) -> &'static str {
        if self.direct {
            "DIRECT_PUBLISH"
        } else {
            "INBOX_SHARE"
        }
    }

    /// Whether the platform still works on it.
    pub(crate) fn is_processing(&self) -> bool {
        matches!(
            self.status,
            Status::ProcessingUpload | Status::ProcessingDownload
        )
    }

    /// Whether bytes are still being fetched, so that it may be cancelled.
    pub(crate) fn is_pulling(&self) -> bool {
        self.is_processing() && matches!(&self.source, Source::Pull(_)) && !self.has_bytes()
    }

    /// Whether every byte is in.
    pub(crate) fn has_bytes(&self) -> bool {
        match &self.source {
            Source::File(upload) => upload.is_complete(),
            Source::Pull(files) => files.iter().all(|file| file.sha256.is_some()),
        }
    }

    /// The privacy level asked for.
    pub(crate) fn privacy(&self) -> Option<&str> {
        self.post_info.get("privacy_level").and_then(Value::as_str)
    }

    /// Why the media cannot be posted, if it cannot.
    pub(crate) fn media_fault(&self, user: &User, settings: &Settings) -> Option<&'static str> {
        let check = |probe: &Probe| {
            if self.photo {
                probe.photo_fault(settings.megabyte)
            } else {
                probe.video_fault(user.longest_seconds())
            }
        };
        match &self.source {
            _ if !settings.check_media => None,
            Source::File(upload) => check(&upload.probe),
            Source::Pull(files) => files.iter().find_map(|file| check(&file.probe)),
        }
    }

    /// Whether it counts as a pending share: a video draft, or photos sent as one (tiktok.md §4.5).
    pub(crate) fn is_pending(&self, release: PendingRelease) -> bool {
        if self.direct {
            return false;
        }
        match release {
            PendingRelease::Never => true,
            PendingRelease::Delivery => self.is_processing(),
            PendingRelease::Post => {
                !self.discarded && (self.is_processing() || self.status == Status::SendToUserInbox)
            }
        }
    }
}
