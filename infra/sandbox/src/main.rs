//! `sandbox --port N --config FILE`: the stand-in platforms as a program.
//!
//! Prints one JSON line with its base URL and the host overrides once it listens.

use std::io::Write as _;

use anyhow::{Context, bail};
use sandbox::{Config, Sandbox};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let sandbox = Sandbox::start(config(std::env::args().skip(1))?).await?;
    let ready = serde_json::json!({
        "base_url": sandbox.base_url(),
        "admin_url": sandbox.admin_url(),
        "host_overrides": sandbox.host_overrides(),
    });
    writeln!(std::io::stdout(), "{ready}")?;
    sandbox.wait().await;
    Ok(())
}

/// The demo's configuration, unless `--config` names another; `--port` wins over the file.
fn config(mut args: impl Iterator<Item = String>) -> anyhow::Result<Config> {
    let (mut port, mut config) = (None, Config::demo());
    while let Some(flag) = args.next() {
        let value = args
            .next()
            .with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--port" => port = Some(value.parse().with_context(|| format!("--port {value}"))?),
            "--config" => {
                let text =
                    std::fs::read_to_string(&value).with_context(|| format!("reading {value}"))?;
                config = serde_json::from_str(&text).with_context(|| format!("in {value}"))?;
            }
            _ => bail!("unknown option {flag}; known: --port N, --config FILE"),
        }
    }
    config.port = port.unwrap_or(config.port);
    Ok(config)
}
