//! When somebody's mails are due: at 09:00 in their own zone. Pure.

use domain::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use store::User;

/// The hour of the day, in the user's zone.
const HOUR: i8 = 9;

/// A day on which mails are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDay {
    /// The day in the user's zone.
    pub date: Date,
    /// The ISO week, `2026-W47`, on its Monday: the day of the report.
    pub week: Option<String>,
}

/// When the first mail after `after` may be due: every day where notices are wanted, on Mondays where
/// reports alone are. `None` where there is no address, or nothing is wanted.
pub fn next(user: &User, after: Timestamp) -> Option<Timestamp> {
    user.email.as_ref()?;
    if !user.notices && !user.reports {
        return None;
    }
    next_in(&zone(user), user.notices, after)
}

/// The same for a zone.
fn next_in(zone: &TimeZone, daily: bool, after: Timestamp) -> Option<Timestamp> {
    let mut day = date(zone, after);
    // A week and a day: whatever today is, the next Monday is among these.
    for _ in 0..9 {
        if daily || day.weekday() == Weekday::Monday {
            let at = nine(zone, day)?;
            if at > after {
                return Some(at);
            }
        }
        day = day.tomorrow().ok()?;
    }
    None
}

/// The day whose mails are due at `at`: it is 09:00 or later in the user's zone.
pub fn today(user: &User, at: Timestamp) -> Option<DueDay> {
    today_in(&zone(user), at)
}

fn today_in(zone: &TimeZone, at: Timestamp) -> Option<DueDay> {
    let date = date(zone, at);
    (at >= nine(zone, date)?).then(|| DueDay {
        date,
        week: (date.weekday() == Weekday::Monday).then(|| week(date)),
    })
}

/// Sets when the next mail is due of a user who was just changed. What is due already stays due.
pub fn settle(user: &mut User, now: Timestamp) {
    let next = next(user, now);
    let pending = user.mail_due_at.filter(|due| *due <= now);
    user.mail_due_at = next.map(|next| pending.unwrap_or(next));
}

/// The user's zone; UTC where none is known.
pub fn zone(user: &User) -> TimeZone {
    let named = user.time_zone.as_deref();
    named
        .and_then(|name| TimeZone::get(name).ok())
        .unwrap_or(TimeZone::UTC)
}

fn week(date: Date) -> String {
    let week = date.iso_week_date();
    format!("{:04}-W{:02}", week.year(), week.week())
}

fn date(zone: &TimeZone, at: Timestamp) -> Date {
    let instant = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default();
    instant.to_zoned(zone.clone()).date()
}

