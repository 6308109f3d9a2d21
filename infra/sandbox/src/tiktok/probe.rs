//! What kind of media bytes are, read as they stream.
//!
//! The kind by its first bytes; of MP4 and MOV length and size by their boxes, of JPEG and WebP the
//! size. Codecs and frame rates are not looked at, and what a file does not say passes.

use serde::Serialize;

use super::choices::Megabyte;

/// As much of a file's beginning as is kept.
const HEAD: usize = 256 * 1024;
/// As much of a box as is kept: the figures of `mvhd` and `tkhd` lie within.
const BOX: u64 = 128;

/// The kinds of tiktok.md §4.4 and §4.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Mp4,
    Mov,
    Webm,
    Jpeg,
    Webp,
}

/// What is known of a file so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe {
    head: Vec<u8>,
    boxes: Boxes,
    size: u64,
}

/// What a file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Facts {
    pub(crate) kind: Option<Kind>,
    pub(crate) seconds: Option<f64>,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
}

impl Probe {
    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let room = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.size += bytes.len() as u64;
        if matches!(kind(&self.head), Some(Kind::Mp4 | Kind::Mov)) {
            // The first bytes may have come before the kind was known.
            if self.boxes.seen == 0 {
                let earlier = self.size - bytes.len() as u64;
                let earlier = usize::try_from(earlier).unwrap_or(HEAD).min(HEAD);
                let held = self.head[..earlier].to_vec();
                self.boxes.update(&held);
            }
            self.boxes.update(bytes);
        }
    }

    /// What the bytes say so far.
    pub(crate) fn facts(&self) -> Facts {
        let kind = kind(&self.head);
        let size = match kind {
            Some(Kind::Jpeg) => jpeg(&self.head),
            Some(Kind::Webp) => webp(&self.head),
            _ => self.boxes.size,
        };
        Facts {
            kind,
            seconds: self.boxes.seconds,
            width: size.map(|size| size.0),
            height: size.map(|size| size.1),
        }
    }

    /// The `fail_reason` of a video that may last so long, if it has one (tiktok.md §4.6, §4.9).
    pub(crate) fn video_fault(&self, longest_seconds: i64) -> Option<&'static str> {
        let facts = self.facts();
        if !matches!(facts.kind, Some(Kind::Mp4 | Kind::Mov | Kind::Webm)) {
            return Some("file_format_check_failed");
        }
        // Ten minutes through the API, or less for the creator.
        let longest = longest_seconds.min(600);
        if facts
            .seconds
            .is_some_and(|seconds| seconds > longest as f64)
        {
            return Some("duration_check_failed");
        }
        let sides = [facts.width, facts.height].into_iter().flatten();
        let fits = sides.into_iter().all(|side| (360..=4096).contains(&side));
        (!fits).then_some("picture_size_check_failed")
    }

    /// The `fail_reason` of a photo, if it has one (tiktok.md §4.4).
    pub(crate) fn photo_fault(&self, reading: Megabyte) -> Option<&'static str> {
        let facts = self.facts();
        if !matches!(facts.kind, Some(Kind::Jpeg | Kind::Webp)) {
            return Some("file_format_check_failed");
        }
        let (width, height) = (facts.width.unwrap_or(0), facts.height.unwrap_or(0));
        // 1080p either way up.
        let fits = width.min(height) <= 1080 && width.max(height) <= 1920;
        (self.size > photo_bytes(reading) || !fits).then_some("picture_size_check_failed")
    }
}

/// 20 MB under the chosen reading.
pub(crate) fn photo_bytes(reading: Megabyte) -> u64 {
    match reading {
        Megabyte::Decimal | Megabyte::Both => 20_000_000,
        Megabyte::Binary | Megabyte::Either => 20 << 20,
    }
}

fn kind(head: &[u8]) -> Option<Kind> {
    let at = |from: usize, what: &[u8]| head.get(from..from + what.len()) == Some(what);
    if at(0, &[0xFF, 0xD8, 0xFF]) {
        return Some(Kind::Jpeg);
    }
    if at(0, b"RIFF") && at(8, b"WEBP") {
        return Some(Kind::Webp);
    }
    if at(4, b"ftyp") {
        let mov = at(8, b"qt  ");
        return Some(if mov { Kind::Mov } else { Kind::Mp4 });
    }
    // QuickTime files from before `ftyp`.
    if [b"moov", b"mdat", b"wide", b"free"]
        .iter()
        .any(|name| at(4, *name))
    {
        return Some(Kind::Mov);
    }
    // Matroska by its first bytes, WebM by its document type.
    let webm = || head.iter().take(64).copied().collect::<Vec<u8>>();
    (at(0, &[0x1A, 0x45, 0xDF, 0xA3]) && webm().windows(4).any(|four| four == b"webm"))
        .then_some(Kind::Webm)
}

