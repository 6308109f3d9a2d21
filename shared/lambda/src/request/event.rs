//! The gateway's JSON, both ways.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Claims, Request};
use crate::responses::Response;

/// Payload 2.0, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    #[serde(default)]
    route_key: String,
    #[serde(default)]
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    path_parameters: Option<BTreeMap<String, String>>,
    request_context: Context,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    #[serde(default)]
    domain_name: String,
    #[serde(default)]
    request_id: String,
    http: Http,
    #[serde(default)]
    authorizer: Option<Authorizer>,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

#[derive(Deserialize)]
struct Authorizer {
    #[serde(default)]
    jwt: Option<Jwt>,
}

#[derive(Deserialize)]
struct Jwt {
    #[serde(default)]
    claims: BTreeMap<String, Value>,
}

/// Why an event is no request. Never shows the event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRequest {
    #[error("the event is not the gateway's payload 2.0 (line {0}, column {1})")]
    Shape(usize, usize),
    #[error("the event names no HTTP method")]
    Method,
    #[error("the event's body is not the base64 that it is said to be")]
    Body,
}

/// Reads an event. serde's own message may quote it, so only the place is kept.
pub(crate) fn read(event: &str) -> Result<Request, NoRequest> {
    let event: Event = serde_json::from_str(event)
        .map_err(|error| NoRequest::Shape(error.line(), error.column()))?;
    let method = event.request_context.http.method;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| NoRequest::Method)?;
    let body = match event.body {
        None => Bytes::new(),
        Some(text) if event.is_base64_encoded => BASE64
            .decode(text.as_bytes())
            .map_err(|_| NoRequest::Body)?
            .into(),
        Some(text) => text.into(),
    };
    let claims = event.request_context.authorizer.and_then(|it| it.jwt);
    Ok(Request {
        method,
        route: event.route_key,
        path: event.raw_path,
        raw_query: event.raw_query_string,
        headers: header_map(&event.headers),
        cookies: event.cookies.unwrap_or_default(),
        path_parameters: event.path_parameters.unwrap_or_default(),
        claims: claims.map(|jwt| jwt.claims.into_iter().map(as_text).collect::<Claims>()),
        domain_name: event.request_context.domain_name,
        request_id: event.request_context.request_id,
        body,
    })
}

/// Headers that no HTTP library takes are left out rather than failing the request.
fn header_map(headers: &BTreeMap<String, String>) -> HeaderMap {
    headers
        .iter()
        .filter_map(|(name, value)| {
            let name = HeaderName::try_from(name).ok()?;
            Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
        })
        .collect()
}

/// The gateway writes every claim as a text; an emulator may not.
fn as_text((name, value): (String, Value)) -> (String, String) {
    match value {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    }
}

/// An answer in payload 2.0.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reply {
    status_code: u16,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    body: String,
    is_base64_encoded: bool,
}

impl Reply {
    pub(crate) fn of(response: &Response) -> Self {
        let mut headers = BTreeMap::<String, String>::new();
        let mut cookies = Vec::new();
        for (name, value) in response.headers() {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            // The gateway joins repeated headers by commas, which cookies do not survive.
            if name == header::SET_COOKIE {
                cookies.push(value);
            } else {
                headers
                    .entry(name.as_str().to_owned())
                    .and_modify(|known| {
                        known.push_str(", ");
                        known.push_str(&value);
                    })
                    .or_insert(value);
            }
        }
        let text = std::str::from_utf8(response.body());
        Self {
            status_code: response.status().as_u16(),
            headers,
            cookies,
            is_base64_encoded: text.is_err(),
            body: match text {
                Ok(text) => text.to_owned(),
                Err(_) => BASE64.encode(response.body()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::responses::{self, Cookie};

    fn event() -> Value {
        json!({
            "version": "2.0",
            "routeKey": "POST /v1/posts/{post_id}",
            "rawPath": "/v1/posts/p",
            "rawQueryString": "a=<b>&c=\"\u{e9}",
            "cookies": ["a=1", "b=2"],
            "headers": {"host": "exa mple", "x-forwarded-proto": "::", "passerelle-user": "u-1"},
            "pathParameters": {"post_id": "p"},
            "requestContext": {
                "domainName": "passerelle.test",
                "requestId": "r-1",
                "http": {"method": "POST"},
                "authorizer": {"jwt": {"claims": {"sub": "svc", "scope": "service posts", "iat": 1}, "scopes": null}},
            },
            "body": "AP8=",
            "isBase64Encoded": true,
        })
    }

    #[test]
    fn an_event_becomes_a_request_whatever_a_stranger_sent() {
        let request = read(&event().to_string()).unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.route(), "POST /v1/posts/{post_id}");
        assert_eq!(&request.body()[..], [0x00, 0xFF]);
        assert_eq!(request.query().unwrap().get("a"), Some("<b>"));
        assert_eq!(request.cookie("b"), Some("2"));
        assert_eq!(request.path_parameter::<String>("post_id").unwrap(), "p");
        let caller = request.caller("").unwrap();
        assert_eq!(caller.user().unwrap().as_str(), "u-1");
    }

    #[test]
    fn events_that_are_none_do_not_show_themselves() {
        let mut bad_body = event();
        bad_body["body"] = "not base64!".into();
        for (event, shown) in [
            (
                bad_body,
                "the event's body is not the base64 that it is said to be",
            ),
            (
                json!({"hush": 1}),
                "the event is not the gateway's payload 2.0 (line 1, column 10)",
            ),
        ] {
            let error = read(&event.to_string()).unwrap_err();
            assert_eq!(error.to_string(), shown);
        }
    }

    #[test]
    fn answers_keep_cookies_apart_and_bytes_whole() {
        let mut response = responses::text(StatusCode::OK, "é");
        Cookie::named("a").set(&mut response, "1", Duration::from_secs(1));
        Cookie::named("b").clear(&mut response);
        let reply = Reply::of(&response);
        assert_eq!(reply.cookies.len(), 2);
        assert!(!reply.headers.contains_key("set-cookie"));
        assert_eq!((reply.body.as_str(), reply.is_base64_encoded), ("é", false));

        let bytes = responses::typed(StatusCode::OK, "image/png", Bytes::from_static(&[0xFF]));
        let reply = Reply::of(&bytes);
        assert_eq!(
            (reply.body.as_str(), reply.is_base64_encoded),
            ("/w==", true)
        );
    }
}
