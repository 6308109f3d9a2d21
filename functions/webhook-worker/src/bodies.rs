//! Raw bodies: in the message or the item while they fit, else in the deliveries bucket.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use data_encoding::BASE64;
use domain::{DeliveryId, ReceivedWebhook};
use lambda::Error;

/// A raw body larger than this is kept in the bucket: an item holds 400 KB, and base64 adds a third.
const MOST_IN_ITEM: usize = 225 * 1_024;

/// The deliveries bucket.
#[derive(Clone, Debug)]
pub struct Bodies {
    s3: Client,
    bucket: String,
}

impl Bodies {
    /// Over the bucket of this name.
    pub fn new(s3: Client, bucket: impl Into<String>) -> Self {
        Self {
            s3,
            bucket: bucket.into(),
        }
    }

    /// The raw bytes of a received webhook.
    pub(crate) async fn of(&self, received: &ReceivedWebhook) -> Result<Vec<u8>, Error> {
        if let Some(body) = &received.body {
            return Ok(BASE64.decode(body.as_bytes())?);
        }
        let key = received
            .object_key
            .as_ref()
            .ok_or("a webhook without a body")?;
        let object = self
            .s3
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await?;
        Ok(object.body.collect().await?.to_vec())
    }

    /// Deletes a body that lies in the bucket; one that is gone is no error.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Error> {
        self.s3
            .delete_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await?;
        Ok(())
    }

    /// Where the raw bytes are kept for a replay: as base64, or under an object key.
    pub(crate) async fn kept(
        &self,
        id: &DeliveryId,
        received: &ReceivedWebhook,
        raw: &[u8],
    ) -> Result<(Option<String>, Option<String>), Error> {
        if let Some(key) = &received.object_key {
            return Ok((None, Some(key.clone())));
        }
        if raw.len() <= MOST_IN_ITEM {
            return Ok((Some(BASE64.encode(raw)), None));
        }
        let key = format!("{}/{id}", received.platform);
        let body = ByteStream::from(raw.to_vec());
        self.s3
            .put_object()
            .bucket(&self.bucket)
            .key(&key)
            .body(body)
            .send()
            .await?;
        Ok((None, Some(key)))
    }
}
