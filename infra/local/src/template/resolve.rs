//! Intrinsic functions, conditions and parameters, resolved to plain JSON.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value};

use super::Template;
use crate::aws::{ACCOUNT, REGION};

/// What `Ref` and `Fn::GetAtt` give for one created resource.
#[derive(Debug, Clone, Default)]
pub struct Physical {
    /// The value of `Ref`.
    pub reference: String,
    /// The values of `Fn::GetAtt` by attribute name.
    pub attributes: BTreeMap<String, String>,
}

/// The inputs of a resolution: stack name, parameter overrides, created resources.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// The stack's name.
    pub stack: String,
    /// Parameter values that override the template's defaults.
    pub parameters: BTreeMap<String, String>,
    /// Created resources by logical id.
    pub physical: BTreeMap<String, Physical>,
}

/// Resolves values of one template for one stack.
#[derive(Debug, Clone, Copy)]
pub struct Resolver<'a> {
    pub(crate) template: &'a Template,
    pub(crate) values: &'a Values,
}

impl<'a> Resolver<'a> {
    /// A resolver over a template and the stack's values.
    pub fn new(template: &'a Template, values: &'a Values) -> Self {
        Self { template, values }
    }

    /// Resolves a value; `AWS::NoValue` at the top gives null.
    pub fn value(&self, value: &Value) -> Result<Value> {
        Ok(self.maybe(value)?.unwrap_or(Value::Null))
    }

    /// Resolves a value to text (numbers and booleans as CloudFormation prints them).
    pub fn text(&self, value: &Value) -> Result<String> {
        match self.value(value)? {
            Value::Object(_) | Value::Array(_) | Value::Null => bail!("not a text: {value}"),
            other => Ok(plain(&other)),
        }
    }

    /// Resources of one type whose condition holds: logical id and unresolved properties.
    pub fn of_type(&self, kind: &str) -> Result<Vec<(&'a str, &'a Value)>> {
        let mut found = Vec::new();
        for (logical, body) in self.template.resources() {
            if body["Type"] == kind && self.exists(body)? {
                found.push((logical.as_str(), &body["Properties"]));
            }
        }
        Ok(found)
    }

    /// Whether a resource's `Condition` holds (true where it has none).
    pub fn exists(&self, body: &Value) -> Result<bool> {
        body["Condition"]
            .as_str()
            .map_or(Ok(true), |name| self.condition(name))
    }

    /// The value of a named condition.
    pub fn condition(&self, name: &str) -> Result<bool> {
        let body = self
            .template
            .section("Conditions")
            .and_then(|all| all.get(name))
            .ok_or_else(|| anyhow!("no condition {name}"))?;
        self.test(body).with_context(|| format!("condition {name}"))
    }

    fn maybe(&self, value: &Value) -> Result<Option<Value>> {
        match value {
            Value::Object(map) if map.len() == 1 => {
                let Some((name, argument)) = map.iter().next() else {
                    return Ok(None);
                };
                match name.as_str() {
                    "Ref" => self.reference(argument),
                    // A condition's name inside a policy or OpenAPI body is no intrinsic.
                    "Condition" if argument.is_string() => {
                        Ok(Some(self.condition(&plain(argument))?.into()))
                    }
                    _ if name.starts_with("Fn::") => self.intrinsic(name, argument),
                    _ => self.object(map),
                }
            }
            Value::Object(map) => self.object(map),
            Value::Array(items) => {
                let mut resolved = Vec::new();
                for item in items {
                    resolved.extend(self.maybe(item)?);
                }
                Ok(Some(resolved.into()))
            }
            other => Ok(Some(other.clone())),
        }
    }

    fn object(&self, map: &Map<String, Value>) -> Result<Option<Value>> {
        let mut resolved = Map::new();
        for (key, value) in map {
            if let Some(value) = self.maybe(value).with_context(|| format!("at {key}"))? {
                resolved.insert(key.clone(), value);
            }
        }
        Ok(Some(resolved.into()))
    }

