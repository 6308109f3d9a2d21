//! Steps that run another program.

use std::path::PathBuf;

use anyhow::Result;

use super::{Log, Outcome, Project, say};
use crate::cloud;

/// The one tool that is built here; the version that the figures in the documents are of.
const MACHETE: &str = "0.9.2";

pub(super) fn format(project: &Project, log: &mut Log) -> Result<Outcome> {
    let mut command = project.cargo();
    command.args(["fmt", "--all", "--check", "--", "--color", "never"]);
    let good = project.logged(command, log, |_| Ok(()))?;
    Ok(if good {
        Outcome::Passed(String::new())
    } else {
        Outcome::Failed("cargo fmt would change it".to_owned())
    })
}

/// The template is clean as written and as expanded.
pub(super) fn template(project: &Project, log: &mut Log) -> Result<Outcome> {
    let python = cloud::python(&project.root)?;
    let mut command = project.command(&python.to_string_lossy());
    command.args(["infra/template/expand.py", "template.yaml", "--check"]);
    let mut last = String::new();
    let good = project.logged(command, log, |line| {
        last = line.to_owned();
        Ok(())
    })?;
    Ok(if good {
        Outcome::Passed(last)
    } else {
        Outcome::Failed(last)
    })
}

/// Dependencies that no source names.
pub(super) fn unused(project: &Project, log: &mut Log) -> Result<Outcome> {
    let machete = match tool(project, "cargo-machete") {
        Some(machete) => machete,
        None => {
            let mut install = project.cargo();
            install.args(["install", "--quiet", "--locked", "cargo-machete"]);
            install.args(["--version", MACHETE, "--root", ".local/tools"]);
            // Its own target folder, so that our lock is not held meanwhile.
            install.env_remove("CARGO_TARGET_DIR");
            if !project.logged(install, log, |_| Ok(()))? {
                return Ok(Outcome::Skipped(
                    "cargo-machete is not here and cannot be installed (offline?)".to_owned(),
                ));
            }
            project.root.join(".local/tools/bin/cargo-machete")
        }
    };
    let mut command = project.command(&machete.to_string_lossy());
    command.args(["--skip-target-dir", "functions", "shared", "infra"]);
    let mut found = 0;
    let good = project.logged(command, log, |line| {
        found += usize::from(line.starts_with('\t'));
        Ok(())
    })?;
    Ok(if good {
        Outcome::Passed(String::new())
    } else {
        Outcome::Failed(format!("{found} unused dependencies"))
    })
}

/// Known vulnerabilities, where a database of them is on this machine; nothing is fetched.
pub(super) fn advisories(project: &Project, log: &mut Log) -> Result<Outcome> {
    let home = std::env::home_dir().unwrap_or_default();
    let home = std::env::var_os("CARGO_HOME").map_or(home.join(".cargo"), PathBuf::from);
    let mut command = project.cargo();
    if tool(project, "cargo-audit").is_some() && home.join("advisory-db").is_dir() {
        command.args(["audit", "--no-fetch", "--stale"]);
    } else if tool(project, "cargo-deny").is_some() && home.join("advisory-dbs").is_dir() {
        command.args(["deny", "--offline", "check", "advisories"]);
    } else {
        return Ok(Outcome::Skipped(
            "neither cargo-audit nor cargo-deny with a local database is here".to_owned(),
        ));
    }
    let good = project.logged(command, log, |_| Ok(()))?;
    Ok(if good {
        Outcome::Passed(String::new())
    } else {
        Outcome::Failed("known vulnerabilities".to_owned())
    })
}

/// Warnings fail the step, but are not denied to the compiler: it would stop at the first crate that
/// has one.
pub(super) fn clippy(project: &Project, log: &mut Log) -> Result<Outcome> {
    let mut command = project.cargo();
    command.args(["clippy", "--quiet", "--workspace", "--all-targets"]);
    let mut found = 0;
    let good = project.logged(command, log, |line| {
        found += usize::from(line.starts_with("warning") || line.starts_with("error"));
        Ok(())
    })?;
    Ok(match (good, found) {
        (true, 0) => Outcome::Passed(String::new()),
        (_, found) => Outcome::Failed(format!("{found} warnings and errors")),
    })
}

/// All tests. The closing line of each test program is repeated for whoever reads our output; of
/// those that fail, what they said is shown.
pub(super) fn tests(project: &Project, log: &mut Log) -> Result<Outcome> {
    // Made once here, so that no test waits for it.
    cloud::python(&project.root)?;
    let mut command = project.cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    command.args(&project.options.test_arguments);
    let mut run = TestRun::default();
    let good = project.logged(command, log, |line| match run.read(line) {
        Some(told) => say(&told),
        None => Ok(()),
    })?;
    log.excerpt = run.failures;
    let told = format!(
        "{} passed, {} failed, {} ignored",
        run.passed, run.failed, run.ignored
    );
    Ok(if good && run.failed == 0 && run.passed > 0 {
        Outcome::Passed(told)
    } else {
        Outcome::Failed(told)
    })
}

/// What the output of `cargo test` says.
#[derive(Default)]
struct TestRun {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// The test program that runs.
    program: String,
    /// Whether the lines are those of failures, and all of these so far.
    in_failures: bool,
    failures: Vec<String>,
}

impl TestRun {
    /// Takes one line in; gives what is told of it. A program without tests is not told of.
    fn read(&mut self, line: &str) -> Option<String> {
        if line.starts_with("     Running ") || line.starts_with("   Doc-tests ") {
            self.program = line.trim().to_owned();
        }
        let Some(counts) = line.strip_prefix("test result: ") else {
            if line == "failures:" && !self.in_failures {
                self.in_failures = true;
                self.failures.push(self.program.clone());
            }
            if self.in_failures {
                self.failures.push(line.to_owned());
            }
            return None;
        };
        self.in_failures = false;
        let [passed, failed, ignored] =
            ["passed", "failed", "ignored"].map(|word| count(counts, word));
        self.passed += passed;
        self.failed += failed;
        self.ignored += ignored;
        let some = passed + failed + ignored > 0;
        some.then(|| format!("{}\n{line}\n", self.program))
    }
}

/// The number before a word: 12 in `ok. 12 passed; 0 failed`.
fn count(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().unwrap_or_default();
    let number = before.trim_end().rsplit([' ', ';', '.']).next();
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A tool of the project's own or of the machine.
fn tool(project: &Project, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = project.root.join(".local/tools/bin");
    std::iter::once(own)
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_test_says() {
        let mut run = TestRun::default();
        let output = "     Running unittests src/lib.rs (target/a)\n\nrunning 0 tests\n\n\
            test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n     \
            Running tests/b.rs (target/b)\ntest one ... ok\ntest two ... FAILED\n\nfailures:\n\n\
            ---- two stdout ----\nwhy\n\nfailures:\n    two\n\n\
            test result: FAILED. 12 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out\n\
            error: test failed\n";
        let told: Vec<String> = output.lines().filter_map(|line| run.read(line)).collect();
        assert_eq!((run.passed, run.failed, run.ignored), (12, 1, 3));
        let [told] = told.try_into().unwrap();
        assert!(told.starts_with("Running tests/b.rs (target/b)\ntest result: FAILED. 12 passed"));
        let shown = run.failures.join("\n");
        assert!(shown.starts_with("Running tests/b.rs") && shown.ends_with("    two\n"));
        assert!(shown.contains("why") && !shown.contains("test one"));
    }
}
