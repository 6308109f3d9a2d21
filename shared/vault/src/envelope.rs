//! The sealed form, and what it is bound to.
//!
//! ```text
//! offset  bytes  what
//! 0       1      format: 1
//! 1       1      algorithm: 1 = AES-256-GCM
//! 2       8      when the data key was made, ms since 1970, big-endian
//! 10      2      length n of the wrapped key, big-endian
//! 12      n      the data key as KMS wrapped it (names its KMS key itself)
//! 12+n    12     nonce, random
//! 24+n    rest   ciphertext and 16-byte tag
//! ```
//!
//! The associated data is never stored: it is built anew from the header (everything before the
//! nonce) and from the [`Place`] by the reader of the row, so a sealed text that was moved to
//! another row, version, field or table does not open.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use domain::{Platform, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const AES_256_GCM_ID: u8 = 1;
const FIXED: usize = 12;
const NONCE: usize = 12;
const TAG: usize = 16;
/// Wrapped keys are some 200 bytes; anything much larger is not one.
const MAX_WRAPPED: usize = 1_024;

/// The place that a text is sealed for. All of it must be the same again to open it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The table's logical name, so that a restore into a table of another name still opens.
    pub table: &'static str,
    /// The item's key attributes, in the order of the table's key.
    pub keys: &'a [&'a str],
    /// The platform.
    pub platform: Platform,
    /// Which attribute of the item.
    pub field: &'static str,
    /// The version that the item has with this text in it.
    pub version: u64,
}

/// A sealed text, as it lies in a table or a queue.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(#[serde(with = "serde_bytes")] Vec<u8>);

/// Why a seal cannot be made or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The text, its place or its key is not the one that it was sealed with.
    #[error("the sealed text does not open at this place")]
    DoesNotOpen,
    /// The bytes are not of a known format.
    #[error("the sealed text is malformed")]
    Malformed,
    /// KMS did not do it; its error code.
    #[error("KMS did not answer as needed: {0}")]
    KmsUnavailable(String),
}

/// A plaintext data key; wiped when dropped.
#[derive(Clone)]
pub(crate) struct DataKey(Zeroizing<[u8; 32]>);

/// What stands before the nonce.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    created_at: Timestamp,
    wrapped: Vec<u8>,
}

impl Sealed {
    /// Takes over bytes that were sealed before.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes to be stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn header(&self) -> Result<Header, VaultError> {
        let fixed = self.0.get(..FIXED).ok_or(VaultError::Malformed)?;
        let (marks, rest) = fixed.split_at(2);
        let (created, length) = rest.split_at(8);
        let length = usize::from(u16::from_be_bytes(length.try_into().map_err(malformed)?));
        if marks != [FORMAT, AES_256_GCM_ID] || length > MAX_WRAPPED {
            return Err(VaultError::Malformed);
        }
        let wrapped = self
            .0
            .get(FIXED..FIXED + length)
            .ok_or(VaultError::Malformed)?
            .to_vec();
        let created = i64::from_be_bytes(created.try_into().map_err(malformed)?);
        Ok(Header {
            created_at: Timestamp::from_millis(created),
            wrapped,
        })
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl DataKey {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, VaultError> {
        Ok(Self(Zeroizing::new(bytes.try_into().map_err(malformed)?)))
    }

    fn aead(&self) -> Result<LessSafeKey, VaultError> {
        Ok(LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, &self.0[..]).map_err(malformed)?,
        ))
    }
}

impl Header {
    pub(crate) fn new(created_at: Timestamp, wrapped: Vec<u8>) -> Result<Self, VaultError> {
        if wrapped.len() > MAX_WRAPPED {
            Err(VaultError::Malformed)
        } else {
            Ok(Self {
                created_at,
                wrapped,
            })
        }
    }

    pub(crate) fn created_at(&self) -> Timestamp {
        self.created_at
    }

    pub(crate) fn wrapped(&self) -> &[u8] {
        &self.wrapped
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT, AES_256_GCM_ID];
        bytes.extend(self.created_at.millis().to_be_bytes());
        // MAX_WRAPPED keeps the length inside 16 bits.
        bytes.extend(
            u16::try_from(self.wrapped.len())
                .unwrap_or(u16::MAX)
                .to_be_bytes(),
        );
        bytes.extend(&self.wrapped);
        bytes
    }
}

pub(crate) fn seal(
    header: &Header,
    key: &DataKey,
    nonce: [u8; NONCE],
    place: &Place<'_>,
    plaintext: &[u8],
) -> Result<Sealed, VaultError> {
    let mut bytes = header.bytes();
    let aad = Aad::from(associated_data(&bytes, place));
    // The buffer that briefly holds the plaintext is wiped if sealing fails, and is ciphertext if not.
    let mut text = Zeroizing::new(Vec::with_capacity(plaintext.len() + TAG));
    text.extend_from_slice(plaintext);
    key.aead()?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut *text)
        .map_err(malformed)?;
    bytes.extend(nonce);
    bytes.extend_from_slice(&text);
    Ok(Sealed(bytes))
}

