//! Would the template's policies have allowed what was called, and was all they allow called?
//!
//! No local engine enforces IAM, so the proxy records every call of every function and this
//! module judges the record afterwards.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::proxy::Call;

/// The statements of one role.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// In any order; a deny wins over every allow.
    pub statements: Vec<Statement>,
}

/// One statement with its patterns.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Whether it allows (else it denies).
    pub allow: bool,
    /// Action patterns, such as `dynamodb:GetItem` or `s3:*`.
    pub actions: Vec<String>,
    /// Resource patterns.
    pub resources: Vec<String>,
    /// Conditions: operator, key, values.
    pub conditions: Vec<(String, String, Vec<String>)>,
}

/// The request context that conditions look at: key to values.
pub type RequestContext = BTreeMap<String, Vec<String>>;

impl Statement {
    /// Reads one statement of a policy document whose intrinsics are resolved.
    pub fn read(value: &Value) -> Result<Self> {
        for unread in ["NotAction", "NotResource", "Principal"] {
            if value.get(unread).is_some() {
                bail!("{unread} is not understood by the local IAM check");
            }
        }
        let mut conditions = Vec::new();
        for (operator, keys) in value["Condition"].as_object().into_iter().flatten() {
            for (key, values) in keys.as_object().into_iter().flatten() {
                conditions.push((operator.clone(), key.clone(), texts(values)));
            }
        }
        Ok(Self {
            allow: value["Effect"] == "Allow",
            actions: texts(&value["Action"]),
            resources: texts(&value["Resource"]),
            conditions,
        })
    }

    fn matches(&self, action: &str, resource: &str, context: &RequestContext) -> bool {
        self.actions
            .iter()
            .any(|pattern| like(&pattern.to_lowercase(), &action.to_lowercase()))
            && self.resources.iter().any(|pattern| like(pattern, resource))
            && self
                .conditions
                .iter()
                .all(|(operator, key, values)| holds(operator, key, values, context))
    }
}

impl Policy {
    /// Whether the policy lets `action` on `resource` pass.
    pub fn allows(&self, action: &str, resource: &str, context: &RequestContext) -> bool {
        let mut allowed = false;
        for statement in self
            .statements
            .iter()
            .filter(|s| s.matches(action, resource, context))
        {
            if !statement.allow {
                return false;
            }
            allowed = true;
        }
        allowed
    }

    /// Actions and resources that the policy allows and that no call used.
    ///
    /// Each action must have been seen on some resource of its statement, and each resource with
    /// some action of its statement. What Lambda itself uses (logs, traces) is left out.
    pub fn unused(&self, calls: &[Call]) -> BTreeSet<String> {
        let mut unused = BTreeSet::new();
        let by_lambda =
            |action: &String| action.starts_with("logs:") || action.starts_with("xray:");
        for statement in self
            .statements
            .iter()
            .filter(|s| s.allow && !s.actions.iter().all(by_lambda))
        {
            let hit = |action: &str, resource: &str| {
                let narrowed = Statement {
                    actions: vec![action.to_owned()],
                    resources: vec![resource.to_owned()],
                    ..statement.clone()
                };
                calls.iter().any(|call| {
                    call.needs
                        .iter()
                        .any(|(a, r)| narrowed.matches(a, r, &call.context()))
                })
            };
            for action in &statement.actions {
                if !statement
                    .resources
                    .iter()
                    .any(|resource| hit(action, resource))
                {
                    unused.insert(format!("{action} on {}", statement.resources.join(", ")));
                }
            }
            for resource in &statement.resources {
                if !statement.actions.iter().any(|action| hit(action, resource)) {
                    unused.insert(format!("{} on {resource}", statement.actions.join(", ")));
                }
            }
        }
        unused
    }

    /// The calls (as sentences) that the policy does not allow.
    pub fn denied(&self, calls: &[Call]) -> BTreeSet<String> {
        let mut denied = BTreeSet::new();
        for call in calls {
            for (action, resource) in &call.needs {
                if !self.allows(action, resource, &call.context()) {
                    denied.insert(format!("{action} on {resource}"));
                }
            }
        }
        denied
    }
}

