//! The buckets: objects that go with a row, and archives that are written part by part.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use store::erasure::Bucket;

use crate::RequestsError;
use crate::error::code;

/// The buckets of the deployment.
#[derive(Clone, Debug)]
pub struct Objects {
    client: aws_sdk_s3::Client,
    media: String,
    deliveries: String,
}

impl Objects {
    /// Over the media bucket of this name, which holds archives too.
    pub fn new(client: aws_sdk_s3::Client, media: impl Into<String>) -> Self {
        Self {
            client,
            media: media.into(),
            deliveries: String::new(),
        }
    }

    /// The same with the bucket of webhook bodies.
    #[must_use]
    pub fn with_bodies(mut self, deliveries: impl Into<String>) -> Self {
        self.deliveries = deliveries.into();
        self
    }

    /// Deletes an object, and whatever was uploaded towards it. What is not there is no error.
    pub(crate) async fn remove(&self, bucket: Bucket, key: &str) -> Result<(), RequestsError> {
        // First the uploads: one that is completed just now is an object afterwards.
        if bucket == Bucket::Media {
            self.abort_all(key).await?;
        }
        self.client
            .delete_object()
            .bucket(self.name(bucket))
            .key(key)
            .send()
            .await
            .map(drop)
            .map_err(|error| RequestsError::Bucket(code(&error)))
    }

    async fn abort_all(&self, key: &str) -> Result<(), RequestsError> {
        let found = self
            .client
            .list_multipart_uploads()
            .bucket(&self.media)
            .prefix(key)
            .send()
            .await
            .map_err(|error| RequestsError::Bucket(code(&error)))?;
        for upload in found.uploads() {
            // The prefix may be another's too.
            if let (Some(same), Some(id)) = (upload.key(), upload.upload_id())
                && same == key
            {
                self.abort(key, id).await?;
            }
        }
        Ok(())
    }

    /// Gives an upload up, with the parts that are stored.
    pub(crate) async fn abort(&self, key: &str, upload_id: &str) -> Result<(), RequestsError> {
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(&self.media)
            .key(key)
            .upload_id(upload_id)
            .send()
            .await;
        match aborted.map_err(|error| code(&error)) {
            Ok(_) => Ok(()),
            Err(code) if code == "NoSuchUpload" => Ok(()),
            Err(code) => Err(RequestsError::Bucket(code)),
        }
    }

    /// The raw body of a webhook; `None` where it is gone.
    pub(crate) async fn body(&self, key: &str) -> Result<Option<Vec<u8>>, RequestsError> {
        let got = self
            .client
            .get_object()
            .bucket(&self.deliveries)
            .key(key)
            .send()
            .await;
        let got = match got {
            Ok(got) => got,
            Err(error) => {
                // Who may not list a bucket is told 403 of what is not in it.
                return match error.raw_response().map(|raw| raw.status().as_u16()) {
                    Some(403 | 404) => Ok(None),
                    _ => Err(RequestsError::Bucket(code(&error))),
                };
            }
        };
        let body = got.body.collect().await;
        let body = body.map_err(|error| RequestsError::Bucket(error.to_string()))?;
        Ok(Some(body.to_vec()))
    }

    /// Begins an archive; gives S3's id of the upload.
    pub(crate) async fn begin(&self, key: &str) -> Result<String, RequestsError> {
        let answer = self
            .client
            .create_multipart_upload()
            .bucket(&self.media)
            .key(key)
            .content_type("application/json")
            .send()
            .await
            .map_err(|error| RequestsError::Bucket(code(&error)))?;
        let id = answer.upload_id;
        id.ok_or_else(|| RequestsError::Bucket("no upload id".to_owned()))
    }

    /// Stores a part; the same number again replaces it. Its ETag; `None` where the upload is gone.
    pub(crate) async fn put_part(
        &self,
        (key, upload_id): (&str, &str),
        number: usize,
        bytes: Vec<u8>,
    ) -> Result<Option<String>, RequestsError> {
        let stored = self
            .client
            .upload_part()
            .bucket(&self.media)
            .key(key)
            .upload_id(upload_id)
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            .body(ByteStream::from(bytes))
            .send()
            .await;
        match stored.map_err(|error| code(&error)) {
            Ok(answer) => match answer.e_tag {
                Some(etag) => Ok(Some(etag)),
                None => Err(RequestsError::Bucket("no ETag".to_owned())),
            },
            Err(code) if code == "NoSuchUpload" => Ok(None),
            Err(code) => Err(RequestsError::Bucket(code)),
        }
    }

    /// Puts the parts together. An upload that is gone was put together by a slice that died.
    pub(crate) async fn complete(
        &self,
        (key, upload_id): (&str, &str),
        etags: &[String],
    ) -> Result<(), RequestsError> {
        let parts = etags.iter().zip(1_i32..).map(|(etag, number)| {
            CompletedPart::builder()
                .part_number(number)
                .e_tag(etag)
                .build()
        });
        let list = CompletedMultipartUpload::builder()
            .set_parts(Some(parts.collect()))
            .build();
        let completed = self
            .client
            .complete_multipart_upload()
            .bucket(&self.media)
            .key(key)
            .upload_id(upload_id)
            .multipart_upload(list)
            .send()
            .await;
        match completed.map_err(|error| code(&error)) {
            Ok(_) => Ok(()),
            Err(code) if code == "NoSuchUpload" => Ok(()),
            Err(code) => Err(RequestsError::Bucket(code)),
        }
    }

    /// An address at which whoever holds it may read an archive for as long as `valid`. No network.
    pub(crate) async fn link(&self, key: &str, valid: Duration) -> Result<String, RequestsError> {
        let config = PresigningConfig::expires_in(valid)
            .map_err(|error| RequestsError::Bucket(error.to_string()))?;
        let signed = self
            .client
            .get_object()
            .bucket(&self.media)
            .key(key)
            .response_content_disposition("attachment; filename=\"export.json\"")
            .presigned(config)
            .await
            .map_err(|error| RequestsError::Bucket(code(&error)))?;
        Ok(signed.uri().to_owned())
    }

    fn name(&self, bucket: Bucket) -> &str {
        match bucket {
            Bucket::Media => &self.media,
            Bucket::Deliveries => &self.deliveries,
        }
    }
}
