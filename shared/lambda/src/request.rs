//! A request as the gateway hands it over (HTTP API, payload 2.0), read without surprises.
//!
//! The event is read by types of our own instead of `lambda_http`'s: that crate (1.3.2) builds a
//! `http::Uri` and panics where that fails, so that `?a=<1>` from any stranger is a failed invocation.

use std::collections::BTreeMap;
use std::str::FromStr;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;

mod builder;
mod caller;
pub(crate) mod event;
#[cfg(test)]
mod fuzz_tests;
mod json;

pub use builder::RequestBuilder;
pub use caller::{Caller, Claims, Scope};

use crate::problem::{Code, Problem};

/// One request.
#[derive(Clone)]
pub struct Request {
    method: Method,
    route: String,
    path: String,
    raw_query: String,
    headers: HeaderMap,
    cookies: Vec<String>,
    path_parameters: BTreeMap<String, String>,
    claims: Option<Claims>,
    domain_name: String,
    request_id: String,
    body: Bytes,
}

impl Request {
    /// A request for a test.
    pub fn builder(method: Method, path: &str) -> RequestBuilder {
        RequestBuilder::new(method, path)
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The route as template.yaml names it: `GET /v1/posts/{post_id}`.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// The path as it came, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The id under which the gateway and the logs know it.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header's text, if it is one.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The raw bytes, base64 undone where the gateway did it: what a signature is made over.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The raw bytes, or 413 where there are more than `most`.
    pub fn body_within(&self, most: usize) -> Result<&Bytes, Problem> {
        if self.body.len() > most {
            return Err(Problem::new(Code::TooLarge));
        }
        Ok(&self.body)
    }

    /// The body as JSON of at most `most` bytes. What does not fit is 400 (no JSON), 413 or 422 with
    /// the field's name.
    pub fn json<T: DeserializeOwned>(&self, most: usize) -> Result<T, Problem> {
        json::read(self.body_within(most)?)
    }

    /// The body as a form of a page of ours, at most `most` bytes, no name twice.
    pub fn form(&self, most: usize) -> Result<Query, Problem> {
        Query::read(self.body_within(most)?)
    }

    /// The query, percent-decoded. A name that comes twice is 400: which of two values counts is a
    /// question that must not arise (oauth-hardening.md §1.4).
    pub fn query(&self) -> Result<Query, Problem> {
        Query::read(self.raw_query.as_bytes())
    }

    /// A cookie's value. One that comes twice counts as absent.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let mut values = self.cookies.iter().filter_map(|cookie| {
            let (known, value) = cookie.split_once('=')?;
            (known.trim() == name).then(|| value.trim())
        });
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// A parameter of the path, or 404: an id of the wrong kind names nothing here.
    pub fn path_parameter<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.path_parameters
            .get(name)
            .and_then(|text| text.parse().ok())
            .ok_or_else(Problem::not_found)
    }

    /// What the gateway found in the token; `None` on routes without one.
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref()
    }

    /// Who calls, for whom, and what they may do; see [`Caller`].
    pub fn caller(&self, scope_prefix: &str) -> Result<Caller, Problem> {
        let claims = self
            .claims
            .as_ref()
            .ok_or_else(|| Problem::new(Code::Unauthorized))?;
        Caller::read(claims, self.headers.get(caller::USER_HEADER), scope_prefix)
    }

    /// Where this deployment is reached: `PUBLIC_BASE_URL`, or the address that this request came to.
    pub fn base_url(&self, configured: Option<&str>) -> String {
        match configured {
            Some(base) => base.to_owned(),
            None => format!("https://{}", self.domain_name),
        }
    }
}

/// Shows what a log may show.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("route", &self.route)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// Names and values, each name once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(known, _)| known == name)?;
        Some(&pair.1)
    }

    /// All pairs, in the order in which they came.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Refuses parameters that a route does not know: a mistyped one would change nothing and say
    /// nothing.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let unknown = |(name, _): &&(String, String)| !known.contains(&name.as_str());
        match self.0.iter().find(unknown) {
            Some((name, _)) => {
                let sentence = "There is no such parameter.";
                Err(Problem::bad_request(name, "unknown", sentence))
            }
            None => Ok(()),
        }
    }

    /// A parameter, where it is given; `sentence` says what may be given where it cannot be read.
    pub fn parameter<T: std::str::FromStr>(
        &self,
        name: &str,
        sentence: &str,
    ) -> Result<Option<T>, Problem> {
        self.parameter_by(name, sentence, |text| text.parse().ok())
    }

    /// The same, read in a way of its own.
    pub fn parameter_by<T>(
        &self,
        name: &str,
        sentence: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let malformed = || Problem::bad_request(name, "malformed", sentence);
        read(text).map(Some).ok_or_else(malformed)
    }

    fn read(raw: &[u8]) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(raw) {
            if pairs.iter().any(|(known, _)| *known == name) {
                let sentence = "This parameter may come once only.";
                return Err(Problem::bad_request(name, "repeated", sentence));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }
}

/// Shows names alone: values may be codes.
impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Request {
        Request::builder(Method::GET, path).build()
    }

    #[test]
    fn queries_are_decoded_once_and_refuse_repeats() {
        let query = get("/cb?code=a%2B%2520b&state=%C3%A9+x&empty=&flag").query();
        let query = query.unwrap();
        assert_eq!(query.get("code"), Some("a+%20b"));
        assert_eq!(query.get("state"), Some("é x"));
        assert_eq!(query.get("empty"), Some(""));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("none"), None);
        assert!(!format!("{query:?}").contains("a+"));
        for twice in ["/cb?code=a&code=a", "/cb?state=1&%73tate=2"] {
            assert_eq!(get(twice).query().unwrap_err().status(), 400, "{twice}");
        }
        assert_eq!(get("/cb").query().unwrap(), Query::default());
    }

    #[test]
    fn cookies_that_come_twice_do_not_count() {
        let request = Request::builder(Method::GET, "/")
            .cookie("__Host-session=a=b")
            .cookie("twice=1")
            .cookie("twice=2")
            .build();
        assert_eq!(request.cookie("__Host-session"), Some("a=b"));
        assert_eq!(request.cookie("twice"), None);
        assert_eq!(request.cookie("session"), None);
    }

    #[test]
    fn path_parameters_of_the_wrong_kind_are_not_found() {
        let request = Request::builder(Method::GET, "/v1/posts/x")
            .path_parameter("post_id", "conn_00000000000000000000000000")
            .build();
        let parsed = request.path_parameter::<domain::PostId>("post_id");
        assert_eq!(parsed.unwrap_err().status(), 404);
        let absent = request.path_parameter::<String>("other");
        assert_eq!(absent.unwrap_err().status(), 404);
    }

    #[test]
    fn the_base_is_the_configured_one_or_the_gateways() {
        let request = get("/");
        assert_eq!(
            request.base_url(Some("https://a.example")),
            "https://a.example"
        );
        assert_eq!(request.base_url(None), "https://passerelle.test");
    }

    #[test]
    fn debug_shows_no_secret() {
        let request = Request::builder(Method::GET, "/cb?code=hush")
            .header("authorization", "hush")
            .cookie("a=hush")
            .body("hush")
            .build();
        assert!(!format!("{request:?}").contains("hush"));
    }
}
