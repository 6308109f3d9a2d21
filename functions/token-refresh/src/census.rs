//! How many connections are in order: counted over a sample in each run.
//!
//! The share of connections that are expired or in error is what alarms watch. Counters kept by the
//! transactions would meet in one item at every refresh, and would drift; a scan of the whole table
//! each minute would cost more than everything else. A sample of [`SAMPLE`] items, another part of the
//! table in each run, costs at most 500 read units a minute, tells shares to a tenth of a percent over
//! a quarter of an hour, and is the whole table where that is small.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::metric::{
    CONNECTIONS_ACTIVE, CONNECTIONS_EXPIRED, CONNECTIONS_FAILING, CONNECTIONS_NEED_REAUTH,
};
use domain::{ConnectionStatus, Meter, Platform, Timestamp};
use store::connections::Standing;

/// About so many items are looked at in one run.
pub(crate) const SAMPLE: u64 = 500;
/// Hashes are not spread evenly, and the table's size is known late: a run stops here.
pub(crate) const MOST: usize = 2_000;
/// A connection that has needed its creator for so long is theirs to mend or to end: it counts neither
/// as an error nor as in order, or the share would grow for ever.
const FORGOTTEN: Duration = Duration::from_secs(30 * 86_400);

/// How one connection fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Active,
    Expired,
    Failing,
    NeedsReauth,
}

/// Counts of one platform.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    active: f64,
    expired: f64,
    failing: f64,
    needs_reauth: f64,
}

/// Which segment is looked at in the run of this minute, and of how many: the table is gone through
/// in turn.
pub(crate) fn turn(size: u64, minute: i64) -> (u32, u32) {
    let segments = size.div_ceil(SAMPLE).clamp(1, 1_000_000);
    let segment = minute.unsigned_abs() % segments;
    let number = |number: u64| u32::try_from(number).unwrap_or(0);
    (number(segment), number(segments))
}

/// Tells the counts of a sample by platform.
pub(crate) fn tell(sample: &[Standing], now: Timestamp, meter: &dyn Meter) {
    let mut platforms: BTreeMap<Platform, Counts> = BTreeMap::new();
    for standing in sample {
        let Some(state) = state(standing, now) else {
            continue;
        };
        let counts = platforms.entry(standing.platform).or_default();
        let count = match state {
            State::Active => &mut counts.active,
            State::Expired => &mut counts.expired,
            State::Failing => &mut counts.failing,
            State::NeedsReauth => &mut counts.needs_reauth,
        };
        *count += 1.0;
    }
    for (platform, counts) in platforms {
        meter.put(
            &[
                (&CONNECTIONS_ACTIVE, counts.active),
                (&CONNECTIONS_EXPIRED, counts.expired),
                (&CONNECTIONS_FAILING, counts.failing),
                (&CONNECTIONS_NEED_REAUTH, counts.needs_reauth),
            ],
            platform.into(),
        );
    }
}

/// How a connection fares; `None` where it does not count. An idle one may hold a dead access token: it
/// is renewed on its next use, so it is expired only once its renewal is late or has failed.
fn state(standing: &Standing, now: Timestamp) -> Option<State> {
    let past = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    let failed = standing.failures > 0;
    match standing.status {
        ConnectionStatus::Disconnected => None,
        ConnectionStatus::NeedsReauth => {
            (now.since(standing.updated_at) < FORGOTTEN).then_some(State::NeedsReauth)
        }
        ConnectionStatus::Active
            if past(standing.expires_at) && (past(standing.due_at) || failed) =>
        {
            Some(State::Expired)
        }
        ConnectionStatus::Active if failed => Some(State::Failing),
        ConnectionStatus::Active => Some(State::Active),
    }
}

#[cfg(test)]
mod tests {
    use domain::metric::Tally;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn standing(status: ConnectionStatus, expires: i64, due: i64, failures: u32) -> Standing {
        Standing {
            platform: Platform::TikTok,
            status,
            expires_at: Some(NOW.plus_secs(expires)),
            due_at: Some(NOW.plus_secs(due)),
            failures,
            updated_at: NOW.plus_secs(-60),
        }
    }

    #[test]
    fn every_connection_is_in_one_state() {
        use ConnectionStatus::{Active, Disconnected, NeedsReauth};
        for (what, standing, expected) in [
            ("fresh", standing(Active, 60, 30, 0), Some(State::Active)),
            (
                "due, its token lives",
                standing(Active, 60, -1, 0),
                Some(State::Active),
            ),
            ("idle", standing(Active, -60, 60, 0), Some(State::Active)),
            (
                "overdue",
                standing(Active, -60, -1, 0),
                Some(State::Expired),
            ),
            (
                "dead and put off",
                standing(Active, -60, 60, 1),
                Some(State::Expired),
            ),
            (
                "put off, its token lives",
                standing(Active, 60, 60, 3),
                Some(State::Failing),
            ),
            (
                "given up",
                standing(NeedsReauth, -60, 0, 1),
                Some(State::NeedsReauth),
            ),
            ("ended", standing(Disconnected, -60, -60, 1), None),
        ] {
            assert_eq!(state(&standing, NOW), expected, "{what}");
        }
        let forgotten = Standing {
            updated_at: NOW.plus_secs(-30 * 86_400),
            ..standing(NeedsReauth, -60, 0, 1)
        };
        assert_eq!(state(&forgotten, NOW), None);
        let endless = Standing {
            expires_at: None,
            due_at: None,
            ..standing(Active, 0, 0, 0)
        };
        assert_eq!(state(&endless, NOW), Some(State::Active));
    }

    #[test]
    fn a_sample_is_told_in_one_piece() {
        let active = ConnectionStatus::Active;
        let sample = [
            standing(active, 60, 30, 0),
            standing(active, 60, 30, 0),
            standing(active, -60, -1, 0),
        ];
        let tally = Tally::default();
        tell(&sample, NOW, &tally);
        tell(&[], NOW, &tally);
        assert_eq!(
            tally.lines(),
            [
                "ConnectionsActive platform=tiktok 2",
                "ConnectionsExpired platform=tiktok 1",
                "ConnectionsFailing platform=tiktok 0",
                "ConnectionsNeedReauth platform=tiktok 0",
            ]
        );
    }

    #[test]
    fn a_small_table_is_counted_whole_and_a_large_one_in_turn() {
        assert_eq!(turn(0, 7), (0, 1));
        assert_eq!(turn(500, 7), (0, 1));
        assert_eq!(turn(501, 7), (1, 2));
        let seen: std::collections::BTreeSet<u32> =
            (0..2_000).map(|minute| turn(1_000_000, minute).0).collect();
        assert_eq!(seen.len(), 2_000);
    }
}
