//! How a file is cut for upload (tiktok.md §4.6).
//!
//! Chunks have 5 to 64 MB, the last one up to 128, their number is rounded *down*, and nobody says
//! whether a MB is 10⁶ bytes or 2²⁰. Every plan made here is legal under both readings.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The larger of the two readings of 5 MB.
const SMALLEST: u64 = 5 * 1_048_576;
/// The smaller of the two readings of 64 MB: also the largest file that goes in one piece.
const LARGEST: u64 = 64_000_000;
const USUAL: u64 = 32_000_000;

/// How one file is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The file's size in bytes.
    pub(super) size: u64,
    /// Every chunk's but the last one's, which takes the rest.
    pub(super) chunk_size: u64,
    /// `size / chunk_size`, rounded down.
    pub(super) count: u64,
}

impl Plan {
    /// The plan for a file; `wish` is the operator's `chunk_bytes`. `None` for an empty file.
    pub(super) fn new(size: u64, wish: Option<u64>) -> Option<Self> {
        if size == 0 {
            return None;
        }
        let whole = Self {
            size,
            chunk_size: size,
            count: 1,
        };
        let cut = |chunk_size: u64| Self {
            size,
            chunk_size,
            count: size / chunk_size,
        };
        let plan = match wish.map(|wish| cut(wish.clamp(SMALLEST, LARGEST))) {
            Some(plan) if plan.count >= 2 => plan,
            _ if size <= LARGEST => whole,
            // One chunk of over 64 MB breaks a rule, whatever was wished for.
            _ => cut(USUAL),
        };
        Some(plan)
    }

    /// The bytes of chunk `index`, end exclusive.
    pub(super) fn range(&self, index: u64) -> Range<u64> {
        self.boundary(index)..self.boundary(index.saturating_add(1))
    }

    /// Whether no byte follows chunk `index`.
    pub(super) const fn is_last(&self, index: u64) -> bool {
        index.saturating_add(1) >= self.count
    }

    /// The chunk to send next when TikTok holds `bytes`: the one that the first missing byte is in.
    pub(super) fn chunk_after(&self, bytes: u64) -> u64 {
        if bytes >= self.size {
            self.count
        } else {
            (bytes / self.chunk_size.max(1)).min(self.count.saturating_sub(1))
        }
    }

    /// The chunk to send next by a progress header `bytes 0-{n}/{total}`, in which `n` may be a count
    /// or the last byte: a chunk boundary decides, and between boundaries no byte is skipped. `None`
    /// where the header says nothing, or speaks of another file.
    pub(super) fn chunk_after_header(&self, header: &str) -> Option<u64> {
        let spec = header.trim();
        let spec = spec.strip_prefix("bytes").unwrap_or(spec);
        let (span, total) = match spec.split_once('/') {
            Some((span, total)) => (span, total.trim()),
            None => (spec, "*"),
        };
        if total != "*" && total.parse() != Ok(self.size) {
            return None;
        }
        let (_, n) = span.split_once('-')?;
        let n: u64 = n.trim().parse().ok().filter(|n| *n <= self.size)?;
        // Read as the last byte; read as a count it differs only where the next byte begins a chunk.
        Some(self.chunk_after(n.saturating_add(1)))
    }

