//! Days and hours in the zone of a deployment.

use std::time::Duration;

use domain::{ConnectionId, Day, Timestamp};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The hour of the day from which connections are read; the schedule's own begins then too.
const OPENS_AT: i8 = 8;

/// The days of one time zone.
#[derive(Clone, Debug)]
pub struct Calendar(TimeZone);

/// A name that is no time zone's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such time zone; give an IANA name such as Europe/Paris")]
pub struct UnknownZone;

impl Calendar {
    /// The days of the zone of this IANA name.
    pub fn of(zone: &str) -> Result<Self, UnknownZone> {
        TimeZone::get(zone).map(Self).map_err(|_| UnknownZone)
    }

    /// The day on which `at` falls.
    pub fn day(&self, at: Timestamp) -> Day {
        let date = self.date(at);
        let text = format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day());
        text.try_into().unwrap_or_else(|_| Day::default())
    }

    /// When the day of `at` opens: 08:00, or where clocks skip that hour, the first moment after it.
    pub fn opening(&self, at: Timestamp) -> Timestamp {
        self.opens(self.date(at), at)
    }

    /// The first moment of the day after that of `at`.
    pub fn next_day(&self, at: Timestamp) -> Timestamp {
        let next = self.date(at).tomorrow().unwrap_or(Date::MAX);
        let start = next.to_zoned(self.0.clone());
        start.map_or(at.plus_secs(86_400), |start| {
            Timestamp::from_millis(start.timestamp().as_millisecond())
        })
    }

    /// When a connection that was last read at `read_at` is read next: in its own place of the day's
    /// run, which its id alone decides. A reading from before the day's opening does not stand for
    /// that day.
    pub fn next_slot(
        &self,
        connection: &ConnectionId,
        spread: Duration,
        read_at: Timestamp,
    ) -> Timestamp {
        let today = self.date(read_at);
        let day = if read_at >= self.opens(today, read_at) {
            today.tomorrow().unwrap_or(today)
        } else {
            today
        };
        self.opens(day, read_at.plus_secs(86_400)) + place(connection, spread)
    }

    fn date(&self, at: Timestamp) -> Date {
        let instant = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default();
        instant.to_zoned(self.0.clone()).date()
    }

    fn opens(&self, day: Date, otherwise: Timestamp) -> Timestamp {
        let opening = day.at(OPENS_AT, 0, 0, 0).to_zoned(self.0.clone());
        opening.map_or(otherwise, |opening| {
            Timestamp::from_millis(opening.timestamp().as_millisecond())
        })
    }
}

/// How long after the opening a connection has its place: even over the spread, and the same every
/// day.
fn place(connection: &ConnectionId, spread: Duration) -> Duration {
    // FNV-1a, stirred once more: ids are even already, and its last step alone is not.
    let hash = connection
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let millis = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis((hash >> 11).checked_rem(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use domain::{Platform, UserId};

    use super::*;

    const SPREAD: Duration = Duration::from_secs(110 * 60);

    fn at(text: &str) -> Timestamp {
        let instant: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_millis(instant.as_millisecond())
    }

    fn connection(number: u32) -> ConnectionId {
        let user: UserId = format!("u{number}").parse().unwrap();
        ConnectionId::of(&user, Platform::TikTok, "a")
    }

    #[test]
    fn days_and_openings_are_the_zones_own() {
        for (zone, now, day, opening, next) in [
            (
                "UTC",
                "2026-11-20T07:59:59Z",
                "2026-11-20",
                "2026-11-20T08:00:00Z",
                "2026-11-21T00:00:00Z",
            ),
            // In Tokyo it is tomorrow already, and in Los Angeles still yesterday.
            (
                "Asia/Tokyo",
                "2026-11-20T16:00:00Z",
                "2026-11-21",
                "2026-11-20T23:00:00Z",
                "2026-11-21T15:00:00Z",
            ),
            (
                "America/Los_Angeles",
                "2026-11-20T07:00:00Z",
                "2026-11-19",
                "2026-11-19T16:00:00Z",
                "2026-11-20T08:00:00Z",
            ),
            // The days on which Paris changes its clocks have 23 and 25 hours.
            (
                "Europe/Paris",
                "2026-03-29T00:30:00Z",
                "2026-03-29",
                "2026-03-29T06:00:00Z",
                "2026-03-29T22:00:00Z",
            ),
            (
                "Europe/Paris",
                "2026-10-25T00:30:00Z",
                "2026-10-25",
                "2026-10-25T07:00:00Z",
                "2026-10-25T23:00:00Z",
            ),
        ] {
            let calendar = Calendar::of(zone).unwrap();
            let now = at(now);
            assert_eq!(calendar.day(now).as_str(), day, "{zone}");
            assert_eq!(calendar.opening(now), at(opening), "{zone}");
            assert_eq!(calendar.next_day(now), at(next), "{zone}");
        }
        assert_eq!(Calendar::of("Mars/Olympus").unwrap_err(), UnknownZone);
    }

    #[test]
    fn a_connection_has_its_own_place_in_every_days_run() {
        let calendar = Calendar::of("Europe/Paris").unwrap();
        let id = connection(1);
        let offset = |read: &str, opening: &str| {
            let slot = calendar.next_slot(&id, SPREAD, at(read));
            assert!(slot >= at(opening), "{read}: {slot}");
            slot.since(at(opening))
        };
        let place = offset("2026-11-20T09:00:00Z", "2026-11-21T07:00:00Z");
        assert!(place < SPREAD);
        // The last millisecond before the opening belongs to a day that is still to be read.
        for (read, opening) in [
            ("2026-11-20T06:59:59.999Z", "2026-11-20T07:00:00Z"),
            ("2026-11-20T07:00:00Z", "2026-11-21T07:00:00Z"),
            ("2026-11-20T22:59:59Z", "2026-11-21T07:00:00Z"),
            // A day that was missed is caught up late, and the next one keeps its place.
            ("2026-10-24T20:00:00Z", "2026-10-25T07:00:00Z"),
        ] {
            assert_eq!(offset(read, opening), place, "{read}");
        }
        assert_eq!(
            calendar.next_slot(&id, Duration::ZERO, at("2026-11-20T09:00:00Z")),
            at("2026-11-21T07:00:00Z")
        );
    }

    #[test]
    fn connections_are_spread_evenly_over_the_run() {
        let calendar = Calendar::of("UTC").unwrap();
        let opening = at("2026-11-21T08:00:00Z");
        // The schedule's ticks, five minutes apart.
        let mut ticks = [0u32; 22];
        for number in 0..22_000 {
            let slot = calendar.next_slot(&connection(number), SPREAD, at("2026-11-20T12:00:00Z"));
            ticks[(slot.since(opening).as_secs() / 300) as usize] += 1;
        }
        assert!(
            ticks.iter().all(|count| (850..1_150).contains(count)),
            "{ticks:?}"
        );
    }
}
