//! How figures grew over a week, from daily snapshots. Pure. Missing is missing, never zero.

use std::collections::BTreeMap;

use domain::{Day, Snapshot};
use jiff::civil::Date;

/// How many days before the wanted one an entry may be to stand for it: a sync that failed on a Sunday
/// does not void the week.
const NEAR_DAYS: i64 = 2;

/// A figure at the end of a week, and by how much it moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// The figure at the week's end; missing where no entry is near.
    pub value: Option<u64>,
    /// The difference to the week before; missing where either end is.
    pub by: Option<i64>,
    /// The days that really lie between the two entries.
    pub days: Option<i64>,
}

/// What a figure is read from.
pub type Pick = fn(&Snapshot) -> Option<u64>;

/// The growth of a figure over the week that ends with `last`. The first source that has both ends is
/// taken, else the first that has the end: two sources are never subtracted from each other.
pub fn over_week(days: &BTreeMap<Day, Snapshot>, last: Date, sources: &[Pick]) -> Growth {
    let first = last.checked_sub(jiff::Span::new().days(7));
    let of = |pick: &Pick| {
        let (to, value) = near(days, last, *pick)?;
        let from = first.as_ref().ok().and_then(|day| near(days, *day, *pick));
        let (by, span) = match from {
            Some((from, earlier)) => (Some(difference(value, earlier)), Some(between(from, to))),
            None => (None, None),
        };
        Some(Growth {
            value: Some(value),
            by,
            days: span,
        })
    };
    let found: Vec<Growth> = sources.iter().filter_map(of).collect();
    let whole = found.iter().find(|growth| growth.by.is_some());
    whole.or(found.first()).copied().unwrap_or_default()
}

/// The sum over several accounts. What is missing of one is left out of the sum that it is missing in;
/// the counts say how many are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Together {
    /// The sum of what is known at the end.
    pub value: Option<u64>,
    /// The sum of the differences that are known.
    pub by: Option<i64>,
    /// How many accounts are in `by`.
    pub grown: usize,
    /// How many accounts there are.
    pub of: usize,
}

/// Sums growths.
pub fn together(all: impl IntoIterator<Item = Growth>) -> Together {
    all.into_iter()
        .fold(Together::default(), |sum, one| Together {
            value: added(sum.value, one.value, u64::saturating_add),
            by: added(sum.by, one.by, i64::saturating_add),
            grown: sum.grown + usize::from(one.by.is_some()),
            of: sum.of + 1,
        })
}

fn added<T>(sum: Option<T>, one: Option<T>, add: fn(T, T) -> T) -> Option<T> {
    match (sum, one) {
        (Some(sum), Some(one)) => Some(add(sum, one)),
        (sum, one) => sum.or(one),
    }
}

/// The entry of that day, or of one shortly before, that has the figure.
fn near(days: &BTreeMap<Day, Snapshot>, day: Date, pick: Pick) -> Option<(Date, u64)> {
    (0..=NEAR_DAYS).find_map(|back| {
        let date = day.checked_sub(jiff::Span::new().days(back)).ok()?;
        Some((date, pick(days.get(&named(date)?)?)?))
    })
}

/// A date as the snapshots name it.
pub fn named(date: Date) -> Option<Day> {
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
        .parse()
        .ok()
}

fn difference(now: u64, then: u64) -> i64 {
    let span = i128::from(now) - i128::from(then);
    i64::try_from(span).unwrap_or(if span < 0 { i64::MIN } else { i64::MAX })
}

fn between(from: Date, to: Date) -> i64 {
    from.until(to).map_or(0, |span| i64::from(span.get_days()))
}

#[cfg(test)]
mod tests {
    use domain::{Figures, MediaTotals};

    use super::*;

    const FOLLOWERS: Pick = |snapshot| snapshot.account.as_ref()?.followers;
    const VIEWS: Pick = |snapshot| snapshot.account.as_ref()?.views;
    const MEDIA_VIEWS: Pick = |snapshot| {
        let media = snapshot.media.as_ref().filter(|media| media.whole)?;
        media.figures.views
    };

