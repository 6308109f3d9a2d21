//! What is wanted of a list of records.

use data_encoding::BASE64URL_NOPAD;
use domain::{ConnectionId, Platform, RecordKind, Timestamp};
use lambda::{Problem, Query};
use store::RecordRow;

const USUAL: usize = 50;
const MOST: usize = 100;

/// The filters, as checked.
pub(crate) struct Filter {
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) platform: Option<Platform>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
    pub(crate) state: Option<&'static str>,
    pub(crate) cursor: Option<String>,
    pub(crate) limit: usize,
    /// A field of the noun's own that must have this value.
    field: Option<(&'static str, String)>,
}

/// The states of a noun.
const fn states(kind: RecordKind) -> &'static [&'static str] {
    match kind {
        RecordKind::MediaItem => &["visible", "removed"],
        RecordKind::Comment => &["visible", "hidden", "deleted"],
        RecordKind::Fan => &["follower", "subscriber", "lost", "known"],
        RecordKind::Message => &["unread", "read", "deleted"],
        RecordKind::AnalyticsEvent => &["recorded", "reversed"],
    }
}

/// The field by which else a noun is filtered.
const fn own(kind: RecordKind) -> Option<&'static str> {
    match kind {
        RecordKind::MediaItem | RecordKind::AnalyticsEvent => Some("kind"),
        RecordKind::Comment => Some("media_id"),
        RecordKind::Message => Some("chat_id"),
        RecordKind::Fan => None,
    }
}

impl Filter {
    pub(crate) fn read(query: &Query, kind: RecordKind) -> Result<Self, Problem> {
        let mut known = vec![
            "connection",
            "platform",
            "from",
            "to",
            "state",
            "cursor",
            "limit",
        ];
        known.extend(own(kind));
        query.only(&known)?;
        let states = states(kind);
        let sentence = format!("Give one of: {}.", states.join(", "));
        let state = query.parameter_by("state", &sentence, |text| {
            states.iter().find(|state| **state == text).copied()
        })?;
        let time = "Give an instant as 2026-11-20T09:00:00Z, or a day as 2026-11-20.";
        let of_this_list = "Give the next_cursor of an earlier answer to the same question.";
        let limit = query.parameter_by("limit", "Give a number from 1 to 100.", |text| {
            text.parse().ok().filter(|limit| (1..=MOST).contains(limit))
        })?;
        let field = match own(kind) {
            Some(name) => query
                .parameter_by(name, "Give up to 512 characters.", |text| {
                    (1..=512).contains(&text.len()).then(|| text.to_owned())
                })?
                .map(|value| (name, value)),
            None => None,
        };
        Ok(Self {
            connection: query.parameter("connection", "This is not the id of a connection.")?,
            platform: query.parameter("platform", "This is not a platform of this deployment.")?,
            from: query.parameter_by("from", time, instant)?,
            to: query.parameter_by("to", time, instant)?,
            state,
            cursor: query.parameter_by("cursor", of_this_list, place)?,
            limit: limit.unwrap_or(USUAL),
            field,
        })
    }

    /// Whether the noun's own filter takes the record.
    pub(crate) fn takes(&self, row: &RecordRow) -> bool {
        self.field.as_ref().is_none_or(|(name, wanted)| {
            let value = row.kept.fields.get(*name);
            value.and_then(|value| value.as_str()) == Some(wanted)
        })
    }
}

/// An instant, or the beginning of a day in UTC.
fn instant(text: &str) -> Option<Timestamp> {
    match text.len() {
        10 => Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")),
        _ => Timestamp::parse_rfc3339(text),
    }
}

/// A cursor as callers see it: a platform's id may hold anything.
pub(crate) fn shown(place: &str) -> String {
    BASE64URL_NOPAD.encode(place.as_bytes())
}

fn place(text: &str) -> Option<String> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let place = String::from_utf8(bytes).ok()?;
    let (millis, id) = place.split_once('#')?;
    let number = millis.len() == 13 && millis.bytes().all(|byte| byte.is_ascii_digit());
    (number && (1..=512).contains(&id.len())).then_some(place)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use lambda::Request;

    use super::*;

    fn read(text: &str, kind: RecordKind) -> Result<Filter, Problem> {
        let request = Request::builder(Method::GET, &format!("/x{text}")).build();
        Filter::read(&request.query().unwrap(), kind)
    }

    #[test]
    fn filters_are_checked() {
        use RecordKind::{Comment, Fan, MediaItem, Message};
        for (text, kind, good) in [
            ("", Fan, true),
            ("?state=subscriber", Fan, true),
            ("?state=visible", Fan, false),
            ("?state=hidden", Comment, true),
            ("?media_id=7", Comment, true),
            ("?media_id=7", Message, false),
            ("?kind=reel", MediaItem, true),
            ("?from=2026-11-20&to=2026-11-21T00:00:00%2B01:00", Fan, true),
            ("?from=yesterday", Fan, false),
            ("?from=2026-13-01", Fan, false),
            ("?limit=0", Fan, false),
            ("?limit=100", Fan, true),
            ("?limit=101", Fan, false),
            ("?platform=tiktok", Fan, true),
            ("?platform=orkut", Fan, false),
            ("?connection=7", Fan, false),
            ("?cursor=%23", Fan, false),
            ("?user=7", Fan, false),
        ] {
            assert_eq!(read(text, kind).is_ok(), good, "{text}");
        }
        let filter = read("?from=2026-11-20", Fan).unwrap();
        assert_eq!(filter.from, Some(Timestamp::from_secs(1_795_132_800)));
    }

    #[test]
    fn cursors_come_back_as_they_went() {
        for place_ in [
            "1767225600000#a",
            "1767225600000#a#b/é =",
            "0000000000000#x",
        ] {
            assert_eq!(place(&shown(place_)).as_deref(), Some(place_));
        }
        for bad in ["", "x", "MTIz", "!!"] {
            assert_eq!(place(bad), None, "{bad}");
        }
        assert_eq!(place(&shown("12#a")), None);
    }
}
