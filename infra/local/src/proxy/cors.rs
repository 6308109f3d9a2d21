//! CORS of buckets, as the template sets it: the process behind allows every origin.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use http::{HeaderMap, HeaderValue, StatusCode, request::Parts};
use serde_json::Value;

use super::{Answer, refuse};
use crate::iam::like;

/// The rules of every bucket, known once the stack is deployed.
#[derive(Debug, Default)]
pub(super) struct BucketCors(RwLock<BTreeMap<String, Vec<Rule>>>);

#[derive(Debug, Clone)]
struct Rule {
    origins: Vec<String>,
    methods: Vec<String>,
    headers: Vec<String>,
    exposed: Vec<String>,
    max_age: Option<String>,
}

impl BucketCors {
    /// Takes a bucket's `CorsRules`.
    pub(super) fn set(&self, bucket: &str, rules: &Value) {
        let rules = rules
            .as_array()
            .into_iter()
            .flatten()
            .map(Rule::read)
            .collect();
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(bucket.to_owned(), rules);
    }

    /// The answer to a preflight.
    pub(super) fn preflight(&self, parts: &Parts) -> Answer {
        let asked = text(&parts.headers, "access-control-request-method").unwrap_or_default();
        let headers = text(&parts.headers, "access-control-request-headers").unwrap_or_default();
        let Some((rule, origin)) = self.find(parts, &asked, &headers) else {
            let why = "CORSResponse: This CORS request is not allowed.";
            return refuse("s3", 403, "AccessForbidden", why);
        };
        let mut answer = super::respond("s3", StatusCode::OK.as_u16(), String::new());
        let out = answer.headers_mut();
        rule.put(out, &origin);
        put(out, "access-control-allow-headers", &headers);
        put(
            out,
            "access-control-max-age",
            rule.max_age.as_deref().unwrap_or_default(),
        );
        answer
    }

    /// Puts the rule's headers on an answer, in place of what the process behind put there.
    pub(super) fn decorate(&self, parts: &Parts, answer: &mut Answer) {
        let out = answer.headers_mut();
        let foreign: Vec<_> = out
            .keys()
            .filter(|name| name.as_str().starts_with("access-control-"))
            .cloned()
            .collect();
        for name in foreign {
            out.remove(name);
        }
        if let Some((rule, origin)) = self.find(parts, parts.method.as_str(), "") {
            rule.put(out, &origin);
        }
    }

    fn find(&self, parts: &Parts, method: &str, headers: &str) -> Option<(Rule, String)> {
        let origin = text(&parts.headers, "origin")?;
        let bucket = parts.uri.path().trim_start_matches('/').split('/').next()?;
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let wanted: Vec<_> = headers
            .split(',')
            .map(|name| name.trim().to_lowercase())
            .filter(|n| !n.is_empty())
            .collect();
        let rule = all.get(bucket)?.iter().find(|rule| {
            rule.origins.iter().any(|pattern| like(pattern, &origin))
                && rule.methods.iter().any(|allowed| allowed == method)
                && wanted.iter().all(|name| {
                    rule.headers
                        .iter()
                        .any(|pattern| like(&pattern.to_lowercase(), name))
                })
        })?;
        Some((rule.clone(), origin))
    }
}

impl Rule {
    fn read(rule: &Value) -> Self {
        let list = |name: &str| -> Vec<String> {
            let items = rule[name].as_array().into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            origins: list("AllowedOrigins"),
            methods: list("AllowedMethods"),
            headers: list("AllowedHeaders"),
            exposed: list("ExposedHeaders"),
            max_age: rule
                .get("MaxAge")
                .map(|age| age.to_string().trim_matches('"').to_owned()),
        }
    }

    fn put(&self, out: &mut HeaderMap, origin: &str) {
        let any = self.origins.iter().any(|pattern| pattern == "*");
        put(
            out,
            "access-control-allow-origin",
            if any { "*" } else { origin },
        );
        put(
            out,
            "access-control-allow-methods",
            &self.methods.join(", "),
        );
        put(
            out,
            "access-control-expose-headers",
            &self.exposed.join(", "),
        );
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn put(out: &mut HeaderMap, name: &'static str, value: &str) {
    if let Some(value) = HeaderValue::from_str(value)
        .ok()
        .filter(|_| !value.is_empty())
    {
        out.insert(name, value);
    }
}
