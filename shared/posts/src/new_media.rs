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
            Some(url) if is_verified(url, &self.verified) => {
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

/// Whether platforms may be given this address itself: it lies below one of the verified prefixes whoever
/// reads it. The platform compares texts (tiktok.md §4.7), whoever fetches follows the path. So the text
/// must be the very one that a parser makes of it, and its path must not change meaning when a server
/// decodes it once or twice: no encoded dot, slash, backslash or per cent sign, no segment of dots.
fn is_verified(url: &str, prefixes: &[String]) -> bool {
    let Ok(parsed) = public_url(url) else {
        return false;
    };
    let path = parsed.path().to_ascii_lowercase();
    let hides = |code: &str| path.contains(code);
    // Some servers take what follows a `;` for no part of the segment.
    let climbs = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    parsed.as_str() == url
        && !["%2e", "%2f", "%5c", "%25", "\\"].into_iter().any(hides)
        && !path.split('/').any(climbs)
        && prefixes.iter().any(|prefix| url.starts_with(prefix))
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
    fn nothing_leaves_a_verified_prefix() {
        let prefixes = ["https://files.example.com/a/".to_owned()];
        for (url, verified) in [
            ("https://files.example.com/a/1.mp4", true),
            ("https://files.example.com/a/b/c/1.mp4?v=2&from=/../x", true),
            ("https://files.example.com/a/%20b/100%C3%A9.mp4", true),
            ("https://files.example.com/a/..b/.hidden/c..mp4", true),
            ("https://files.example.com/b/1.mp4", false),
            ("https://files.example.com/a", false),
            ("https://other.example.com/a/1.mp4", false),
            ("http://files.example.com/a/1.mp4", false),
            ("https://files.example.com.evil.example/a/1.mp4", false),
            ("https://files.example.com@evil.example/a/1.mp4", false),
            // Dots, plain and in every spelling.
            ("https://files.example.com/a/../b/1.mp4", false),
            ("https://files.example.com/a/./1.mp4", false),
            ("https://files.example.com/a/..", false),
            ("https://files.example.com/a/b/..", false),
            ("https://files.example.com/a/%2e%2e/b/1.mp4", false),
            ("https://files.example.com/a/%2E%2E/b/1.mp4", false),
            ("https://files.example.com/a/.%2e/b/1.mp4", false),
            ("https://files.example.com/a/%2e./b/1.mp4", false),
            ("https://files.example.com/a/%2e/1.mp4", false),
            ("https://files.example.com/a/x%2e%2e/1.mp4", false),
            ("https://files.example.com/a/%252e%252e/b/1.mp4", false),
            ("https://files.example.com/a/%25252e%25252e/b/1.mp4", false),
            ("https://files.example.com/a/..;/b/1.mp4", false),
            ("https://files.example.com/a/..;x=1/b/1.mp4", false),
            // Slashes.
            ("https://files.example.com/a/..%2fb/1.mp4", false),
            ("https://files.example.com/a/..%2Fb/1.mp4", false),
            ("https://files.example.com/a/x%2f..%2f..%2fb/1.mp4", false),
            ("https://files.example.com/a/..\\b\\1.mp4", false),
            ("https://files.example.com/a/..%5cb/1.mp4", false),
            ("https://files.example.com/a/..%5Cb/1.mp4", false),
            ("https://files.example.com\\a\\1.mp4", false),
            // What a parser drops or changes.
            ("https://files.example.com/a/.\t./b/1.mp4", false),
            ("https://files.example.com/a/.\n./b/1.mp4", false),
            (" https://files.example.com/a/1.mp4", false),
            ("https://files.example.com/a/1.mp4#t=1", false),
            ("https://files.example.com:443/a/1.mp4", false),
            ("https:/files.example.com/a/1.mp4", false),
            ("HTTPS://files.example.com/a/1.mp4", false),
            ("https://FILES.example.com/a/1.mp4", false),
            ("https://files.example.com/a/ä.mp4", false),
        ] {
            assert_eq!(is_verified(url, &prefixes), verified, "{url:?}");
        }
        assert!(!is_verified("https://files.example.com/a/1.mp4", &[]));
    }

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
