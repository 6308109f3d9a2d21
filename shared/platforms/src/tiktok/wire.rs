//! Building requests and opening the two shapes of answers (tiktok.md §1.7, §2).

use bytes::Bytes;
use domain::{Fault, FaultKind, TokenBundle};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use serde::Serialize;
use serde_json::Value;
use url::form_urlencoded;

use super::errors::Problem;
use crate::{Call, Repeat};

/// A form post to the OAuth endpoints; the credentials travel in the body.
pub(super) fn form(
    name: &'static str,
    url: &str,
    repeat: Repeat,
    fields: &[(&str, &str)],
) -> Result<Call, Fault> {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(CACHE_CONTROL, "no-cache")
        .body(Bytes::from(body))
        .map_err(|_| unsendable())?;
    Ok(Call::new(name, request, repeat))
}

/// A GET with the account's token.
pub(super) fn get(name: &'static str, url: &str, bundle: &TokenBundle) -> Result<Call, Fault> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(url)
        .header(AUTHORIZATION, bearer(bundle)?)
        .body(Bytes::new())
        .map_err(|_| unsendable())?;
    Ok(Call::new(name, request, Repeat::Repeatable))
}

/// A JSON post with the account's token.
pub(super) fn json(
    name: &'static str,
    url: &str,
    repeat: Repeat,
    bundle: &TokenBundle,
    body: &impl Serialize,
) -> Result<Call, Fault> {
    let body = serde_json::to_vec(body).map_err(|_| unsendable())?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(AUTHORIZATION, bearer(bundle)?)
        .header(CONTENT_TYPE, "application/json; charset=UTF-8")
        .body(Bytes::from(body))
        .map_err(|_| unsendable())?;
    Ok(Call::new(name, request, repeat))
}

/// A post with the account's token and an empty body.
pub(super) fn empty(
    name: &'static str,
    url: &str,
    repeat: Repeat,
    bundle: &TokenBundle,
) -> Result<Call, Fault> {
    let call = json(name, url, repeat, bundle, &())?;
    let request = call.request.map(|_| Bytes::new());
    Ok(Call { request, ..call })
}

fn bearer(bundle: &TokenBundle) -> Result<HeaderValue, Fault> {
    let text = format!("Bearer {}", bundle.access_token.expose());
    let mut value = HeaderValue::try_from(text).map_err(|_| unsendable())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Text that cannot stand in a request: a token with a line break, say.
pub(super) fn unsendable() -> Fault {
    Fault::new(FaultKind::OurBug)
}

/// The `data` of an API answer. `error.code` decides and not the status: refusals come with 200 too
/// (tiktok.md §2, §4.1). An answer without any `error` counts as good if its status does.
pub(super) fn data(response: &Response<Bytes>) -> Result<Value, Problem> {
    let problem = problem(response);
    match (problem.code.as_deref(), response.status().is_success()) {
        (Some("ok"), true) => {}
        (None, true) if !problem.unreadable => {}
        (Some("ok"), false) => {
            return Err(Problem {
                code: None,
                ..problem
            });
        }
        _ => return Err(problem),
    }
    let mut body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    Ok(body.get_mut("data").map(Value::take).unwrap_or_default())
}

/// What an answer complains of, in either of TikTok's two shapes: flat `error` (OAuth) or an `error`
/// object (API).
pub(super) fn problem(response: &Response<Bytes>) -> Problem {
    let status = response.status();
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(response.body()) else {
        return Problem::unreadable(status);
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let (code, said) = match body.get("error") {
        Some(Value::Object(error)) => (text(error.get("code")), text(error.get("message"))),
        flat => (text(flat), text(body.get("error_description"))),
    };
    Problem {
        status,
        code: code.filter(|code| !code.is_empty()),
        text: said.unwrap_or_default(),
        unreadable: false,
    }
}

/// A whole number that is not negative, as a JSON number or as digits in a text; never by way of a
/// float, which would change long ids.
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// An id, as a text or as a number: both have been seen (tiktok.md §4.9, §5.2).
pub(super) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| is_id(text)),
        Value::Number(number) => number.as_u64().map(|id| id.to_string()),
        _ => None,
    }
}

/// TikTok documents at most 64 characters for publish ids (§4.2); twice that is taken.
pub(super) fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
