//! A function's answer of payload format 2.0 as an HTTP response.

use axum::{body::Body, response::Response};
use data_encoding::BASE64;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// An answer that API Gateway gives by itself.
pub(super) fn message(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(json!({"message": text}).to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What a broken function, or a broken answer, becomes.
pub(super) fn internal() -> Response {
    message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

/// Reads a function's answer. One without a status code is itself the JSON body of a 200.
pub(super) fn read(body: &[u8]) -> Response {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return internal();
    };
    let Some(status) = answer.get("statusCode") else {
        let text = match answer {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let mut response = Response::new(Body::from(text));
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        return response;
    };
    build(&answer, status).unwrap_or_else(internal)
}

fn build(answer: &Value, status: &Value) -> Option<Response> {
    let status = status.as_u64().or_else(|| status.as_str()?.parse().ok())?;
    let text = answer["body"].as_str().unwrap_or_default();
    let body = match answer["isBase64Encoded"].as_bool() {
        Some(true) => BASE64.decode(text.as_bytes()).ok()?,
        _ => text.as_bytes().to_vec(),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(u16::try_from(status).ok()?).ok()?;
    let headers = response.headers_mut();
    for field in ["headers", "multiValueHeaders"] {
        for (name, values) in answer[field].as_object().into_iter().flatten() {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            // API Gateway frames the message itself.
            if [
                header::CONTENT_LENGTH,
                header::TRANSFER_ENCODING,
                header::CONNECTION,
            ]
            .contains(&name)
            {
                continue;
            }
            let one = std::slice::from_ref(values);
            for value in values.as_array().map_or(one, Vec::as_slice) {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                headers.insert(name.clone(), HeaderValue::from_bytes(text.as_bytes()).ok()?);
            }
        }
    }
    for cookie in answer["cookies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        headers.append(
            header::SET_COOKIE,
            HeaderValue::from_bytes(cookie.as_bytes()).ok()?,
        );
    }
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.entry(header::CONTENT_TYPE).or_insert(kind);
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers() {
        for (answer, expected) in [
            (
                json!({"statusCode": 303, "headers": {"Location": "/x"}, "cookies": ["a=1", "b=2"]}),
                "303 location=/x set-cookie=a=1 set-cookie=b=2 content-type=text/plain; charset=utf-8 | ",
            ),
            (
                json!({"statusCode": 200, "headers": {"content-type": "image/png"}, "body": "AAE=", "isBase64Encoded": true}),
                "200 content-type=image/png | \u{0}\u{1}",
            ),
            (
                json!({"statusCode": 200, "headers": {"content-length": "99"}, "body": "x"}),
                "200 content-type=text/plain; charset=utf-8 | x",
            ),
            (
                json!({"hello": 1}),
                "200 content-type=application/json | {\"hello\":1}",
            ),
            (
                json!({"statusCode": 200, "body": "?", "isBase64Encoded": true}),
                "500 content-type=application/json | {\"message\":\"Internal Server Error\"}",
            ),
            (
                json!({"statusCode": "no"}),
                "500 content-type=application/json | {\"message\":\"Internal Server Error\"}",
            ),
        ] {
            let response = read(answer.to_string().as_bytes());
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let mut shown = vec![parts.status.as_u16().to_string()];
            for (name, value) in &parts.headers {
                shown.push(format!("{name}={}", value.to_str().unwrap()));
            }
            let shown = format!("{} | {}", shown.join(" "), String::from_utf8_lossy(&body));
            assert_eq!(shown, expected);
        }
    }
}
