//! What stands before the nonce of a sealed text, byte by byte.
//!
//! Format 2, which is written:
//!
//! ```text
//! bytes  what
//! 1      format: 2
//! 1      algorithm: 1 = AES-256-GCM
//! 8      when the data key was made, ms since 1970, big-endian
//! 2 + k  the KMS key that wraps the data key: length, big-endian, and ARN
//! 2 + n  the wrapped data key: length and bytes
//! 2 + m  the wrapped data key that the text was bound to by format 1; empty where it was not
//! ```
//!
//! Format 1, which is still read:
//!
//! ```text
//! bytes  what
//! 1      format: 1
//! 1      algorithm: 1 = AES-256-GCM
//! 8      when the data key was made
//! 2 + n  the wrapped data key
//! ```
//!
//! What a text is *bound* to, by its associated data, is in format 2 the first ten bytes alone: the
//! data key can be wrapped anew, by another KMS key, without opening the text. Format 1 bound the
//! wrapped key as well, so a text of that format that is wrapped anew carries the old wrapped key
//! along. Neither binding is what keeps a wrapped key in its place: KMS does, by the encryption
//! context, and another data key does not open the text.

use domain::Timestamp;

use crate::VaultError;

const FORMAT_1: u8 = 1;
const FORMAT_2: u8 = 2;
const AES_256_GCM_ID: u8 = 1;
/// Wrapped keys are some 200 bytes and ARNs of keys fewer than 100; anything much larger is neither.
const MAX_PART: usize = 1_024;

/// A data key as KMS wrapped it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wrapped {
    /// The ARN of the KMS key; unknown for texts of format 1 until KMS says it.
    pub(crate) by: Option<String>,
    /// KMS's ciphertext.
    pub(crate) key: Vec<u8>,
}

/// A header as read or as to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) created_at: Timestamp,
    pub(crate) wrapped: Wrapped,
    /// The wrapped key that format 1 bound the text to.
    pub(crate) bound_to: Option<Vec<u8>>,
}

impl Header {
    /// Of a data key that KMS just made or opened: for new texts.
    pub(crate) fn new(
        created_at: Timestamp,
        by: String,
        wrapped: Vec<u8>,
    ) -> Result<Self, VaultError> {
        let header = Self {
            created_at,
            wrapped: Wrapped {
                by: Some(by),
                key: wrapped,
            },
            bound_to: None,
        };
        header.fitting()
    }

    /// The same text under another wrapping.
    pub(crate) fn rewrapped(&self, by: String, wrapped: Vec<u8>) -> Result<Self, VaultError> {
        let header = Self {
            created_at: self.created_at,
            wrapped: Wrapped {
                by: Some(by),
                key: wrapped,
            },
            bound_to: self.bound_to.clone(),
        };
        header.fitting()
    }

    fn fitting(self) -> Result<Self, VaultError> {
        let parts = [
            self.wrapped.by.as_deref().unwrap_or_default().len(),
            self.wrapped.key.len(),
        ];
        if parts.iter().all(|length| *length <= MAX_PART) {
            Ok(self)
        } else {
            Err(VaultError::Malformed)
        }
    }

    /// Reads the header of a sealed text; what follows it begins at the number given beside it.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, usize), VaultError> {
        let mut rest = Rest(bytes);
        let [format, algorithm] = rest.array()?;
        let created_at = Timestamp::from_millis(i64::from_be_bytes(rest.array()?));
        if algorithm != AES_256_GCM_ID {
            return Err(VaultError::Malformed);
        }
        let header = match format {
            FORMAT_1 => {
                let key = rest.part()?.to_vec();
                Self {
                    created_at,
                    bound_to: Some(key.clone()),
                    wrapped: Wrapped { by: None, key },
                }
            }
            FORMAT_2 => {
                let by = std::str::from_utf8(rest.part()?).map_err(|_| VaultError::Malformed)?;
                let by = Some(by.to_owned());
                let key = rest.part()?.to_vec();
                let bound_to = Some(rest.part()?.to_vec()).filter(|bound| !bound.is_empty());
                Self {
                    created_at,
                    wrapped: Wrapped { by, key },
                    bound_to,
                }
            }
            _ => return Err(VaultError::Malformed),
        };
        Ok((header, bytes.len() - rest.0.len()))
    }

    /// The header in format 2.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT_2, AES_256_GCM_ID];
        bytes.extend(self.created_at.millis().to_be_bytes());
        let by = self.wrapped.by.as_deref().unwrap_or_default();
        put(&mut bytes, by.as_bytes());
        put(&mut bytes, &self.wrapped.key);
        put(&mut bytes, self.bound_to.as_deref().unwrap_or_default());
        bytes
    }

    /// What the text is bound to: format, algorithm and age; in format 1 the wrapped key too.
    pub(crate) fn bound(&self) -> Vec<u8> {
        let format = match self.bound_to {
            Some(_) => FORMAT_1,
            None => FORMAT_2,
        };
        let mut bytes = vec![format, AES_256_GCM_ID];
        bytes.extend(self.created_at.millis().to_be_bytes());
        if let Some(wrapped) = &self.bound_to {
            put(&mut bytes, wrapped);
        }
        bytes
    }
}

/// A part with its length; MAX_PART keeps it inside 16 bits.
fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(part);
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], VaultError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(VaultError::Malformed)?;
        self.0 = rest;
        Ok(*array)
    }

    fn part(&mut self) -> Result<&'a [u8], VaultError> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        if length > MAX_PART {
            return Err(VaultError::Malformed);
        }
        let (part, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(VaultError::Malformed)?;
        self.0 = rest;
        Ok(part)
    }
}
