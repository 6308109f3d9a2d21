//! `measure`: the bench. It builds the measured functions for release, measures them beside the
//! control Lambda against a stub, drives the real flows through the stand-in platform, and prints
//! every figure beside its bar and its value of an earlier run: the last one of this machine, or, in a
//! fresh clone, the one that infra/measurements.json holds.
//!
//! Times are printed, never asserted: a machine at work is slow. Wrong counts fail the run.

mod events;
mod flows;
mod kept;
mod refresh;
mod relay;
mod report;
mod simulate;
mod statistics;
mod stub;
mod timing;
mod zips;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{Cloud, Dev, Door, Platforms, Stack, StackOptions, stack::default_binaries};
use kept::Shelf;
use report::Report;

/// Built for release: what is measured, and what it is measured against.
const MEASURED: [&str; 4] = ["webhook", "control", "refresh-worker", "publish-worker"];

/// The stack that the bench deploys.
const STACK: &str = "passerelle-measure";

/// Runs the bench in the project at `root` and prints its figures; `commit` writes them into the
/// repository as well.
pub async fn run(root: &Path, commit: bool) -> Result<()> {
    let home = root.join(".local/measure");
    fs::create_dir_all(&home)?;
    let release = build(root)?;
    let binaries = binaries(&home, &release)?;
    let cloud = Cloud::start(root).await?;
    let mut report = Report::new(Shelf::new(root))?;
    let receiver = events::Receiver::start().await?;
    let dev = up(&cloud, binaries.clone(), receiver.url()).await?;
    let spec = &dev.stack.plan().functions["webhook"];
    timing::measure(&binaries, cloud.home(), spec, &mut report).await?;
    zips::measure(root, &release, &MEASURED, &mut report)?;
    flows::measure(&dev, &mut report).await?;
    events::through_host(&dev, &receiver, &mut report).await?;
    dev.stop().await;
    events::in_process(root, &mut report).await?;
    simulate::measure(&mut report)?;
    report.end(commit)
}

/// Builds the measured functions; gives the folder they are in.
fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["build", "--release"]);
    for name in MEASURED {
        command.args(["--package", name]);
    }
    let built = command.status().context("starting cargo")?;
    ensure!(built.success(), "the release build failed");
    // This program lies in the target folder's `debug`.
    let target = default_binaries();
    let target = target.parent().context("no target folder")?;
    Ok(target.join("release"))
}

/// A folder with every function: those that are measured as released, the others as for `dev`.
fn binaries(home: &Path, release: &Path) -> Result<PathBuf> {
    let folder = home.join("bin");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(default_binaries())? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if !entry.file_type()?.is_file() || path.extension().is_some() {
            continue;
        }
        let measured = name.to_str().is_some_and(|name| MEASURED.contains(&name));
        let binary = if measured { release.join(&name) } else { path };
        symlink(binary, folder.join(name))?;
    }
    Ok(folder)
}

/// The whole product with the stand-in platform, without the clock's schedules in the figures.
async fn up(cloud: &std::sync::Arc<Cloud>, binaries: PathBuf, hooks: &str) -> Result<Dev> {
    let door = Door::bind(0).await?;
    let (mut platforms, sandbox) = Platforms::sandbox(&door.url()).await?;
    let known = &mut platforms.host_overrides;
    known.insert(events::HOST.to_owned(), hooks.to_owned());
    let mut options = StackOptions::new(STACK).env("HOST_OVERRIDES", &platforms.overrides());
    options.binaries = binaries;
    let stack = Stack::start_behind(cloud, door, options).await?;
    let secret = serde_json::json!(platforms.platforms);
    stack.put_secret("PlatformsSecret", &secret).await?;
    Ok(Dev {
        stack,
        sandbox: Some(sandbox),
        platforms,
    })
}
