//! One vocabulary of metrics for every platform, and the platform's own figures beside it.
//!
//! A figure that a platform did not give is missing and never zero. Counts are whole numbers from the
//! platform's answer to the table; none passes through a float.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::MediaItem;

/// At most so many of a platform's own figures are kept of one thing.
const MOST_OWN: usize = 40;
/// At most so many characters of a text among them.
const MOST_OWN_TEXT: usize = 200;

/// What a platform says of an account or of one medium, at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// People who follow the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub followers: Option<u64>,
    /// Accounts that it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub following: Option<u64>,
    /// Times it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub views: Option<u64>,
    /// Likes received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likes: Option<u64>,
    /// Comments received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<u64>,
    /// Times it was passed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u64>,
    /// Times it was kept for later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saves: Option<u64>,
    /// Media of the account that the platform counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posts: Option<u64>,
    /// People who pay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribers: Option<u64>,
    /// What it earned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earnings: Option<Money>,
    /// The platform's own figures, by the platform's names for them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub own: BTreeMap<String, OwnFigure>,
}

/// A figure of the platform's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OwnFigure {
    /// A whole number.
    Number(i64),
    /// Anything else, as the platform writes it.
    Text(String),
}

/// An amount in a currency's smallest unit: 1050 and `EUR` are 10.50 euros.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// How many of the smallest unit; negative where more was taken back than earned.
    pub minor: i64,
    /// ISO 4217, in capitals.
    pub currency: String,
}

impl Figures {
    /// With a figure of the platform's own; none beyond the 40th, and of a text the first 200
    /// characters.
    #[must_use]
    pub fn with_own(mut self, name: &str, figure: Option<OwnFigure>) -> Self {
        if let Some(figure) = figure
            && self.own.len() < MOST_OWN
        {
            let figure = match figure {
                OwnFigure::Text(text) => {
                    OwnFigure::Text(text.chars().take(MOST_OWN_TEXT).collect())
                }
                number @ OwnFigure::Number(_) => number,
            };
            self.own.insert(name.to_owned(), figure);
        }
        self
    }

    /// Whether nothing at all is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The engagement rate in hundredths of a percent, rounded down:
    /// `(likes + comments + shares + saves) × 10,000 ÷ views`.
    ///
    /// Kinds of engagement that the platform does not count are left out of the sum. Missing where
    /// the views are missing or zero, or no kind of engagement is known.
    pub fn engagement_rate(&self) -> Option<u64> {
        let views = self.views.filter(|views| *views > 0)?;
        let known = [self.likes, self.comments, self.shares, self.saves];
        let engaged = known.into_iter().flatten().map(u128::from);
        let sum = engaged.reduce(|sum, one| sum + one)?;
        u64::try_from(sum * 10_000 / u128::from(views)).ok()
    }
}

/// What several media came to together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaTotals {
    /// How many were counted.
    pub count: u64,
    /// Whether these are all that the platform shows of the account: false where there are more than
    /// one sync reads.
    pub whole: bool,
    /// The sums. A metric that one of the media does not have is missing.
    pub figures: Figures,
}

impl MediaTotals {
    /// The sums over `media`; of no media, nothing is known.
    pub fn of(media: &[MediaItem], whole: bool) -> Self {
        let sum = |of: fn(&Figures) -> Option<u64>| {
            let mut total = None;
            for one in media {
                let figures = one.figures.as_ref()?;
                total = Some(of(figures)?.saturating_add(total.unwrap_or(0)));
            }
            total
        };
        Self {
            count: media.len().try_into().unwrap_or(u64::MAX),
            whole,
            figures: Figures {
                views: sum(|one| one.views),
                likes: sum(|one| one.likes),
                comments: sum(|one| one.comments),
                shares: sum(|one| one.shares),
                saves: sum(|one| one.saves),
                ..Figures::default()
            },
        }
    }
}

/// What one sync told of a connection: the entry of one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The account's own figures; missing where they were not asked for or not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Figures>,
    /// What its media came to; missing where they were not asked for or not read to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaTotals>,
}

/// A day of the calendar, in whatever time zone its maker counts days: `2026-11-20`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(String);

/// The first day of 1970.
impl Default for Day {
    fn default() -> Self {
        Self("1970-01-01".to_owned())
    }
}

impl Day {
    /// The whole day, `2026-11-20`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its month, `2026-11`.
    pub fn month(&self) -> &str {
        self.0.get(..7).unwrap_or_default()
    }

