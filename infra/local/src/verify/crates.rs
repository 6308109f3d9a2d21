//! What the functions link: licences, one of each SDK, one TLS stack, one HTTP major; and which of
//! our crates may know which.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::spdx::{PERMISSIVE, permits};
use super::{Log, Outcome, Project};

/// Processors that functions are built for.
const TARGETS: [&str; 2] = ["aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"];

/// TLS and cryptography other than rustls over AWS-LC.
const OTHER_TLS: [&str; 6] = [
    "boring",
    "mbedtls",
    "native-tls",
    "openssl",
    "openssl-sys",
    "ring",
];

/// HTTP crates that may be there in one version only.
const HTTP: [&str; 4] = ["h2", "http", "http-body", "hyper"];

/// What the crates at the bottom must not know: they do no I/O.
const NOT_AT_THE_BOTTOM: [&str; 5] = ["reqwest", "hyper", "tokio", "lambda_runtime", "aws-types"];

/// One crate of somebody else's, as linked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Linked {
    name: String,
    version: String,
    licence: String,
}

pub(super) fn step(project: &Project, log: &mut Log) -> Result<Outcome> {
    let own = own(project)?;
    let mut findings = directions(&own);
    let shipped: Vec<&str> = own
        .iter()
        .filter(|one| one.folder != "infra")
        .map(|one| one.name.as_str())
        .collect();
    let ships = linked(project, &shipped, "normal")?;
    let everything = linked(project, &[], "normal,build,dev")?;
    findings.extend(licences(&ships));
    findings.extend(versions(&ships));
    for finding in &findings {
        log.line(finding)?;
    }
    let tools: Vec<&Linked> = everything.difference(&ships).collect();
    log.line(&format!("\nin functions: {} crates", ships.len()))?;
    log.line(&by_licence(ships.iter()))?;
    log.line(&format!("in tools and tests only: {}", tools.len()))?;
    log.line(&by_licence(tools.iter().copied()))?;
    let odd: Vec<String> = tools
        .iter()
        .filter(|one| !permits(&one.licence, &PERMISSIVE))
        .map(|one| format!("{} ({})", one.name, one.licence))
        .collect();
    let mut good = format!(
        "{} crates in functions, {} in tools, all permissive",
        ships.len(),
        tools.len()
    );
    if !odd.is_empty() {
        good = format!("{good} but {} of the tools", odd.join(", "));
    }
    Ok(Outcome::of_findings(findings.len(), good))
}

/// Permissive licences alone are in what ships.
fn licences(ships: &BTreeSet<Linked>) -> Vec<String> {
    ships
        .iter()
        .filter(|one| !permits(&one.licence, &PERMISSIVE))
        .map(|one| format!("{} {}: licence {:?}", one.name, one.version, one.licence))
        .collect()
}

/// One version of each SDK and of HTTP, one TLS stack.
fn versions(ships: &BTreeSet<Linked>) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in ships {
        versions.entry(&one.name).or_default().push(&one.version);
    }
    let mut findings = Vec::new();
    for (name, versions) in versions {
        if OTHER_TLS.contains(&name) {
            findings.push(format!("{name}: a second TLS or cryptography stack"));
        }
        let once = name.starts_with("aws-sdk-") || HTTP.contains(&name);
        if once && versions.len() > 1 {
            findings.push(format!("{name}: {}", versions.join(" and ")));
        }
    }
    findings
}

fn by_licence<'a>(crates: impl Iterator<Item = &'a Linked>) -> String {
    let mut counts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in crates {
        counts.entry(&one.licence).or_default().push(&one.name);
    }
    let lines: Vec<String> = counts
        .iter()
        .map(|(licence, names)| format!("  {licence}: {}", names.join(" ")))
        .collect();
    lines.join("\n")
}

