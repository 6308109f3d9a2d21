//! The HTTP API's own CORS: preflights are answered before any route, and functions' CORS
//! headers give way to the API's.

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, request::Parts};
use serde_json::Value;

#[derive(Debug)]
pub(super) struct Cors {
    origins: Vec<String>,
    headers: String,
    methods: String,
    exposed: String,
    max_age: String,
    credentials: bool,
}

impl Cors {
    /// From the OpenAPI extension `x-amazon-apigateway-cors`.
    pub(super) fn new(config: Value) -> Self {
        let list = |name: &str| -> Vec<String> {
            config[name]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        Self {
            origins: list("allowOrigins"),
            headers: list("allowHeaders").join(","),
            methods: list("allowMethods").join(","),
            exposed: list("exposeHeaders").join(","),
            max_age: match &config["maxAge"] {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => String::new(),
            },
            credentials: config["allowCredentials"] == Value::Bool(true),
        }
    }

    /// The answer to a preflight, 204 whether or not the origin is allowed.
    pub(super) fn preflight(&self, parts: &Parts) -> Option<Response> {
        let asks = parts.headers.contains_key("access-control-request-method");
        if parts.method != Method::OPTIONS || !asks || !parts.headers.contains_key("origin") {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if self.allowed(parts).is_some() {
            let headers = response.headers_mut();
            put(headers, "access-control-allow-methods", &self.methods);
            put(headers, "access-control-allow-headers", &self.headers);
            put(headers, "access-control-max-age", &self.max_age);
        }
        Some(response)
    }

    /// Puts the API's CORS headers on a response.
    pub(super) fn decorate(&self, parts: &Parts, response: &mut Response) {
        let Some(origin) = self.allowed(parts) else {
            return;
        };
        let headers = response.headers_mut();
        put(headers, "access-control-allow-origin", &origin);
        put(headers, "access-control-expose-headers", &self.exposed);
        put(
            headers,
            "access-control-allow-credentials",
            if self.credentials { "true" } else { "" },
        );
    }

    fn allowed(&self, parts: &Parts) -> Option<String> {
        let origin = parts.headers.get("origin")?.to_str().ok()?;
        self.origins
            .iter()
            .find(|allowed| *allowed == "*" || *allowed == origin)
            .map(|allowed| {
                if allowed == "*" {
                    allowed.clone()
                } else {
                    origin.to_owned()
                }
            })
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Some(value) = HeaderValue::from_str(value)
        .ok()
        .filter(|_| !value.is_empty())
    {
        headers.insert(name, value);
    }
}
