//! Files from creators: begun, sent in parts to S3, completed once the bytes were counted and looked
//! at, deleted.

use std::sync::Arc;
use std::time::Duration;

use domain::{AttemptId, Clock, Entropy, MediaId, MediaKind, MediaStatus, Timestamp, UserId};
use platforms::Violation;
use serde::{Deserialize, Serialize};
use store::media::{Created, IdempotencyKey};
use store::{Media, MediaTable, Targets};
use transport::Fetch;

use crate::create::idempotency;
use crate::error::PostsError;
use crate::files::{Files, FilesError};
use crate::new_media::check_new;
use crate::plan::{Named, Stored, check_parts, length_of};
use crate::queue::PublishQueue;
use crate::view::{MediaView, PartView, PartsView};

/// The largest file that any platform takes: the smaller reading of "4 GB".
pub const MAX_MEDIA_BYTES: u64 = 4_000_000_000;
/// How many part URLs one answer holds.
const PAGE: u64 = 100;
/// How long a part's URL is good; new ones are given on demand.
const URL_LIFE: Duration = Duration::from_secs(3_600);
/// The bucket drops uploads that are not completed in two days, and files after thirty.
pub(crate) const UPLOAD_LIFE: i64 = 47 * 3_600;
pub(crate) const FILE_LIFE: i64 = 29 * 24 * 3_600;

/// A file that is about to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMedia {
    /// How many bytes it has, where they are sent in parts. Either this or `url`.
    #[serde(default)]
    pub size: Option<u64>,
    /// What it is, by the caller's word: refused early if no platform takes it, and otherwise not
    /// relied on.
    #[serde(default)]
    pub content_type: Option<String>,
    /// Where it is fetched from instead: https on a public host, without redirects. Below a prefix
    /// that the operator has verified with the platforms it is not fetched at all: platforms are given
    /// the address itself.
    #[serde(default)]
    pub url: Option<String>,
}

/// The list that completes a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartList {
    /// Every part, in order.
    pub parts: Vec<SentPart>,
}

/// A part that a client has sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentPart {
    /// Its number, from 1.
    pub part_number: u64,
    /// The `ETag` header that S3 answered.
    pub etag: String,
}

