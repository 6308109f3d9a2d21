//! Media, posts and targets as JSON shows them. Instants are RFC 3339 texts; object keys, upload ids
//! and machine states stay inside.

use domain::{
    Actor, ConnectionId, Fault, MediaId, MediaKind, MediaStatus, Platform, PostId, PostOptions,
    PublishedPost, TargetId, TargetStatus, Timestamp,
};
use serde::Serialize;
use store::{Media, Post, Target};

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MediaView {
    /// Which.
    pub id: MediaId,
    /// Where it stands.
    pub status: MediaStatus,
    /// How many bytes it has.
    pub size: u64,
    /// How many bytes each part has, but the last.
    pub part_size: u64,
    /// How many parts it has.
    pub part_count: u64,
    /// What it is, once it is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<MediaKind>,
    /// Its media type, once it is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<&'static str>,
    /// How long it plays, in milliseconds, where the file says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Where it is or was fetched from, where its owner gave an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// Why it could not be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultView>,
    /// When it was begun.
    pub created_at: String,
    /// Until when it is kept: an upload that is not completed by then is given up.
    pub expires_at: String,
}

/// A page of a file's parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartsView {
    /// The parts, by number.
    pub parts: Vec<PartView>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_after: Option<u64>,
    /// When the URLs die; the same page again gives new ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urls_expire_at: Option<String>,
}

/// A part of a file.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct PartView {
    /// Its number, from 1.
    pub part_number: u64,
    /// How many bytes it has: neither more nor fewer are taken.
    pub size: u64,
    /// Whether it is stored.
    pub uploaded: bool,
    /// Its ETag, where it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Where to PUT it, where it is not. Whoever holds it may send the part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A post's targets, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PostStatus {
    /// No target has begun.
    Queued,
    /// Some target is not at its end.
    Publishing,
    /// Every target is published, or waits as a draft.
    Published,
    /// Every target waits as a draft.
    Inbox,
    /// Some targets are published or wait as drafts, the others failed or were cancelled.
    PartlyPublished,
    /// Every target failed or was cancelled.
    Failed,
    /// Every target was cancelled before anything was published.
    Cancelled,
    /// All targets are at their end, and of some it cannot be known at which: the product decides.
    OutcomeUnknown,
}

/// A post with its targets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PostView {
    /// Which.
    pub id: PostId,
    /// Its targets, taken together.
    pub status: PostStatus,
    /// The caption, where a target has none of its own.
    pub text: String,
    /// The files, in order.
    pub media: Vec<MediaId>,
    /// The targets, in the order asked.
    pub targets: Vec<TargetView>,
    /// When it was accepted.
    pub created_at: String,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetView {
    /// Which.
    pub id: TargetId,
    /// Through which connection.
    pub connection_id: ConnectionId,
    /// On which platform.
    pub platform: Platform,
    /// Where it stands.
    pub status: TargetStatus,
    /// The caption as it is published there.
    pub text: String,
    /// What was chosen.
    pub options: PostOptions,
    /// How far the bytes are.
    pub progress: ProgressView,
    /// What the platform calls the result, once it is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedPost>,
    /// The last trouble: of a target that goes on, what it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultView>,
    /// When it is looked at next; absent once it is at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// Whether the product asked for it to be cancelled and it is not settled yet.
    #[serde(skip_serializing_if = "is_false")]
    pub cancel_requested: bool,
    /// When it was accepted.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// How far the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProgressView {
    /// Sent to the platform, as far as is known.
    pub sent_bytes: u64,
    /// In all.
    pub total_bytes: u64,
}

/// Trouble, for the product and its people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultView {
    /// Stable.
    pub code: &'static str,
    /// What happened and what to do.
    pub sentence: String,
    /// Who must act.
    pub actor: Actor,
    /// The platform's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_code: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl MediaView {
    /// The file as it stands.
    pub fn of(media: &Media) -> Self {
        Self {
            id: media.media_id.clone(),
            status: media.status,
            size: media.size,
            part_size: media.part_size,
            part_count: media.parts(),
            kind: media.kind,
            content_type: media.kind.map(MediaKind::content_type),
            duration_ms: media.duration_ms,
            source_url: media.source_url.clone(),
            fault: media.fault.as_ref().map(FaultView::of),
            created_at: media.created_at.rfc3339(),
            expires_at: media.expires_at.rfc3339(),
        }
    }
}

impl PartsView {
    pub(crate) fn new(
        parts: Vec<PartView>,
        next_after: Option<u64>,
        urls_expire_at: Timestamp,
    ) -> Self {
        Self {
            parts,
            next_after,
            urls_expire_at: Some(urls_expire_at.rfc3339()),
        }
    }

