//! The expanded template, read into what the local host serves.
//!
//! `Template` is the JSON that samtranslator gives; a [`Resolver`] turns its intrinsics into
//! values once the physical names are known; [`Plan`] is the typed result.

mod functions;
mod policies;
mod resolve;
mod routes;
mod triggers;

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

pub use functions::FunctionSpec;
pub use policies::policies;
pub use resolve::{Physical, Resolver, Values};
pub use routes::{Authorizer, Route, Routes};
pub use triggers::{EventSource, Schedule, SourceKind};

/// The expanded template.
#[derive(Debug, Clone)]
pub struct Template {
    root: Value,
}

impl Template {
    /// Wraps expanded JSON.
    pub fn from_json(text: &str) -> Result<Self> {
        let root: Value =
            serde_json::from_str(text).context("the expanded template is not JSON")?;
        if !root["Resources"].is_object() {
            bail!("the expanded template has no Resources");
        }
        Ok(Self { root })
    }

    /// Expands `template` by `python script template`, or reads an expansion kept under `cache`
    /// when neither the template nor the script has changed since.
    pub fn expand(python: &Path, script: &Path, template: &Path, cache: &Path) -> Result<Self> {
        let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for path in [script, template] {
            digest.update(
                &std::fs::read(path).with_context(|| format!("reading {}", path.display()))?,
            );
        }
        let hash = data_encoding::HEXLOWER.encode(&digest.finish().as_ref()[..8]);
        let kept = cache.join(format!("template-{hash}.json"));
        if let Ok(text) = std::fs::read_to_string(&kept)
            && let Ok(template) = Self::from_json(&text)
        {
            return Ok(template);
        }
        let output = Command::new(python)
            .arg(script)
            .arg(template)
            .output()
            .with_context(|| format!("running {}", script.display()))?;
        if !output.status.success() {
            bail!(
                "expanding the template failed:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let text = String::from_utf8(output.stdout).context("the expansion is not UTF-8")?;
        let expanded = Self::from_json(&text)?;
        std::fs::create_dir_all(cache)?;
        // Written aside and renamed: another test process may be reading it.
        let aside = cache.join(format!("template-{hash}.{}", std::process::id()));
        std::fs::write(&aside, &text)?;
        std::fs::rename(&aside, &kept)?;
        Ok(expanded)
    }

    /// Logical ids and bodies of all resources.
    pub fn resources(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.root["Resources"].as_object().into_iter().flatten()
    }

    /// One resource by its logical id.
    pub fn resource(&self, logical: &str) -> &Value {
        &self.root["Resources"][logical]
    }

    /// The names of the functions' binaries.
    pub fn binaries(&self) -> Vec<String> {
        self.resources()
            .filter(|(_, body)| body["Type"] == "AWS::Lambda::Function")
            .map(|(logical, body)| functions::binary_name(logical, body))
            .collect()
    }

    /// Parameter names with their defaults (absent where the template gives none).
    pub fn parameters(&self) -> BTreeMap<String, Option<String>> {
        self.root["Parameters"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, body)| (name.clone(), body.get("Default").map(resolve::plain)))
            .collect()
    }

    pub(crate) fn section(&self, name: &str) -> Option<&Map<String, Value>> {
        self.root[name].as_object()
    }
}

/// Everything that the host serves, with all names resolved.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The functions by short name (the binary's).
    pub functions: BTreeMap<String, FunctionSpec>,
    /// The HTTP API's routes.
    pub routes: Routes,
    /// Queues and streams that functions follow.
    pub sources: Vec<EventSource>,
    /// What fires by the clock.
    pub schedules: Vec<Schedule>,
}

impl Plan {
    /// Reads every kind of resource out of the template.
    pub fn read(resolver: &Resolver<'_>) -> Result<Self> {
        let functions = functions::read(resolver)?;
        let by_arn: BTreeMap<String, String> = functions
            .values()
            .map(|spec| (spec.arn.clone(), spec.name.clone()))
            .collect();
        Ok(Self {
            routes: routes::read(resolver, &by_arn)?,
            sources: triggers::sources(resolver, &functions)?,
            schedules: triggers::schedules(resolver, &by_arn)?,
            functions,
        })
    }
}

#[cfg(test)]
mod tests;