/// What is linked into these crates (or all of ours), with the features that a build has. `cargo
/// metadata` would also name what optional features alone bring in.
fn linked(project: &Project, crates: &[&str], edges: &str) -> Result<BTreeSet<Linked>> {
    let mut command = project.cargo();
    command.args(["tree", "--locked", "--quiet", "--prefix", "none"]);
    command.args(["--edges", edges, "--format", "{p}|{l}"]);
    for target in TARGETS {
        command.args(["--target", target]);
    }
    if crates.is_empty() {
        command.arg("--workspace");
    }
    for name in crates {
        command.args(["--package", name]);
    }
    let output = command.output().context("running cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout)?
        .lines()
        .filter(|line| !line.is_empty())
        .filter_map(|line| read(line).transpose())
        .collect()
}

/// `name v1.2.3|MIT (*)`, or with a path for our own, which are left out.
fn read(line: &str) -> Result<Option<Linked>> {
    let line = line.trim_end_matches(" (*)");
    let (package, licence) = line
        .split_once('|')
        .with_context(|| format!("a line of cargo tree is not understood: {line}"))?;
    let mut words = package.split(' ');
    let name = words.next().unwrap_or_default().to_owned();
    let version = words.next().unwrap_or_default().trim_start_matches('v');
    if words.any(|word| word.starts_with("(/")) {
        return Ok(None);
    }
    Ok(Some(Linked {
        name,
        version: version.to_owned(),
        licence: licence.to_owned(),
    }))
}

/// One of our crates.
#[derive(Debug)]
struct Own {
    name: String,
    /// `functions`, `shared` or `infra`.
    folder: String,
    /// What it links, our own and others'.
    dependencies: Vec<String>,
}

/// Our crates, by their manifests.
fn own(project: &Project) -> Result<Vec<Own>> {
    let mut command = project.cargo();
    command.args(["metadata", "--format-version", "1", "--no-deps", "--locked"]);
    let output = command.output().context("running cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().cloned();
    let own = packages.unwrap_or_default().into_iter().map(|package| {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let inside = std::path::Path::new(manifest)
            .strip_prefix(&project.root)
            .with_context(|| format!("{manifest} lies elsewhere"))?;
        let folder = inside.iter().next().unwrap_or_default();
        let all = package["dependencies"].as_array().cloned();
        let normal = all
            .unwrap_or_default()
            .into_iter()
            .filter(|one| one["kind"].is_null())
            .filter_map(|one| one["name"].as_str().map(str::to_owned));
        Ok(Own {
            name: package["name"].as_str().unwrap_or_default().to_owned(),
            folder: folder.to_string_lossy().into_owned(),
            dependencies: normal.collect(),
        })
    });
    own.collect()
}

/// functions → shared, never function → function; nothing above the bottom in the bottom.
fn directions(own: &[Own]) -> Vec<String> {
    let folder: BTreeMap<&str, &str> = own
        .iter()
        .map(|one| (one.name.as_str(), one.folder.as_str()))
        .collect();
    let mut findings = Vec::new();
    for one in own.iter().filter(|one| one.folder != "infra") {
        for dependency in &one.dependencies {
            let to = folder.get(dependency.as_str()).copied();
            if matches!(to, Some("functions" | "infra")) {
                findings.push(format!("{} must not depend on {dependency}", one.name));
            }
            let bottom = ["domain", "platforms"].contains(&one.name.as_str());
            let io = NOT_AT_THE_BOTTOM.contains(&dependency.as_str())
                || dependency.starts_with("aws-sdk-")
                || (to == Some("shared") && dependency != "domain");
            if bottom && io {
                findings.push(format!("{} does no I/O, but has {dependency}", one.name));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(name: &str, version: &str, licence: &str) -> Linked {
        Linked {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: licence.to_owned(),
        }
    }

    #[test]
    fn lines_of_cargo_tree() {
        let read = |line| read(line).unwrap();
        let bytes = linked("bytes", "1.12.0", "MIT");
        assert_eq!(read("bytes v1.12.0|MIT"), Some(bytes.clone()));
        assert_eq!(read("bytes v1.12.0|MIT (*)"), Some(bytes));
        let derive = linked("serde_derive", "1.0.0", "MIT OR Apache-2.0");
        let line = "serde_derive v1.0.0 (proc-macro)|MIT OR Apache-2.0";
        assert_eq!(read(line), Some(derive));
        assert_eq!(read("store v0.1.0 (/some/where)|MIT"), None);
    }

    #[test]
    fn what_must_not_ship() {
        let ships = BTreeSet::from([
            linked("aws-sdk-kms", "1.0.0", "Apache-2.0"),
            linked("aws-sdk-kms", "1.1.0", "Apache-2.0"),
            linked("http", "0.2.12", "MIT"),
            linked("http", "1.5.0", "MIT"),
            linked("ring", "0.17.14", "Apache-2.0 AND ISC"),
            linked("syn", "1.0.0", "MIT"),
            linked("syn", "2.0.0", "MIT"),
            linked("viral", "1.0.0", "AGPL-3.0"),
        ]);
        let [kms, http, ring] = versions(&ships).try_into().unwrap();
        assert_eq!(kms, "aws-sdk-kms: 1.0.0 and 1.1.0");
        assert_eq!(http, "http: 0.2.12 and 1.5.0");
        assert!(ring.starts_with("ring: "));
        assert_eq!(licences(&ships), ["viral 1.0.0: licence \"AGPL-3.0\""]);
    }

    #[test]
    fn who_may_know_whom() {
        let own = |name: &str, folder: &str, dependencies: &[&str]| Own {
            name: name.to_owned(),
            folder: folder.to_owned(),
            dependencies: dependencies.iter().map(|&one| one.to_owned()).collect(),
        };
        let found = directions(&[
            own("session", "functions", &["store", "webhook"]),
            own("webhook", "functions", &["store"]),
            own(
                "store",
                "shared",
                &["domain", "session", "aws-sdk-dynamodb"],
            ),
            own(
                "platforms",
                "shared",
                &["domain", "http", "store", "reqwest"],
            ),
            own("domain", "shared", &["aws-sdk-kms"]),
            own("local", "infra", &["session"]),
        ]);
        assert_eq!(
            found,
            [
                "session must not depend on webhook",
                "store must not depend on session",
                "platforms does no I/O, but has store",
                "platforms does no I/O, but has reqwest",
                "domain does no I/O, but has aws-sdk-kms",
            ]
        );
    }
}