    /// Of a file that is complete.
    pub(crate) fn none() -> Self {
        Self {
            parts: Vec::new(),
            next_after: None,
            urls_expire_at: None,
        }
    }
}

/// Without the URL, which is a permission.
impl std::fmt::Debug for PartView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartView")
            .field("part_number", &self.part_number)
            .field("size", &self.size)
            .field("uploaded", &self.uploaded)
            .finish_non_exhaustive()
    }
}

impl PostStatus {
    /// What the targets' statuses come to.
    pub fn of(targets: impl IntoIterator<Item = TargetStatus> + Clone) -> Self {
        let any = |wanted: TargetStatus| targets.clone().into_iter().any(|status| status == wanted);
        let all = |wanted: TargetStatus| targets.clone().into_iter().all(|status| status == wanted);
        let settled = targets.clone().into_iter().all(TargetStatus::is_settled);
        let good = any(TargetStatus::Published) || any(TargetStatus::Inbox);
        match () {
            () if all(TargetStatus::Queued) => Self::Queued,
            () if !settled => Self::Publishing,
            () if any(TargetStatus::OutcomeUnknown) => Self::OutcomeUnknown,
            () if all(TargetStatus::Inbox) => Self::Inbox,
            () if all(TargetStatus::Cancelled) => Self::Cancelled,
            () if !any(TargetStatus::Failed) && !any(TargetStatus::Cancelled) => Self::Published,
            () if good => Self::PartlyPublished,
            () => Self::Failed,
        }
    }
}

impl PostView {
    /// The post with its targets, given in any order.
    pub fn of(post: &Post, targets: &[Target]) -> Self {
        let in_order: Vec<_> = post
            .targets
            .iter()
            .filter_map(|id| targets.iter().find(|target| target.target_id == *id))
            .collect();
        Self {
            id: post.post_id.clone(),
            status: PostStatus::of(in_order.iter().map(|target| target.status)),
            text: post.text.clone(),
            media: post.media.clone(),
            targets: in_order.into_iter().map(TargetView::of).collect(),
            created_at: post.created_at.rfc3339(),
        }
    }
}

impl TargetView {
    /// The target as it stands.
    pub fn of(target: &Target) -> Self {
        let total_bytes = target.media.iter().map(|media| media.size).sum();
        Self {
            id: target.target_id.clone(),
            connection_id: target.connection_id.clone(),
            platform: target.platform,
            status: target.status,
            text: target.text.clone(),
            options: target.options.clone(),
            progress: ProgressView {
                sent_bytes: target.sent_bytes.min(total_bytes),
                total_bytes,
            },
            published: target.published.clone(),
            fault: target.fault.as_ref().map(FaultView::of),
            next_at: target
                .due_at
                .filter(|_| !target.status.is_settled())
                .map(Timestamp::rfc3339),
            cancel_requested: target.cancel_asked_at.is_some() && !target.status.is_settled(),
            created_at: target.created_at.rfc3339(),
            updated_at: target.updated_at.rfc3339(),
        }
    }
}

impl FaultView {
    /// What may be shown of it.
    pub fn of(fault: &Fault) -> Self {
        Self {
            code: fault.kind.code(),
            sentence: fault.explain().to_owned(),
            actor: fault.kind.actor(),
            platform_code: fault.platform_code.clone(),
            until: fault.until.map(Timestamp::rfc3339),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_stands_where_its_targets_stand() {
        use PostStatus as Post;
        use TargetStatus::{
            Cancelled, Failed, Inbox, OutcomeUnknown, Published, Publishing, Queued,
        };
        for (targets, status) in [
            (&[Queued, Queued][..], Post::Queued),
            (&[Queued, Published], Post::Publishing),
            (&[Publishing, OutcomeUnknown], Post::Publishing),
            (&[Published], Post::Published),
            (&[Published, Inbox], Post::Published),
            (&[Inbox, Inbox], Post::Inbox),
            (&[Published, Failed], Post::PartlyPublished),
            (&[Inbox, Failed], Post::PartlyPublished),
            (&[Failed, Failed], Post::Failed),
            (&[Failed, OutcomeUnknown, Published], Post::OutcomeUnknown),
            (&[Cancelled, Cancelled], Post::Cancelled),
            (&[Cancelled, Failed], Post::Failed),
            (&[Cancelled, Published], Post::PartlyPublished),
        ] {
            assert_eq!(Post::of(targets.iter().copied()), status, "{targets:?}");
        }
    }
}
