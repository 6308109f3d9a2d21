//! Moving sealed texts to another KMS key: the data key is wrapped anew inside KMS, the text itself
//! stays as it is and is not opened.

use aws_sdk_kms::primitives::Blob;

use crate::{Sealed, Vault, VaultError};

/// What became of a text that was to be under the vault's own KMS key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrapped {
    /// It is already.
    Already,
    /// The same text, at the same place, under the vault's key.
    Moved(Sealed),
}

impl Vault {
    /// Puts `sealed` under this vault's KMS key. It opens where it opened before; nothing of the text
    /// or of the data key is seen here. One call of `ReEncrypt` (which needs `kms:ReEncryptFrom` of
    /// the old key and `kms:ReEncryptTo` of the new one), none where it is there already. A text of
    /// format 1 does not say which key it is under, so it is always wrapped anew.
    ///
    /// # Errors
    /// `DoesNotOpen` where KMS knows neither text nor context, `KmsUnavailable` with KMS's code else;
    /// see [`VaultError::passes`].
    pub async fn rewrap(&self, subject: &str, sealed: &Sealed) -> Result<Rewrapped, VaultError> {
        let header = sealed.header()?;
        if header
            .wrapped
            .by
            .as_deref()
            .is_some_and(|by| self.is_own(by))
        {
            return Ok(Rewrapped::Already);
        }
        let answer = self
            .kms
            .re_encrypt()
            .ciphertext_blob(Blob::new(header.wrapped.key.clone()))
            .set_source_key_id(header.wrapped.by.clone())
            .set_source_encryption_context(Some(self.context(subject)))
            .destination_key_id(&self.key_id)
            .set_destination_encryption_context(Some(self.context(subject)))
            .send()
            .await
            .map_err(|error| self.not_opened(error))?;
        let by = answer.key_id.ok_or(VaultError::Malformed)?;
        let wrapped = answer.ciphertext_blob.ok_or(VaultError::Malformed)?;
        let header = header.rewrapped(by, wrapped.into_inner())?;
        Ok(Rewrapped::Moved(sealed.with(&header)?))
    }
}

impl VaultError {
    /// Whether the same call may do better later: not for a text that does not open, nor for a key
    /// that is disabled, gone, or not ours to use.
    pub fn passes(&self) -> bool {
        /// What KMS answers for good (KMS API reference, "Common errors" and `ReEncrypt`).
        const FOR_GOOD: [&str; 7] = [
            "AccessDeniedException",
            "DisabledException",
            "InvalidArnException",
            "InvalidKeyUsageException",
            "KMSInvalidStateException",
            "NotFoundException",
            "ValidationException",
        ];
        match self {
            Self::KmsUnavailable(code) => !FOR_GOOD.contains(&code.as_str()),
            Self::DoesNotOpen | Self::Malformed => false,
        }
    }
}
