//! The JSON Schemas of events, as far as they say: a reader of the few keywords that they use, which
//! refuses a schema with any other, and a value with a property that its schema does not name.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Keywords that say nothing of a value.
const REMARKS: [&str; 3] = ["$schema", "title", "description"];

/// The schemas by type.
pub(crate) fn all() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path
            .file_name()?
            .to_str()?
            .strip_suffix(".schema.json")?
            .to_owned();
        let schema = std::fs::read_to_string(&path).unwrap();
        Some((name, serde_json::from_str(&schema).unwrap()))
    };
    files.filter_map(read).collect()
}

/// What is wrong with an event's body: nothing, where it is as the schema of its type says.
pub(crate) fn wrong(schemas: &BTreeMap<String, Value>, body: &str) -> Vec<String> {
    let body: Value = serde_json::from_str(body).unwrap();
    let kind = body["type"].as_str().unwrap_or_default();
    match schemas.get(kind) {
        None => vec![format!("there is no schema for {kind}")],
        Some(schema) => {
            let mut wrong = Vec::new();
            check(kind, schema, &body, &mut wrong);
            wrong
        }
    }
}

fn check(at: &str, schema: &Value, value: &Value, wrong: &mut Vec<String>) {
    let mut say = |what: String| wrong.push(format!("{at}: {what}, found {value}"));
    let rules = schema.as_object().unwrap();
    let mut inner: Vec<(String, Value, Value)> = Vec::new();
    for (keyword, rule) in rules {
        match keyword.as_str() {
            "type" => {
                let good = match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "boolean" => value.is_boolean(),
                    other => panic!("{at}: the type {other} is not read here"),
                };
                if !good {
                    say(format!("must be of type {rule}"));
                }
            }
            "const" if value != rule => say(format!("must be {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => {
                say(format!("must be one of {rule}"));
            }
            "format" => {
                assert_eq!(rule, "date-time", "{at}");
                let text = value.as_str().unwrap_or_default();
                let instant = text.len() == 20 && text.ends_with('Z') && &text[10..11] == "T";
                if !instant {
                    say("must be an instant".to_owned());
                }
            }
            "required" => {
                let names = rule.as_array().unwrap().iter();
                for name in names.map(|name| name.as_str().unwrap()) {
                    if value.get(name).is_none() {
                        say(format!("must have {name}"));
                    }
                }
            }
            "properties" => {
                let known = rule.as_object().unwrap();
                for (name, value) in value.as_object().into_iter().flatten() {
                    match known.get(name) {
                        Some(rule) => {
                            inner.push((format!("{at}.{name}"), rule.clone(), value.clone()));
                        }
                        None => say(format!("has {name}, which the schema does not name")),
                    }
                }
            }
            "items" => {
                for value in value.as_array().into_iter().flatten() {
                    inner.push((format!("{at}[]"), rule.clone(), value.clone()));
                }
            }
            "const" | "enum" => {}
            remark if REMARKS.contains(&remark) => {}
            other => panic!("{at}: the keyword {other} is not read here"),
        }
    }
    for (at, schema, value) in inner {
        check(&at, &schema, &value, wrong);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_schema_can_be_read_and_is_of_a_type() {
        let schemas = all();
        let named: BTreeSet<&str> = schemas.keys().map(String::as_str).collect();
        let kinds = domain::EventKind::ALL.iter().map(|kind| kind.as_str());
        assert_eq!(named, kinds.chain([outbox::TEST_TYPE]).collect());
        for (kind, schema) in &schemas {
            assert_eq!(schema["properties"]["type"]["const"], **kind);
            assert_eq!(schema["title"], **kind);
            // Reads every keyword of it once.
            let empty = json!({ "type": kind, "data": {} }).to_string();
            assert!(!wrong(&schemas, &empty).is_empty(), "{kind} takes anything");
        }
    }

    #[test]
    fn what_a_schema_does_not_say_is_wrong() {
        let schemas = all();
        let body = |data: Value| {
            json!({
                "version": 1, "id": "evt_1", "type": "connection.needs_reauth",
                "created_at": "2026-01-01T00:00:00Z", "user_id": "u", "data": data,
            })
            .to_string()
        };
        let good = json!({
            "connection_id": "c", "platform": "p", "account_id": "a", "reason": "grant_revoked",
        });
        assert_eq!(wrong(&schemas, &body(good.clone())), Vec::<String>::new());
        for (name, value) in [
            ("reason", json!("mood")),
            ("platform", json!(1)),
            ("token", json!("hush")),
        ] {
            let mut odd = good.clone();
            odd[name] = value;
            assert_eq!(wrong(&schemas, &body(odd)).len(), 1, "{name}");
        }
    }
}
