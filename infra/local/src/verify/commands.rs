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

/// All tests. The closing line of each test program is repeated for whoever reads our output.
pub(super) fn tests(project: &Project, log: &mut Log) -> Result<Outcome> {
    // Made once here, so that no test waits for it.
    cloud::python(&project.root)?;
    let mut command = project.cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    command.args(&project.options.test_arguments);
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    let good = project.logged(command, log, |line| {
        if let Some(counts) = line.strip_prefix("test result: ") {
            passed += count(counts, "passed");
            failed += count(counts, "failed");
            ignored += count(counts, "ignored");
            say(&format!("{line}\n"))?;
        } else if line.starts_with("     Running ") || line.starts_with("   Doc-tests ") {
            say(&format!("{line}\n"))?;
        }
        Ok(())
    })?;
    let told = format!("{passed} passed, {failed} failed, {ignored} ignored");
    Ok(if good && failed == 0 && passed > 0 {
        Outcome::Passed(told)
    } else {
        Outcome::Failed(told)
    })
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
    fn counts_are_read_from_the_closing_line() {
        let line =
            "ok. 12 passed; 3 failed; 1 ignored; 0 measured; 9 filtered out; finished in 1.25s";
        assert_eq!(count(line, "passed"), 12);
        assert_eq!(count(line, "failed"), 3);
        assert_eq!(count(line, "ignored"), 1);
        assert_eq!(count("FAILED. 0 passed", "failed"), 0);
    }
}
