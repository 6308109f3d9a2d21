//! The local tool: `dev` brings the whole product up on this machine.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use local::{Dev, DevOptions, verify::VerifyOptions};

const HELP: &str = "\
cargo dev [options]      everything up on this machine, until Ctrl-C

  --port N               the API's port (3000)
  --platforms FILE       other stand-ins than the sandbox: overrides, credentials (JSON)
  --parameter NAME=VALUE a template parameter
  --demo [FILE.mp4]      walk the main job on this file, or on a small one, print each step, and end

cargo verify [--fast] [-- ARGUMENTS FOR cargo test]
                         every check and every test; --fast: only what takes seconds
cargo measure [--commit] the bench's figures, beside those of the last time; --commit: also write them
                         to infra/measurements.json, which a fresh clone is compared with
";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of reasons, without a stack trace.
            let told = writeln!(std::io::stderr(), "\nfailed: {error:#}");
            drop(told);
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("dev") => dev(arguments).await,
        Some("verify") => verify(arguments),
        Some("measure") => measure(arguments).await,
        Some("--help" | "-h" | "help") | None => say(HELP),
        Some(other) => bail!("unknown command {other}\n\n{HELP}"),
    }
}

fn verify(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut options = VerifyOptions::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--fast" => options.fast = true,
            "--" => options.test_arguments = arguments.by_ref().collect(),
            "--help" | "-h" => return say(HELP),
            other => bail!("unknown option {other}\n\n{HELP}"),
        }
    }
    local::verify::run(&local::cloud::project_root()?, options)
}

async fn measure(arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut commit = false;
    for argument in arguments {
        match argument.as_str() {
            "--commit" => commit = true,
            "--help" | "-h" => return say(HELP),
            other => bail!("unknown option {other}\n\n{HELP}"),
        }
    }
    local::measure::run(&local::cloud::project_root()?, commit).await
}

async fn dev(arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut options = DevOptions::default();
    let mut demo = None;
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        if argument == "--demo" {
            demo = Some(
                arguments
                    .next_if(|next| !next.starts_with("--"))
                    .map(PathBuf::from),
            );
            continue;
        }
        let mut value = || {
            arguments
                .next()
                .with_context(|| format!("{argument} takes a value"))
        };
        match argument.as_str() {
            "--port" => options.port = value()?.parse().context("--port takes a number")?,
            "--platforms" => options.platforms = Some(PathBuf::from(value()?)),
            "--parameter" => {
                let pair = value()?;
                let (name, value) = pair
                    .split_once('=')
                    .context("--parameter takes NAME=VALUE")?;
                options.parameters.insert(name.to_owned(), value.to_owned());
            }
            "--help" | "-h" => return say(HELP),
            other => bail!("unknown option {other}\n\n{HELP}"),
        }
    }
    let up = async {
        let dev = Dev::start(options).await?;
        let link = dev.session_link("user_demo", "Demo user").await;
        let link = link.unwrap_or_else(|error| format!("none: {error:#}"));
        say(&dev.greeting(&link)?)?;
        anyhow::Ok(dev)
    };
    // A signal while everything comes up drops what is up so far, which ends it.
    let dev = tokio::select! {
        up = up => up?,
        signal = stopped() => return signal,
    };
    let ended = match demo {
        None => stopped().await,
        Some(file) => tokio::select! {
            walked = walk(&dev, file) => walked,
            signal = stopped() => signal,
        },
    };
    dev.stop().await;
    ended
}

/// Walks the main job on a file, or on a small one made for it.
async fn walk(dev: &Dev, file: Option<PathBuf>) -> Result<()> {
    let file = match file {
        Some(file) => file,
        None => local::demo::media::write_mp4(&dev.stack.logs().join("sample.mp4"), 0)?,
    };
    local::demo::run(dev, "tiktok", &file, say).await
}

/// Returns on Ctrl-C or a request to terminate.
async fn stopped() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

fn say(text: &str) -> Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("writing to standard output")
}