fn holds(operator: &str, key: &str, values: &[String], context: &RequestContext) -> bool {
    let found = context
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(key))
        .map(|(_, v)| v);
    let (quantifier, operator) = operator.split_once(':').unwrap_or(("", operator));
    let (operator, optional) = match operator.strip_suffix("IfExists") {
        Some(stem) => (stem, true),
        None => (operator, false),
    };
    if operator == "Null" {
        return values
            .iter()
            .any(|value| (value == "true") == found.is_none());
    }
    let Some(found) = found else {
        // Of an absent key, ForAllValues and the negated operators hold; the others do not.
        return optional || quantifier == "ForAllValues" || operator.contains("Not");
    };
    let test = |actual: &String| -> bool {
        let any =
            |same: &dyn Fn(&str, &str) -> bool| values.iter().any(|value| same(value, actual));
        match operator {
            "StringEquals" | "ArnEquals" => any(&|value, actual| value == actual),
            "StringEqualsIgnoreCase" | "Bool" => any(&|v, a| v.eq_ignore_ascii_case(a)),
            "StringLike" | "ArnLike" => any(&like),
            "StringNotEquals" | "ArnNotEquals" => !any(&|value, actual| value == actual),
            "StringNotLike" | "ArnNotLike" => !any(&like),
            // An operator that nobody taught this check must fail a test, not pass it.
            _ => false,
        }
    };
    match quantifier {
        "ForAllValues" => found.iter().all(test),
        _ => found.iter().any(test),
    }
}

/// IAM's wildcards: `*` for any run of characters, `?` for one.
pub fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            // Let the last star take one character more and try again.
            p = at + 1;
            t = from + 1;
            star = Some((at, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Null => Vec::new(),
        other => vec![other.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(statements: Value) -> Policy {
        let statements = statements.as_array().unwrap().iter();
        Policy {
            statements: statements.map(|s| Statement::read(s).unwrap()).collect(),
        }
    }

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("table/x/index/*", "table/x/index/due", true),
            ("table/x", "table/x/index/due", false),
            ("*a*b*", "xxaxxbxx", true),
            ("**", "x", true),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn allow_deny_and_conditions() {
        let policy = policy(json!([
            {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:Query"], "Resource": ["t", "t/index/due"]},
            {"Effect": "Allow", "Action": "s3:*", "Resource": "b/*"},
            {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"},
            {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "k", "Condition": {
                "StringEquals": {"kms:EncryptionContext:table": ["connections", "flows"]},
                "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["table", "user"]}}},
            {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "q", "Condition": {"Odd": {"x": "y"}}},
        ]));
        let context = |pairs: &[(&str, &str)]| {
            let mut context: RequestContext = pairs
                .iter()
                .map(|(name, value)| {
                    (
                        format!("kms:EncryptionContext:{name}"),
                        vec![(*value).to_owned()],
                    )
                })
                .collect();
            let names = pairs.iter().map(|(name, _)| (*name).to_owned()).collect();
            context.insert("kms:EncryptionContextKeys".to_owned(), names);
            context
        };
        let none = RequestContext::new();
        for (action, resource, context, expected) in [
            ("dynamodb:GetItem", "t", &none, true),
            ("dynamodb:PutItem", "t", &none, false),
            ("dynamodb:Query", "t/index/due", &none, true),
            ("dynamodb:Query", "t/index/other", &none, false),
            ("s3:GetObject", "b/x", &none, true),
            ("s3:DeleteObject", "b/x", &none, false),
            (
                "kms:Decrypt",
                "k",
                &context(&[("table", "flows"), ("user", "u")]),
                true,
            ),
            ("kms:Decrypt", "k", &context(&[("table", "posts")]), false),
            (
                "kms:Decrypt",
                "k",
                &context(&[("table", "flows"), ("more", "m")]),
                false,
            ),
            ("kms:Decrypt", "k", &none, false),
            ("sqs:SendMessage", "q", &none, false),
        ] {
            assert_eq!(
                policy.allows(action, resource, context),
                expected,
                "{action} {resource}"
            );
        }
    }

    #[test]
    fn unused_names_actions_and_resources_never_seen() {
        let policy = policy(json!([
            {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:PutItem"], "Resource": ["t", "u"]},
        ]));
        let call = Call::for_test("f", &[("dynamodb:GetItem", "t")]);
        let unused: Vec<_> = policy.unused(&[call]).into_iter().collect();
        assert_eq!(
            unused,
            [
                "dynamodb:GetItem, dynamodb:PutItem on u",
                "dynamodb:PutItem on t, u"
            ]
        );
    }
}
