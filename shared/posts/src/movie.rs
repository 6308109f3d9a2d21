//! How long a film plays, out of its own header: ISO base media (MP4) and QuickTime, whose `moov` box
//! holds a movie header `mvhd` with a duration and a time scale (ISO/IEC 14496-12 §8.2.2).
//!
//! The file lies in the bucket, and the box may stand at its end behind gigabytes, so the search says
//! which bytes it wants to see next.

use std::ops::Range;

/// How many boxes are looked at: a film has a handful before its `moov`, a fragmented one begins with
/// it.
const MOST_LOOKS: u32 = 24;
/// How much of a box is read: `mvhd` is the first box in `moov`, or close to it.
const LOOK: u64 = 4_096;

/// The search for a film's duration.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    size: u64,
    at: u64,
    looks: u32,
    found: Option<u64>,
    over: bool,
}

impl Search {
    /// In a file of `size` bytes.
    pub(crate) const fn new(size: u64) -> Self {
        Self {
            size,
            at: 0,
            looks: 0,
            found: None,
            over: false,
        }
    }

    /// Which bytes [`Search::read`] wants; `None` once the search is over.
    pub(crate) fn wants(&self) -> Option<Range<u64>> {
        let over = self.over || self.looks >= MOST_LOOKS || self.at + 8 > self.size;
        (!over).then(|| self.at..(self.at + LOOK).min(self.size))
    }

    /// Reads the bytes that were wanted, or as many of them as there are.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        self.looks += 1;
        let Some(head) = Head::read(bytes, self.size - self.at) else {
            self.over = true;
            return;
        };
        if head.kind == *b"moov" {
            self.found = duration_in(bytes.get(head.length..).unwrap_or_default());
            self.over = true;
            return;
        }
        self.at = self.at.saturating_add(head.size);
    }

    /// What was found, in milliseconds.
    pub(crate) const fn duration_ms(&self) -> Option<u64> {
        self.found
    }
}

/// The head of a box.
struct Head {
    kind: [u8; 4],
    /// Of the whole box.
    size: u64,
    /// Of the head itself.
    length: usize,
}

impl Head {
    /// `left`: how many bytes there are from the box's beginning on.
    fn read(bytes: &[u8], left: u64) -> Option<Self> {
        let kind = bytes.get(4..8)?.try_into().ok()?;
        let (size, length) = match number(bytes, 0, 4)? {
            0 => (left, 8),
            1 => (number(bytes, 8, 8)?, 16),
            size => (size, 8),
        };
        (size >= length as u64).then_some(Self { kind, size, length })
    }
}

/// The duration out of the content of a `moov` box, as much of it as was read.
fn duration_in(mut boxes: &[u8]) -> Option<u64> {
    loop {
        let head = Head::read(boxes, boxes.len() as u64)?;
        if head.kind == *b"mvhd" {
            return movie_header(boxes.get(head.length..)?);
        }
        boxes = boxes.get(usize::try_from(head.size).ok()?..)?;
    }
}

/// Version 0 has 32-bit times and duration, version 1 has 64-bit ones; an unknown duration is all ones.
fn movie_header(body: &[u8]) -> Option<u64> {
    let (scale, duration) = match body.first()? {
        0 => (
            number(body, 12, 4)?,
            number(body, 16, 4).filter(|all| *all != u64::from(u32::MAX))?,
        ),
        1 => (
            number(body, 20, 4)?,
            number(body, 24, 8).filter(|all| *all != u64::MAX)?,
        ),
        _ => return None,
    };
    // A fragmented film says 0 here: it does not know.
    let millis = u128::from(duration) * 1_000 / u128::from(scale).max(1);
    (scale > 0 && duration > 0)
        .then(|| u64::try_from(millis).ok())
        .flatten()
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + length)?;
    Some(
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    fn header(version: u8, scale: u32, duration: u64) -> Vec<u8> {
        let mut body = vec![version, 0, 0, 0];
        if version == 0 {
            body.extend([0; 8]);
            body.extend(scale.to_be_bytes());
            body.extend(u32::try_from(duration).unwrap().to_be_bytes());
        } else {
            body.extend([0; 16]);
            body.extend(scale.to_be_bytes());
            body.extend(duration.to_be_bytes());
        }
        boxed(b"mvhd", &body)
    }

    fn duration(file: &[u8]) -> Option<u64> {
        let mut search = Search::new(file.len() as u64);
        while let Some(range) = search.wants() {
            let at = |at: u64| usize::try_from(at).unwrap();
            search.read(&file[at(range.start)..at(range.end)]);
        }
        search.duration_ms()
    }

    #[test]
    fn the_header_is_found_wherever_it_stands() {
        let ftyp = boxed(b"ftyp", b"isom0000");
        let mdat = boxed(b"mdat", &[7; 9_000]);
        let moov = |inner: &[Vec<u8>]| boxed(b"moov", &inner.concat());
        let long = [
            &[0, 0, 0, 1][..],
            b"mdat",
            &(16u64 + 5).to_be_bytes(),
            &[1; 5],
        ]
        .concat();
        let open = [&[0, 0, 0, 0][..], b"moov", &header(0, 600, 600)].concat();
        for (file, expected) in [
            (
                vec![ftyp.clone(), moov(&[header(0, 1_000, 12_345)])],
                Some(12_345),
            ),
            (
                vec![
                    ftyp.clone(),
                    mdat,
                    moov(&[boxed(b"free", b"x"), header(1, 90_000, 900_000)]),
                ],
                Some(10_000),
            ),
            (vec![long, moov(&[header(0, 25, 50)])], Some(2_000)),
            (vec![open], Some(1_000)),
            (vec![ftyp.clone(), moov(&[header(0, 0, 50)])], None),
            (
                vec![ftyp.clone(), moov(&[header(0, 1_000, u64::from(u32::MAX))])],
                None,
            ),
            (vec![ftyp.clone(), moov(&[header(1, 1_000, 0)])], None),
            (vec![ftyp.clone(), moov(&[])], None),
            (vec![ftyp], None),
            (vec![b"\0\0\0\x04moov".to_vec()], None),
            (vec![], None),
        ] {
            assert_eq!(duration(&file.concat()), expected);
        }
    }

    #[test]
    fn a_film_of_many_boxes_is_given_up() {
        let many = boxed(b"free", b"").repeat(1_000);
        assert_eq!(duration(&many), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            duration(&bytes);
            duration(&[&b"\0\0\0\x10ftypisom0000"[..], &bytes].concat());
        }
    }
}
