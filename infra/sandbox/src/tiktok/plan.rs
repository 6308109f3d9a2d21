//! The chunk rules of an upload (tiktok.md §4.6).

use serde::Serialize;

use super::choices::Megabyte;

/// A chunk plan that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Plan {
    pub(crate) video_size: u64,
    pub(crate) chunk_size: u64,
    pub(crate) total_chunk_count: u64,
}

impl Plan {
    /// Checks a plan under the chosen reading of MB; the error is a sentence.
    pub(crate) fn check(self, reading: Megabyte) -> Result<Self, &'static str> {
        let decimal = self.under(1_000_000, 1_000);
        let binary = self.under(1 << 20, 1 << 10);
        match reading {
            Megabyte::Decimal => decimal,
            Megabyte::Binary => binary,
            Megabyte::Either => decimal.or(binary),
            Megabyte::Both => decimal.and(binary),
        }
        .map(|()| self)
    }

    /// First byte and the byte after the last of the chunk that begins at `start`.
    pub(crate) fn chunk_at(self, start: u64) -> (u64, u64) {
        let last_start = (self.total_chunk_count - 1) * self.chunk_size;
        let end = if start >= last_start {
            self.video_size
        } else {
            start + self.chunk_size
        };
        (start, end)
    }

    fn under(self, mb: u64, thousand: u64) -> Result<(), &'static str> {
        let Self {
            video_size,
            chunk_size,
            total_chunk_count,
        } = self;
        if video_size == 0 || video_size > 4 * thousand * mb {
            return Err("The video size is invalid");
        }
        if !(1..=1000).contains(&total_chunk_count) {
            return Err("The total chunk count is invalid");
        }
        let whole = video_size < 5 * mb;
        if whole && chunk_size != video_size {
            return Err("The chunk size is invalid");
        }
        if !whole && !(5 * mb..=64 * mb).contains(&chunk_size) {
            return Err("The chunk size is invalid");
        }
        // The count rounds down; the remainder goes into the last chunk.
        if total_chunk_count != video_size / chunk_size {
            return Err("The total chunk count is invalid");
        }
        if video_size > 64 * mb && total_chunk_count < 2 {
            return Err("A video over 64 MB must be uploaded in several chunks");
        }
        if video_size - (total_chunk_count - 1) * chunk_size > 128 * mb {
            return Err("The last chunk is too large");
        }
        Ok(())
    }
}
