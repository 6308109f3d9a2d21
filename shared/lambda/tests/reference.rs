//! The tables in the documents say what the code says. A table that does not is printed as it should
//! be.

use domain::{Actor, Fault, FaultKind};
use lambda::Code;
use lambda::metrics::{self, Dimension};
use lambda::variables::{self, Variable};

const OPERATIONS: &str = include_str!("../../../infra/docs/operations.md");
const ALARMS: &str = include_str!("../../../infra/docs/alarms.md");
const API: &str = include_str!("../../../infra/docs/api.md");

#[test]
fn every_variable_is_in_the_operators_reference() {
    let rows = variables::ALL.iter().map(|variable| {
        let Variable {
            name,
            meaning,
            default,
        } = variable;
        let default = default.map(code).unwrap_or_default();
        format!("| `{name}` | {default} | {meaning} |")
    });
    check(OPERATIONS, "variables", rows);
}

#[test]
fn every_metric_is_in_the_operators_reference() {
    let rows = metrics::ALL.iter().map(|metric| {
        let set = |set: &&[Dimension]| match set {
            [] => "–".to_owned(),
            set => set
                .iter()
                .map(|by| code(by.as_str()))
                .collect::<Vec<_>>()
                .join(" + "),
        };
        let sets: Vec<String> = metric.sets.iter().map(set).collect();
        let (name, unit, meaning) = (metric.name, metric.unit.as_str(), metric.meaning);
        format!("| `{name}` | {unit} | {} | {meaning} |", sets.join(", "))
    });
    check(ALARMS, "metrics", rows);
}

#[test]
fn every_problem_code_is_in_the_api_reference() {
    let rows = Code::ALL.iter().map(|code| {
        let (status, name, sentence) = (code.status(), code.as_str(), code.sentence());
        format!("| {status} | `{name}` | {sentence} |")
    });
    check(API, "problems", rows);
}

#[test]
fn every_fault_is_in_the_api_reference() {
    let rows = FaultKind::ALL.iter().map(|kind| {
        let actor = match kind.actor() {
            Actor::Creator => "creator",
            Actor::Product => "product",
            Actor::Operator => "operator",
            Actor::Nobody => "nobody",
        };
        let (status, name) = (kind.http_status(), kind.code());
        let fault = Fault::new(*kind);
        format!("| {status} | `{name}` | {actor} | {} |", fault.explain())
    });
    check(API, "faults", rows);
}

/// Compares the rows of the table that stands between `<!-- name -->` and `<!-- /name -->`; its first
/// two lines are the heading.
fn check(document: &str, name: &str, expected: impl Iterator<Item = String>) {
    let expected: Vec<String> = expected.collect();
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let table = document
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once(&end))
        .map_or("", |(table, _)| table);
    let rows: Vec<&str> = table.trim().lines().skip(2).collect();
    assert!(
        rows == expected,
        "the table `{name}` must be:\n{}",
        expected.join("\n")
    );
}

fn code(text: &str) -> String {
    format!("`{text}`")
}
