//! The name of the schema that holds the projection.

use std::fmt;

/// A schema's name: lower-case letters, digits and underscores, at most 48, a letter first. So it
/// needs no escaping anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema(String);

/// A text that is no name of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must begin with a letter and hold at most 48 of a-z, 0-9 and _")]
pub struct InvalidSchema;

impl Schema {
    /// The name in `text`. Names that PostgreSQL keeps for itself (`pg_…`) are none.
    pub fn parse(text: &str) -> Result<Self, InvalidSchema> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let good = (1..=48).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(plain)
            && !text.starts_with("pg_");
        good.then(|| Self(text.to_owned())).ok_or(InvalidSchema)
    }

    /// The plain name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A table or view of it, quoted.
    pub fn table(&self, name: &str) -> String {
        format!("\"{}\".\"{name}\"", self.0)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_escaping() {
        for (text, good) in [
            ("passerelle", true),
            ("crm_2", true),
            ("", false),
            ("2crm", false),
            ("Crm", false),
            ("a\"b", false),
            ("pg_crm", false),
            ("a.b", false),
        ] {
            assert_eq!(Schema::parse(text).is_ok(), good, "{text}");
        }
        assert!(Schema::parse(&"a".repeat(49)).is_err());
    }
}
