//! Figures with their bars, printed beside those of the last run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

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
    file: PathBuf,
    figures: BTreeMap<String, f64>,
    before: BTreeMap<String, f64>,
    wrong: Vec<String>,
}

impl Report {
    /// Reads the figures of the last run out of `file`, where there was one.
    pub(super) fn new(file: &Path) -> Result<Self> {
        let before = match std::fs::read(file) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is not understood", file.display()))?,
            Err(_) => BTreeMap::new(),
        };
        Ok(Self {
            file: file.to_owned(),
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
        if let Some(before) = self.before.get(name) {
            write!(line, " before {:>9}", number(*before))?;
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

    /// Writes the figures down; an error where a count was wrong.
    pub(super) fn end(self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.figures)?;
        std::fs::write(&self.file, format!("{text}\n"))
            .with_context(|| format!("writing {}", self.file.display()))?;
        say(&format!("\n  written to {}\n\n", self.file.display()))?;
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
        let file = std::env::temp_dir().join(format!("passerelle-report-{}", std::process::id()));
        let mut report = Report::new(&file).unwrap();
        report.add("slow", 7.25, "ms", Bar::Most(5.0)).unwrap();
        report.add("calls", 1.0, "", Bar::Calls(1.0)).unwrap();
        report.end().unwrap();
        let mut report = Report::new(&file).unwrap();
        assert_eq!(report.before["slow"], 7.25);
        report.add("calls", 0.0, "", Bar::Calls(1.0)).unwrap();
        report.add("at most", 5.0, "", Bar::MostCalls(4.0)).unwrap();
        let error = report.end().unwrap_err().to_string();
        assert_eq!(error, "wrong counts: calls, at most");
        std::fs::remove_file(&file).unwrap();
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
    }
}
