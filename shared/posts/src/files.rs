//! The media bucket: multipart uploads that clients send by presigned URLs, and files read in ranges.

use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_types::timeout::TimeoutConfig;
use bytes::Bytes;
use domain::{MediaKind, Secret};
use futures_util::Stream;
use platforms::MediaInfo;
use store::targets::TargetMedia;
use transport::{BytesStream, SourceError};

use crate::movie;
use crate::plan::Stored;

/// How long putting a file together may take; the gateway gives up after 30 seconds.
const COMPLETION: Duration = Duration::from_secs(20);

/// How long a platform may take to begin and end fetching a file: TikTok gives itself an hour
/// (tiktok.md §4.7), and a start may be tried again.
const ADDRESS_LIFE: Duration = Duration::from_secs(6 * 3_600);

/// The media bucket.
#[derive(Clone, Debug)]
pub struct Files {
    client: aws_sdk_s3::Client,
    bucket: String,
    /// Where the bucket's content is served to platforms: https, no slash at the end.
    base: Option<String>,
}

/// Why the bucket could not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilesError {
    /// S3 did not do it, even after the SDK's retries; its error code. Trying later may help.
    #[error("the media bucket did not answer as needed: {0}")]
    Unavailable(String),
    /// There is no such upload or file any more.
    #[error("there is no such upload or file any more")]
    Gone,
}

/// A range of a file on its way to somewhere.
pub(crate) struct Reading {
    /// The bytes.
    pub(crate) bytes: BytesStream,
    /// Whether it was the bucket that broke off.
    pub(crate) broken: Broken,
}

/// Tells, after the reading, why the bucket broke off, if it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Broken(Arc<OnceLock<String>>);

impl Files {
    /// Over the bucket of this name.
    pub fn new(client: aws_sdk_s3::Client, bucket: impl Into<String>) -> Self {
        Self {
            client,
            bucket: bucket.into(),
            base: None,
        }
    }

    /// The same bucket, whose content platforms can fetch below this https address: it answers
    /// `<base>/<object key>?<query>` with what the bucket answers to the same request at its own
    /// address, without redirects (the template's media distribution does). Empty: they cannot.
    #[must_use]
    pub fn served_at(mut self, base: &str) -> Self {
        let base = base.trim_end_matches('/');
        self.base = (!base.is_empty()).then(|| base.to_owned());
        self
    }

    /// A post's files as machines know them, each with the address at which the platform can fetch it
    /// for the next hours. No network.
    pub(crate) async fn infos(&self, media: &[TargetMedia]) -> Vec<MediaInfo> {
        let mut infos = Vec::with_capacity(media.len());
        for file in media {
            infos.push(MediaInfo {
                kind: file.kind,
                size: file.size,
                duration_ms: file.duration_ms,
                stored: file.source_url.is_none(),
                address: match &file.source_url {
                    Some(url) => Some(Secret::new(url)),
                    None => self.address(&file.object_key).await,
                },
            });
        }
        infos
    }

    /// Where platforms can fetch the file for the next hours: the bucket's own signed address, below
    /// the served one.
    pub(crate) async fn address(&self, key: &str) -> Option<Secret> {
        let base = self.base.as_deref()?;
        let config = PresigningConfig::expires_in(ADDRESS_LIFE).ok()?;
        let signed = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .presigned(config)
            .await;
        let signed = match signed {
            Ok(signed) => signed,
            Err(error) => {
                let error = unavailable(error);
                tracing::error!(error = %error, "a file's address could not be signed");
                return None;
            }
        };
        // Path style: what follows the bucket's name is the same at the served address.
        let (_, rest) = signed.uri().split_once(&format!("/{}/", self.bucket))?;
        Some(Secret::new(format!("{base}/{rest}")))
    }

    /// How long the file plays, in milliseconds, where it is a film that says so.
    pub(crate) async fn duration_ms(
        &self,
        key: &str,
        kind: MediaKind,
        size: u64,
    ) -> Result<Option<u64>, FilesError> {
        if !matches!(kind, MediaKind::Mp4 | MediaKind::Mov) {
            return Ok(None);
        }
        let mut search = movie::Search::new(size);
        while let Some(range) = search.wants() {
            let bytes = self.collect(key, range).await?;
            search.read(&bytes);
        }
        Ok(search.duration_ms())
    }

