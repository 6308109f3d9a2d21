//! `verify`: every check and every test, each a step with its time. A step that fails does not stop
//! the others; what it wrote is shown, and the whole ends in failure.

mod commands;
mod crates;
mod rules;
mod spdx;
mod variables;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// At most so many lines of a failed step are shown, the last; its log has all of them.
const SHOWN_LINES: usize = 300;

/// What `verify` was asked for.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// Only what takes seconds: no clippy, no tests.
    pub fast: bool,
    /// Handed to `cargo test`.
    pub test_arguments: Vec<String>,
}

/// How a step ended.
enum Outcome {
    /// Well, with a word on what was seen.
    Passed(String),
    /// Not run, and why.
    Skipped(String),
    /// Badly, with a word on what is wrong; the log says more.
    Failed(String),
}

/// What steps work on.
struct Project {
    root: PathBuf,
    home: PathBuf,
    options: VerifyOptions,
}

/// A step's log; what is written there is shown where the step fails.
struct Log {
    path: PathBuf,
    file: File,
    /// What of it is shown instead of its end.
    excerpt: Vec<String>,
}

type Check = fn(&Project, &mut Log) -> Result<Outcome>;

/// The steps in their order: what takes seconds first.
const STEPS: [(&str, Check, Pace); 9] = [
    ("format", commands::format, Pace::Fast),
    ("rules", rules::step, Pace::Fast),
    ("template", commands::template, Pace::Fast),
    ("variables", variables::step, Pace::Fast),
    ("unused", commands::unused, Pace::Fast),
    ("crates", crates::step, Pace::Fast),
    ("advisories", commands::advisories, Pace::Fast),
    ("clippy", commands::clippy, Pace::Slow),
    ("tests", commands::tests, Pace::Slow),
];

#[derive(Clone, Copy, PartialEq)]
enum Pace {
    Fast,
    Slow,
}

/// Runs the steps in the project at `root`; an error where one of them failed.
pub fn run(root: &Path, options: VerifyOptions) -> Result<()> {
    let fast = options.fast;
    let project = Project {
        root: root.to_owned(),
        home: root.join(".local/verify"),
        options,
    };
    std::fs::create_dir_all(&project.home)?;
    let mut table = String::new();
    let mut failed = Vec::new();
    for (name, check, _) in STEPS
        .iter()
        .filter(|(_, _, pace)| !fast || *pace == Pace::Fast)
    {
        say(&format!("{name} …\n"))?;
        let began = Instant::now();
        let mut log = Log::create(&project.home, name)?;
        let ended = check(&project, &mut log);
        let took = began.elapsed();
        let (word, told) = match ended {
            Ok(Outcome::Passed(told)) => ("ok", told),
            Ok(Outcome::Skipped(told)) => ("skipped", told),
            Ok(Outcome::Failed(told)) => ("FAILED", told),
            Err(error) => ("FAILED", format!("{error:#}")),
        };
        if word == "FAILED" {
            failed.push(*name);
            say(&log.shown()?)?;
        }
        writeln!(table, "  {name:<11} {word:<8} {:>7}  {told}", span(took))?;
    }
    say(&format!("\n{table}\n"))?;
    if failed.is_empty() {
        return Ok(());
    }
    bail!("{} (logs in {})", failed.join(", "), project.home.display())
}

impl Log {
    fn create(home: &Path, step: &str) -> Result<Self> {
        let path = home.join(format!("{step}.log"));
        let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self {
            path,
            file,
            excerpt: Vec::new(),
        })
    }

    fn line(&mut self, text: &str) -> Result<()> {
        writeln!(self.file, "{text}").context("writing a log")
    }

    /// What is shown of a step that failed.
    fn shown(&self) -> Result<String> {
        let text = String::from_utf8_lossy(&std::fs::read(&self.path)?).into_owned();
        let mut lines: Vec<&str> = self.excerpt.iter().map(String::as_str).collect();
        if lines.is_empty() {
            lines = text.lines().collect();
        }
        let from = lines.len().saturating_sub(SHOWN_LINES);
        let mut shown = String::new();
        for line in &lines[from..] {
            writeln!(shown, "    {line}")?;
        }
        Ok(shown)
    }
}

impl Project {
    /// A command in the project's root, its input closed.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        // Logs are read in editors and by CI.
        command.env("CARGO_TERM_COLOR", "never");
        command
    }

    /// The cargo that runs us.
    fn cargo(&self) -> Command {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        self.command(&cargo)
    }

    /// Runs a command into the log and hands over each line as it comes; whether it succeeded.
    fn logged(
        &self,
        mut command: Command,
        log: &mut Log,
        mut each: impl FnMut(&str) -> Result<()>,
    ) -> Result<bool> {
        // One pipe for both outputs keeps their order.
        let (reader, writer) = std::io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(writer);
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        // The command holds writing ends; the pipe ends when nobody does.
        drop(command);
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            log.line(text)?;
            each(text)?;
            line.clear();
        }
        Ok(child.wait()?.success())
    }
}

impl Outcome {
    /// Failed where anything was found.
    fn of_findings(findings: usize, good: impl Into<String>) -> Self {
        match findings {
            0 => Self::Passed(good.into()),
            count => Self::Failed(format!("{count} findings")),
        }
    }
}

fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = time.as_secs();
    format!("{} m {:02} s", whole / 60, whole % 60)
}

fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush().context("writing to standard output")
}
