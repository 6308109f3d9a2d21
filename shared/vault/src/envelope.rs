//! The sealed form, and what it is bound to.
//!
//! ```text
//! bytes  what
//! h      the header: see its file
//! 12     nonce, random
//! rest   ciphertext and 16-byte tag
//! ```
//!
//! The associated data is never stored: it is built anew from the header and from the [`Place`] by
//! the reader of the row, so a sealed text that was moved to another row, version, field or table
//! does not open.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use domain::Platform;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::header::Header;

const NONCE: usize = 12;
const TAG: usize = 16;

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

/// A place of the deployment's own, in an item of no platform.
#[derive(Clone, Copy, Debug)]
pub struct OwnPlace<'a> {
    /// As in [`Place`].
    pub table: &'static str,
    /// As in [`Place`].
    pub keys: &'a [&'a str],
    /// As in [`Place`].
    pub field: &'static str,
    /// As in [`Place`].
    pub version: u64,
}

/// Either kind of place, as seals are bound to it.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    table: &'static str,
    keys: &'a [&'a str],
    /// No platform's name is empty.
    platform: &'static str,
    field: &'static str,
    version: u64,
}

impl<'a> From<&Place<'a>> for Bound<'a> {
    fn from(place: &Place<'a>) -> Self {
        Self {
            table: place.table,
            keys: place.keys,
            platform: place.platform.as_str(),
            field: place.field,
            version: place.version,
        }
    }
}

impl<'a> From<&OwnPlace<'a>> for Bound<'a> {
    fn from(place: &OwnPlace<'a>) -> Self {
        Self {
            table: place.table,
            keys: place.keys,
            platform: "",
            field: place.field,
            version: place.version,
        }
    }
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
        Ok(Header::read(&self.0)?.0)
    }

    /// The same text behind another header.
    pub(crate) fn with(&self, header: &Header) -> Result<Self, VaultError> {
        let (_, at) = Header::read(&self.0)?;
        let mut bytes = header.bytes();
        bytes.extend_from_slice(self.0.get(at..).ok_or(VaultError::Malformed)?);
        Ok(Self(bytes))
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

pub(crate) fn seal<'a>(
    header: &Header,
    key: &DataKey,
    nonce: [u8; NONCE],
    place: impl Into<Bound<'a>>,
    plaintext: &[u8],
) -> Result<Sealed, VaultError> {
    let mut bytes = header.bytes();
    let aad = Aad::from(associated_data(&header.bound(), &place.into()));
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

pub(crate) fn open<'a>(
    key: &DataKey,
    place: impl Into<Bound<'a>>,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (header, head) = Header::read(&sealed.0)?;
    let nonce = sealed
        .0
        .get(head..head + NONCE)
        .ok_or(VaultError::Malformed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(malformed)?;
    let aad = Aad::from(associated_data(&header.bound(), &place.into()));
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
fn associated_data(header: &[u8], place: &Bound<'_>) -> Vec<u8> {
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
    part(place.platform.as_bytes());
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
    use domain::Timestamp;

    use super::*;

    const PLACE: Place<'static> = Place {
        table: "connections",
        keys: &["user-1", "conn_1"],
        platform: Platform::TikTok,
        field: "tokens",
        version: 7,
    };
    /// Sealed by the first version of each format; every later version must open them.
    const KNOWN_1: &str = include_str!("../tests/known-answer-v1.hex");
    const KNOWN_2: &str = include_str!("../tests/known-answer-v2.hex");
    const KMS_KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/a";
    const OTHER_KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/b";

    fn key() -> DataKey {
        DataKey::from_bytes(&[7; 32]).unwrap()
    }

    fn sealed() -> Sealed {
        let made = Timestamp::from_secs(1_767_225_600);
        let header = Header::new(made, KMS_KEY.to_owned(), b"wrapped".to_vec()).unwrap();
        seal(&header, &key(), [9; 12], &PLACE, b"act.example").unwrap()
    }

    fn known(hex: &str) -> Sealed {
        Sealed::from_bytes(HEXLOWER.decode(hex.trim().as_bytes()).unwrap())
    }

    fn rewrapped(sealed: &Sealed) -> Sealed {
        let header = sealed.header().unwrap();
        let header = header.rewrapped(OTHER_KEY.to_owned(), b"wrapped anew".to_vec());
        sealed.with(&header.unwrap()).unwrap()
    }

    #[test]
    fn the_format_does_not_change() {
        assert_eq!(HEXLOWER.encode(sealed().as_bytes()), KNOWN_2.trim());
        for (format, hex) in [(1, KNOWN_1), (2, KNOWN_2)] {
            let opened = open(&key(), &PLACE, &known(hex)).unwrap();
            assert_eq!(&opened[..], b"act.example", "format {format}");
        }
        let first = known(KNOWN_1).header().unwrap();
        assert_eq!(
            (first.wrapped.by, first.wrapped.key),
            (None, b"wrapped".to_vec())
        );
    }

    #[test]
    fn a_text_of_either_format_opens_under_another_wrapping_of_its_key() {
        for hex in [KNOWN_1, KNOWN_2] {
            let moved = rewrapped(&known(hex));
            let header = moved.header().unwrap();
            assert_eq!(header.wrapped.by.as_deref(), Some(OTHER_KEY));
            assert_eq!(header.wrapped.key, b"wrapped anew");
            assert_eq!(&open(&key(), &PLACE, &moved).unwrap()[..], b"act.example");
            // And again under a third one.
            let again = rewrapped(&moved);
            assert_eq!(&open(&key(), &PLACE, &again).unwrap()[..], b"act.example");
            let elsewhere = Place {
                version: 8,
                ..PLACE
            };
            assert_eq!(
                open(&key(), &elsewhere, &moved),
                Err(VaultError::DoesNotOpen)
            );
        }
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

    /// The wrapping itself is KMS's to check: a flipped byte in it gives no data key.
    #[test]
    fn every_flipped_byte_of_what_is_bound_is_noticed() {
        let (ours, by) = (sealed().as_bytes().to_vec(), KMS_KEY.len());
        let wrapping = 12..12 + by + 2 + b"wrapped".len();
        for (whole, free) in [(ours, wrapping), (known(KNOWN_1).as_bytes().to_vec(), 0..0)] {
            for at in (0..whole.len()).filter(|at| !free.contains(at)) {
                let mut bytes = whole.clone();
                bytes[at] ^= 1;
                assert!(
                    open(&key(), &PLACE, &Sealed::from_bytes(bytes)).is_err(),
                    "byte {at}"
                );
            }
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
    fn a_place_of_no_platform_is_no_place_of_a_platform() {
        let own = OwnPlace {
            table: PLACE.table,
            keys: PLACE.keys,
            field: PLACE.field,
            version: PLACE.version,
        };
        assert_eq!(open(&key(), &own, &sealed()), Err(VaultError::DoesNotOpen));
        let header = sealed().header().unwrap();
        let text = seal(&header, &key(), [9; 12], &own, b"whsec").unwrap();
        assert_eq!(&open(&key(), &own, &text).unwrap()[..], b"whsec");
        assert_eq!(open(&key(), &PLACE, &text), Err(VaultError::DoesNotOpen));
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
