//! The consent page and its redirects.

use reqwest::Response;
use serde_json::json;
use url::Url;

use crate::rig::{ALL, CHALLENGE, KEY, Pairs, Rig, WEB, header, query};

const LOOP: &str = "http://127.0.0.1:3455/callback/";

/// A good request to a redirect URI, with some parameters replaced or (empty) left out.
pub(crate) fn params(redirect: &str, with: &[(&str, &str)]) -> String {
    let pkce = redirect.starts_with("http:");
    let mut list = vec![
        ("client_key", KEY),
        ("response_type", "code"),
        ("scope", ALL),
        ("redirect_uri", redirect),
        ("state", "9f2c+/ é"),
    ];
    if pkce {
        list.push(("code_challenge", CHALLENGE));
        list.push(("code_challenge_method", "S256"));
    }
    for (key, value) in with {
        list.retain(|(name, _)| name != key);
        if !value.is_empty() {
            list.push((key, value));
        }
    }
    query(&list)
}

impl Rig {
    async fn authorize(&self, query: &str) -> Response {
        let url = self.url(&format!("/www/v2/auth/authorize/?{query}"));
        self.http.get(url).send().await.unwrap()
    }

    /// Presses a button on the consent page; where the browser is sent.
    pub(crate) async fn decide(&self, query: &str, form: &[(&str, &str)]) -> Url {
        let response = self
            .http
            .post(self.url(&format!("/www/v2/auth/authorize/?{query}")))
            .body(crate::rig::query(form))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 302);
        Url::parse(&header(&response, "location")).unwrap()
    }
}

#[tokio::test]
async fn parameters_are_strict() {
    let rig = Rig::start().await;
    let long = "A".repeat(64);
    let standard = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let page = |status: u16| (status, "");
    let back = |error: &'static str| (302, error);
    let cases: &[(&str, Pairs<'_>, (u16, &str))] = &[
        (WEB, &[], page(200)),
        (LOOP, &[], page(200)),
        ("http://localhost:3455/callback/", &[], page(200)),
        ("http://localhost:3456/callback/", &[], page(400)),
        ("http://127.0.0.1:x/callback/", &[], page(400)),
        ("http://127.0.0.1/callback/", &[], page(400)),
        ("http://127.0.0.1:3455/callback", &[], page(400)),
        ("https://app.example.com/oauth/tiktok/", &[], page(400)),
        (WEB, &[("client_key", "awother")], page(401)),
        (WEB, &[("client_key", "")], page(400)),
        (WEB, &[("state", "")], page(400)),
        (WEB, &[("scope", "")], page(400)),
        (WEB, &[("disable_auto_auth", "1")], page(200)),
        (WEB, &[("disable_auto_auth", "yes")], page(400)),
        (
            WEB,
            &[("response_type", "token")],
            back("unsupported_response_type"),
        ),
        (
            WEB,
            &[("scope", "user.info.basic video.list")],
            back("invalid_scope"),
        ),
        (WEB, &[("scope", "photo.publish")], back("invalid_scope")),
        (LOOP, &[("code_challenge", "")], page(400)),
        (LOOP, &[("code_challenge_method", "")], page(400)),
        (LOOP, &[("code_challenge_method", "plain")], page(400)),
        (LOOP, &[("code_challenge", standard)], page(400)),
        (LOOP, &[("code_challenge", &long)], page(400)),
        (
            WEB,
            &[
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ],
            page(200),
        ),
        (
            WEB,
            &[
                ("code_challenge", standard),
                ("code_challenge_method", "S256"),
            ],
            page(400),
        ),
    ];
    for (redirect, with, (status, error)) in cases {
        let response = rig.authorize(&params(redirect, with)).await;
        assert_eq!(response.status(), *status, "{redirect} {with:?}");
        let location = header(&response, "location");
        assert_eq!(location.is_empty(), *status != 302, "{redirect} {with:?}");
        assert!(location.contains(error), "{location}");
    }
    let twice = format!("{}&state=again", params(WEB, &[]));
    assert_eq!(rig.authorize(&twice).await.status(), 400);
    let slash = rig.url(&format!("/www/v2/auth/authorize?{}", params(WEB, &[])));
    assert_eq!(rig.http.get(slash).send().await.unwrap().status(), 404);
    rig.settings(json!({ "web_pkce": "required" })).await;
    let refused = rig.authorize(&params(WEB, &[])).await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("code_challenge"));
}

#[tokio::test]
async fn a_subset_may_be_granted() {
    let rig = Rig::start().await;
    let page = rig.authorize(&params(WEB, &[])).await.text().await.unwrap();
    for part in [
        "value=\"mara\"",
        "value=\"joris\"",
        "value=\"video.list\"",
        "<form method=\"post\">",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let form = [
        ("decision", "approve"),
        ("user", "mara"),
        ("scope", "video.list"),
    ];
    let url = rig.decide(&params(WEB, &[]), &form).await;
    let raw = url.query().unwrap();
    assert!(raw.contains("%2A") && raw.contains("%21"), "{raw}");
    assert!(
        raw.contains("scopes=user.info.basic%2Cvideo.list&"),
        "{raw}"
    );
    let state = url.query_pairs().find(|(key, _)| key == "state").unwrap();
    assert_eq!(state.1, "9f2c+/ é");
}

#[tokio::test]
async fn declining_goes_back_with_state() {
    let rig = Rig::start().await;
    let url = rig
        .decide(&params(LOOP, &[]), &[("decision", "decline")])
        .await;
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    assert_eq!(pairs[0], ("error".into(), "access_denied".into()));
    assert_eq!(pairs[1].0, "error_description");
    assert_eq!(pairs[2], ("state".into(), "9f2c+/ é".into()));
    assert_eq!(url.port(), Some(3455));
}

#[tokio::test]
async fn consent_is_skipped_only_when_asked_and_known() {
    let rig = Rig::start().await;
    rig.grant(KEY, "mara").await;
    for (auto, cookie, status) in [("0", "mara", 302), ("1", "mara", 200), ("0", "joris", 200)] {
        let query = params(WEB, &[("disable_auto_auth", auto)]);
        let response = rig
            .http
            .get(rig.url(&format!("/www/v2/auth/authorize/?{query}")))
            .header("Cookie", format!("tiktok_session={cookie}"))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{auto} {cookie}");
    }
}

#[tokio::test]
async fn registration_follows_the_portal() {
    let rig = Rig::start().await;
    let cases = [
        (
            json!({"web_redirect_uris": ["http://app.example.com/x"]}),
            400,
        ),
        (
            json!({"web_redirect_uris": ["https://app.example.com/x?y=1"]}),
            400,
        ),
        (
            json!({"web_redirect_uris": ["https://app.example.com/x"]}),
            200,
        ),
        (
            json!({"desktop_redirect_uris": ["http://127.0.0.1/x"]}),
            400,
        ),
        (
            json!({"desktop_redirect_uris": ["http://example.com:1/x"]}),
            400,
        ),
        (
            json!({"desktop_redirect_uris": ["http://localhost:*/x"]}),
            200,
        ),
        (json!({"webhook_url": "https://hooks.example.com/"}), 400),
        (json!({"scopes": ["photo.publish"]}), 400),
        (json!({"unknown": 1}), 400),
    ];
    for (mut app, status) in cases {
        app["client_key"] = json!("awnew");
        app["client_secret"] = json!("secret");
        let url = format!("{}/apps", rig.sandbox.admin_url());
        let response = rig.http.post(url).body(app.to_string()).send().await;
        assert_eq!(response.unwrap().status(), status, "{app}");
    }
}
