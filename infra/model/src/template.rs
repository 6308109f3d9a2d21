//! What the model needs of template.yaml: its tables and its parameters' defaults, so that neither is
//! written down twice.
//!
//! No reader of YAML: the few forms that the template's tables and parameters have, by their
//! indentation, and an error for any other.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::dynamodb::{Index, Projection, TableSpec};

/// The template, as far as the model needs it.
#[derive(Clone, Debug)]
pub struct Template {
    tables: Vec<TableSpec>,
    defaults: BTreeMap<String, String>,
}

impl Template {
    /// Reads the template of this project.
    pub fn of_project() -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text)
    }

    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self> {
        let (mut tables, mut defaults) = (Vec::new(), BTreeMap::new());
        for (section, name, lines) in blocks(text) {
            match section {
                "Parameters" => {
                    let default = lines
                        .iter()
                        .find_map(|line| line.trim().strip_prefix("Default: "));
                    if let Some(default) = default {
                        defaults.insert(name.to_owned(), default.trim_matches('"').to_owned());
                    }
                }
                "Resources"
                    if lines
                        .iter()
                        .any(|line| line.trim() == "Type: AWS::DynamoDB::Table") =>
                {
                    tables.push(table(name, &lines).with_context(|| format!("reading {name}"))?);
                }
                _ => {}
            }
        }
        if tables.is_empty() || defaults.is_empty() {
            bail!("the template has no tables, or no parameters");
        }
        Ok(Self { tables, defaults })
    }

    /// Its tables.
    pub fn tables(&self) -> &[TableSpec] {
        &self.tables
    }

    /// The name of a table by its noun: `connections`.
    pub fn table(&self, noun: &str) -> Result<&str> {
        let wanted = |spec: &&TableSpec| {
            let stem = spec.name.strip_suffix("Table").unwrap_or(&spec.name);
            stem.eq_ignore_ascii_case(&noun.replace('-', ""))
        };
        let found = self.tables.iter().find(wanted);
        Ok(&found.with_context(|| format!("no table {noun}"))?.name)
    }

    /// A parameter's default, a whole number.
    pub fn number(&self, parameter: &str) -> Result<u64> {
        let text = self.defaults.get(parameter);
        let text = text.with_context(|| format!("no parameter {parameter} with a default"))?;
        text.parse()
            .with_context(|| format!("{parameter} is {text}"))
    }
}

/// Every entry of the top-level sections: section, name, lines.
fn blocks(text: &str) -> Vec<(&str, &str, Vec<&str>)> {
    let mut found: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    let (mut section, mut open) = ("", false);
    for line in text.lines() {
        let bare = line.trim_start();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        match (line.len() - bare.len(), bare.strip_suffix(':')) {
            (0, name) => (section, open) = (name.unwrap_or_default(), false),
            (2, Some(name)) => {
                found.push((section, name, Vec::new()));
                open = true;
            }
            (2, None) => open = false,
            _ if open => {
                if let Some((.., lines)) = found.last_mut() {
                    lines.push(line);
                }
            }
            _ => {}
        }
    }
    found
}

fn table(name: &str, lines: &[&str]) -> Result<TableSpec> {
    let mut spec = TableSpec {
        name: name.to_owned(),
        attributes: BTreeMap::new(),
        hash: String::new(),
        range: None,
        indexes: Vec::new(),
    };
    for line in lines {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("- IndexName: ") {
            spec.indexes.push(Index {
                name: name.to_owned(),
                hash: String::new(),
                range: None,
                projection: Projection::All,
            });
        } else if let Some(projection) = line.strip_prefix("Projection: ") {
            let index = spec
                .indexes
                .last_mut()
                .context("a projection of no index")?;
            index.projection = read_projection(projection)?;
        } else if let Some(map) = line.strip_prefix("- {AttributeName: ") {
            let (attribute, rest) = map.split_once(", ").context("an attribute with nothing")?;
            let rest = rest.trim_end_matches('}');
            if let Some(kind) = rest.strip_prefix("AttributeType: ") {
                spec.attributes
                    .insert(attribute.to_owned(), kind.to_owned());
                continue;
            }
            let (hash, range) = match spec.indexes.last_mut() {
                Some(index) => (&mut index.hash, &mut index.range),
                None => (&mut spec.hash, &mut spec.range),
            };
            match rest.strip_prefix("KeyType: ") {
                Some("HASH") => *hash = attribute.to_owned(),
                Some("RANGE") => *range = Some(attribute.to_owned()),
                _ => bail!("not understood: {line}"),
            }
        } else if line.contains("AttributeName: ") && !line.starts_with("TimeToLive") {
            bail!("not understood: {line}");
        }
    }
    let keys = std::iter::once(&spec.hash).chain(&spec.range);
    let of_indexes = spec.indexes.iter();
    let of_indexes = of_indexes.flat_map(|index| std::iter::once(&index.hash).chain(&index.range));
    for key in keys.chain(of_indexes) {
        if !spec.attributes.contains_key(key) {
            bail!("the key {key:?} is of no type");
        }
    }
    Ok(spec)
}

fn read_projection(text: &str) -> Result<Projection> {
    let text = text.trim_start_matches('{').trim_end_matches('}');
    if text == "ProjectionType: KEYS_ONLY" {
        return Ok(Projection::Keys(Vec::new()));
    }
    if text == "ProjectionType: ALL" {
        return Ok(Projection::All);
    }
    let list = text.strip_prefix("ProjectionType: INCLUDE, NonKeyAttributes: [");
    let list = list.and_then(|list| list.strip_suffix(']'));
    let list = list.with_context(|| format!("not understood: {text}"))?;
    Ok(Projection::Keys(
        list.split(", ").map(str::to_owned).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_project_s_tables_and_defaults() {
        let template = Template::of_project().unwrap();
        let name = template.table("connections").unwrap();
        let spec = template.tables().iter().find(|spec| spec.name == name);
        let spec = spec.unwrap();
        assert_eq!(
            (spec.hash.as_str(), spec.range.as_deref()),
            ("user_id", Some("connection_id"))
        );
        assert_eq!(spec.indexes[0].name, "due");
        assert_eq!(spec.attributes["due_at"], "N");
        let held = ["platform", "token_version"].map(str::to_owned).to_vec();
        assert_eq!(spec.indexes[0].projection, Projection::Keys(held));
        assert_eq!(template.number("SettleSeconds").unwrap(), 120);
        assert!(template.table("nonsense").is_err());
    }

    #[test]
    fn refuses_forms_that_it_does_not_know() {
        let head =
            "Parameters:\n  A:\n    Default: 1\nResources:\n  T:\n    Type: AWS::DynamoDB::Table\n";
        let read = |lines: &str| Template::parse(&format!("{head}{lines}"));
        let good = "      - {AttributeName: a, AttributeType: S}\n      - {AttributeName: a, KeyType: HASH}\n";
        assert!(read(good).is_ok());
        for bad in [
            "      - AttributeName: a\n        AttributeType: S\n",
            "      - {AttributeName: a, KeyType: HASH}\n",
            "",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