    /// Begins an upload in parts; gives S3's id of it.
    pub(crate) async fn begin(&self, key: &str) -> Result<String, FilesError> {
        let answer = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
            .map_err(unavailable)?;
        answer
            .upload_id
            .ok_or_else(|| FilesError::Unavailable("no upload id".to_owned()))
    }

    /// A URL to which whoever holds it may PUT part `number`, for as long as `valid`. The length is
    /// signed, so S3 takes no other one. No network.
    pub(crate) async fn part_url(
        &self,
        key: &str,
        upload_id: &str,
        number: u64,
        length: u64,
        valid: Duration,
    ) -> Result<String, FilesError> {
        let config = PresigningConfig::expires_in(valid)
            .map_err(|error| FilesError::Unavailable(error.to_string()))?;
        let request = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload_id)
            .part_number(narrow(number))
            .content_length(i64::try_from(length).unwrap_or(i64::MAX))
            .presigned(config)
            .await
            .map_err(unavailable)?;
        Ok(request.uri().to_owned())
    }

    /// The parts that are stored, from after number `after`, at most `limit` (S3 gives up to 1,000);
    /// `Gone` where the upload was completed or given up.
    pub(crate) async fn parts(
        &self,
        key: &str,
        upload_id: &str,
        after: u64,
        limit: u64,
    ) -> Result<Vec<Stored>, FilesError> {
        let answer = self
            .client
            .list_parts()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload_id)
            .part_number_marker(after.to_string())
            .max_parts(narrow(limit.min(1_000)))
            .send()
            .await
            .map_err(unavailable)?;
        Ok(answer
            .parts
            .unwrap_or_default()
            .into_iter()
            .filter_map(|part| {
                Some(Stored {
                    number: u64::try_from(part.part_number?).ok()?,
                    size: u64::try_from(part.size.unwrap_or(0)).ok()?,
                    etag: part.e_tag?,
                })
            })
            .collect())
    }

    /// All parts that are stored.
    pub(crate) async fn all_parts(
        &self,
        key: &str,
        upload_id: &str,
    ) -> Result<Vec<Stored>, FilesError> {
        let mut stored: Vec<Stored> = Vec::new();
        loop {
            let after = stored.last().map_or(0, |part| part.number);
            let page = self.parts(key, upload_id, after, 1_000).await?;
            let full = page.len() >= 1_000;
            stored.extend(page);
            if !full {
                return Ok(stored);
            }
        }
    }

    /// Stores part `number`.
    pub(crate) async fn put_part(
        &self,
        key: &str,
        upload_id: &str,
        number: u64,
        bytes: Bytes,
    ) -> Result<Stored, FilesError> {
        let size = bytes.len() as u64;
        let answer = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload_id)
            .part_number(narrow(number))
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(unavailable)?;
        let etag = answer
            .e_tag
            .ok_or_else(|| FilesError::Unavailable("no ETag".to_owned()))?;
        Ok(Stored { number, size, etag })
    }

    /// Puts the parts together.
    pub(crate) async fn complete(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[Stored],
    ) -> Result<(), FilesError> {
        let parts = parts
            .iter()
            .map(|part| {
                CompletedPart::builder()
                    .part_number(narrow(part.number))
                    .e_tag(&part.etag)
                    .build()
            })
            .collect();
        let list = CompletedMultipartUpload::builder()
            .set_parts(Some(parts))
            .build();
        // S3 may take its time over many parts. Tried again, a completion that went through answers
        // that there is no such upload.
        let patient = TimeoutConfig::builder()
            .operation_attempt_timeout(COMPLETION)
            .operation_timeout(COMPLETION)
            .build();
        self.client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload_id)
            .multipart_upload(list)
            .customize()
            .config_override(aws_sdk_s3::Config::builder().timeout_config(patient))
            .send()
            .await
            .map(drop)
            .map_err(unavailable)
    }

    /// How many bytes the file has; `Gone` where there is none.
    pub(crate) async fn size(&self, key: &str) -> Result<u64, FilesError> {
        let answer = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
            .map_err(|error| match error.raw_response() {
                // Who may not list a bucket is told 403 of what is not in it.
                Some(answer) if matches!(answer.status().as_u16(), 403 | 404) => FilesError::Gone,
                _ => unavailable(error),
            })?;
        Ok(u64::try_from(answer.content_length.unwrap_or(0)).unwrap_or(0))
    }

    /// The first bytes of the file, at most `count`.
    pub(crate) async fn head(&self, key: &str, count: u64) -> Result<Bytes, FilesError> {
        self.collect(key, 0..count).await
    }

    async fn collect(&self, key: &str, range: Range<u64>) -> Result<Bytes, FilesError> {
        let answer = self.get(key, range).await?;
        let whole = answer
            .collect()
            .await
            .map_err(|error| FilesError::Unavailable(error.to_string()))?;
        Ok(whole.into_bytes())
    }

    /// A range of the file, as it comes: nothing is held but what was last read.
    pub(crate) async fn read(&self, key: &str, range: Range<u64>) -> Result<Reading, FilesError> {
        let broken = Broken::default();
        let source = self.get(key, range).await?;
        let bytes = Box::pin(Source {
            source,
            broken: broken.clone(),
        });
        Ok(Reading { bytes, broken })
    }

    /// Deletes the file; one that is not there is deleted already.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), FilesError> {
        self.client
            .delete_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
            .map(drop)
            .map_err(unavailable)
    }

    /// Gives an upload up, with the parts that are stored.
    pub(crate) async fn abort(&self, key: &str, upload_id: &str) -> Result<(), FilesError> {
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload_id)
            .send()
            .await;
        match aborted.map_err(unavailable) {
            Ok(_) | Err(FilesError::Gone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, key: &str, range: Range<u64>) -> Result<ByteStream, FilesError> {
        let last = range.end.saturating_sub(1);
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .range(format!("bytes={}-{last}", range.start))
            .send()
            .await
            .map_err(unavailable)?;
        Ok(answer.body)
    }
}

