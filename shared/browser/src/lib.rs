//! What functions that face a creator's browser share: secrets in links and cookies, the session
//! behind a cookie, where a browser may be sent in the end, and pages with their headers.

mod page;
mod return_to;

use std::time::Duration;

use aws_lc_rs::digest;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use domain::{Entropy, Timestamp};
use lambda::{Cookie, Problem, Request};
use store::{BrowserSession, Sessions};

pub use page::{locale_of, message, problem, show, trouble};
pub use return_to::{InvalidReturnTo, ReturnTo, with_result};

/// The cookie of a browser's session.
pub const SESSION: Cookie = Cookie::named("session");

/// How long a browser's session lasts.
pub const SESSION_LIFE: Duration = Duration::from_secs(3_600);

/// A new secret for a link or a cookie: 256 bits, base64url.
pub fn new_secret(entropy: &dyn Entropy) -> String {
    let mut bytes = [0u8; 32];
    entropy.fill(&mut bytes);
    BASE64URL_NOPAD.encode(&bytes)
}

/// What is stored of a secret: its SHA-256, hex. The secrets are random, so a plain hash does.
pub fn hash(secret: &str) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref())
}

/// The session of the browser that sent this request, if it has one.
pub async fn session_of(
    request: &Request,
    sessions: &Sessions,
    now: Timestamp,
) -> Result<Option<BrowserSession>, Problem> {
    let Some(cookie) = request.cookie(&SESSION.name()) else {
        return Ok(None);
    };
    sessions
        .browser(&hash(cookie), now)
        .await
        .map_err(Problem::unavailable)
}

/// The value that ties a form to the browser that was shown it: made of the cookie, which no other
/// site can read, and of what the form is about.
pub fn csrf(request: &Request, about: &str) -> Option<String> {
    let cookie = request.cookie(&SESSION.name())?;
    Some(hash(&format!("csrf {cookie} {about}")))
}

#[cfg(test)]
mod tests {
    use domain::SeededEntropy;

    use super::*;

    #[test]
    fn secrets_are_long_and_hashes_are_stable() {
        let secret = new_secret(&SeededEntropy::new(1));
        assert_eq!(secret.len(), 43);
        assert_eq!(
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_form_belongs_to_its_cookie_and_its_subject() {
        let from = |cookie: &str| {
            Request::builder(http::Method::GET, "/")
                .cookie(cookie)
                .build()
        };
        let mine = from("__Host-session=a");
        assert_eq!(
            csrf(&mine, "flow_1"),
            csrf(&from("__Host-session=a"), "flow_1")
        );
        assert_ne!(csrf(&mine, "flow_1"), csrf(&mine, "flow_2"));
        assert_ne!(
            csrf(&mine, "flow_1"),
            csrf(&from("__Host-session=b"), "flow_1")
        );
        assert_eq!(csrf(&from("x=y"), "flow_1"), None);
    }
}
