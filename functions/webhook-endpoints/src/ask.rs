//! Bodies of requests, and what is wrong with them.

use lambda::{FieldError, Problem};
use outbox::{NewEndpoint, type_is_known};
use serde::{Deserialize, Deserializer};
use store::endpoints::{EndpointEdit, EndpointState};

const MOST_DESCRIPTION: usize = 200;

/// The body of a create.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    url: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    types: Vec<String>,
}

/// The body of a change: what is left out stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    #[serde(default)]
    url: Option<String>,
    #[serde(default, deserialize_with = "given")]
    description: Option<Option<String>>,
    #[serde(default)]
    types: Option<Vec<String>>,
    #[serde(default)]
    state: Option<EndpointState>,
}

impl New {
    pub(crate) fn checked(self) -> Result<NewEndpoint, Problem> {
        check(self.description.as_deref(), &self.types)?;
        Ok(NewEndpoint {
            url: self.url,
            description: self.description,
            types: distinct(self.types),
        })
    }
}

impl Change {
    pub(crate) fn checked(self) -> Result<EndpointEdit, Problem> {
        let description = self.description.as_ref().and_then(Option::as_deref);
        check(description, self.types.as_deref().unwrap_or_default())?;
        Ok(EndpointEdit {
            url: self.url,
            description: self.description,
            types: self.types.map(distinct),
            state: self.state,
        })
    }
}

fn check(description: Option<&str>, types: &[String]) -> Result<(), Problem> {
    let mut errors = Vec::new();
    let odd =
        |text: &str| text.chars().count() > MOST_DESCRIPTION || text.chars().any(char::is_control);
    if description.is_some_and(odd) {
        errors.push(FieldError {
            field: "description".to_owned(),
            code: "malformed".into(),
            sentence: "Give at most 200 characters that can be shown.".to_owned(),
        });
    }
    for (place, kind) in types.iter().enumerate() {
        if !type_is_known(kind) {
            errors.push(FieldError {
                field: format!("types[{place}]"),
                code: "unknown_value".into(),
                sentence: "There are no events of this type.".to_owned(),
            });
        }
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Problem::new(lambda::Code::Invalid).errors(errors)),
    }
}

fn distinct(mut types: Vec<String>) -> Vec<String> {
    types.sort();
    types.dedup();
    types
}

/// Tells a field that is `null` from one that is left out.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(body: serde_json::Value) -> Result<EndpointEdit, Problem> {
        serde_json::from_value::<Change>(body).unwrap().checked()
    }

    #[test]
    fn what_is_left_out_stays() {
        assert_eq!(change(json!({})).unwrap(), EndpointEdit::default());
        let edit = change(json!({ "description": null, "state": "disabled" })).unwrap();
        assert_eq!(edit.description, Some(None));
        assert_eq!(edit.state, Some(EndpointState::Disabled));
        let edit = change(json!({ "types": ["post.failed", "post.failed"] })).unwrap();
        assert_eq!(edit.types, Some(vec!["post.failed".to_owned()]));
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let long = "x".repeat(201);
        let body = json!({ "description": long, "types": ["post.failed", "post.*", "x"] });
        let problem = change(body).unwrap_err();
        let answer = problem.into_response("r", domain::Timestamp::default());
        let told: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        let errors = told["errors"].as_array().unwrap();
        let fields: Vec<_> = errors.iter().map(|error| error["field"].clone()).collect();
        assert_eq!(fields, ["description", "types[1]", "types[2]"]);
        assert_eq!(told["status"], 422);
    }
}
