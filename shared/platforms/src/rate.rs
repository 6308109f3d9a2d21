//! What a platform says about its rate limit, in its answer's headers.

use std::time::{Duration, SystemTime};

use domain::Timestamp;
use http::HeaderMap;

/// Numbers above this are instants (seconds since 1970), below it spans from now.
const FIRST_INSTANT: f64 = 1_000_000_000.0;

/// No wait of ours follows a header for longer than this.
const LONGEST_WAIT_SECS: f64 = 7.0 * 86_400.0;

/// The rate limit as the headers tell it; nothing where they do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHeaders {
    /// Calls left in the window.
    pub remaining: Option<u64>,
    /// When the window ends.
    pub reset: Option<Timestamp>,
    /// The earliest instant for the next try, where the platform names one.
    pub retry_after: Option<Timestamp>,
}

impl RateHeaders {
    /// Reads `Retry-After` (seconds or an HTTP date), `x-rate-limit-*`, `x-ratelimit-*`,
    /// `ratelimit-*` and the combined `ratelimit` header. Values that make no sense are left out,
    /// instants in the past count as now.
    pub fn read(headers: &HeaderMap, now: Timestamp) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
        let number = |name: &str| text(name)?.parse::<f64>().ok();
        let first = |suffix: &str| {
            ["x-rate-limit-", "x-ratelimit-", "ratelimit-"]
                .iter()
                .find_map(|prefix| number(&format!("{prefix}{suffix}")))
        };
        let combined = |key: &str| {
            let parts = text("ratelimit")?.split([';', ',']);
            parts
                .filter_map(|part| part.trim().split_once('='))
                .find(|(name, _)| *name == key)?
                .1
                .parse::<f64>()
                .ok()
        };
        let retry_after = text("retry-after").and_then(|value| match value.parse::<f64>() {
            Ok(number) => instant(number, now),
            Err(_) => httpdate::parse_http_date(value)
                .ok()
                .and_then(|date| date.duration_since(SystemTime::UNIX_EPOCH).ok())
                .and_then(|since| instant(since.as_secs_f64().max(FIRST_INSTANT), now)),
        });
        Self {
            // Reddit counts in fractions ("99.0").
            remaining: first("remaining")
                .or_else(|| combined("r"))
                .filter(|left| left.is_finite() && *left >= 0.0)
                .map(|left| left as u64),
            reset: first("reset")
                .or_else(|| combined("t"))
                .and_then(|number| instant(number, now)),
            retry_after,
        }
    }

    /// When the next call may be made, where the headers say that it must wait.
    pub fn wait_until(&self) -> Option<Timestamp> {
        self.retry_after.or(match self.remaining {
            Some(0) => self.reset,
            _ => None,
        })
    }
}

fn instant(number: f64, now: Timestamp) -> Option<Timestamp> {
    if !number.is_finite() || number < 0.0 {
        return None;
    }
    let span = if number >= FIRST_INSTANT {
        number - now.millis() as f64 / 1_000.0
    } else {
        number
    };
    Some(now + Duration::from_secs_f64(span.clamp(0.0, LONGEST_WAIT_SECS)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn read(headers: &[(&'static str, &'static str)]) -> RateHeaders {
        let map = headers
            .iter()
            .map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            })
            .collect();
        RateHeaders::read(&map, NOW)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let week = 7 * 86_400;
        for (value, wait) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 5 ", Some(5)),
            ("99999999", Some(week)),
            ("-1", None),
            ("NaN", None),
            ("soon", None),
            ("Fri, 15 Jan 2027 08:01:00 GMT", Some(60)),
            ("Fri, 15 Jan 2027 07:59:00 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:10 GMT", Some(0)),
        ] {
            let expected = wait.map(|secs| NOW.plus_secs(secs));
            assert_eq!(
                read(&[("retry-after", value)]).retry_after,
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn windows_are_read_in_their_dialects() {
        let expected = |remaining, secs| RateHeaders {
            remaining: Some(remaining),
            reset: Some(NOW.plus_secs(secs)),
            retry_after: None,
        };
        for (headers, rate) in [
            // X: the reset is an instant.
            (
                vec![
                    ("x-rate-limit-remaining", "0"),
                    ("x-rate-limit-reset", "1800000090"),
                ],
                expected(0, 90),
            ),
            // Reddit: fractions, and the reset is a span.
            (
                vec![
                    ("x-ratelimit-remaining", "99.0"),
                    ("x-ratelimit-reset", "412"),
                ],
                expected(99, 412),
            ),
            (
                vec![("ratelimit-remaining", "3"), ("ratelimit-reset", "7")],
                expected(3, 7),
            ),
            (vec![("ratelimit", "\"app\";r=50;t=30")], expected(50, 30)),
            (vec![("ratelimit", "limit=5, x=y")], RateHeaders::default()),
            (vec![], RateHeaders::default()),
        ] {
            assert_eq!(read(&headers), rate, "{headers:?}");
        }
    }

    #[test]
    fn a_wait_is_due_only_when_nothing_is_left() {
        let left = read(&[("ratelimit-remaining", "1"), ("ratelimit-reset", "7")]);
        assert_eq!(left.wait_until(), None);
        let none = read(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "7")]);
        assert_eq!(none.wait_until(), Some(NOW.plus_secs(7)));
        let told = read(&[("retry-after", "3"), ("ratelimit-remaining", "9")]);
        assert_eq!(told.wait_until(), Some(NOW.plus_secs(3)));
    }
}
