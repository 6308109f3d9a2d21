//! Requests for tests of handlers.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;

use super::{Claims, Request};

/// Builds a [`Request`] as the gateway would. What no gateway would pass on is left out.
#[derive(Debug)]
pub struct RequestBuilder(Request);

impl RequestBuilder {
    pub(super) fn new(method: Method, path_and_query: &str) -> Self {
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        Self(Request {
            route: format!("{method} {path}"),
            method,
            path: path.to_owned(),
            raw_query: query.to_owned(),
            headers: http::HeaderMap::new(),
            cookies: Vec::new(),
            path_parameters: BTreeMap::new(),
            claims: None,
            domain_name: "passerelle.test".into(),
            request_id: "request-1".into(),
            body: Bytes::new(),
        })
    }

    /// With the route's key, where the path holds parameters: `GET /v1/posts/{post_id}`.
    #[must_use]
    pub fn route(mut self, route: &str) -> Self {
        self.0.route = route.to_owned();
        self
    }

    /// With a parameter of the path.
    #[must_use]
    pub fn path_parameter(mut self, name: &str, value: &str) -> Self {
        let parameters = &mut self.0.path_parameters;
        parameters.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.0.headers.append(name, value);
        }
        self
    }

    /// With a cookie, `name=value`.
    #[must_use]
    pub fn cookie(mut self, cookie: &str) -> Self {
        self.0.cookies.push(cookie.to_owned());
        self
    }

    /// With a token of this subject and these scopes, space separated.
    #[must_use]
    pub fn token(mut self, subject: &str, scopes: &str) -> Self {
        self.0.claims = Some(Claims::from_iter([
            ("sub".to_owned(), subject.to_owned()),
            ("scope".to_owned(), scopes.to_owned()),
        ]));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.0.body = body.into();
        self
    }

    /// With this JSON body.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(self, body: &T) -> Self {
        self.body(serde_json::to_vec(body).unwrap_or_default())
    }

    /// The request.
    pub fn build(self) -> Request {
        self.0
    }
}
