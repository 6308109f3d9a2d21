//! Uploaded files.

use serde::{Deserialize, Serialize};

/// What a file holds, by its own first bytes and never by a caller's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// ISO base media (MP4).
    Mp4,
    /// QuickTime.
    Mov,
    /// Matroska/WebM.
    #[serde(rename = "webm", alias = "web_m")]
    WebM,
    /// JPEG image.
    Jpeg,
    /// WebP image.
    #[serde(rename = "webp", alias = "web_p")]
    WebP,
    /// PNG image.
    Png,
}

impl MediaKind {
    /// How many of a file's first bytes [`MediaKind::sniff`] wants to see.
    pub const SNIFF_BYTES: usize = 64;

    /// The kind that a file's first bytes show; `None` for anything else.
    pub fn sniff(head: &[u8]) -> Option<Self> {
        let at = |from: usize, to: usize| head.get(from..to).unwrap_or_default();
        match () {
            () if at(4, 8) == b"ftyp" && at(8, 12) == b"qt  " => Some(Self::Mov),
            // Pictures of the HEIF family have the same box; no platform takes them.
            () if at(4, 8) == b"ftyp" && is_picture(at(8, 12)) => None,
            () if at(4, 8) == b"ftyp" => Some(Self::Mp4),
            // Old QuickTime files start with one of these boxes and have no `ftyp`.
            () if [b"moov", b"mdat", b"wide"]
                .iter()
                .any(|tag| at(4, 8) == *tag) =>
            {
                Some(Self::Mov)
            }
            () if at(0, 4) == [0x1A, 0x45, 0xDF, 0xA3] => Some(Self::WebM),
            () if at(0, 3) == [0xFF, 0xD8, 0xFF] => Some(Self::Jpeg),
            () if at(0, 4) == b"RIFF" && at(8, 12) == b"WEBP" => Some(Self::WebP),
            () if at(0, 8) == b"\x89PNG\r\n\x1a\n" => Some(Self::Png),
            () => None,
        }
    }

    /// The media type that platforms are told.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::Mov => "video/quicktime",
            Self::WebM => "video/webm",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
            Self::Png => "image/png",
        }
    }

    /// Whether it is a moving picture.
    pub const fn is_video(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov | Self::WebM)
    }
}

/// Whether a major brand is one of HEIF or AVIF.
fn is_picture(brand: &[u8]) -> bool {
    const BRANDS: [&[u8; 4]; 10] = [
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis",
    ];
    BRANDS.iter().any(|known| known.as_slice() == brand)
}

/// Where an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaStatus {
    /// Parts are awaited.
    Uploading,
    /// Complete, looked at, ready to be posted.
    Ready,
    /// Given up by its owner.
    Deleted,
    /// Its bytes are being fetched from the address that its owner gave.
    Fetching,
    /// They could not be fetched; the fault beside it says why.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_show_in_the_first_bytes() {
        let table: &[(&[u8], Option<MediaKind>)] = &[
            (b"\0\0\0\x18ftypisom", Some(MediaKind::Mp4)),
            (b"\0\0\0\x14ftypqt  ", Some(MediaKind::Mov)),
            (b"\0\0\0\x18ftypheic", None),
            (b"\0\0\0\x1cftypavif", None),
            (b"\0\0\0\x08wide\0\0", Some(MediaKind::Mov)),
            (b"\x1A\x45\xDF\xA3\x01", Some(MediaKind::WebM)),
            (b"\xFF\xD8\xFF\xE0", Some(MediaKind::Jpeg)),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some(MediaKind::WebP)),
            (b"\x89PNG\r\n\x1a\n", Some(MediaKind::Png)),
            (b"<html>", None),
            (b"", None),
        ];
        for (head, kind) in table {
            assert_eq!(MediaKind::sniff(head), *kind, "{head:?}");
        }
    }
}
