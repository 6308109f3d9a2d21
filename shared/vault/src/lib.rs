//! Envelope encryption of what must not be read in a table: token bundles, PKCE verifiers, upload
//! URLs.
//!
//! Promises: a sealed text opens only at the place that it was sealed for (table, keys, platform,
//! field, version); a flipped byte anywhere is noticed; plaintext keys live in this process alone,
//! for at most five minutes and a thousand uses, and are wiped. Nothing outside this crate sees a
//! data key.
//!
//! The format, byte by byte, is in the documentation of [`envelope`] and [`header`].

mod cache;
mod envelope;
#[cfg(test)]
mod fuzz_tests;
mod header;
mod rewrap;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_kms::Client;
use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use domain::metric::KEY_CALLS_FAILED;
use domain::{Clock, Entropy, Labels, Meter, Silent, Timestamp};
use zeroize::Zeroizing;

use cache::KeyCache;
use envelope::DataKey;
pub use envelope::{Bound, OwnPlace, Place, Sealed, VaultError};
use header::{Header, Wrapped};
pub use rewrap::Rewrapped;

/// A data key is used for new seals for this long; after that a re-seal draws a new one.
const KEY_LIFE_SECONDS: i64 = 30 * 24 * 3600;

/// Opens and seals. One per process: it holds the cache of plaintext keys.
pub struct Vault {
    kms: Client,
    key_id: String,
    environment: String,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    meter: Arc<dyn Meter>,
    cache: Mutex<KeyCache>,
}

/// A data key that is ready to seal: from here on sealing needs no network. Obtain it before the
/// request whose answer it is to keep.
pub struct SealingKey {
    header: Header,
    key: DataKey,
}