    fn intrinsic(&self, name: &str, argument: &Value) -> Result<Option<Value>> {
        let text: Value = match name {
            "Fn::GetAtt" => {
                let path = match argument {
                    Value::String(dotted) => dotted.clone(),
                    Value::Array(parts) => parts.iter().map(plain).collect::<Vec<_>>().join("."),
                    _ => bail!("Fn::GetAtt takes a text or a list"),
                };
                self.lookup(&path)?.into()
            }
            "Fn::Sub" => self.substitute(argument)?.into(),
            "Fn::Join" => {
                let (delimiter, items) = pair(argument)?;
                let items = self.value(items)?;
                let items = items
                    .as_array()
                    .ok_or_else(|| anyhow!("Fn::Join takes a list"))?;
                items
                    .iter()
                    .map(plain)
                    .collect::<Vec<_>>()
                    .join(&plain(delimiter))
                    .into()
            }
            "Fn::Split" => {
                let (delimiter, text) = pair(argument)?;
                let text = self.text(text)?;
                text.split(plain(delimiter).as_str())
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
                    .into()
            }
            "Fn::Select" => {
                let (index, items) = pair(argument)?;
                let index: usize = self
                    .text(index)?
                    .parse()
                    .context("Fn::Select takes a number")?;
                let items = self.value(items)?;
                items
                    .get(index)
                    .cloned()
                    .ok_or_else(|| anyhow!("Fn::Select beyond the list"))?
            }
            "Fn::If" => {
                let parts = argument.as_array().map(Vec::as_slice).unwrap_or_default();
                let [name, yes, no] = parts else {
                    bail!("Fn::If takes three values")
                };
                let chosen = if self.condition(&plain(name))? {
                    yes
                } else {
                    no
                };
                return self.maybe(chosen);
            }
            "Fn::FindInMap" => {
                let keys = self.value(argument)?;
                let at = |i: usize| keys.get(i).map(plain).unwrap_or_default();
                self.template
                    .section("Mappings")
                    .and_then(|all| all.get(&at(0))?.get(at(1))?.get(at(2)))
                    .cloned()
                    .ok_or_else(|| anyhow!("no such mapping: {keys}"))?
            }
            "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => {
                let mut map = Map::new();
                map.insert(name.to_owned(), argument.clone());
                self.test(&map.into())?.into()
            }
            other => bail!("{other} is not served locally"),
        };
        Ok(Some(text))
    }

    fn test(&self, body: &Value) -> Result<bool> {
        let (name, argument) = body
            .as_object()
            .and_then(|map| map.iter().next())
            .ok_or_else(|| anyhow!("not a condition: {body}"))?;
        let parts = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(match (name.as_str(), parts) {
            ("Condition", _) => self.condition(&plain(argument))?,
            ("Fn::Equals", [a, b]) => plain(&self.value(a)?) == plain(&self.value(b)?),
            ("Fn::Not", [a]) => !self.test(a)?,
            ("Fn::And", all) => all
                .iter()
                .map(|part| self.test(part))
                .collect::<Result<Vec<_>>>()?
                .into_iter()
                .all(|x| x),
            ("Fn::Or", all) => all
                .iter()
                .map(|part| self.test(part))
                .collect::<Result<Vec<_>>>()?
                .into_iter()
                .any(|x| x),
            _ => bail!("not a condition: {body}"),
        })
    }

    fn reference(&self, argument: &Value) -> Result<Option<Value>> {
        let name = argument
            .as_str()
            .ok_or_else(|| anyhow!("Ref takes a name"))?;
        if name == "AWS::NoValue" {
            return Ok(None);
        }
        let list = self
            .template
            .section("Parameters")
            .and_then(|all| all.get(name))
            .is_some_and(|parameter| {
                parameter["Type"]
                    .as_str()
                    .is_some_and(|kind| kind == "CommaDelimitedList" || kind.starts_with("List<"))
            });
        let text = self.lookup(name)?;
        if list {
            return Ok(Some(
                text.split(',').map(|item| item.trim().to_owned()).collect(),
            ));
        }
        Ok(Some(text.into()))
    }

    /// A parameter, pseudo parameter, resource (`Ref`) or attribute (`Logical.Attribute`).
    fn lookup(&self, name: &str) -> Result<String> {
        match name {
            "AWS::Region" => return Ok(REGION.to_owned()),
            "AWS::AccountId" => return Ok(ACCOUNT.to_owned()),
            "AWS::Partition" => return Ok("aws".to_owned()),
            "AWS::URLSuffix" => return Ok("amazonaws.com".to_owned()),
            "AWS::StackName" => return Ok(self.values.stack.clone()),
            "AWS::StackId" => {
                let stack = &self.values.stack;
                return Ok(format!(
                    "arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack}/local"
                ));
            }
            _ => {}
        }
        if let Some(value) = self.values.parameters.get(name) {
            return Ok(value.clone());
        }
        if let Some(parameter) = self
            .template
            .section("Parameters")
            .and_then(|all| all.get(name))
        {
            return parameter
                .get("Default")
                .map(plain)
                .ok_or_else(|| anyhow!("parameter {name} has no default and was not given"));
        }
        let (logical, attribute) = name.split_once('.').unwrap_or((name, ""));
        let physical = self
            .values
            .physical
            .get(logical)
            .ok_or_else(|| anyhow!("nothing called {logical} was created"))?;
        if attribute.is_empty() {
            return Ok(physical.reference.clone());
        }
        physical
            .attributes
            .get(attribute)
            .cloned()
            .ok_or_else(|| anyhow!("{logical} has no attribute {attribute} here"))
    }

    fn substitute(&self, argument: &Value) -> Result<String> {
        let (text, own) = match argument {
            Value::String(text) => (text.clone(), None),
            Value::Array(parts) => (
                parts.first().map(plain).unwrap_or_default(),
                parts.get(1).and_then(Value::as_object),
            ),
            _ => bail!("Fn::Sub takes a text or a list"),
        };
        let mut rest = text.as_str();
        let mut done = String::new();
        while let Some(start) = rest.find("${") {
            done.push_str(&rest[..start]);
            let after = &rest[start + 2..];
            let end = after
                .find('}')
                .ok_or_else(|| anyhow!("unclosed ${{ in {text}"))?;
            let name = after[..end].trim();
            if let Some(literal) = name.strip_prefix('!') {
                done.push_str(&format!("${{{literal}}}"));
            } else if let Some(value) = own.and_then(|own| own.get(name)) {
                done.push_str(&self.text(value)?);
            } else {
                done.push_str(&self.lookup(name)?);
            }
            rest = &after[end + 1..];
        }
        done.push_str(rest);
        Ok(done)
    }
}

/// A scalar as CloudFormation prints it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn pair(argument: &Value) -> Result<(&Value, &Value)> {
    match argument.as_array().map(Vec::as_slice) {
        Some([a, b]) => Ok((a, b)),
        _ => bail!("expected two values, found {argument}"),
    }
}
