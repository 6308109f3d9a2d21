//! Reading requests: bodies, parameters without duplicates, bearer tokens.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

use super::errors::{Refusal, refuse};

/// Bodies of everything but uploads stay under this.
const MAX_BODY: usize = 1 << 20;

/// The whole body; empty when the caller died or sent too much.
pub(crate) async fn body(body: Body) -> Bytes {
    axum::body::to_bytes(body, MAX_BODY)
        .await
        .unwrap_or_default()
}

/// Decoded query or form parameters, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query or a form body.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// The value, if there is one; with duplicates the first.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// The value, or a refusal that names it; empty counts as missing.
    pub(crate) fn need(&self, key: &str) -> Result<&str, Refusal> {
        self.get(key)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| refuse("invalid_request", format!("{key} is missing")))
    }

    /// The name of a parameter that is sent twice.
    pub(crate) fn duplicate(&self) -> Option<&str> {
        self.0
            .iter()
            .enumerate()
            .find(|(at, (name, _))| self.0[..*at].iter().any(|(other, _)| other == name))
            .map(|(_, (name, _))| name.as_str())
    }
}

/// Reads a form body; TikTok's token endpoint takes nothing else (tiktok.md §1.3).
pub(crate) fn form(headers: &HeaderMap, body: &[u8]) -> Result<Params, Refusal> {
    if media_type(headers) != "application/x-www-form-urlencoded" {
        return Err(refuse(
            "invalid_request",
            "Only `application/x-www-form-urlencoded` is accepted as Content-Type.",
        ));
    }
    let form = Params::parse(body);
    match form.duplicate() {
        Some(name) => Err(refuse("invalid_request", format!("{name} is sent twice"))),
        None => Ok(form),
    }
}

/// Reads a JSON object; `param_error` is the code for anything else.
pub(crate) fn json(headers: &HeaderMap, body: &[u8], param_error: &str) -> Result<Value, Refusal> {
    if media_type(headers) != "application/json" {
        return Err(refuse(param_error, "Content-Type is not application/json"));
    }
    serde_json::from_slice(body)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| refuse(param_error, "The request body is not a JSON object"))
}

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::to_owned)
}

/// The media type without parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}
