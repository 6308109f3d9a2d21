//! The table of environment variables and the template say the same.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};

use super::{Log, Outcome, Project};
use crate::{cloud, template::Template};

const TABLE: &str = "shared/lambda/src/variables.rs";

/// What the template must not even name: it is for the local host alone.
const LOCAL_ONLY: [&str; 2] = ["HOST_OVERRIDES", "AWS_ENDPOINT_URL"];

pub(super) fn step(project: &Project, log: &mut Log) -> Result<Outcome> {
    let table = std::fs::read_to_string(project.root.join(TABLE)).context(TABLE)?;
    let known = known(&table)?;
    let written = std::fs::read_to_string(project.root.join("template.yaml"))?;
    let expanded = Template::expand(
        &cloud::python(&project.root)?,
        &project.root.join("infra/template/expand.py"),
        &project.root.join("template.yaml"),
        &project.root.join(".local/cache"),
    )?;
    let declared = declared(&expanded);
    let mut findings = differences(&known, &declared);
    for name in LOCAL_ONLY.iter().filter(|name| written.contains(*name)) {
        findings.push(format!("template.yaml names {name}"));
    }
    for finding in &findings {
        log.line(finding)?;
    }
    let good = format!("{} declared, all read", declared.len());
    Ok(Outcome::of_findings(findings.len(), good))
}

/// The names in the table that the template has to declare: all but those that a host sets.
fn known(table: &str) -> Result<BTreeSet<String>> {
    let from = "\nvariables! {\n";
    let (_, rest) = table.split_once(from).context("no table of variables")?;
    let (body, _) = rest.split_once("\n}").context("the table has no end")?;
    let named = body
        .lines()
        .filter_map(|line| line.trim().split_once(": \""));
    let ours = named.filter(|(_, meaning)| !meaning.starts_with("set by "));
    let names: BTreeSet<String> = ours.map(|(name, _)| name.to_owned()).collect();
    ensure!(!names.is_empty(), "the table of variables is empty");
    Ok(names)
}

/// The names that any function of the template gets.
fn declared(template: &Template) -> BTreeSet<String> {
    template
        .resources()
        .filter(|(_, body)| body["Type"] == "AWS::Lambda::Function")
        .filter_map(|(_, body)| body["Properties"]["Environment"]["Variables"].as_object())
        .flat_map(|variables| variables.keys().cloned())
        .collect()
}

fn differences(known: &BTreeSet<String>, declared: &BTreeSet<String>) -> Vec<String> {
    let no_function = known
        .difference(declared)
        .map(|name| format!("no function of the template gets {name}"));
    let no_reader = declared
        .difference(known)
        .map(|name| format!("{TABLE} does not know {name}"));
    no_function.chain(no_reader).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "macro_rules! variables { (x: \"y\") => {} }\n\nvariables! {\n    \
        STACK: \"name of the stack\";\n\n    LEVEL: \"the level: one of some\" = \"info\";\n    \
        OVERRIDES: \"set by the local host alone: JSON\";\n    REGION: \"set by Lambda: it\";\n}\n";

    #[test]
    fn the_table_without_what_hosts_set() {
        let names = known(SAMPLE).unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["LEVEL", "STACK"]);
    }

    #[test]
    fn both_sides_are_compared() {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let found = differences(&set(&["A", "B"]), &set(&["B", "C"]));
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with("gets A") && found[1].ends_with("know C"));
    }
}
