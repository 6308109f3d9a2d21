//! The invariants of the sources, as absences. Comments may name what code must not.

use std::path::Path;

use anyhow::Result;

use super::{Log, Outcome, Project};

/// The longest that a source file may be.
const MOST_LINES: usize = 500;

/// The one place of functions and their libraries that reads the environment.
const CONFIG: &str = "shared/lambda/src/config.rs";

/// One source file.
struct Source {
    /// From the project's root.
    path: String,
    text: String,
}

/// Words that code in some place must not hold.
struct Absence {
    /// What the rule is about.
    what: &'static str,
    words: &'static [&'static str],
    /// Whether capitals matter.
    exact: bool,
    holds_in: fn(&Source) -> bool,
    part: Part,
}

/// Which lines of a file a rule is about.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// All before the file's tests.
    Product,
    /// Tests alone.
    Tests,
}

const ABSENCES: [Absence; 6] = [
    Absence {
        what: "reads the environment",
        words: &["std::env"],
        exact: true,
        holds_in: |source| source.in_any(&["functions/", "shared/"]) && source.path != CONFIG,
        part: Part::Product,
    },
    Absence {
        what: "does I/O, reads a clock or knows AWS",
        words: &[
            "reqwest",
            "aws_sdk",
            "SystemTime::now",
            "Instant::now",
            "std::net",
            "std::fs",
        ],
        exact: true,
        holds_in: |source| source.in_any(&["shared/platforms/src/", "shared/domain/src/"]),
        part: Part::Product,
    },
    Absence {
        what: "knows a platform",
        words: &[
            "tiktok",
            "instagram",
            "facebook",
            "fanvue",
            "reddit",
            "onlyfans",
        ],
        exact: false,
        holds_in: |source| {
            source.in_any(&[
                "shared/transport/src/",
                "shared/vault/src/",
                "shared/store/src/",
            ])
        },
        part: Part::Product,
    },
    Absence {
        what: "calls KMS or DynamoDB on the webhook's answer path",
        words: &["dynamodb", "kms", "vault"],
        exact: false,
        holds_in: |source| source.in_any(&["functions/webhook/src/"]),
        part: Part::Product,
    },
    Absence {
        what: "asks whether it runs locally",
        words: &["is_local(", "IS_LOCAL", "AWS_SAM_LOCAL", "localhost"],
        exact: true,
        holds_in: |source| source.in_any(&["functions/"]),
        part: Part::Product,
    },
    Absence {
        what: "sleeps in a test",
        words: &["sleep(", "sleep_until("],
        exact: true,
        holds_in: |_| true,
        part: Part::Tests,
    },
];

pub(super) fn step(project: &Project, log: &mut Log) -> Result<Outcome> {
    let mut sources = Vec::new();
    for folder in ["functions", "shared", "infra"] {
        read(&project.root, &project.root.join(folder), &mut sources)?;
    }
    let findings: Vec<String> = sources.iter().flat_map(check).collect();
    for finding in &findings {
        log.line(finding)?;
    }
    let good = format!("{} source files", sources.len());
    Ok(Outcome::of_findings(findings.len(), good))
}

/// Everything that is wrong with one file.
fn check(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = source.text.lines().count();
    if lines > MOST_LINES {
        findings.push(format!("{}: {lines} lines", source.path));
    }
    if !source.path.ends_with(".rs") {
        return findings;
    }
    let tests_from = source.tests_from();
    for absence in ABSENCES.iter().filter(|one| (one.holds_in)(source)) {
        for (number, line) in source.text.lines().enumerate() {
            let part = if number < tests_from {
                Part::Product
            } else {
                Part::Tests
            };
            if part == absence.part && absence.is_in(line) {
                let place = format!("{}:{}", source.path, number + 1);
                findings.push(format!("{place}: {}: {}", absence.what, line.trim()));
            }
        }
    }
    findings
}

impl Source {
    fn in_any(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// The first line of the file's tests, which stand at its end.
    fn tests_from(&self) -> usize {
        let path = &self.path;
        let tests = path.contains("/tests/") || path.ends_with("/tests.rs");
        if tests || path.ends_with("_tests.rs") {
            return 0;
        }
        let mut lines = self.text.lines();
        let own = lines.position(|line| line.trim() == "#[cfg(test)]");
        own.unwrap_or(usize::MAX)
    }
}

impl Absence {
    fn is_in(&self, line: &str) -> bool {
        let code = line.split("//").next().unwrap_or_default();
        let lower = code.to_ascii_lowercase();
        let code = if self.exact { code } else { &lower };
        self.words.iter().any(|word| code.contains(word))
    }
}

fn read(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let extension = path.extension().unwrap_or_default();
        if entry.file_type()?.is_dir() {
            read(root, &path, sources)?;
        } else if extension == "rs" || extension == "py" {
            sources.push(Source {
                path: path.strip_prefix(root)?.to_string_lossy().into_owned(),
                text: std::fs::read_to_string(&path)?,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&source).len()
    }

    #[test]
    fn what_is_absent_and_where() {
        let pause = concat!("tokio::time::sle", "ep(second).await;");
        let in_tests = format!("#[cfg(test)]\nmod tests {{\n    {pause}\n}}");
        for (path, text, expected) in [
            (
                "functions/session/src/main.rs",
                "let a = std::env::var(x);",
                1,
            ),
            ("functions/session/src/main.rs", "// not std::env", 0),
            ("shared/lambda/src/config.rs", "std::env::vars_os()", 0),
            ("infra/local/src/main.rs", "std::env::args()", 0),
            ("shared/store/src/a.rs", "Platform::TikTok => 1,", 1),
            ("shared/platforms/src/a.rs", "Platform::TikTok => 1,", 0),
            (
                "shared/platforms/src/a.rs",
                "let now = SystemTime::now();",
                1,
            ),
            ("shared/domain/src/a.rs", "use aws_sdk_kms::Client;", 1),
            ("functions/webhook/src/lib.rs", "wiring.dynamodb()", 1),
            (
                "functions/webhook-worker/src/lib.rs",
                "wiring.dynamodb()",
                0,
            ),
            ("shared/store/src/a.rs", pause, 0),
            ("shared/store/src/a.rs", &in_tests, 1),
            ("shared/store/src/a/tests.rs", pause, 1),
            ("infra/local/tests/flows/a.rs", pause, 1),
            ("infra/template/expand.py", pause, 0),
        ] {
            assert_eq!(found(path, text), expected, "{path}: {text}");
        }
    }

    #[test]
    fn long_files() {
        assert_eq!(found("shared/a/src/a.rs", &"\n".repeat(500)), 0);
        assert_eq!(found("shared/a/src/a.rs", &"\n".repeat(501)), 1);
    }
}
