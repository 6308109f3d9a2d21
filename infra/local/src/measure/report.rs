//! Figures with their bars, printed beside those of an earlier run.

use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use super::kept::{Kept, Shelf, machine, now};
use super::statistics::Samples;

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bar {
    /// Nothing.
    None,
    /// At most so much; missed, it is marked.
    Most(f64),
    /// A count: more fails the run.
    MostCalls(f64),
    /// A count: any other fails the run.
    Calls(f64),
}

/// The figures of one run.
#[derive(Debug)]
pub(super) struct Report {
    shelf: Shelf,
    figures: BTreeMap<String, f64>,
    before: Kept,
    wrong: Vec<String>,
}

impl Report {
    /// Takes the figures of an earlier run off the shelf, where there are any, and says whose they are.
    pub(super) fn new(shelf: Shelf) -> Result<Self> {
        let before = shelf.before()?;
        if before.figures.is_empty() {
            say("\n  nothing to compare with yet\n")?;
        } else {
            let Kept { machine, at, .. } = &before;
            say(&format!("\n  before: {at}, {machine}\n"))?;
        }
        Ok(Self {
            shelf,
            figures: BTreeMap::new(),
            before,
            wrong: Vec::new(),
        })
    }

    /// Prints a heading.
    pub(super) fn heading(&self, text: &str) -> Result<()> {
        say(&format!("\n{text}\n"))
    }

    /// Prints a sentence.
    pub(super) fn note(&self, text: &str) -> Result<()> {
        say(&format!("  {text}\n"))
    }

    /// Prints one figure and keeps it for the next run.
    pub(super) fn add(&mut self, name: &str, value: f64, unit: &str, bar: Bar) -> Result<()> {
        let mut line = format!("  {name:<44} {:>9} {unit:<5}", number(value));
        let (told, good) = bar.judge(value);
        write!(line, " {told:<22}")?;
        if let Some(before) = self.before.figures.get(name) {
            write!(
                line,
                " before {:>9}{}",
                number(*before),
                ratio(value, *before)
            )?;
        }
        say(&format!("{}\n", line.trim_end()))?;
        if !good && matches!(bar, Bar::Calls(_) | Bar::MostCalls(_)) {
            self.wrong.push(name.to_owned());
        }
        self.figures.insert(name.to_owned(), value);
        Ok(())
    }

    /// Prints the median and the 99th percentile of times.
    pub(super) fn times(&mut self, name: &str, samples: &Samples) -> Result<()> {
        let median = samples.median();
        self.add(&format!("{name}, median"), median, "ms", Bar::None)?;
        self.add(&format!("{name}, p99"), samples.p99(), "ms", Bar::None)
    }

    /// Keeps the figures, in the repository too where `commit` says so; an error where a count was
    /// wrong.
    pub(super) fn end(self, commit: bool) -> Result<()> {
        let kept = Kept {
            machine: machine(),
            at: now(),
            figures: self.figures,
        };
        let file = self.shelf.keep(&kept, commit)?;
        say(&format!("\n  written to {}\n\n", file.display()))?;
        if self.wrong.is_empty() {
            return Ok(());
        }
        bail!("wrong counts: {}", self.wrong.join(", "))
    }
}

impl Bar {
    /// The bar in words and whether the value keeps it.
    fn judge(self, value: f64) -> (String, bool) {
        let (words, good) = match self {
            Self::None => return (String::new(), true),
            Self::Most(bar) | Self::MostCalls(bar) => (format!("≤ {}", number(bar)), value <= bar),
            Self::Calls(bar) => (format!("= {}", number(bar)), (value - bar).abs() < 1e-9),
        };
        let verdict = if good { "ok" } else { "MISSED" };
        (format!("{words} {verdict}"), good)
    }
}

/// Three digits are enough to compare by.
fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e9 {
        return format!("{value:.0}");
    }
    let digits = if value < 10.0 {
        2
    } else {
        usize::from(value < 1_000.0)
    };
    format!("{value:.digits$}")
}

/// How a value compares with the one before: `×1.25`.
fn ratio(value: f64, before: f64) -> String {
    if before.abs() < 1e-9 {
        return String::new();
    }
    format!("  ×{:.2}", value / before)
}

fn say(text: &str) -> Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("writing to standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_time_is_marked_and_a_wrong_count_fails() {
        let root = std::env::temp_dir().join(format!("passerelle-report-{}", std::process::id()));
        std::fs::create_dir_all(root.join(".local/measure")).unwrap();
        let mut report = Report::new(Shelf::new(&root)).unwrap();
        report.add("slow", 7.25, "ms", Bar::Most(5.0)).unwrap();
        report.add("calls", 1.0, "", Bar::Calls(1.0)).unwrap();
        report.end(false).unwrap();
        let mut report = Report::new(Shelf::new(&root)).unwrap();
        assert_eq!(report.before.figures["slow"], 7.25);
        report.add("calls", 0.0, "", Bar::Calls(1.0)).unwrap();
        report.add("at most", 5.0, "", Bar::MostCalls(4.0)).unwrap();
        let error = report.end(false).unwrap_err().to_string();
        assert_eq!(error, "wrong counts: calls, at most");
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn numbers_and_verdicts() {
        assert_eq!(number(12.0), "12");
        assert_eq!(number(1.234), "1.23");
        assert_eq!(number(123.45), "123.5");
        assert_eq!(number(12345.6), "12346");
        assert_eq!(
            Bar::Most(1.5).judge(1.6),
            ("≤ 1.50 MISSED".to_owned(), false)
        );
        assert_eq!(Bar::MostCalls(4.0).judge(4.0), ("≤ 4 ok".to_owned(), true));
        assert_eq!(Bar::None.judge(9.0), (String::new(), true));
        assert_eq!(ratio(5.0, 4.0), "  ×1.25");
        assert_eq!(ratio(5.0, 0.0), "");
    }
}