    fn followers(entries: &[(&str, u64)]) -> BTreeMap<Day, Snapshot> {
        let entry = |(day, count): &(&str, u64)| {
            let account = Figures {
                followers: Some(*count),
                ..Figures::default()
            };
            let snapshot = Snapshot {
                account: Some(account),
                media: None,
            };
            (day.parse().unwrap(), snapshot)
        };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn growth_is_between_two_entries_near_the_weeks_ends() {
        // The week that ends on Sunday 22 November; the one before ended on the 15th.
        for (what, entries, value, by, days) in [
            (
                "both days",
                vec![("2026-11-15", 100), ("2026-11-22", 130)],
                Some(130),
                Some(30),
                Some(7),
            ),
            (
                "fewer",
                vec![("2026-11-15", 100), ("2026-11-22", 60)],
                Some(60),
                Some(-40),
                Some(7),
            ),
            (
                "no change",
                vec![("2026-11-15", 9), ("2026-11-22", 9)],
                Some(9),
                Some(0),
                Some(7),
            ),
            (
                "the Sunday is missing",
                vec![("2026-11-15", 100), ("2026-11-20", 130)],
                Some(130),
                Some(30),
                Some(5),
            ),
            (
                "the start is missing",
                vec![("2026-11-13", 90), ("2026-11-22", 130)],
                Some(130),
                Some(40),
                Some(9),
            ),
            (
                "too old a start",
                vec![("2026-11-12", 90), ("2026-11-22", 130)],
                Some(130),
                None,
                None,
            ),
            (
                "connected in the week",
                vec![("2026-11-18", 90), ("2026-11-22", 130)],
                Some(130),
                None,
                None,
            ),
            (
                "too old an end",
                vec![("2026-11-15", 100), ("2026-11-19", 130)],
                None,
                None,
                None,
            ),
            (
                "Monday does not count",
                vec![("2026-11-15", 100), ("2026-11-23", 130)],
                None,
                None,
                None,
            ),
            ("nothing", vec![], None, None, None),
        ] {
            let growth = over_week(
                &followers(&entries),
                "2026-11-22".parse().unwrap(),
                &[FOLLOWERS],
            );
            assert_eq!(growth, Growth { value, by, days }, "{what}");
        }
    }

    #[test]
    fn a_week_over_the_turn_of_the_year() {
        let entries = followers(&[("2026-12-27", 5), ("2027-01-03", 8)]);
        let growth = over_week(&entries, "2027-01-03".parse().unwrap(), &[FOLLOWERS]);
        assert_eq!(growth.by, Some(3));
    }

    #[test]
    fn two_sources_are_never_subtracted_from_each_other() {
        let account = |views: Option<u64>, media: Option<u64>, whole: bool| Snapshot {
            account: Some(Figures {
                views,
                ..Figures::default()
            }),
            media: Some(MediaTotals {
                count: 3,
                whole,
                figures: Figures {
                    views: media,
                    ..Figures::default()
                },
            }),
        };
        let week = |from: Snapshot, to: Snapshot| {
            let days = [("2026-11-15", from), ("2026-11-22", to)];
            let days = days.map(|(day, snapshot)| (day.parse().unwrap(), snapshot));
            over_week(
                &BTreeMap::from(days),
                "2026-11-22".parse().unwrap(),
                &[VIEWS, MEDIA_VIEWS],
            )
        };
        let both = week(
            account(None, Some(10), true),
            account(Some(900), Some(14), true),
        );
        assert_eq!((both.value, both.by), (Some(14), Some(4)));
        let part = week(
            account(None, Some(10), true),
            account(None, Some(14), false),
        );
        assert_eq!(part, Growth::default(), "sums of some media are no growth");
    }

    #[test]
    fn together_says_how_many_are_in_the_sum() {
        let growth = |value, by| Growth {
            value,
            by,
            days: None,
        };
        let sum = together([
            growth(Some(10), Some(3)),
            growth(Some(5), None),
            growth(None, None),
            growth(Some(1), Some(-4)),
        ]);
        assert_eq!(
            (sum.value, sum.by, sum.grown, sum.of),
            (Some(16), Some(-1), 2, 4)
        );
        assert_eq!(together([]).value, None);
        assert_eq!(together([growth(None, None)]).by, None);
    }
}
