//! Plaintext data keys of a warm function: few, young, counted, wiped.

use std::collections::HashMap;

use domain::Timestamp;

use crate::envelope::DataKey;
use crate::header::Wrapped;

/// oauth-hardening.md §5.4: five minutes, a thousand uses, bounded number. Taking away the
/// function's right to the KMS key takes effect after this age.
const MAX_AGE_SECONDS: i64 = 5 * 60;
const MAX_USES: u32 = 1_000;
const MAX_KEYS: usize = 256;

struct Entry {
    key: DataKey,
    /// The KMS key that wraps it.
    by: String,
    until: Timestamp,
    uses: u32,
}

/// Keys by (subject, wrapped form): the encryption context is part of what a key is for, so a
/// wrapped key moved to another subject misses and is refused by KMS.
#[derive(Default)]
pub(crate) struct KeyCache(HashMap<(String, Wrapped), Entry>);

impl KeyCache {
    /// A key for one more use, if there is one that may still be used, and the KMS key that wraps it.
    pub(crate) fn take(
        &mut self,
        subject: &str,
        wrapped: &Wrapped,
        now: Timestamp,
    ) -> Option<(DataKey, String)> {
        let name = (subject.to_owned(), wrapped.clone());
        let entry = self.0.get_mut(&name)?;
        if entry.until <= now || entry.uses >= MAX_USES {
            self.0.remove(&name);
            return None;
        }
        entry.uses += 1;
        Some((entry.key.clone(), entry.by.clone()))
    }

    /// Keeps a key that KMS just gave out; its first use counts.
    pub(crate) fn put(
        &mut self,
        subject: &str,
        wrapped: &Wrapped,
        (key, by): (DataKey, String),
        now: Timestamp,
    ) {
        self.0.retain(|_, entry| entry.until > now);
        if self.0.len() >= MAX_KEYS {
            let oldest = self
                .0
                .iter()
                .min_by_key(|(_, entry)| entry.until)
                .map(|(name, _)| name);
            if let Some(oldest) = oldest.cloned() {
                self.0.remove(&oldest);
            }
        }
        let entry = Entry {
            key,
            by,
            until: now.plus_secs(MAX_AGE_SECONDS),
            uses: 1,
        };
        self.0.insert((subject.to_owned(), wrapped.clone()), entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> (DataKey, String) {
        let key = DataKey::from_bytes(&[byte; 32]).unwrap();
        (key, "arn".to_owned())
    }

    fn wrapped(bytes: &[u8]) -> Wrapped {
        Wrapped {
            by: None,
            key: bytes.to_vec(),
        }
    }

    #[test]
    fn a_key_ends_by_age_and_by_uses() {
        let start = Timestamp::from_secs(1_000);
        let mut cache = KeyCache::default();
        cache.put("conn_a", &wrapped(b"w"), key(1), start);
        assert!(
            cache
                .take("conn_a", &wrapped(b"w"), start.plus_secs(299))
                .is_some()
        );
        assert!(
            cache
                .take("conn_a", &wrapped(b"w"), start.plus_secs(300))
                .is_none()
        );

        cache.put("conn_a", &wrapped(b"w"), key(1), start);
        let served = (0..2_000)
            .filter(|_| cache.take("conn_a", &wrapped(b"w"), start).is_some())
            .count();
        assert_eq!(served, 999, "the first use was the one that fetched it");
    }

    #[test]
    fn another_subject_misses() {
        let start = Timestamp::from_secs(0);
        let mut cache = KeyCache::default();
        cache.put("conn_a", &wrapped(b"w"), key(1), start);
        assert!(cache.take("conn_b", &wrapped(b"w"), start).is_none());
    }

    #[test]
    fn the_number_is_bounded_and_the_oldest_goes_first() {
        let start = Timestamp::from_secs(0);
        let mut cache = KeyCache::default();
        for n in 0..=MAX_KEYS {
            let at = start.plus_secs(i64::from(n != 0));
            cache.put("conn", &wrapped(&n.to_be_bytes()), key(1), at);
        }
        assert_eq!(cache.0.len(), MAX_KEYS);
        assert!(
            cache
                .take("conn", &wrapped(&0usize.to_be_bytes()), start)
                .is_none()
        );
        assert!(
            cache
                .take("conn", &wrapped(&MAX_KEYS.to_be_bytes()), start)
                .is_some()
        );
    }
}