pub(crate) fn open(
    key: &DataKey,
    place: &Place<'_>,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let head = FIXED + sealed.header()?.wrapped.len();
    let nonce = sealed
        .0
        .get(head..head + NONCE)
        .ok_or(VaultError::Malformed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(malformed)?;
    let aad = Aad::from(associated_data(&sealed.0[..head], place));
    let mut text = Zeroizing::new(sealed.0[head + NONCE..].to_vec());
    let length = key
        .aead()?
        .open_in_place(nonce, aad, &mut text)
        .map_err(|_| VaultError::DoesNotOpen)?
        .len();
    text.truncate(length);
    Ok(text)
}

/// Every part is length-prefixed and the number of keys is written: no two places encode alike.
fn associated_data(header: &[u8], place: &Place<'_>) -> Vec<u8> {
    let mut data = Vec::new();
    let mut part = |bytes: &[u8]| {
        data.extend((bytes.len() as u64).to_be_bytes());
        data.extend(bytes);
    };
    part(b"passerelle.v1");
    part(header);
    part(place.table.as_bytes());
    part(&(place.keys.len() as u64).to_be_bytes());
    for key in place.keys {
        part(key.as_bytes());
    }
    part(place.platform.as_str().as_bytes());
    part(place.field.as_bytes());
    part(&place.version.to_be_bytes());
    data
}

fn malformed<E>(_: E) -> VaultError {
    VaultError::Malformed
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    const PLACE: Place<'static> = Place {
        table: "connections",
        keys: &["user-1", "conn_1"],
        platform: Platform::TikTok,
        field: "tokens",
        version: 7,
    };
    /// Sealed by the first version of this format; every later version must open it.
    const KNOWN: &str = include_str!("../tests/known-answer-v1.hex");

    fn key() -> DataKey {
        DataKey::from_bytes(&[7; 32]).unwrap()
    }

    fn sealed() -> Sealed {
        let header = Header::new(Timestamp::from_secs(1_767_225_600), b"wrapped".to_vec()).unwrap();
        seal(&header, &key(), [9; 12], &PLACE, b"act.example").unwrap()
    }

    #[test]
    fn the_format_does_not_change() {
        assert_eq!(HEXLOWER.encode(sealed().as_bytes()), KNOWN.trim());
        let known = Sealed::from_bytes(HEXLOWER.decode(KNOWN.trim().as_bytes()).unwrap());
        assert_eq!(&open(&key(), &PLACE, &known).unwrap()[..], b"act.example");
    }

    #[test]
    fn every_part_of_the_place_binds() {
        let moved: &[(&str, Place<'_>)] = &[
            (
                "table",
                Place {
                    table: "flows",
                    ..PLACE
                },
            ),
            (
                "user",
                Place {
                    keys: &["user-2", "conn_1"],
                    ..PLACE
                },
            ),
            (
                "connection",
                Place {
                    keys: &["user-1", "conn_2"],
                    ..PLACE
                },
            ),
            (
                "keys run together",
                Place {
                    keys: &["user-1conn_1"],
                    ..PLACE
                },
            ),
            (
                "keys split elsewhere",
                Place {
                    keys: &["user-1c", "onn_1"],
                    ..PLACE
                },
            ),
            (
                "field",
                Place {
                    field: "publish",
                    ..PLACE
                },
            ),
            (
                "older version",
                Place {
                    version: 6,
                    ..PLACE
                },
            ),
            (
                "newer version",
                Place {
                    version: 8,
                    ..PLACE
                },
            ),
        ];
        for (what, place) in moved {
            assert_eq!(
                open(&key(), place, &sealed()),
                Err(VaultError::DoesNotOpen),
                "{what}"
            );
        }
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let whole = sealed();
        for at in 0..whole.as_bytes().len() {
            let mut bytes = whole.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert!(
                open(&key(), &PLACE, &Sealed::from_bytes(bytes)).is_err(),
                "byte {at}"
            );
        }
    }

    #[test]
    fn no_cut_or_stretched_text_opens_or_panics() {
        let whole = sealed().as_bytes().to_vec();
        for length in 0..whole.len() {
            assert!(
                open(
                    &key(),
                    &PLACE,
                    &Sealed::from_bytes(whole[..length].to_vec())
                )
                .is_err()
            );
        }
        let mut longer = whole;
        longer.push(0);
        assert!(open(&key(), &PLACE, &Sealed::from_bytes(longer)).is_err());
    }

    #[test]
    fn another_key_does_not_open() {
        let other = DataKey::from_bytes(&[8; 32]).unwrap();
        assert_eq!(
            open(&other, &PLACE, &sealed()),
            Err(VaultError::DoesNotOpen)
        );
        assert!(DataKey::from_bytes(&[7; 31]).is_err());
    }
}