impl Vault {
    /// A vault that seals under one KMS key, named by its ARN or id (no alias: what an alias stands for
    /// may change), and opens what is sealed under any that its process may use. `environment` tells
    /// deployments apart in KMS's records.
    pub fn new(
        kms: Client,
        key_id: impl Into<String>,
        environment: impl Into<String>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            kms,
            key_id: key_id.into(),
            environment: environment.into(),
            clock,
            entropy,
            meter: Arc::new(Silent),
            cache: Mutex::new(KeyCache::default()),
        }
    }

    /// The same with somebody who counts the calls that fail: KMS has no figure of its own for them.
    #[must_use]
    pub fn measured(self, meter: Arc<dyn Meter>) -> Self {
        Self { meter, ..self }
    }

    /// A new data key for `subject` (an opaque id: it appears in clear in CloudTrail). One KMS call.
    pub async fn new_key(&self, subject: &str) -> Result<SealingKey, VaultError> {
        let answer = self
            .kms
            .generate_data_key()
            .key_id(&self.key_id)
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(Some(self.context(subject)))
            .send()
            .await
            .map_err(|error| self.unavailable(error))?;
        let by = answer.key_id.ok_or(VaultError::Malformed)?;
        let wrapped = answer.ciphertext_blob.ok_or(VaultError::Malformed)?;
        let key = data_key(answer.plaintext)?;
        let header = Header::new(self.clock.now(), by.clone(), wrapped.into_inner())?;
        self.cache().put(
            subject,
            &header.wrapped,
            (key.clone(), by),
            self.clock.now(),
        );
        Ok(SealingKey { header, key })
    }

    /// The data key under which `previous` is sealed, so that sealing again costs no new key; a new
    /// one once it is 30 days old, or where another KMS key than this vault's wraps it. At most one
    /// KMS call, none where the key is cached; two where only KMS knows which of its keys wraps it.
    pub async fn key_of(&self, subject: &str, previous: &Sealed) -> Result<SealingKey, VaultError> {
        let header = previous.header()?;
        let elsewhere = header
            .wrapped
            .by
            .as_deref()
            .is_some_and(|by| !self.is_own(by));
        let old = self.clock.now() > header.created_at.plus_secs(KEY_LIFE_SECONDS);
        if old || elsewhere {
            return self.new_key(subject).await;
        }
        let (key, by) = self.unwrap(subject, &header.wrapped).await?;
        if !self.is_own(&by) {
            return self.new_key(subject).await;
        }
        let header = Header::new(header.created_at, by, header.wrapped.key)?;
        Ok(SealingKey { header, key })
    }

    /// Seals `plaintext` for `place`. No network, no await.
    pub fn seal<'a>(
        &self,
        key: &SealingKey,
        place: impl Into<Bound<'a>>,
        plaintext: &[u8],
    ) -> Result<Sealed, VaultError> {
        let mut nonce = [0u8; 12];
        self.entropy.fill(&mut nonce);
        envelope::seal(&key.header, &key.key, nonce, place, plaintext)
    }

    /// Opens what was sealed for `place`. At most one KMS call, none where the key is cached.
    pub async fn open<'a>(
        &self,
        subject: &str,
        place: impl Into<Bound<'a>>,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (key, _) = self.unwrap(subject, &sealed.header()?.wrapped).await?;
        envelope::open(&key, place, sealed)
    }

    /// When the data key of `sealed` was made.
    pub fn key_age(sealed: &Sealed) -> Result<Timestamp, VaultError> {
        Ok(sealed.header()?.created_at)
    }

    /// The data key, and the KMS key that wraps it.
    async fn unwrap(
        &self,
        subject: &str,
        wrapped: &Wrapped,
    ) -> Result<(DataKey, String), VaultError> {
        if let Some(known) = self.cache().take(subject, wrapped, self.clock.now()) {
            return Ok(known);
        }
        let answer = self
            .kms
            .decrypt()
            // Where the text says which key it is, exactly that one is used (oauth-hardening.md §5.5).
            .set_key_id(wrapped.by.clone())
            .ciphertext_blob(Blob::new(wrapped.key.clone()))
            .set_encryption_context(Some(self.context(subject)))
            .send()
            .await
            .map_err(|error| self.not_opened(error))?;
        let by = answer.key_id.ok_or(VaultError::Malformed)?;
        let known = (data_key(answer.plaintext)?, by);
        self.cache()
            .put(subject, wrapped, known.clone(), self.clock.now());
        Ok(known)
    }

    /// Whether the KMS key of this ARN is the one that this vault seals under.
    fn is_own(&self, arn: &str) -> bool {
        let id = arn.rsplit('/').next().unwrap_or(arn);
        arn == self.key_id || id == self.key_id
    }

    /// Why KMS did not open a data key: the text is none of this key and context, or KMS is in trouble.
    fn not_opened<E, R>(&self, error: aws_sdk_kms::error::SdkError<E, R>) -> VaultError
    where
        E: ProvideErrorMetadata,
    {
        match error.code() {
            Some("InvalidCiphertextException" | "IncorrectKeyException") => VaultError::DoesNotOpen,
            _ => self.unavailable(error),
        }
    }

    fn unavailable<E, R>(&self, error: aws_sdk_kms::error::SdkError<E, R>) -> VaultError
    where
        E: ProvideErrorMetadata,
    {
        self.meter.count(&KEY_CALLS_FAILED, Labels::NONE);
        VaultError::KmsUnavailable(error.code().unwrap_or("no answer").to_owned())
    }

    fn context(&self, subject: &str) -> HashMap<String, String> {
        HashMap::from([
            ("purpose".to_owned(), "passerelle-tokens".to_owned()),
            ("environment".to_owned(), self.environment.clone()),
            ("subject".to_owned(), subject.to_owned()),
        ])
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, KeyCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn data_key(plaintext: Option<Blob>) -> Result<DataKey, VaultError> {
    let bytes = Zeroizing::new(plaintext.ok_or(VaultError::Malformed)?.into_inner());
    DataKey::from_bytes(&bytes)
}
