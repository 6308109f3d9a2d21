//! Figures that were kept: those of the last run on this machine, and those that the repository holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use domain::Timestamp;
use serde::{Deserialize, Serialize};

/// In the repository: what a fresh clone is compared with.
const COMMITTED: &str = "infra/measurements.json";
/// On this machine alone.
const LAST: &str = ".local/measure/previous.json";

/// The figures of one run, and where they come from: times of two machines do not compare.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Processors and system.
    pub(super) machine: String,
    /// When the run ended, RFC 3339.
    pub(super) at: String,
    /// By their names.
    pub(super) figures: BTreeMap<String, f64>,
}

/// Where figures are kept.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    committed: PathBuf,
    last: PathBuf,
}

impl Shelf {
    /// Of the project at `root`.
    pub(super) fn new(root: &Path) -> Self {
        Self {
            committed: root.join(COMMITTED),
            last: root.join(LAST),
        }
    }

    /// The figures to compare with: the last ones of this machine, else the committed ones.
    pub(super) fn before(&self) -> Result<Kept> {
        for file in [&self.last, &self.committed] {
            if let Ok(text) = std::fs::read(file) {
                return serde_json::from_slice(&text)
                    .with_context(|| format!("{} is not understood", file.display()));
            }
        }
        Ok(Kept::default())
    }

    /// Keeps figures for the next run, and in the repository where that is wanted; gives the file that
    /// a person should know of.
    pub(super) fn keep(&self, kept: &Kept, commit: bool) -> Result<&Path> {
        let text = format!("{}\n", serde_json::to_string_pretty(kept)?);
        let write = |file: &Path| {
            std::fs::write(file, &text).with_context(|| format!("writing {}", file.display()))
        };
        write(&self.last)?;
        if !commit {
            return Ok(&self.last);
        }
        write(&self.committed)?;
        Ok(&self.committed)
    }
}

/// This machine in a few words, without its name.
pub(super) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let described = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = described
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model.trim());
    format!("{cores} × {model}, {}", std::env::consts::OS)
}

/// The present instant, as it is kept.
pub(super) fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let secs = since.map_or(0, |since| since.as_secs());
    Timestamp::from_secs(i64::try_from(secs).unwrap_or(0)).rfc3339()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(value: f64) -> Kept {
        Kept {
            machine: machine(),
            at: now(),
            figures: BTreeMap::from([("figure".to_owned(), value)]),
        }
    }

    #[test]
    fn a_machines_own_figures_come_before_the_committed_ones() {
        let root = std::env::temp_dir().join(format!("passerelle-kept-{}", std::process::id()));
        std::fs::create_dir_all(root.join(".local/measure")).unwrap();
        std::fs::create_dir_all(root.join("infra")).unwrap();
        let shelf = Shelf::new(&root);
        assert_eq!(shelf.before().unwrap(), Kept::default());
        let committed = shelf.keep(&kept(1.0), true).unwrap();
        assert!(committed.ends_with(COMMITTED));
        std::fs::remove_file(root.join(LAST)).unwrap();
        assert_eq!(shelf.before().unwrap().figures["figure"], 1.0);
        shelf.keep(&kept(2.0), false).unwrap();
        assert_eq!(shelf.before().unwrap().figures["figure"], 2.0);
        std::fs::write(root.join(LAST), "{}").unwrap();
        assert!(shelf.before().is_err());
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_machine_is_told_by_its_processors() {
        let told = machine();
        assert!(told.contains(" × ") && told.ends_with("linux"), "{told}");
        assert!(now().starts_with("20"), "{}", now());
    }
}
