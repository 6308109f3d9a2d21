//! A request as the event of payload format 2.0.

use std::{collections::BTreeMap, net::SocketAddr};

use axum::extract::ConnectInfo;
use data_encoding::BASE64;
use http::{HeaderMap, request::Parts};
use serde_json::{Map, Value, json};

use super::matching::Match;
use crate::aws::ACCOUNT;

/// What an event is made of.
pub(super) struct Incoming<'a> {
    pub(super) parts: &'a Parts,
    pub(super) body: &'a [u8],
    /// The decoded path.
    pub(super) path: &'a str,
    pub(super) found: &'a Match<'a>,
    pub(super) authorizer: Option<Value>,
    pub(super) request_id: &'a str,
    pub(super) address: SocketAddr,
}

pub(super) fn build(incoming: &Incoming<'_>) -> Value {
    let Incoming {
        parts,
        body,
        path,
        found,
        ..
    } = incoming;
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or_else(|| "127.0.0.1".to_owned(), |info| info.0.ip().to_string());
    let (mut headers, cookies) = headers(&parts.headers);
    let domain = headers
        .get("host")
        .cloned()
        .unwrap_or_else(|| incoming.address.to_string());
    headers
        .entry("x-forwarded-for".to_owned())
        .or_insert_with(|| peer.clone());
    headers.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    headers.insert(
        "x-forwarded-port".to_owned(),
        incoming.address.port().to_string(),
    );
    let now = jiff::Timestamp::now();
    let mut context = json!({
        "accountId": ACCOUNT, "apiId": "local", "stage": "$default",
        "domainName": domain, "domainPrefix": domain.split('.').next(),
        "requestId": incoming.request_id, "routeKey": found.route_key(),
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        "timeEpoch": now.as_millisecond(),
        "http": {"method": parts.method.as_str(), "path": path, "protocol": "HTTP/1.1",
            "sourceIp": peer, "userAgent": headers.get("user-agent").cloned().unwrap_or_default()},
    });
    if let Some(authorizer) = &incoming.authorizer {
        context["authorizer"] = json!({"jwt": authorizer});
    }
    let query = parts.uri.query().unwrap_or_default();
    let mut event = json!({
        "version": "2.0", "routeKey": found.route_key(), "rawPath": path,
        "rawQueryString": query, "headers": headers, "requestContext": context,
        "isBase64Encoded": false,
    });
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    let parameters = query_parameters(query);
    if !parameters.is_empty() {
        event["queryStringParameters"] = parameters.into();
    }
    if !found.parameters.is_empty() {
        event["pathParameters"] = json!(found.parameters);
    }
    if !body.is_empty() {
        let (text, encoded) = encode_body(&parts.headers, body);
        event["body"] = text.into();
        event["isBase64Encoded"] = encoded.into();
    }
    event
}

/// Names in lower case, repeated ones joined by commas; cookies apart.
fn headers(headers: &HeaderMap) -> (BTreeMap<String, String>, Vec<String>) {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    let mut cookies = Vec::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if name == http::header::COOKIE {
            cookies.extend(value.split("; ").map(str::to_owned));
            continue;
        }
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert(value);
    }
    (joined, cookies)
}

/// Decoded names and values, repeated names joined by commas.
fn query_parameters(query: &str) -> Map<String, Value> {
    let mut joined: Map<String, Value> = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let text = match joined.get(name.as_ref()).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value.into_owned(),
        };
        joined.insert(name.into_owned(), text.into());
    }
    joined
}

/// API Gateway passes text by its content type and everything else, forms included, as base64.
fn encode_body(headers: &HeaderMap, body: &[u8]) -> (String, bool) {
    let kind = headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let text = kind.starts_with("text/")
        || matches!(
            kind.as_str(),
            "application/json" | "application/xml" | "application/javascript"
        )
        || kind.ends_with("+json")
        || kind.ends_with("+xml");
    match std::str::from_utf8(body) {
        Ok(body) if text => (body.to_owned(), false),
        _ => (BASE64.encode(body), true),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn headers_and_cookies() {
        let mut map = HeaderMap::new();
        map.append("X-A", HeaderValue::from_static("1"));
        map.append("x-a", HeaderValue::from_static("2"));
        map.append("cookie", HeaderValue::from_static("a=b; c=d"));
        map.append("cookie", HeaderValue::from_static("e=f"));
        let (headers, cookies) = headers(&map);
        assert_eq!(
            headers.into_iter().collect::<Vec<_>>(),
            [("x-a".to_owned(), "1,2".to_owned())]
        );
        assert_eq!(cookies, ["a=b", "c=d", "e=f"]);
    }

    #[test]
    fn query_names_that_repeat_are_joined() {
        let parameters = query_parameters("state=a%20b&state=c&empty=&flag");
        assert_eq!(
            Value::from(parameters),
            json!({"state": "a b,c", "empty": "", "flag": ""})
        );
    }

    #[test]
    fn bodies_are_text_by_content_type() {
        for (kind, body, expected) in [
            (
                Some("application/json; charset=utf-8"),
                &b"{}"[..],
                ("{}", false),
            ),
            (Some("text/plain"), b"hi", ("hi", false)),
            (Some("application/problem+json"), b"{}", ("{}", false)),
            (
                Some("application/x-www-form-urlencoded"),
                b"a=b",
                ("YT1i", true),
            ),
            (Some("application/octet-stream"), b"\x00", ("AA==", true)),
            (Some("text/plain"), b"\xff", ("/w==", true)),
            (None, b"a=b", ("YT1i", true)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(kind) = kind {
                headers.insert("content-type", HeaderValue::from_static(kind));
            }
            let (text, encoded) = encode_body(&headers, body);
            assert_eq!((text.as_str(), encoded), expected, "{kind:?}");
        }
    }
}