impl Broken {
    pub(crate) fn cause(&self) -> Option<String> {
        self.0.get().cloned()
    }
}

struct Source {
    source: ByteStream,
    broken: Broken,
}

impl Stream for Source {
    type Item = Result<Bytes, SourceError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.source).poll_next(context);
        polled.map(|next| {
            next.map(|piece| {
                piece.map_err(|error| {
                    let _known = self.broken.0.set(error.to_string());
                    error.into()
                })
            })
        })
    }
}

fn unavailable<E: ProvideErrorMetadata, R>(error: SdkError<E, R>) -> FilesError {
    let code = match &error {
        SdkError::TimeoutError(_) => "time-out",
        SdkError::DispatchFailure(_) => "no connection",
        other => other.code().unwrap_or("unreadable answer"),
    };
    match code {
        "NoSuchKey" | "NoSuchUpload" | "NotFound" => FilesError::Gone,
        code => FilesError::Unavailable(code.to_owned()),
    }
}

/// S3 counts parts in 32 bits; no file of ours has that many.
fn narrow(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use aws_sdk_s3::Config;
    use aws_sdk_s3::config::{BehaviorVersion, Region, RequestChecksumCalculation};

    use super::*;

    fn files() -> Files {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(Credentials::new("id", "hush", None, None, "test"))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .force_path_style(true)
            .build();
        Files::new(aws_sdk_s3::Client::from_conf(config), "bucket")
    }

    #[tokio::test]
    async fn an_address_is_the_buckets_signed_one_below_the_served_one() {
        assert!(files().address("media/1").await.is_none());
        assert!(files().served_at("").address("media/1").await.is_none());
        let served = files().served_at("https://media.example/files/");
        let address = served.address("media/1").await.unwrap();
        let (path, query) = address.expose().split_once('?').unwrap();
        assert_eq!(path, "https://media.example/files/media/1");
        for part in [
            "X-Amz-Expires=21600",
            "X-Amz-SignedHeaders=host",
            "X-Amz-Signature=",
        ] {
            assert!(query.contains(part), "{query}");
        }
    }

    #[tokio::test]
    async fn a_part_url_signs_the_part_and_its_length_and_no_checksum() {
        let files = files();
        let life = Duration::from_secs(3_600);
        let url = files.part_url("media/1", "up", 3, 8, life).await.unwrap();
        let (path, query) = url.split_once('?').unwrap();
        assert_eq!(path, "https://s3.eu-west-1.amazonaws.com/bucket/media/1");
        let mut names: Vec<_> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .collect();
        names.retain(|(name, _)| !matches!(*name, "X-Amz-Date" | "X-Amz-Signature"));
        names.sort_unstable();
        let expected = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Expires", "3600"),
            ("X-Amz-SignedHeaders", "content-length%3Bhost"),
            ("partNumber", "3"),
            ("uploadId", "up"),
            ("x-id", "UploadPart"),
        ];
        names.retain(|(name, _)| *name != "X-Amz-Credential");
        assert_eq!(names, expected);
        assert!(!url.contains("hush"));
    }
}
