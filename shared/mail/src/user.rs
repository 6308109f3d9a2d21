//! What may stand in a user's record. Pure.

use jiff::tz::TimeZone;

const MOST_LABEL: usize = 120;

/// What is wrong with one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The field's name, as the record has it.
    pub field: &'static str,
    /// Stable.
    pub code: &'static str,
    /// What to do.
    pub sentence: &'static str,
}

/// The texts of a record that are given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts<'a> {
    /// What pages and mails call the user.
    pub label: Option<&'a str>,
    /// Where mails go.
    pub email: Option<&'a str>,
    /// BCP 47.
    pub locale: Option<&'a str>,
    /// IANA name.
    pub time_zone: Option<&'a str>,
}

/// A text, what it must be, the field's name and what to do.
type Check<'a> = (
    Option<&'a str>,
    fn(&str) -> bool,
    &'static str,
    &'static str,
);

impl Texts<'_> {
    /// Every field that breaks a rule.
    pub fn wrong(&self) -> Vec<Wrong> {
        let checks: [Check<'_>; 4] = [
            (
                self.label,
                is_label,
                "label",
                "Give 1 to 120 characters that can be shown.",
            ),
            (
                self.email,
                is_email,
                "email",
                "Give an e-mail address in ASCII such as mara@example.com, or leave it out.",
            ),
            (
                self.locale,
                is_locale,
                "locale",
                "Give a BCP 47 language tag such as fr or en-GB, or leave it out.",
            ),
            (
                self.time_zone,
                is_time_zone,
                "time_zone",
                "Give an IANA name such as Europe/Paris, or leave it out.",
            ),
        ];
        let broken = checks
            .into_iter()
            .filter(|(text, good, ..)| !text.is_none_or(good));
        broken
            .map(|(_, _, field, sentence)| Wrong {
                field,
                code: "malformed",
                sentence,
            })
            .collect()
    }
}

fn is_label(text: &str) -> bool {
    let long = text.chars().count() > MOST_LABEL;
    !text.trim().is_empty() && !long && !text.chars().any(char::is_control)
}

/// An address that SES takes: ASCII, one `@`, a host with a dot.
fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else {
        return false;
    };
    let in_name = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&b);
    let dots = |text: &str| text.starts_with('.') || text.ends_with('.') || text.contains("..");
    let label = |label: &str| {
        let edge = label.starts_with('-') || label.ends_with('-');
        let letters = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && letters && !edge
    };
    let good_name = (1..=64).contains(&name.len()) && name.bytes().all(in_name) && !dots(name);
    text.len() <= 254 && good_name && host.contains('.') && host.split('.').all(label)
}

/// A well-formed tag (RFC 5646 §2.1), its parts in their order.
fn is_locale(text: &str) -> bool {
    let alpha = |part: &str| part.bytes().all(|b| b.is_ascii_alphabetic());
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let word = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut parts = text.split('-').peekable();
    let language = parts.next().unwrap_or_default();
    if text.len() > 35 || !(2..=8).contains(&language.len()) || !alpha(language) {
        return false;
    }
    for _ in 0..3 {
        parts.next_if(|part| language.len() <= 3 && part.len() == 3 && alpha(part));
    }
    parts.next_if(|part| part.len() == 4 && alpha(part));
    parts.next_if(|part| (part.len() == 2 && alpha(part)) || (part.len() == 3 && digits(part)));
    let variant = |part: &&str| {
        let short = part.len() == 4 && part.starts_with(|c: char| c.is_ascii_digit());
        ((5..=8).contains(&part.len()) || short) && word(part)
    };
    while parts.next_if(variant).is_some() {}
    // Extensions: a single letter or digit, then parts of 2 to 8; behind `x` also single ones.
    while let Some(single) = parts.next() {
        if single.len() != 1 || !word(single) {
            return false;
        }
        let least = if single.eq_ignore_ascii_case("x") {
            1
        } else {
            2
        };
        let mut any = false;
        while parts
            .next_if(|part| (least..=8).contains(&part.len()) && word(part))
            .is_some()
        {
            any = true;
        }
        if !any {
            return false;
        }
    }
    true
}

fn is_time_zone(text: &str) -> bool {
    (1..=64).contains(&text.len()) && TimeZone::get(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_mails_locales_and_zones() {
        for (text, good) in [
            ("a@b.example", true),
            ("mara+week@mail.example.co.uk", true),
            ("o'neil_x@b.example", true),
            ("a@b", false),
            ("a b@c.d", false),
            ("@b.c", false),
            ("a@b.c,d@e.f", false),
            ("a@b.c>", false),
            ("a@.c", false),
            ("a@-b.c", false),
            ("a..b@c.d", false),
            ("mära@example.com", false),
            ("a@b.c\r\nBcc: x@y.z", false),
        ] {
            assert_eq!(is_email(text), good, "{text}");
        }
        for (text, good) in [
            ("fr", true),
            ("en-GB", true),
            ("zh-Hans", true),
            ("zh-cmn-Hans-CN", true),
            ("es-419", true),
            ("de-CH-1996", true),
            ("sl-rozaj-biske", true),
            ("en-u-ca-gregory", true),
            ("en-x-a", true),
            ("", false),
            ("f", false),
            ("f_r", false),
            ("fr-", false),
            ("fr-FR-FR", false),
            ("en-u", false),
            ("123", false),
        ] {
            assert_eq!(is_locale(text), good, "{text}");
        }
        for (text, good) in [
            ("Europe/Paris", true),
            ("UTC", true),
            ("America/Argentina/Buenos_Aires", true),
            ("Mars/Olympus", false),
            ("CET+1", false),
            ("a b", false),
            ("", false),
        ] {
            assert_eq!(is_time_zone(text), good, "{text}");
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        let texts = Texts {
            label: Some(" "),
            email: Some("x"),
            locale: Some("f_r"),
            time_zone: Some("x"),
        };
        let fields: Vec<_> = texts.wrong().iter().map(|wrong| wrong.field).collect();
        assert_eq!(fields, ["label", "email", "locale", "time_zone"]);
        assert!(Texts::default().wrong().is_empty());
    }
}
