//! The Python environment of the local tools, made in the project's own folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use data_encoding::HEXLOWER;

/// Makes sure that `home/venv` holds what `requirements` lists, and gives its Python.
///
/// A stamp with the hash of the requirements makes a second call free. Output of the installer is
/// shown only when it fails. `PASSERELLE_PYTHON` may name an interpreter that has everything
/// already.
pub fn ensure(home: &Path, requirements: &Path) -> Result<PathBuf> {
    if let Some(python) = std::env::var_os("PASSERELLE_PYTHON") {
        return Ok(python.into());
    }
    let wanted =
        fs::read(requirements).with_context(|| format!("reading {}", requirements.display()))?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &wanted);
    let stamp_text = HEXLOWER.encode(digest.as_ref());
    let venv = home.join("venv");
    let python = venv.join("bin").join("python");
    let stamp = venv.join("requirements.sha256");
    let current =
        || python.exists() && fs::read_to_string(&stamp).is_ok_and(|text| text == stamp_text);
    if current() {
        return Ok(python);
    }
    fs::create_dir_all(home)?;
    // Two test processes may arrive here together; the second waits and finds the work done.
    let lock = fs::File::create(home.join("venv.lock"))?;
    lock.lock()?;
    if current() {
        return Ok(python);
    }
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(requirements))?;
    fs::write(&stamp, &stamp_text)?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("running {command:?} (is Python 3 with venv installed?)"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