/// What callers do with files.
#[derive(Clone)]
pub struct Uploads {
    /// The table.
    pub media: MediaTable,
    /// For whether a file is still needed.
    pub targets: Targets,
    /// The bucket.
    pub files: Files,
    /// The way to the product's hosts.
    pub source: Arc<dyn Fetch>,
    /// Prefixes of addresses that the operator has verified with the platforms.
    pub verified: Vec<String>,
    /// For files that are to be fetched.
    pub queue: PublishQueue,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Uploads {
    /// Begins an upload and gives the first page of its part URLs. The same `key` for the same
    /// request gives the same file again.
    pub async fn begin(
        &self,
        user: &UserId,
        new: &NewMedia,
        key: Option<&str>,
    ) -> Result<(MediaView, PartsView), PostsError> {
        let broken = check_new(new);
        if !broken.is_empty() {
            return Err(PostsError::Invalid(broken));
        }
        let asked = serde_json::to_vec(new).unwrap_or_default();
        let key = key.map(|key| idempotency(key, &asked));
        let now = self.clock.now();
        if let Some(key) = &key
            && let Some(before) = self.media.repeated(user, key, now).await?
        {
            return self.begun_before(user, key, &before).await;
        }
        let media = self.drawn(user, new, now).await?;
        let created = self.media.create(&media, key.as_ref(), self.attempt());
        match (created.await?, key) {
            (Created::Before(before), Some(key)) => {
                // The same request was faster on another way; what this one began is not needed.
                self.drop_bytes(&media).await?;
                self.begun_before(user, &key, &before).await
            }
            _ => {
                if media.status == MediaStatus::Fetching {
                    self.order(&media).await?;
                }
                self.with_parts(&media).await
            }
        }
    }

    /// The file.
    pub async fn get(&self, user: &UserId, media: &MediaId) -> Result<MediaView, PostsError> {
        Ok(MediaView::of(&self.find(user, media).await?))
    }

    /// A page of the file's parts from after number `after`: what S3 has, and URLs for the rest. A
    /// client that lost its way resumes by it.
    pub async fn parts(
        &self,
        user: &UserId,
        media: &MediaId,
        after: u64,
    ) -> Result<PartsView, PostsError> {
        let media = self.find(user, media).await?;
        match media.status {
            MediaStatus::Uploading | MediaStatus::Deleted => {}
            MediaStatus::Ready => return Err(COMPLETE),
            MediaStatus::Fetching | MediaStatus::Failed => return Err(FETCHED),
        }
        let stored = self
            .files
            .parts(&media.object_key, &media.upload_id, after, PAGE)
            .await
            .map_err(gone)?;
        self.page(&media, after, &stored).await
    }

    /// Completes the file: every part there, the right number of bytes, and content that some
    /// platform takes. Done again it answers the same.
    pub async fn complete(
        &self,
        user: &UserId,
        media: &MediaId,
        list: &PartList,
    ) -> Result<MediaView, PostsError> {
        let media = self.find(user, media).await?;
        match media.status {
            MediaStatus::Uploading | MediaStatus::Deleted => {}
            MediaStatus::Ready => return Ok(MediaView::of(&media)),
            MediaStatus::Fetching | MediaStatus::Failed => return Err(FETCHED),
        }
        self.put_together(&media, list).await?;
        let size = self.files.size(&media.object_key).await.map_err(gone)?;
        let head = self
            .files
            .head(&media.object_key, MediaKind::SNIFF_BYTES as u64)
            .await
            .map_err(gone)?;
        let kind = MediaKind::sniff(&head).filter(|_| size == media.size);
        let Some(kind) = kind else {
            return self.reject(&media).await;
        };
        let ready = Media {
            kind: Some(kind),
            duration_ms: self
                .files
                .duration_ms(&media.object_key, kind, size)
                .await
                .map_err(gone)?,
            ..media
        };
        let now = self.clock.now();
        let ready = self
            .media
            .ready(&ready, now.plus_secs(FILE_LIFE), &self.attempt())
            .await?;
        let ready = ready.ok_or(PostsError::not_found("media"))?;
        Ok(MediaView::of(&ready))
    }

    /// Deletes the file, or gives its upload up. Refused while a post that needs it is on its way.
    pub async fn delete(&self, user: &UserId, media: &MediaId) -> Result<(), PostsError> {
        let media = self.find(user, media).await?;
        for post in &media.posted_in {
            let targets = self.targets.of_post(post).await?;
            if targets.iter().any(|target| !target.status.is_settled()) {
                return Err(IN_USE);
            }
        }
        if !self.media.deleted(&media, &self.attempt()).await? {
            // A post was made with it just now.
            return Err(IN_USE);
        }
        self.drop_bytes(&media).await
    }

    /// Puts the parts together, unless an earlier try did so and died before it was written down.
    async fn put_together(&self, media: &Media, list: &PartList) -> Result<(), PostsError> {
        let stored = self.files.all_parts(&media.object_key, &media.upload_id);
        let stored = match stored.await {
            Ok(stored) => stored,
            Err(FilesError::Gone) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let named: Vec<_> = list
            .parts
            .iter()
            .map(|part| Named {
                number: part.part_number,
                etag: &part.etag,
            })
            .collect();
        let broken = check_parts(media.size, media.part_size, media.parts(), &named, &stored);
        if !broken.is_empty() {
            return Err(PostsError::Invalid(broken));
        }
        let completed = self
            .files
            .complete(&media.object_key, &media.upload_id, &stored)
            .await;
        match completed {
            Ok(()) | Err(FilesError::Gone) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The bytes are no file that any platform takes (or are not as many as declared, which only a
    /// bucket that miscounts could bring about): they go, and so does the upload.
    async fn reject(&self, media: &Media) -> Result<MediaView, PostsError> {
        self.media.deleted(media, &self.attempt()).await?;
        self.drop_bytes(media).await?;
        Err(PostsError::Invalid(vec![Violation {
            field: "parts".to_owned(),
            code: "media_rejected",
            sentence: "The file is no MP4, MOV or WebM video and no JPEG, PNG or WebP image by its content. It was deleted; upload another file."
                .to_owned(),
        }]))
    }

    pub(crate) async fn drop_bytes(&self, media: &Media) -> Result<(), PostsError> {
        if !media.stored() {
            return Ok(());
        }
        // An upload may have been completed without our writing it down, so both are done.
        self.files
            .abort(&media.object_key, &media.upload_id)
            .await?;
        self.files.delete(&media.object_key).await?;
        Ok(())
    }

    async fn begun_before(
        &self,
        user: &UserId,
        key: &IdempotencyKey,
        before: &store::media::Repeated,
    ) -> Result<(MediaView, PartsView), PostsError> {
        if before.request_hash != key.request_hash {
            return Err(PostsError::KeyReused);
        }
        let id = before.made.parse().map_err(|_| MADE_AND_GONE)?;
        let now = self.clock.now();
        let media = self.media.get(user, &id, now).await?.ok_or(MADE_AND_GONE)?;
        self.with_parts(&media).await
    }

    async fn with_parts(&self, media: &Media) -> Result<(MediaView, PartsView), PostsError> {
        let parts = match media.status {
            MediaStatus::Uploading => self.page(media, 0, &[]).await?,
            _ => PartsView::none(),
        };
        Ok((MediaView::of(media), parts))
    }

    async fn page(
        &self,
        media: &Media,
        after: u64,
        stored: &[Stored],
    ) -> Result<PartsView, PostsError> {
        let count = media.parts();
        let last = after.saturating_add(PAGE).min(count);
        let expires_at = self.clock.now() + URL_LIFE;
        let mut parts = Vec::new();
        for number in after.saturating_add(1)..=last {
            let size = length_of(media.size, media.part_size, number);
            // A part of the wrong size is to be sent again.
            let stored = stored
                .iter()
                .find(|stored| stored.number == number && stored.size == size);
            let url = match stored {
                Some(_) => None,
                None => Some(self.part_url(media, number, size).await?),
            };
            parts.push(PartView {
                part_number: number,
                size,
                uploaded: stored.is_some(),
                etag: stored.map(|stored| stored.etag.clone()),
                url,
            });
        }
        let next_after = (last < count).then_some(last);
        Ok(PartsView::new(parts, next_after, expires_at))
    }

    async fn part_url(&self, media: &Media, number: u64, size: u64) -> Result<String, FilesError> {
        self.files
            .part_url(&media.object_key, &media.upload_id, number, size, URL_LIFE)
            .await
    }

    async fn find(&self, user: &UserId, media: &MediaId) -> Result<Media, PostsError> {
        let now: Timestamp = self.clock.now();
        let found = self.media.get(user, media, now).await?;
        found.ok_or(PostsError::not_found("media"))
    }

    pub(crate) fn attempt(&self) -> AttemptId {
        AttemptId::new(self.clock.now(), self.entropy.as_ref())
    }
}

const IN_USE: PostsError = PostsError::Conflict {
    code: "media_in_use",
    sentence: "A post that needs this file is still being published. Delete it once the post has ended.",
};
const COMPLETE: PostsError = PostsError::Conflict {
    code: "media_complete",
    sentence: "This file is complete: there is nothing left to upload.",
};
const FETCHED: PostsError = PostsError::Conflict {
    code: "media_fetched",
    sentence: "This file is fetched from its address: there is nothing to upload. Read it for where it stands.",
};
const UPLOAD_GONE: PostsError = PostsError::Conflict {
    code: "upload_gone",
    sentence: "This upload is no longer there. Delete the file and begin again.",
};
const MADE_AND_GONE: PostsError = PostsError::Conflict {
    code: "idempotency_key_spent",
    sentence: "What this idempotency key made has been deleted since. Use a new key.",
};

fn gone(error: FilesError) -> PostsError {
    match error {
        FilesError::Gone => UPLOAD_GONE,
        error => error.into(),
    }
}