    /// Its place in the month, `20`.
    pub fn of_month(&self) -> &str {
        self.0.get(8..).unwrap_or_default()
    }
}

impl TryFrom<String> for Day {
    type Error = InvalidDay;

    fn try_from(text: String) -> Result<Self, InvalidDay> {
        let number = |range: std::ops::Range<usize>| {
            let digits = text.get(range)?;
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse::<u16>().ok())?
        };
        let dashes = text.len() == 10 && text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
        let fits = number(0..4).is_some()
            && number(5..7).is_some_and(|month| (1..=12).contains(&month))
            && number(8..10).is_some_and(|day| (1..=31).contains(&day));
        if dashes && fits {
            Ok(Self(text))
        } else {
            Err(InvalidDay)
        }
    }
}

impl std::str::FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        text.to_owned().try_into()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> String {
        day.0
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a day of the form 2026-11-20")]
pub struct InvalidDay;

/// Why a sync ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncKind {
    /// The day's own.
    Daily,
    /// The first of a connection that was just confirmed.
    First,
    /// Somebody asked for it.
    Manual,
    /// For a few media alone, after news of them.
    Targeted,
    /// Once more, after one that failed.
    Repair,
}

impl SyncKind {
    /// The name in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::First => "first",
            Self::Manual => "manual",
            Self::Targeted => "targeted",
            Self::Repair => "repair",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(views: Option<u64>, likes: Option<u64>, shares: Option<u64>) -> Figures {
        Figures {
            views,
            likes,
            shares,
            ..Figures::default()
        }
    }

    #[test]
    fn engagement_is_what_is_known_over_the_views() {
        for (views, likes, shares, rate) in [
            (Some(1_000), Some(30), Some(20), Some(500)),
            (Some(3), Some(1), None, Some(3_333)),
            (Some(1), Some(2), Some(1), Some(30_000)),
            (Some(0), Some(2), None, None),
            (None, Some(2), None, None),
            (Some(10), None, None, None),
            (Some(10), Some(0), None, Some(0)),
            (Some(u64::MAX), Some(u64::MAX), Some(u64::MAX), Some(20_000)),
            (Some(1), Some(u64::MAX), None, None),
        ] {
            let rated = figures(views, likes, shares).engagement_rate();
            assert_eq!(rated, rate, "{views:?} {likes:?} {shares:?}");
        }
    }

    #[test]
    fn a_sum_with_a_missing_part_is_missing() {
        let media = |views, likes| MediaItem {
            figures: Some(figures(views, likes, None)),
            ..MediaItem::default()
        };
        let totals = MediaTotals::of(&[media(Some(5), Some(1)), media(Some(7), None)], true);
        assert_eq!((totals.count, totals.whole), (2, true));
        assert_eq!(totals.figures, figures(Some(12), None, None));
        assert!(MediaTotals::of(&[], true).figures.is_empty());
    }

    #[test]
    fn missing_is_missing_when_written_down_and_large_counts_stay_exact() {
        let known = Figures {
            followers: Some(9_007_199_254_740_993),
            earnings: Some(Money {
                minor: -5,
                currency: "EUR".into(),
            }),
            ..Figures::default()
        };
        let known = known
            .with_own("duration", Some(OwnFigure::Number(31)))
            .with_own("kind", Some(OwnFigure::Text("é".repeat(300))))
            .with_own("absent", None);
        let text = serde_json::to_string(&known).unwrap();
        assert!(text.starts_with(r#"{"followers":9007199254740993,"earnings":"#));
        assert_eq!(known.own.len(), 2);
        assert_eq!(serde_json::from_str::<Figures>(&text).unwrap(), known);
    }

    #[test]
    fn days_are_written_in_one_way() {
        let day: Day = "2026-11-09".parse().unwrap();
        assert_eq!((day.month(), day.of_month()), ("2026-11", "09"));
        for bad in [
            "2026-13-01",
            "2026-1-01",
            "2026-11-00",
            "2026-11-32",
            "20261109",
            "+026-11-09",
            "é026-11-0",
        ] {
            assert_eq!(bad.parse::<Day>(), Err(InvalidDay), "{bad}");
        }
    }

    #[test]
    fn a_platform_cannot_fill_an_item_with_figures_of_its_own() {
        let mut figures = Figures::default();
        for number in 0..100 {
            figures = figures.with_own(&format!("n{number}"), Some(OwnFigure::Number(number)));
        }
        assert_eq!(figures.own.len(), 40);
    }
}