/// 09:00 of a day. Where clocks skip that hour it is the same span after midnight, the first moment
/// after the gap or later; where they repeat it, the first of the two.
fn nine(zone: &TimeZone, day: Date) -> Option<Timestamp> {
    let at = day.at(HOUR, 0, 0, 0).to_zoned(zone.clone()).ok()?;
    Some(Timestamp::from_millis(at.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let instant: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_millis(instant.as_millisecond())
    }

    fn user(zone: &str) -> User {
        User {
            email: Some("mara@example.com".to_owned()),
            time_zone: Some(zone.to_owned()),
            ..User::new("u".parse().unwrap(), Timestamp::default())
        }
    }

    #[test]
    fn every_day_at_nine_in_the_users_zone() {
        for (zone, after, due) in [
            ("UTC", "2026-11-20T08:59:59Z", "2026-11-20T09:00:00Z"),
            ("UTC", "2026-11-20T09:00:00Z", "2026-11-21T09:00:00Z"),
            ("no/zone", "2026-11-20T10:00:00Z", "2026-11-21T09:00:00Z"),
            (
                "Europe/Paris",
                "2026-11-20T07:00:00Z",
                "2026-11-20T08:00:00Z",
            ),
            // It is tomorrow already in Tokyo, and still yesterday in Honolulu.
            ("Asia/Tokyo", "2026-11-20T16:00:00Z", "2026-11-21T00:00:00Z"),
            (
                "Pacific/Honolulu",
                "2026-11-20T07:00:00Z",
                "2026-11-20T19:00:00Z",
            ),
            (
                "Asia/Kathmandu",
                "2026-11-20T00:00:00Z",
                "2026-11-20T03:15:00Z",
            ),
            // Clocks change in the night: the next 09:00 is 23 or 25 hours after this one.
            (
                "Europe/Paris",
                "2026-03-28T08:00:00Z",
                "2026-03-29T07:00:00Z",
            ),
            (
                "Europe/Paris",
                "2026-10-24T07:00:00Z",
                "2026-10-25T08:00:00Z",
            ),
            // Samoa left out a whole day.
            (
                "Pacific/Apia",
                "2011-12-29T19:30:00Z",
                "2011-12-30T19:00:00Z",
            ),
        ] {
            assert_eq!(
                next(&user(zone), at(after)),
                Some(at(due)),
                "{zone} {after}"
            );
        }
    }

    #[test]
    fn reports_alone_are_due_on_mondays() {
        let reports = |zone: &str| User {
            notices: false,
            ..user(zone)
        };
        for (zone, after, due) in [
            ("UTC", "2026-11-20T12:00:00Z", "2026-11-23T09:00:00Z"),
            ("UTC", "2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z"),
            ("UTC", "2026-11-23T09:00:00Z", "2026-11-30T09:00:00Z"),
            // Sunday in UTC is Monday in Auckland.
            (
                "Pacific/Auckland",
                "2026-11-22T12:00:00Z",
                "2026-11-22T20:00:00Z",
            ),
            (
                "America/Los_Angeles",
                "2026-11-23T09:00:00Z",
                "2026-11-23T17:00:00Z",
            ),
        ] {
            assert_eq!(
                next(&reports(zone), at(after)),
                Some(at(due)),
                "{zone} {after}"
            );
        }
    }

    /// No zone changes its clocks at nine; these do.
    #[test]
    fn a_nine_that_is_skipped_or_repeated_comes_once() {
        let zone = TimeZone::posix("AAA0BBB,M3.2.0/8:30,M11.1.0/9:30").unwrap();
        // On 8 March 2026 it is 08:29 and then 09:30; on 1 November 09:29 and then 08:30.
        for (after, due) in [
            ("2026-03-08T00:00:00Z", "2026-03-08T09:00:00Z"),
            ("2026-03-08T09:00:00Z", "2026-03-09T08:00:00Z"),
            ("2026-11-01T00:00:00Z", "2026-11-01T08:00:00Z"),
            ("2026-11-01T08:00:00Z", "2026-11-02T09:00:00Z"),
            ("2026-11-01T09:10:00Z", "2026-11-02T09:00:00Z"),
        ] {
            assert_eq!(next_in(&zone, true, at(after)), Some(at(due)), "{after}");
        }
    }

    #[test]
    fn nothing_is_due_without_an_address_or_a_wish() {
        let now = at("2026-11-20T08:00:00Z");
        let without = User {
            email: None,
            ..user("UTC")
        };
        assert_eq!(next(&without, now), None);
        let silent = User {
            reports: false,
            notices: false,
            ..user("UTC")
        };
        assert_eq!(next(&silent, now), None);
    }

    #[test]
    fn a_day_is_due_from_nine_to_midnight_and_its_week_on_mondays() {
        for (zone, now, expected) in [
            ("UTC", "2026-11-23T08:59:59Z", None),
            (
                "UTC",
                "2026-11-23T09:00:00Z",
                Some(("2026-11-23", Some("2026-W48"))),
            ),
            (
                "UTC",
                "2026-11-23T23:59:59Z",
                Some(("2026-11-23", Some("2026-W48"))),
            ),
            ("UTC", "2026-11-24T00:00:00Z", None),
            ("UTC", "2026-11-24T09:00:00Z", Some(("2026-11-24", None))),
            // The first Monday of 2025's first ISO week is in 2024.
            (
                "Europe/Paris",
                "2024-12-30T08:00:00Z",
                Some(("2024-12-30", Some("2025-W01"))),
            ),
            ("Europe/Paris", "2024-12-30T07:59:00Z", None),
        ] {
            let day = today(&user(zone), at(now));
            let told = day
                .as_ref()
                .map(|day| (day.date.to_string(), day.week.as_deref()));
            let told = told.as_ref().map(|(date, week)| (date.as_str(), *week));
            assert_eq!(told, expected, "{zone} {now}");
        }
    }

    #[test]
    fn a_change_moves_what_is_to_come_and_not_what_is_due() {
        let now = at("2026-11-23T09:05:00Z");
        let due_of = |change: fn(&mut User)| {
            let mut user = user("UTC");
            user.mail_due_at = Some(at("2026-11-23T09:00:00Z"));
            change(&mut user);
            settle(&mut user, now);
            user.mail_due_at
        };
        assert_eq!(
            due_of(|_| {}),
            Some(at("2026-11-23T09:00:00Z")),
            "it is due"
        );
        assert_eq!(due_of(|user| user.email = None), None);
        let moved = due_of(|user| {
            user.mail_due_at = Some(at("2026-11-24T09:00:00Z"));
            user.time_zone = Some("Europe/Paris".to_owned());
        });
        assert_eq!(moved, Some(at("2026-11-24T08:00:00Z")));
    }

    mod fuzz {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            /// Whatever the zone and the instant: what is due next is later, at most eight days off,
            /// and due on its day.
            #[test]
            fn what_is_due_next_is_due_then(
                zone in proptest::sample::select(vec![
                    "UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Gaza",
                    "America/Sao_Paulo", "Pacific/Apia", "Africa/Casablanca", "America/Scoresbysund",
                ]),
                secs in 1_000_000_000_i64..2_200_000_000,
                daily in any::<bool>(),
            ) {
                let after = Timestamp::from_secs(secs);
                let user = User { notices: daily, ..user(zone) };
                let due = next(&user, after).unwrap();
                prop_assert!(due > after && due <= after.plus_secs(8 * 86_400 + 7_200));
                let day = today(&user, due).unwrap();
                prop_assert!(daily || day.week.is_some());
                prop_assert_eq!(today(&user, due.plus_secs(-1)), None);
            }
        }
    }
}