/// A walk over ISO media boxes that keeps only what it needs.
#[derive(Clone, Debug, Default)]
struct Boxes {
    seen: u64,
    /// Bytes to pass over before the next header.
    skip: u64,
    header: Vec<u8>,
    /// The box being kept, and how many more of its bytes are wanted.
    kept: Option<(Name, Vec<u8>, u64)>,
    /// The walk lost its way; nothing more is read.
    lost: bool,
    seconds: Option<f64>,
    size: Option<(u32, u32)>,
}

type Name = [u8; 4];

impl Boxes {
    fn update(&mut self, mut bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        while !bytes.is_empty() && !self.lost {
            if let Some((name, mut held, left)) = self.kept.take() {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                held.extend_from_slice(&bytes[..take]);
                bytes = &bytes[take..];
                let left = left - take as u64;
                if left > 0 {
                    self.kept = Some((name, held, left));
                } else {
                    self.read(name, &held);
                }
            } else if self.skip > 0 {
                let take = self.skip.min(bytes.len() as u64);
                self.skip -= take;
                bytes = &bytes[usize::try_from(take).unwrap_or(bytes.len())..];
            } else {
                self.header.push(bytes[0]);
                bytes = &bytes[1..];
                self.open();
            }
        }
    }

    /// Acts on a header once it is whole: 8 bytes, or 16 with a 64-bit size.
    fn open(&mut self) {
        let Some(short) = self.header.get(..8) else {
            return;
        };
        let size = u64::from(number(&short[..4]).unwrap_or(0));
        let name = [short[4], short[5], short[6], short[7]];
        let (size, header) = match (size, self.header.get(8..16)) {
            (1, None) => return,
            (1, Some(long)) => {
                let high = u64::from(number(&long[..4]).unwrap_or(0));
                (high << 32 | u64::from(number(&long[4..]).unwrap_or(0)), 16)
            }
            (size, _) => (size, 8),
        };
        self.header.clear();
        // A size of 0 is a box to the end of the file.
        let Some(body) = size.checked_sub(header) else {
            self.lost = true;
            return;
        };
        match &name {
            // Their children come next.
            b"moov" | b"trak" => {}
            b"mvhd" | b"tkhd" => {
                let keep = body.min(BOX);
                self.skip = body - keep;
                self.kept = (keep > 0).then(|| (name, Vec::new(), keep));
            }
            _ => self.skip = body,
        }
    }

    fn read(&mut self, name: Name, body: &[u8]) {
        // Version 1 has 64-bit times.
        let long = body.first() == Some(&1);
        let at = |from: usize| number(body.get(from..from + 4)?);
        if &name == b"mvhd" {
            let (scale, length) = if long {
                let length = at(24).zip(at(28));
                (
                    at(20),
                    length.map(|(high, low)| u64::from(high) << 32 | u64::from(low)),
                )
            } else {
                (at(12), at(16).map(u64::from))
            };
            if let (Some(scale @ 1..), Some(length)) = (scale, length) {
                self.seconds = Some(length as f64 / f64::from(scale));
            }
        } else {
            let from = if long { 88 } else { 76 };
            // 16.16 fixed point; tracks without a picture are 0 × 0.
            if let (Some(width), Some(height)) = (at(from), at(from + 4))
                && width >> 16 > 0
            {
                self.size = Some((width >> 16, height >> 16));
            }
        }
    }
}

/// Width and height from the frame header.
fn jpeg(head: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let segment = head.get(at..at + 4)?;
        let (mark, length) = (segment[1], u16::from_be_bytes([segment[2], segment[3]]));
        if segment[0] != 0xFF {
            return None;
        }
        // C4, C8 and CC are no frames.
        if (0xC0..=0xCF).contains(&mark) && ![0xC4, 0xC8, 0xCC].contains(&mark) {
            let frame = head.get(at + 5..at + 9)?;
            let side = |from: usize| u32::from(u16::from_be_bytes([frame[from], frame[from + 1]]));
            return Some((side(2), side(0)));
        }
        at += 2 + usize::from(length);
    }
}

/// Width and height from the first chunk, of any of its three kinds.
fn webp(head: &[u8]) -> Option<(u32, u32)> {
    let little = |from: usize, bytes: usize| {
        let part = head.get(from..from + bytes)?;
        let sum = part.iter().rev();
        Some(sum.fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    match head.get(12..16)? {
        b"VP8X" => Some((little(24, 3)? + 1, little(27, 3)? + 1)),
        b"VP8L" => {
            let bits = little(21, 4)?;
            Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
        }
        b"VP8 " => Some((little(26, 2)? & 0x3FFF, little(28, 2)? & 0x3FFF)),
        _ => None,
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
