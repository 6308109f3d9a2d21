//! The Lambda functions of the template.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Resolver;

/// One function with its environment resolved.
#[derive(Debug, Clone)]
pub struct FunctionSpec {
    /// The binary's name, such as `oauth-start`; what everything local calls the function.
    pub name: String,
    /// The logical id in the template.
    pub logical: String,
    /// The physical function name.
    pub physical: String,
    /// The function's ARN.
    pub arn: String,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Memory in MB, as told to the runtime; not enforced.
    pub memory: u32,
    /// The template's environment variables.
    pub environment: BTreeMap<String, String>,
    /// Reserved concurrency, where the template sets it.
    pub concurrency: Option<usize>,
    /// The ARN of its role.
    pub role: String,
}

/// The binary behind a function: what its build metadata says, else its logical id in kebab case
/// without the word `Function`.
pub(crate) fn binary_name(logical: &str, body: &Value) -> String {
    if let Some(binary) = body["Metadata"]["BuildProperties"]["Binary"].as_str() {
        return binary.to_owned();
    }
    let stem = logical.strip_suffix("Function").unwrap_or(logical);
    let mut name = String::new();
    for (i, letter) in stem.char_indices() {
        if letter.is_ascii_uppercase() && i > 0 {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

pub(super) fn read(resolver: &Resolver<'_>) -> Result<BTreeMap<String, FunctionSpec>> {
    let mut functions = BTreeMap::new();
    for (logical, properties) in resolver.of_type("AWS::Lambda::Function")? {
        let spec =
            one(resolver, logical, properties).with_context(|| format!("function {logical}"))?;
        functions.insert(spec.name.clone(), spec);
    }
    Ok(functions)
}

fn one(resolver: &Resolver<'_>, logical: &str, properties: &Value) -> Result<FunctionSpec> {
    let number = |name: &str, default: u64| -> Result<u64> {
        match &properties[name] {
            Value::Null => Ok(default),
            value => resolver
                .text(value)?
                .parse()
                .with_context(|| format!("{name} is no number")),
        }
    };
    let environment = match &properties["Environment"]["Variables"] {
        Value::Null => BTreeMap::new(),
        variables => resolver
            .value(variables)?
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), super::resolve::plain(value)))
            .collect(),
    };
    let physical = &resolver.values.physical[logical];
    let reserved = match &properties["ReservedConcurrentExecutions"] {
        Value::Null => None,
        value => match resolver.value(value)? {
            Value::Null => None,
            value => Some(super::resolve::plain(&value).parse()?),
        },
    };
    Ok(FunctionSpec {
        name: binary_name(logical, resolver.template.resource(logical)),
        logical: logical.to_owned(),
        physical: physical.reference.clone(),
        arn: physical.attributes["Arn"].clone(),
        // CloudFormation's own defaults.
        timeout: Duration::from_secs(number("Timeout", 3)?),
        memory: u32::try_from(number("MemorySize", 128)?)?,
        environment,
        concurrency: reserved,
        role: resolver.text(&properties["Role"])?,
    })
}
