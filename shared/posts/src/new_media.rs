//! New files: what a request for one may say, and what comes of it.

use std::time::Duration;

use domain::{MediaId, MediaKind, MediaStatus, Timestamp, UserId};
use futures_util::StreamExt;
use platforms::Violation;
use store::Media;
use transport::public_url;

use crate::error::PostsError;
use crate::fetch::FetchMessage;
use crate::media::{FILE_LIFE, MAX_MEDIA_BYTES, NewMedia, UPLOAD_LIFE, Uploads};
use crate::plan::part_size;
use crate::queue::Work;

/// How long looking at a file that stays where it is may take.
const LOOK: Duration = Duration::from_secs(10);

impl Uploads {
    /// The row of a new file.
    pub(crate) async fn drawn(
        &self,
        user: &UserId,
        new: &NewMedia,
        now: Timestamp,
    ) -> Result<Media, PostsError> {
        let media_id = MediaId::new(now, self.entropy.as_ref());
        let mut media = Media {
            user_id: user.clone(),
            // The key names no user: it appears in URLs.
            object_key: format!("media/{media_id}"),
            media_id,
            upload_id: String::new(),
            size: new.size.unwrap_or(0),
            part_size: part_size(new.size.unwrap_or(0)),
            status: MediaStatus::Uploading,
            kind: None,
            duration_ms: None,
            source_url: new.url.clone(),
            source_version: None,
            fetch_lease: None,
            fetch_tries: 0,
            fault: None,
            posted_in: Default::default(),
            created_at: now,
            expires_at: now.plus_secs(UPLOAD_LIFE),
        };
        match &new.url {
            Some(url) if self.is_verified(url) => {
                let (kind, size) = self.looked_up(url).await?;
                media.object_key.clear();
                media.kind = Some(kind);
                media.size = size;
                media.status = MediaStatus::Ready;
                media.expires_at = now.plus_secs(FILE_LIFE);
            }
            Some(_) => {
                media.status = MediaStatus::Fetching;
                media.upload_id = self.files.begin(&media.object_key).await?;
            }
            None => media.upload_id = self.files.begin(&media.object_key).await?,
        }
        Ok(media)
    }

    /// Whether platforms may be given this address itself.
    fn is_verified(&self, url: &str) -> bool {
        // As the platform does: by the text (tiktok.md §4.7). A path that climbs out is no part of it.
        let plain = !url.contains("/../") && !url.contains("/./") && !url.contains('\\');
        plain && self.verified.iter().any(|prefix| url.starts_with(prefix))
    }

    /// What a file that stays where it is holds, by its first bytes, and how many it has.
    async fn looked_up(&self, url: &str) -> Result<(MediaKind, u64), PostsError> {
        let unfit = |sentence: &str| {
            PostsError::Invalid(vec![Violation {
                field: "url".to_owned(),
                code: "not_fetched",
                sentence: sentence.to_owned(),
            }])
        };
        let fetched = self.source.fetch(url, 0, None, LOOK).await;
        let mut fetched = fetched.map_err(|error| {
            tracing::info!(error = %error, "a file could not be looked at");
            unfit("The file could not be looked at. Its address must answer with the file itself, without a redirect.")
        })?;
        let size = fetched
            .total
            .filter(|size| *size > 0 && *size <= MAX_MEDIA_BYTES);
        let size = size.ok_or_else(|| {
            unfit("The address must tell the file's size (Content-Length), of at most 4,000,000,000 bytes.")
        })?;
        let mut head = Vec::new();
        while head.len() < MediaKind::SNIFF_BYTES {
            match fetched.bytes.next().await {
                Some(Ok(piece)) => head.extend_from_slice(&piece),
                _ => break,
            }
        }
        let kind = MediaKind::sniff(&head);
        let kind = kind.ok_or_else(|| unfit(
            "The file is no MP4, MOV or WebM video and no JPEG, PNG or WebP image by its content.",
        ))?;
        Ok((kind, size))
    }

    /// Has a worker fetch the file.
    pub(crate) async fn order(&self, media: &Media) -> Result<(), PostsError> {
        let message = FetchMessage {
            user_id: media.user_id.clone(),
            media_id: media.media_id.clone(),
        };
        let sent = self.queue.send(&Work::Fetch(message), Duration::ZERO).await;
        if let Err(error) = sent {
            // Nobody would ever fetch it.
            self.media.deleted(media, &self.attempt()).await?;
            self.drop_bytes(media).await?;
            return Err(error.into());
        }
        Ok(())
    }
}

/// What is wrong with the request as it is.
pub(crate) fn check_new(new: &NewMedia) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut broken = |field: &str, code: &'static str, sentence: &str| {
        found.push(Violation {
            field: field.to_owned(),
            code,
            sentence: sentence.to_owned(),
        });
    };
    match (new.size, &new.url) {
        (None, None) => broken(
            "size",
            "missing",
            "Say how many bytes the file has, or give the url that it is fetched from.",
        ),
        (Some(_), Some(_)) => broken(
            "size",
            "conflict",
            "Give either size, to send the file in parts, or url, to have it fetched.",
        ),
        (Some(0), None) => broken("size", "empty", "The file is empty."),
        (Some(size), None) if size > MAX_MEDIA_BYTES => broken(
            "size",
            "too_large",
            "No platform takes more than 4,000,000,000 bytes.",
        ),
        (Some(_), None) => {}
        (None, Some(url)) => {
            if public_url(url).is_err() {
                broken(
                    "url",
                    "not_public",
                    "Give an https address of a public host, by name, without port and user part, of at most 2,048 bytes.",
                );
            }
        }
    }
    let known = |name: &str| {
        let bare = name.split(';').next().unwrap_or("").trim();
        KINDS
            .iter()
            .any(|kind| kind.content_type().eq_ignore_ascii_case(bare))
    };
    if new.content_type.as_deref().is_some_and(|name| !known(name)) {
        broken(
            "content_type",
            "unsupported_type",
            "Send an MP4, MOV or WebM video or a JPEG, PNG or WebP image, or leave this out.",
        );
    }
    found
}

const KINDS: &[MediaKind] = &[
    MediaKind::Mp4,
    MediaKind::Mov,
    MediaKind::WebM,
    MediaKind::Jpeg,
    MediaKind::WebP,
    MediaKind::Png,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_files_have_a_size_and_a_type_that_some_platform_takes() {
        let good = Some("https://files.example.com/a.mp4");
        type Row = (
            Option<u64>,
            Option<&'static str>,
            Option<&'static str>,
            &'static [&'static str],
        );
        let table: &[Row] = &[
            (Some(1), None, None, &[]),
            (Some(MAX_MEDIA_BYTES), Some("video/mp4"), None, &[]),
            (Some(1), Some("Video/MP4; codecs=avc1"), None, &[]),
            (Some(0), None, None, &["size"]),
            (
                Some(MAX_MEDIA_BYTES + 1),
                Some("text/html"),
                None,
                &["size", "content_type"],
            ),
            (None, None, None, &["size"]),
            (None, None, good, &[]),
            (Some(1), None, good, &["size"]),
            (None, None, Some("http://files.example.com/a"), &["url"]),
            (None, None, Some("https://10.0.0.1/a"), &["url"]),
        ];
        for (size, content_type, url, fields) in table {
            let new = NewMedia {
                size: *size,
                content_type: content_type.map(str::to_owned),
                url: url.map(str::to_owned),
            };
            let found = check_new(&new);
            let found: Vec<_> = found.iter().map(|found| found.field.as_str()).collect();
            assert_eq!(&found, fields, "{new:?}");
        }
    }
}
