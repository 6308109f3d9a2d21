//! The consent page and the way back.

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use domain::{Fault, FaultKind, Secret, Timestamp};
use http::StatusCode;
use url::{Host, Url, form_urlencoded};

use super::connect::Exchange;
use super::errors::{self, Place, Problem};
use super::{CONSENT_URL, TikTok, scope, token};
use crate::{App, Authorize, CallbackAnswer, CodeGrant, Connect, ConsentRequest, Refusal};

impl Authorize for TikTok {
    fn default_scopes(&self) -> &'static [&'static str] {
        &[
            scope::BASIC,
            scope::PROFILE,
            scope::STATS,
            scope::LIST,
            scope::UPLOAD,
            scope::PUBLISH,
        ]
    }

    fn consent_origins(&self) -> &'static [&'static str] {
        &["https://www.tiktok.com"]
    }

    fn scope_meaning(&self, scope: &str) -> Option<[&'static str; 2]> {
        Some(match scope {
            scope::BASIC => ["see your name and picture", "voir votre nom et votre photo"],
            scope::PROFILE => ["see your public profile", "voir votre profil public"],
            scope::STATS => [
                "see how many followers, likes and videos you have",
                "voir le nombre de vos abonnés, mentions J’aime et vidéos",
            ],
            scope::LIST => ["see your public videos", "voir vos vidéos publiques"],
            scope::UPLOAD => [
                "send drafts to your TikTok inbox",
                "envoyer des brouillons dans votre boîte de réception TikTok",
            ],
            scope::PUBLISH => ["publish videos for you", "publier des vidéos en votre nom"],
            _ => return None,
        })
    }

    /// TikTok is not known to send `iss`: oauth-hardening.md §1.2.
    fn issuer(&self) -> Option<&'static str> {
        None
    }

    /// Documented for loopback redirects and not for https ones, where reports disagree: hence the
    /// setting (tiktok.md §1.2 and addenda).
    fn wants_verifier(&self, app: &App, redirect_uri: &str) -> bool {
        match app.choice("pkce", &["auto", "none", "hex"]) {
            "hex" => true,
            "none" => false,
            _ => is_loopback(redirect_uri),
        }
    }

    fn consent_url(&self, app: &App, consent: &ConsentRequest<'_>) -> Secret {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("client_key", &app.client_id)
            .append_pair("response_type", "code")
            .append_pair("scope", &consent.scopes.join(","))
            .append_pair("redirect_uri", consent.redirect_uri)
            .append_pair("state", consent.state.expose());
        if let Some(verifier) = consent.verifier {
            query
                .append_pair("code_challenge", &challenge(verifier))
                .append_pair("code_challenge_method", "S256");
        }
        Secret::new(format!("{CONSENT_URL}?{}", query.finish()))
    }

    fn read_callback(&self, query: &[(String, String)]) -> CallbackAnswer {
        let get = |name: &str| {
            let found = query.iter().find(|(key, _)| key == name);
            found
                .map(|(_, value)| value.as_str())
                .filter(|v| !v.is_empty())
        };
        match (get("error"), get("code")) {
            (Some("access_denied"), _) => CallbackAnswer::Refused(Refusal::ByCreator),
            (Some(code), _) => {
                let words = ["error_description", "error_type"].map(|key| get(key).unwrap_or(""));
                let problem = Problem {
                    status: StatusCode::OK,
                    code: Some(code.to_owned()),
                    text: words.join(" "),
                    unreadable: false,
                };
                // Nothing that a consent page answers is over at a known instant.
                let fault = errors::fault(Place::Consent, &problem, Timestamp::default());
                CallbackAnswer::Refused(Refusal::ByPlatform(fault))
            }
            (None, Some(code)) => CallbackAnswer::Code {
                code: Secret::new(code),
                // Plural here, singular in the token's answer (§1.1).
                granted: get("scopes").map(token::scopes).filter(|s| !s.is_empty()),
            },
            (None, None) => {
                let fault = Fault::new(FaultKind::OurBug)
                    .sentence("TikTok sent the browser back without a code. Start again.");
                CallbackAnswer::Refused(Refusal::ByPlatform(fault))
            }
        }
    }

    fn connect(&self, app: &App, grant: CodeGrant) -> Box<dyn Connect> {
        Box::new(Exchange::new(app, grant))
    }
}

/// TikTok spells the method `S256` but wants the digest in lower-case hexadecimal, not in base64url
/// (tiktok.md §1.2).
fn challenge(verifier: &Secret) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, verifier.expose().as_bytes()).as_ref())
}

fn is_loopback(redirect_uri: &str) -> bool {
    let Ok(url) = Url::parse(redirect_uri) else {
        return false;
    };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
