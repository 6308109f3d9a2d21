//! What the probe reads of each kind, however the bytes come in.

use super::*;

fn boxed(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u32 + 8).to_be_bytes();
    [size.as_slice(), name, body].concat()
}

/// The same box with its size in 64 bits.
fn boxed_long(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u64 + 16).to_be_bytes();
    [&[0, 0, 0, 1], name.as_slice(), &size, body].concat()
}

fn numbers(list: &[u32]) -> Vec<u8> {
    list.iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}

/// `mvhd` and `tkhd` of version 0 or 1: 90 seconds, 1080 × 1920.
fn moov(long: bool) -> Vec<u8> {
    let (movie, before) = if long {
        (vec![1 << 24, 0, 1, 0, 1, 1000, 0, 90_000], 88)
    } else {
        (vec![0, 1, 1, 1000, 90_000], 76)
    };
    let mut picture = vec![0; before];
    picture[0] = u8::from(long);
    picture.extend(numbers(&[1080 << 16, 1920 << 16]));
    let track = boxed(b"trak", &boxed(b"tkhd", &picture));
    let movie = boxed(b"mvhd", &[numbers(&movie), vec![0; 80]].concat());
    boxed(b"moov", &[movie, boxed(b"udta", &[9; 300]), track].concat())
}

fn facts(bytes: &[u8], piece: usize) -> Facts {
    let mut probe = Probe::default();
    bytes.chunks(piece).for_each(|piece| probe.update(piece));
    probe.facts()
}

#[test]
fn every_kind_in_pieces_of_every_size() {
    let ftyp = |brand: &[u8]| boxed(b"ftyp", &[brand, &[0; 4]].concat());
    let data = boxed(b"mdat", &[7; 70_000]);
    let long_data = boxed_long(b"mdat", &[7; 70_000]);
    let film = |kind| (Some(kind), Some(90.0), Some((1080, 1920)));
    let webp = |rest: &[u8]| [b"RIFF\x40\0\0\0WEBP".as_slice(), rest].concat();
    let lossless: u32 = (720 - 1) | ((1280 - 1) << 14);
    let lossless = [b"VP8L\x10\0\0\0\x2F".as_slice(), &lossless.to_le_bytes()].concat();
    let plain = b"VP8 \x10\0\0\0\0\0\0\x9D\x01\x2A\xD0\x02\x00\x05....";
    let sized = |kind| (Some(kind), None, Some((720, 1280)));
    let cases = [
        (
            [ftyp(b"isom"), moov(false), data.clone()].concat(),
            film(Kind::Mp4),
        ),
        (
            [ftyp(b"mp42"), data.clone(), moov(true)].concat(),
            film(Kind::Mp4),
        ),
        (
            [ftyp(b"qt  "), long_data, moov(false)].concat(),
            film(Kind::Mov),
        ),
        ([data.clone(), moov(false)].concat(), film(Kind::Mov)),
        (webp(&lossless), sized(Kind::Webp)),
        (webp(plain), sized(Kind::Webp)),
        // What a file does not say, or says wrongly, is not known.
        (ftyp(b"isom"), (Some(Kind::Mp4), None, None)),
        (
            [ftyp(b"isom"), numbers(&[3]), moov(false)].concat(),
            (Some(Kind::Mp4), None, None),
        ),
        (vec![0xFF, 0xD8, 0xFF], (Some(Kind::Jpeg), None, None)),
        (vec![0; 500], (None, None, None)),
        (Vec::new(), (None, None, None)),
    ];
    for (number, (bytes, (kind, seconds, size))) in cases.into_iter().enumerate() {
        let expect = Facts {
            kind,
            seconds,
            width: size.map(|size| size.0),
            height: size.map(|size| size.1),
        };
        for piece in [1, 7, 4096, 1 << 20] {
            assert_eq!(
                facts(&bytes, piece),
                expect,
                "case {number} in pieces of {piece}"
            );
        }
    }
}

#[test]
fn twenty_megabytes_under_each_reading() {
    for (reading, largest) in [
        (Megabyte::Decimal, 20_000_000),
        (Megabyte::Both, 20_000_000),
        (Megabyte::Binary, 20_971_520),
        (Megabyte::Either, 20_971_520),
    ] {
        for (size, fault) in [
            (largest, None),
            (largest + 1, Some("picture_size_check_failed")),
        ] {
            let mut probe = Probe::default();
            probe.update(&[0xFF, 0xD8, 0xFF]);
            probe.update(&vec![0; size - 3]);
            assert_eq!(probe.photo_fault(reading), fault, "{reading:?} {size}");
        }
    }
}
