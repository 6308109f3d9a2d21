//! The local tool: `dev` brings the whole product up on this machine.

use std::{io::Write as _, path::PathBuf};

use anyhow::{Context, Result, bail};
use local::{Dev, DevOptions};

const HELP: &str = "\
cargo dev [options]      everything up on this machine, until Ctrl-C

  --port N               the API's port (3000)
  --platforms FILE       other stand-ins than the sandbox: overrides, credentials (JSON)
  --parameter NAME=VALUE a template parameter
";

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("dev") => dev(arguments).await,
        Some("--help" | "-h" | "help") | None => say(HELP),
        Some(other) => bail!("unknown command {other}\n\n{HELP}"),
    }
}

async fn dev(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut options = DevOptions::default();
    while let Some(argument) = arguments.next() {
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
    stopped().await?;
    dev.stop().await;
    Ok(())
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
