//! How a file is cut into parts for S3, and whether the parts sent are the right ones.

use platforms::Violation;

/// S3 refuses a smaller part, unless it is the last; emulators may take it.
const SMALLEST: u64 = 5 * 1024 * 1024;
/// The usual part: few requests for a video, little to send again when one fails.
const USUAL: u64 = 8 * 1024 * 1024;
/// S3's limit.
const MOST: u64 = 10_000;
const MIB: u64 = 1024 * 1024;

/// The size of every part but the last of a file of `size` bytes: 8 MiB, or more where there would be
/// over 10,000 parts.
pub(crate) fn part_size(size: u64) -> u64 {
    size.div_ceil(MOST)
        .next_multiple_of(MIB)
        .clamp(USUAL.max(SMALLEST), u64::MAX / 2)
}

/// How many bytes part `number` (from 1) has; 0 for one that is not part of the file.
pub(crate) fn length_of(size: u64, part_size: u64, number: u64) -> u64 {
    let start = number.saturating_sub(1).saturating_mul(part_size).min(size);
    if number == 0 {
        return 0;
    }
    (size - start).min(part_size)
}

/// A part as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    pub(crate) number: u64,
    pub(crate) etag: &'a str,
}

/// A part as S3 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) number: u64,
    pub(crate) size: u64,
    pub(crate) etag: String,
}

/// What is wrong with the list that completes a file: every part named once, in order, stored, with
/// the size that it was to have and the ETag that S3 gave. Empty: nothing.
pub(crate) fn check_parts(
    size: u64,
    part_size: u64,
    count: u64,
    named: &[Named<'_>],
    stored: &[Stored],
) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut expected = 1;
    for (index, part) in named.iter().enumerate() {
        let field = |name: &str| format!("parts[{index}].{name}");
        let number = part.number;
        if number == 0 || number > count {
            let sentence = format!("This file has the parts 1 to {count}.");
            found.push(violation(field("part_number"), "no_such_part", sentence));
            continue;
        }
        if number < expected {
            let sentence = format!(
                "Part {number} is out of order or named twice. List each part once, by rising number."
            );
            found.push(violation(field("part_number"), "wrong_order", sentence));
            continue;
        }
        if number > expected {
            found.push(missing(field("part_number"), expected, number - 1));
        }
        expected = number + 1;
        match stored.iter().find(|stored| stored.number == number) {
            None => {
                let sentence = format!("Part {number} has not been uploaded.");
                found.push(violation(field("part_number"), "not_uploaded", sentence));
            }
            Some(stored) if stored.size != length_of(size, part_size, number) => {
                let sentence = format!(
                    "Part {number} has {} bytes and must have {}. Upload it again.",
                    stored.size,
                    length_of(size, part_size, number)
                );
                found.push(violation(field("part_number"), "wrong_size", sentence));
            }
            Some(stored) if bare(&stored.etag) != bare(part.etag) => {
                let sentence = format!(
                    "Part {number} is stored with another ETag. Give the one that its upload answered, or upload it again."
                );
                found.push(violation(field("etag"), "wrong_etag", sentence));
            }
            Some(_) => {}
        }
    }
    if expected <= count {
        found.push(missing("parts".to_owned(), expected, count));
    }
    found
}

/// ETags come with quotes in headers and, from some clients, without.
fn bare(etag: &str) -> &str {
    etag.trim().trim_matches('"')
}

fn missing(field: String, first: u64, last: u64) -> Violation {
    let sentence = if first == last {
        format!("Part {first} is missing.")
    } else {
        format!("The parts {first} to {last} are missing.")
    };
    violation(field, "missing_part", sentence)
}

fn violation(field: String, code: &'static str, sentence: String) -> Violation {
    Violation {
        field,
        code,
        sentence,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_have_the_usual_size_until_there_are_too_many() {
        for (size, expected) in [
            (1, USUAL),
            (4_000_000_000, USUAL),
            (USUAL * MOST, USUAL),
            (USUAL * MOST + 1, USUAL + MIB),
        ] {
            assert_eq!(part_size(size), expected, "{size}");
        }
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_file(size in 1u64..5_000_000_000_000) {
            let part = part_size(size);
            let count = size.div_ceil(part);
            prop_assert!(count <= MOST && part >= SMALLEST);
            let sum: u64 = (1..=count).map(|number| length_of(size, part, number)).sum();
            prop_assert_eq!(sum, size);
            prop_assert_eq!(length_of(size, part, count + 1), 0);
            prop_assert_eq!(length_of(size, part, 0), 0);
        }
    }

    #[test]
    fn every_wrong_part_is_named() {
        // Three parts: 10, 10 and 5 bytes.
        let stored = |sizes: &[(u64, u64)]| -> Vec<Stored> {
            sizes
                .iter()
                .map(|(number, size)| Stored {
                    number: *number,
                    size: *size,
                    etag: format!("\"e{number}\""),
                })
                .collect()
        };
        let whole = [(1, 10), (2, 10), (3, 5)];
        // (parts named, parts stored, complaints)
        type Row<'a> = (&'a [u64], &'a [(u64, u64)], &'a [(&'a str, &'a str)]);
        let table: &[Row<'_>] = &[
            (&[1, 2, 3], &whole, &[]),
            (&[], &whole, &[("parts", "missing_part")]),
            (&[1, 2], &whole, &[("parts", "missing_part")]),
            (&[1, 3], &whole, &[("parts[1].part_number", "missing_part")]),
            (
                &[2, 1, 3],
                &whole,
                &[
                    ("parts[0].part_number", "missing_part"),
                    ("parts[1].part_number", "wrong_order"),
                ],
            ),
            (
                &[1, 2, 2, 3],
                &whole,
                &[("parts[2].part_number", "wrong_order")],
            ),
            (
                &[1, 2, 3, 4],
                &whole,
                &[("parts[3].part_number", "no_such_part")],
            ),
            (
                &[0, 1, 2, 3],
                &whole,
                &[("parts[0].part_number", "no_such_part")],
            ),
            (
                &[1, 2, 3],
                &[(1, 10), (3, 5)],
                &[("parts[1].part_number", "not_uploaded")],
            ),
            (
                &[1, 2, 3],
                &[(1, 10), (2, 9), (3, 5)],
                &[("parts[1].part_number", "wrong_size")],
            ),
        ];
        for (named, sizes, complaints) in table {
            let etags: Vec<_> = named.iter().map(|number| format!("e{number}")).collect();
            let named: Vec<_> = named
                .iter()
                .zip(&etags)
                .map(|(number, etag)| Named {
                    number: *number,
                    etag,
                })
                .collect();
            let found = check_parts(25, 10, 3, &named, &stored(sizes));
            let found: Vec<_> = found
                .iter()
                .map(|found| (found.field.as_str(), found.code))
                .collect();
            assert_eq!(&found, complaints, "{named:?}");
        }
        let named = [Named {
            number: 1,
            etag: "other",
        }];
        let found = check_parts(10, 10, 1, &named, &stored(&[(1, 10)]));
        assert_eq!(found[0].field, "parts[0].etag");
    }
}
