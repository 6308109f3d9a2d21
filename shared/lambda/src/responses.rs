//! Answers that are built in one way only.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

/// An answer of a handler.
pub type Response = http::Response<Bytes>;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// JSON. Never cached: every answer belongs to one caller.
pub fn json<T: Serialize + ?Sized>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => typed(status, "application/json", bytes.into()),
        // Only a map with keys that are no texts, or a serialiser of our own, can fail here.
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Plain text.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Response {
    typed(status, "text/plain; charset=utf-8", body.into())
}

/// A body of a type that the caller names (a webhook handshake).
pub fn typed(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    let mut response = empty(status);
    let kind = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    *response.body_mut() = body;
    response
}

/// 204.
pub fn no_content() -> Response {
    empty(StatusCode::NO_CONTENT)
}

/// A status and nothing else.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    protect(headers);
    response
}

/// A page of ours: no script, no outside asset, no frame around it. `style` is the inline style's
/// hash as `pages` states it (`sha256-…`); `form_action` lists the origins that a form's answer may
/// lead to beside our own, since browsers apply the rule to the redirect after a POST as well.
pub fn html(
    status: StatusCode,
    page: impl Into<Bytes>,
    style: &str,
    form_action: &[&str],
) -> Response {
    let mut forms = String::from("'self'");
    for origin in form_action.iter().filter(|origin| is_origin(origin)) {
        forms.push(' ');
        forms.push_str(origin);
    }
    let policy = format!(
        "default-src 'none'; style-src '{style}'; form-action {forms}; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    let mut response = typed(status, "text/html; charset=utf-8", page.into());
    // The most that can be wrong here is a hash or an origin out of our own code or configuration.
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(
        "default-src 'none'; frame-ancestors 'none'",
    ));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// 303: the browser goes on with GET, whatever it came with (never 307: it would repeat a POST).
pub fn see_other(location: &str) -> Response {
    match HeaderValue::try_from(location) {
        Ok(location) => {
            let mut response = empty(StatusCode::SEE_OTHER);
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Err(_) => {
            tracing::error!("a redirect's address holds characters that no header takes");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// A cookie that only our own origin, over TLS, ever sees: `__Host-<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie(&'static str);

impl Cookie {
    /// A cookie of this name, without the prefix.
    pub const fn named(name: &'static str) -> Self {
        Self(name)
    }

    /// The whole name.
    pub fn name(self) -> String {
        format!("__Host-{}", self.0)
    }

    /// Gives the browser a value for so long. The value must be of cookie characters (our own are
    /// base64url); anything else is not set.
    pub fn set(self, response: &mut Response, value: &str, max_age: Duration) {
        let good = !value.is_empty()
            && value
                .bytes()
                .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\'));
        if good {
            self.append(response, value, max_age.as_secs());
        }
    }

    /// Takes it back.
    pub fn clear(self, response: &mut Response) {
        self.append(response, "", 0);
    }

    fn append(self, response: &mut Response, value: &str, max_age: u64) {
        let name = self.name();
        // Lax, not Strict: the way back from the platform is a navigation from another site.
        let line =
            format!("{name}={value}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Lax");
        if let Ok(mut line) = HeaderValue::try_from(line) {
            line.set_sensitive(true);
            response.headers_mut().append(header::SET_COOKIE, line);
        }
    }
}

/// Headers that every answer carries, since some are opened in a browser.
fn protect(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &str); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// `https://host` or `http://host:port`: nothing that could end the directive or widen it.
fn is_origin(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|url| {
        matches!(url.scheme_str(), Some("https" | "http"))
            && url.path_and_query().is_none_or(|rest| rest == "/")
            && url.host().is_some_and(|host| !host.is_empty())
    }) && !text.contains(['*', ';', ',', '\'', '@', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_allow_one_style_and_named_form_targets() {
        let hostile = "https://evil.test; script-src *";
        let page = html(
            StatusCode::OK,
            "<!doctype html>",
            "sha256-abc=",
            &[
                "https://app.example",
                hostile,
                "https://*",
                "https://a.example#b",
            ],
        );
        assert_eq!(
            page.headers()["content-security-policy"],
            "default-src 'none'; style-src 'sha256-abc='; form-action 'self' https://app.example; \
             frame-ancestors 'none'; base-uri 'none'"
        );
        for (name, value) in [
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("strict-transport-security", "max-age=63072000"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(page.headers()[name], value);
        }
    }

    #[test]
    fn cookies_are_bound_to_the_host() {
        const SESSION: Cookie = Cookie::named("session");
        let mut response = no_content();
        SESSION.set(&mut response, "abc-_1", Duration::from_secs(600));
        SESSION.set(&mut response, "evil; Domain=evil.test", Duration::ZERO);
        SESSION.clear(&mut response);
        let lines: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(
            lines,
            [
                "__Host-session=abc-_1; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax",
                "__Host-session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
            ]
        );
    }

    #[test]
    fn redirects_cannot_be_split() {
        let good = see_other("https://a.example/b?c=d");
        assert_eq!(good.status(), StatusCode::SEE_OTHER);
        assert_eq!(good.headers()["location"], "https://a.example/b?c=d");
        let bad = see_other("https://a.example/\r\nset-cookie: x");
        assert_eq!(bad.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
