//! Numbers, dates and names as a mail shows them.

use jiff::civil::Date;
use pages::Locale;

/// The longest title that is shown, in characters.
const MOST_TITLE: usize = 90;

/// A count, in groups of three: `48,210`, in French with narrow spaces.
pub(crate) fn count(locale: Locale, number: u64) -> String {
    let digits = number.to_string();
    let gap = match locale {
        Locale::En => ",",
        Locale::Fr => "\u{202f}",
    };
    let first = digits.len() % 3;
    let mut groups: Vec<&str> = digits
        .get(..first)
        .into_iter()
        .filter(|g| !g.is_empty())
        .collect();
    let rest = digits.get(first..).unwrap_or_default().as_bytes();
    groups.extend(
        rest.chunks(3)
            .filter_map(|group| std::str::from_utf8(group).ok()),
    );
    groups.join(gap)
}

/// A difference with its sign: `+310`, `−12`, `±0`.
pub(crate) fn difference(locale: Locale, by: i64) -> String {
    let sign = match by {
        1.. => "+",
        0 => "±",
        _ => "\u{2212}",
    };
    format!("{sign}{}", count(locale, by.unsigned_abs()))
}

/// One line of a text that somebody else wrote: no line breaks, no controls, at most 90 characters.
pub(crate) fn line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let whole = words.join(" ");
    // Marks that turn the direction of writing would turn what stands behind them too.
    let whole: String = whole.chars().filter(|c| !turns(*c)).collect();
    if whole.chars().count() <= MOST_TITLE {
        return whole;
    }
    let cut: String = whole.chars().take(MOST_TITLE - 1).collect();
    format!("{}…", cut.trim_end())
}

const fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// A day: `16 November`, `1er novembre`.
pub(crate) fn day(locale: Locale, date: Date) -> String {
    let (number, month) = (date.day(), month(locale, date));
    match locale {
        Locale::Fr if number == 1 => format!("1er {month}"),
        _ => format!("{number} {month}"),
    }
}

/// Days from one to another: `16–22 November`, `du 30 novembre au 6 décembre`.
pub(crate) fn span(locale: Locale, from: Date, to: Date) -> String {
    let same = (from.year(), from.month()) == (to.year(), to.month());
    let last = day(locale, to);
    match locale {
        Locale::En if same => format!("{}–{last}", from.day()),
        Locale::En => format!("{} – {last}", day(locale, from)),
        Locale::Fr if same && from.day() == 1 => format!("du 1er au {last}"),
        Locale::Fr if same => format!("du {} au {last}", from.day()),
        Locale::Fr => format!("du {} au {last}", day(locale, from)),
    }
}

fn month(locale: Locale, date: Date) -> &'static str {
    const EN: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const FR: [&str; 12] = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ];
    let names = match locale {
        Locale::En => EN,
        Locale::Fr => FR,
    };
    let place = usize::try_from(date.month() - 1).unwrap_or(0);
    names.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_as_readers_expect() {
        for (number, en, fr) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (1_000, "1,000", "1\u{202f}000"),
            (48_210, "48,210", "48\u{202f}210"),
            (
                u64::MAX,
                "18,446,744,073,709,551,615",
                "18\u{202f}446\u{202f}744\u{202f}073\u{202f}709\u{202f}551\u{202f}615",
            ),
        ] {
            assert_eq!(count(Locale::En, number), en);
            assert_eq!(count(Locale::Fr, number), fr);
        }
        for (by, shown) in [
            (310, "+310"),
            (0, "±0"),
            (-12, "\u{2212}12"),
            (i64::MIN, "\u{2212}9,223,372,036,854,775,808"),
        ] {
            assert_eq!(difference(Locale::En, by), shown);
        }
    }

    #[test]
    fn others_texts_are_one_line() {
        for (text, shown) in [
            ("Soup\r\nBcc: x\tnight", "Soup Bcc: x night"),
            ("\u{202e}thgin puoS", "thgin puoS"),
            ("  ", ""),
        ] {
            assert_eq!(line(text), shown);
        }
        let long = line(&"é".repeat(200));
        assert_eq!(long.chars().count(), 90);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn days_in_both_languages() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        for (from, to, en, fr) in [
            (
                "2026-11-16",
                "2026-11-22",
                "16–22 November",
                "du 16 au 22 novembre",
            ),
            (
                "2026-11-30",
                "2026-12-06",
                "30 November – 6 December",
                "du 30 novembre au 6 décembre",
            ),
            ("2026-06-01", "2026-06-07", "1–7 June", "du 1er au 7 juin"),
            (
                "2026-12-28",
                "2027-01-01",
                "28 December – 1 January",
                "du 28 décembre au 1er janvier",
            ),
        ] {
            assert_eq!(span(Locale::En, date(from), date(to)), en);
            assert_eq!(span(Locale::Fr, date(from), date(to)), fr);
        }
    }
}
