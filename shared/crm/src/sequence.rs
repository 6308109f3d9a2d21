//! Places in a stream.

use std::cmp::Ordering;

/// A stream's sequence number: 1 to 40 decimal digits, too many for an integer of this machine. Those
/// of one item grow with its changes; between items they say nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sequence(String);

impl Sequence {
    /// The number in `text`; `None` where there is none.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let plain = text.trim_start_matches('0');
        let plain = if plain.is_empty() { "0" } else { plain };
        digits.then(|| Self(plain.to_owned()))
    }

    /// Its digits, without leading zeros.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for Sequence {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Sequence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_not_texts_are_compared() {
        let number = |text: &str| Sequence::parse(text).unwrap();
        assert!(number("9") < number("10"));
        assert!(number("00000000000000000000000000000000000009") < number("10"));
        assert!(number("4421584500000000017450439091") < number("4421584500000000017450439092"));
        assert_eq!(number("000"), number("0"));
        for bad in ["", "-1", "1.5", "x", &"1".repeat(41)] {
            assert_eq!(Sequence::parse(bad), None, "{bad}");
        }
    }
}
