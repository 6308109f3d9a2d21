//! When platforms do not do what they are there for.

use crate::DAY;

/// What a platform does instead of refreshing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It answers at once that it is in trouble.
    ServerError,
    /// It takes the request and never answers.
    BlackHole,
    /// It refuses the whole app.
    AppRefused,
    /// It says of every grant that it is dead, though none is (oauth-hardening.md §3.5, item 12).
    GrantsDead,
}

/// A span in which a platform, or all of them, is down.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// Which platform; `None`: all of them.
    pub kind: Option<usize>,
    /// Its first minute, from the run's start.
    pub from: u32,
    /// How many minutes.
    pub minutes: u32,
    /// What it does.
    pub mode: Mode,
}

impl Outage {
    pub(crate) fn covers(&self, kind: usize, minute: u32) -> bool {
        let during = (self.from..self.from + self.minutes).contains(&minute);
        during && self.kind.is_none_or(|only| only == kind)
    }

    /// What a run of `days` days meets: outages of an hour and of a day, of one platform and of all.
    pub fn calendar(days: u32) -> Vec<Self> {
        let hour = 60;
        let all = [
            (6, Some(0), hour, Mode::ServerError),
            (10, None, hour, Mode::BlackHole),
            (14, Some(7), 2 * hour, Mode::AppRefused),
            (18, Some(0), DAY, Mode::ServerError),
            (24, None, DAY, Mode::ServerError),
            (31, Some(2), DAY, Mode::BlackHole),
            (36, Some(0), hour, Mode::BlackHole),
            (40, Some(0), DAY, Mode::BlackHole),
            (46, Some(5), hour, Mode::ServerError),
            (50, Some(7), 2 * hour, Mode::GrantsDead),
        ];
        let outages = all.map(|(day, kind, minutes, mode)| Self {
            kind,
            from: day * DAY + 9 * 60,
            minutes,
            mode,
        });
        let inside = |outage: &Self| outage.from + outage.minutes + DAY < days * DAY;
        outages.into_iter().filter(inside).collect()
    }
}
