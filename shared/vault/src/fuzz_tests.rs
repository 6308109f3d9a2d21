//! Sealed texts with something wrong in them, and bytes that never were one: nothing opens, nothing
//! panics, nothing is read beyond its end.

use domain::{Platform, Timestamp};
use proptest::prelude::*;

use crate::envelope::{DataKey, Place, Sealed, open, seal};
use crate::header::Header;

const PLACE: Place<'static> = Place {
    table: "connections",
    keys: &["user-1", "conn_1"],
    platform: Platform::TikTok,
    field: "tokens",
    version: 7,
};

fn key() -> DataKey {
    DataKey::from_bytes(&[7; 32]).unwrap()
}

fn sealed(by: &str, wrapped: &[u8], text: &[u8]) -> Sealed {
    let made = Timestamp::from_secs(1_767_225_600);
    let header = Header::new(made, by.to_owned(), wrapped.to_vec()).unwrap();
    seal(&header, &key(), [9; 12], &PLACE, text).unwrap()
}

/// Bytes that begin as a header does.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let part = (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..40));
    let parts = proptest::collection::vec(part, 0..5);
    (0u8..4, 0u8..3, any::<i64>(), parts).prop_map(|(format, algorithm, made, parts)| {
        let mut bytes = vec![format, algorithm];
        bytes.extend(made.to_be_bytes());
        for (length, part) in parts {
            let honest = u16::try_from(part.len()).unwrap_or(0);
            let length = if length % 3 == 0 { length } else { honest };
            bytes.extend(length.to_be_bytes());
            bytes.extend(part);
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in prop_oneof![proptest::collection::vec(any::<u8>(), 0..400), nearly()]) {
        let sealed = Sealed::from_bytes(bytes.clone());
        prop_assert!(open(&key(), &PLACE, &sealed).is_err());
        if let Ok((header, at)) = Header::read(&bytes) {
            prop_assert!(at <= bytes.len());
            let held = header.wrapped.key.len() + header.bound_to.map_or(0, |bound| bound.len());
            prop_assert!(held <= 2 * bytes.len());
        }
    }

    /// A flipped bit in what is bound, a cut, a tail: it does not open. A flipped bit in the wrapping
    /// is KMS's to refuse; the text behind it stays bound all the same.
    #[test]
    fn what_is_not_as_it_was_sealed_does_not_open(
        by in "[a-z:/0-9]{0,80}",
        wrapped in proptest::collection::vec(any::<u8>(), 1..200),
        text in proptest::collection::vec(any::<u8>(), 0..300),
        at in any::<usize>(),
        bit in 0u8..8,
        tail in proptest::collection::vec(any::<u8>(), 1..4),
    ) {
        let whole = sealed(&by, &wrapped, &text).as_bytes().to_vec();
        let opened = open(&key(), &PLACE, &Sealed::from_bytes(whole.clone())).unwrap();
        prop_assert_eq!(&opened[..], &text[..]);

        let at = at % whole.len();
        let wrapping = 10..10 + 2 + by.len() + 2 + wrapped.len();
        if !wrapping.contains(&at) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            prop_assert!(open(&key(), &PLACE, &Sealed::from_bytes(bytes)).is_err(), "byte {}", at);
        }
        let cut = Sealed::from_bytes(whole[..at].to_vec());
        prop_assert!(open(&key(), &PLACE, &cut).is_err());
        let longer = Sealed::from_bytes([&whole[..], &tail[..]].concat());
        prop_assert!(open(&key(), &PLACE, &longer).is_err());
    }

    /// Wrapped anew as often as one likes, it opens at its place alone, and grows by no more than the
    /// wrapping.
    #[test]
    fn any_number_of_wrappings_leaves_the_text_as_it_is(
        wrappings in proptest::collection::vec(("[a-z:/0-9]{0,80}", proptest::collection::vec(any::<u8>(), 1..200)), 1..6),
        text in proptest::collection::vec(any::<u8>(), 0..300),
        version in 0u64..20,
    ) {
        let mut moved = sealed("first", b"wrapped", &text);
        for (by, wrapped) in wrappings {
            let header = moved.header().unwrap().rewrapped(by.clone(), wrapped.clone()).unwrap();
            moved = moved.with(&header).unwrap();
            prop_assert_eq!(
                moved.as_bytes().len(),
                16 + by.len() + wrapped.len() + 12 + text.len() + 16
            );
        }
        let place = Place { version, ..PLACE };
        let opened = open(&key(), &place, &moved);
        prop_assert_eq!(opened.is_ok(), version == 7);
    }
}