    fn boundary(&self, index: u64) -> u64 {
        if index >= self.count {
            self.size
        } else {
            index.saturating_mul(self.chunk_size)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vectors_of_the_sheet() {
        // (size, wish, chunk size, count, first range, last range)
        for (size, wish, chunk_size, count, first, last) in [
            (4_000_000, None, 4_000_000, 1, 0..4_000_000, 0..4_000_000),
            (
                50_000_123,
                Some(10_000_000),
                10_000_000,
                5,
                0..10_000_000,
                40_000_000..50_000_123,
            ),
            (
                150_000_000,
                Some(64_000_000),
                64_000_000,
                2,
                0..64_000_000,
                64_000_000..150_000_000,
            ),
            // One chunk of just over 64 MB is what the sheet says to avoid.
            (
                64_000_001,
                Some(64_000_000),
                32_000_000,
                2,
                0..32_000_000,
                32_000_000..64_000_001,
            ),
            (
                50_000_123,
                None,
                50_000_123,
                1,
                0..50_000_123,
                0..50_000_123,
            ),
            (
                64_000_000,
                None,
                64_000_000,
                1,
                0..64_000_000,
                0..64_000_000,
            ),
            (
                100_000_000,
                None,
                32_000_000,
                3,
                0..32_000_000,
                64_000_000..100_000_000,
            ),
            // Wishes outside the rules become the nearest legal ones.
            (
                12_000_000,
                Some(1),
                5_242_880,
                2,
                0..5_242_880,
                5_242_880..12_000_000,
            ),
            (
                200_000_000,
                Some(1 << 40),
                64_000_000,
                3,
                0..64_000_000,
                128_000_000..200_000_000,
            ),
            (9_000_000, Some(0), 9_000_000, 1, 0..9_000_000, 0..9_000_000),
        ] {
            let plan = Plan::new(size, wish).unwrap();
            assert_eq!(
                (plan.chunk_size, plan.count),
                (chunk_size, count),
                "{size} {wish:?}"
            );
            assert_eq!(plan.range(0), first, "{size} {wish:?}");
            assert_eq!(plan.range(plan.count - 1), last, "{size} {wish:?}");
        }
        assert_eq!(Plan::new(0, None), None);
    }

    #[test]
    fn progress_is_a_count_or_the_last_byte() {
        let plan = Plan::new(50_000_123, Some(10_000_000)).unwrap();
        for (header, next) in [
            ("bytes 0-10000000/50000123", Some(1)),
            ("bytes 0-9999999/50000123", Some(1)),
            ("bytes 0-20000000/50000123", Some(2)),
            ("bytes 10000000-19999999/50000123", Some(2)),
            ("bytes 0-0/50000123", Some(0)),
            // Between boundaries: the chunk that the first missing byte may be in, again.
            ("bytes 0-15000000/50000123", Some(1)),
            ("bytes 0-9999998/50000123", Some(0)),
            ("bytes 0-40000000/50000123", Some(4)),
            ("bytes 0-50000123/50000123", Some(5)),
            ("bytes 0-50000122/50000123", Some(5)),
            ("0-9999999/50000123", Some(1)),
            ("bytes 0-9999999", Some(1)),
            ("bytes 0-9999999/*", Some(1)),
            ("bytes */50000123", None),
            ("bytes 0-9999999/4", None),
            ("bytes 0-60000000/50000123", None),
            ("bytes 0-99999999999999999999/50000123", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(plan.chunk_after_header(header), next, "{header}");
        }
    }

    proptest! {
        #[test]
        fn every_byte_is_sent_once_in_legal_sizes(
            size in prop_oneof![1u64..200_000_000, 1u64..=4_000_000_000],
            wish in proptest::option::of(prop_oneof![any::<u64>(), 1_000_000u64..80_000_000]),
        ) {
            let plan = Plan::new(size, wish).unwrap();
            prop_assert_eq!(plan.count, size / plan.chunk_size);
            prop_assert!((1..=1_000).contains(&plan.count));
            let mut at = 0;
            for index in 0..plan.count {
                let range = plan.range(index);
                prop_assert_eq!(range.start, at);
                prop_assert!(range.end > range.start);
                at = range.end;
                let length = range.end - range.start;
                if plan.count > 1 && !plan.is_last(index) {
                    prop_assert!((SMALLEST..=LARGEST).contains(&length));
                } else {
                    prop_assert!(length < 128_000_000);
                }
                // Either way of telling how far it is leads to the next chunk.
                for said in [range.end, range.end - 1] {
                    let header = format!("bytes 0-{said}/{size}");
                    prop_assert_eq!(plan.chunk_after_header(&header), Some(index + 1));
                }
            }
            prop_assert_eq!(at, size);
            if plan.count == 1 {
                prop_assert!(plan.chunk_size == size && size <= LARGEST);
            }
        }

        #[test]
        fn no_byte_is_skipped(size in 64_000_001u64..4_000_000_000, share in 0.0f64..1.0) {
            let plan = Plan::new(size, None).unwrap();
            let held = ((size as f64) * share) as u64;
            prop_assert!(plan.boundary(plan.chunk_after(held)) <= held);
        }
    }
}
