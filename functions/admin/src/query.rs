//! Queries of lists: filters, cursors, limits.

use lambda::{Problem, Query};

pub(crate) const USUAL: usize = 50;
pub(crate) const MOST: usize = 100;
const CURSOR: &str = "Give the next_cursor of an earlier answer.";

/// How many are wanted.
pub(crate) fn limit(query: &Query) -> Result<usize, Problem> {
    limit_to(query, MOST)
}

/// How many are wanted, where no list is longer than `most`.
pub(crate) fn limit_to(query: &Query, most: usize) -> Result<usize, Problem> {
    let sentence = format!("Give a number from 1 to {most}.");
    let limit = query.parameter_by("limit", &sentence, |text| {
        text.parse().ok().filter(|limit| (1..=most).contains(limit))
    })?;
    Ok(limit.unwrap_or(USUAL.min(most)))
}

/// A place in a list, as `store` has it: `<milliseconds>#<id>`.
pub(crate) fn cursor(query: &Query) -> Result<Option<String>, Problem> {
    query.parameter_by("cursor", CURSOR, |text| {
        let (millis, id) = split(text)?;
        Some(format!("{millis}#{id}"))
    })
}

/// A place as callers see it: with a full stop, which no address takes for anything else.
pub(crate) fn shown(place: Option<String>) -> Option<String> {
    place.map(|place| place.replacen('#', ".", 1))
}

/// The two halves of a cursor, if it is one.
pub(crate) fn split(text: &str) -> Option<(&str, &str)> {
    let (millis, id) = text.split_once('.')?;
    let number = (1..=16).contains(&millis.len()) && millis.bytes().all(|b| b.is_ascii_digit());
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let named = (1..=64).contains(&id.len()) && id.bytes().all(plain);
    (number && named).then_some((millis, id))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use lambda::Request;

    use super::*;

    fn query(text: &str) -> Query {
        let request = Request::builder(Method::GET, &format!("/x{text}")).build();
        request.query().unwrap()
    }

    #[test]
    fn cursors_come_back_as_they_went() {
        let place = "1767225600000#dlv_00000000000000000000000000".to_owned();
        let seen = shown(Some(place.clone())).unwrap();
        assert_eq!(seen, "1767225600000.dlv_00000000000000000000000000");
        let back = cursor(&query(&format!("?cursor={seen}"))).unwrap();
        assert_eq!(back, Some(place));
        assert_eq!(cursor(&query("")).unwrap(), None);
        for bad in ["x", "1.", ".a", "1.a%23b", "a.b", "99999999999999999.a"] {
            let refused = cursor(&query(&format!("?cursor={bad}")));
            assert_eq!(refused.unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn limits_and_names_are_checked() {
        for (text, expected) in [
            ("", Some(USUAL)),
            ("?limit=1", Some(1)),
            ("?limit=100", Some(100)),
            ("?limit=0", None),
            ("?limit=101", None),
            ("?limit=ten", None),
        ] {
            assert_eq!(limit(&query(text)).ok(), expected, "{text}");
        }
        assert_eq!(limit_to(&query(""), 5).ok(), Some(5));
        assert!(limit_to(&query("?limit=6"), 5).is_err());
        assert!(query("?a=1").only(&["a"]).is_ok());
        assert_eq!(query("?b=1").only(&["a"]).unwrap_err().status(), 400);
    }
}
