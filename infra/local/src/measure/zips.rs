//! How large each function is as Lambda gets it: one file `bootstrap` in a zip.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::report::{Bar, Report};
use crate::cloud;

/// Zips each argument as `bootstrap` at the highest level; prints the sizes as JSON.
const ZIP: &str = r#"
import io, json, os, sys, zipfile
sizes = {}
for path in sys.argv[1:]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(path, "bootstrap")
    sizes[os.path.basename(path)] = [os.path.getsize(path), len(out.getvalue())]
json.dump(sizes, sys.stdout)
"#;

/// Reports the size of each of these release binaries.
pub(super) fn measure(
    root: &Path,
    release: &Path,
    names: &[&str],
    report: &mut Report,
) -> Result<()> {
    report.heading("size")?;
    let mut command = Command::new(cloud::python(root)?);
    command.args(["-c", ZIP]);
    command.args(names.iter().map(|name| release.join(name)));
    let output = command.output().context("starting Python")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "zipping failed: {errors}");
    let sizes: BTreeMap<String, (u64, u64)> = serde_json::from_slice(&output.stdout)?;
    for (name, (binary, zip)) in sizes {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        report.add(
            &format!("binary of {name}"),
            megabytes(binary),
            "MB",
            Bar::None,
        )?;
        report.add(
            &format!("zip of {name}"),
            megabytes(zip),
            "MB",
            Bar::Most(5.0),
        )?;
    }
    Ok(())
}
