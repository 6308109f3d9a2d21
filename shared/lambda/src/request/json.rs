//! JSON bodies, and what is wrong with them in the caller's own terms.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::problem::Problem;

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // serde takes a list for a struct, field by field: nobody should come to rely on that.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::invalid(
            ".",
            "wrong_type",
            "The body must be a JSON object.",
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| explain(&error.path().to_string(), error.inner()))?;
    deserializer.end().map_err(|error| explain(".", &error))?;
    Ok(value)
}

fn explain(path: &str, error: &serde_json::Error) -> Problem {
    match error.classify() {
        Category::Data => {
            let text = error.to_string();
            // "missing field `x` at line 1 column 2": the place is of no use once the field is named.
            let text = text.split(" at line ").next().unwrap_or(&text);
            let quoted = |start: &str| text.strip_prefix(start)?.split('`').next();
            if let Some(field) = quoted("missing field `") {
                let sentence = "This field is needed.";
                return Problem::invalid(join(path, field), "missing", sentence);
            }
            if let Some(field) = quoted("duplicate field `") {
                let sentence = "This field may come once only.";
                return Problem::invalid(join(path, field), "repeated", sentence);
            }
            let code = match text {
                text if text.starts_with("unknown field") => "unknown_field",
                text if text.starts_with("unknown variant") => "unknown_value",
                text if text.starts_with("invalid type") => "wrong_type",
                _ => "invalid",
            };
            Problem::invalid(path, code, sentence(text))
        }
        Category::Io | Category::Syntax | Category::Eof => {
            let (line, column) = (error.line(), error.column());
            Problem::bad_request(
                ".",
                "not_json",
                format!("The body is not JSON from line {line}, column {column} on."),
            )
        }
    }
}

fn join(path: &str, field: &str) -> String {
    match path {
        "." => field.to_owned(),
        path => format!("{path}.{field}"),
    }
}

/// serde's words with a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what cannot be read is looked at")]
    struct Body {
        targets: Vec<Target>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what cannot be read is looked at")]
    struct Target {
        id: String,
        mode: Option<Mode>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Direct,
    }

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        for (body, expected) in [
            ("{\"targets\":[]}", "ok"),
            ("", "400 . not_json"),
            ("{\"targets\":", "400 . not_json"),
            ("{\"targets\":[]} x", "400 . not_json"),
            ("\u{1}", "400 . not_json"),
            ("{}", "422 targets missing"),
            (" [[]]", "422 . wrong_type"),
            ("{\"targets\":[{}]}", "422 targets[0].id missing"),
            ("{\"targets\":[{\"id\":1}]}", "422 targets[0].id wrong_type"),
            (
                "{\"targets\":[{\"id\":\"a\",\"x\":1}]}",
                "422 targets[0].x unknown_field",
            ),
            (
                "{\"targets\":[{\"id\":\"a\",\"mode\":\"y\"}]}",
                "422 targets[0].mode unknown_value",
            ),
            ("{\"targets\":[],\"targets\":[]}", "422 targets repeated"),
            ("\"x\"", "422 . wrong_type"),
        ] {
            let got = match read::<Body>(body.as_bytes()) {
                Ok(_) => "ok".to_owned(),
                Err(problem) => {
                    let response = problem.into_response("r", domain::Timestamp::default());
                    let told: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
                    let error = &told["errors"][0];
                    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                    format!(
                        "{} {} {}",
                        told["status"],
                        text(&error["field"]),
                        text(&error["code"])
                    )
                }
            };
            assert_eq!(got, expected, "{body}");
        }
    }
}
