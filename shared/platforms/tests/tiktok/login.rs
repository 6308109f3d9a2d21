//! The consent page, the way back and the exchange.

use domain::{Fault, FaultKind, Secret};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use platforms::tiktok::TikTok;
use platforms::{
    Authorize, Call, CallbackAnswer, CodeGrant, Connect, ConsentRequest, Linked, Refusal, Repeat,
    Step,
};
use serde_json::{Value, json};

use crate::support::{T0, app, app_with, good, refusal, reply};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

#[test]
fn consent_url_is_exact() {
    let scopes = ["user.info.basic", "video.list", "video.publish"].map(str::to_owned);
    let state = Secret::new("9f2c");
    let verifier = Secret::new(VERIFIER);
    let mut consent = ConsentRequest {
        redirect_uri: "https://app.example.com/oauth/tiktok",
        state: &state,
        scopes: &scopes,
        verifier: None,
    };
    let plain = "https://www.tiktok.com/v2/auth/authorize/?client_key=awexample0001&response_type=code&scope=user.info.basic%2Cvideo.list%2Cvideo.publish&redirect_uri=https%3A%2F%2Fapp.example.com%2Foauth%2Ftiktok&state=9f2c";
    assert_eq!(TikTok.consent_url(&app(), &consent).expose(), plain);

    consent.verifier = Some(&verifier);
    let hex = "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3";
    assert_eq!(
        TikTok.consent_url(&app(), &consent).expose(),
        format!("{plain}&code_challenge={hex}&code_challenge_method=S256")
    );
}

#[test]
fn default_scopes_are_the_six() {
    assert_eq!(
        TikTok.default_scopes().join(","),
        "user.info.basic,user.info.profile,user.info.stats,video.list,video.upload,video.publish"
    );
    assert_eq!(TikTok.issuer(), None);
}

#[test]
fn pkce_follows_the_setting_and_the_redirect() {
    for (pkce, uri, wanted) in [
        (json!("auto"), "https://app.example.com/cb", false),
        (json!("auto"), "http://127.0.0.1:3000/cb", true),
        (json!("auto"), "http://localhost:3000/cb", true),
        (json!("auto"), "https://localhost:3000/cb", true),
        (json!("auto"), "http://[::1]:3000/cb", true),
        (json!("auto"), "https://localhost.example.com/cb", false),
        (json!("auto"), "no uri", false),
        (json!(null), "http://127.0.0.1:3000/cb", true),
        (json!("unheard-of"), "https://app.example.com/cb", false),
        (json!("none"), "http://127.0.0.1:3000/cb", false),
        (json!("hex"), "https://app.example.com/cb", true),
    ] {
        let app = app_with(json!({ "pkce": pkce.clone() }));
        assert_eq!(TikTok.wants_verifier(&app, uri), wanted, "{pkce} {uri}");
    }
}

fn back(query: &[(&str, &str)]) -> CallbackAnswer {
    let query: Vec<_> = query
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    TikTok.read_callback(&query)
}

fn refused(query: &[(&str, &str)]) -> Fault {
    match back(query) {
        CallbackAnswer::Refused(Refusal::ByPlatform(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ways_back() {
    let code = "AbCd*0!6410.e1";
    match back(&[
        ("code", code),
        ("scopes", "user.info.basic"),
        ("state", "s"),
    ]) {
        CallbackAnswer::Code {
            code: read,
            granted,
        } => {
            assert_eq!(read.expose(), code);
            assert_eq!(granted.unwrap(), ["user.info.basic"]);
        }
        other => panic!("{other:?}"),
    }
    for silent in [&[("code", code)][..], &[("code", code), ("scopes", "")]] {
        match back(silent) {
            CallbackAnswer::Code { granted, .. } => assert_eq!(granted, None),
            other => panic!("{other:?}"),
        }
    }
    for query in [
        &[
            ("error", "access_denied"),
            ("error_description", "no"),
            ("state", "s"),
        ][..],
        &[("code", "c"), ("error", "access_denied")],
    ] {
        match back(query) {
            CallbackAnswer::Refused(refusal) => assert_eq!(refusal, Refusal::ByCreator),
            other => panic!("{other:?}"),
        }
    }
    // Neither code nor error.
    for query in [&[][..], &[("code", "")], &[("state", "s")]] {
        assert_eq!(refused(query).kind, FaultKind::OurBug);
    }
    // TikTok's words choose the sentence, and are never in it.
    for (code, words, kind, names) in [
        (
            "invalid_request",
            "code_challenge is <b>bad</b>",
            FaultKind::AppRefused,
            "`pkce`",
        ),
        ("code_challenge", "", FaultKind::AppRefused, "`pkce`"),
        (
            "invalid_request",
            "redirect_uri mismatch <b>",
            FaultKind::AppRefused,
            "`redirect_uri`",
        ),
        ("redirect_uri", "", FaultKind::AppRefused, "`redirect_uri`"),
        (
            "invalid_client",
            "<b>",
            FaultKind::AppRefused,
            "`client_key`",
        ),
        ("client_key", "", FaultKind::AppRefused, "`client_key`"),
        (
            "unauthorized_client",
            "<b>",
            FaultKind::AppRefused,
            "developer portal",
        ),
        ("invalid_scope", "<b>", FaultKind::AppRefused, "`scopes`"),
        (
            "server_error",
            "redirect_uri <b>",
            FaultKind::PlatformDown,
            "",
        ),
        ("<script>", "<b>", FaultKind::OurBug, ""),
    ] {
        let fault = refused(&[("error", code), ("error_description", words)]);
        assert_eq!(fault.kind, kind, "{code} {words}");
        assert!(
            fault.explain().contains(names),
            "{code}: {}",
            fault.explain()
        );
        assert!(
            !format!("{fault} {}", fault.explain()).contains('<'),
            "{fault}"
        );
    }
}

fn grant(verifier: Option<&str>) -> CodeGrant {
    CodeGrant {
        code: Secret::new("AbCd*0!6410.e1"),
        redirect_uri: "https://app.example.com/oauth/tiktok".into(),
        verifier: verifier.map(Secret::new),
        scopes: vec!["user.info.basic".into(), "video.upload".into()],
    }
}

fn sent(step: Step) -> Call {
    match step {
        Step::Send(call) => call,
        other => panic!("{other:?}"),
    }
}

fn linked(step: Step) -> Linked {
    match step {
        Step::Done(mut linked) => linked.pop().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn failed(step: Step) -> Fault {
    match step {
        Step::Failed(fault) => fault,
        other => panic!("{other:?}"),
    }
}

fn tokens(scope: &str) -> Value {
    json!({"open_id": "-000InventedOpenId", "scope": scope, "access_token": "act.example12345!4518.e1",
        "expires_in": 7200, "refresh_token": "rft.example67890!4518.e1", "refresh_expires_in": 15_552_000,
        "token_type": "Bearer"})
}

fn exchange(verifier: Option<&str>) -> (Box<dyn Connect>, Call) {
    let mut connect = TikTok.connect(&app(), grant(verifier));
    let call = sent(connect.next(None));
    (connect, call)
}

#[test]
fn exchange_is_exact() {
    let (_, call) = exchange(None);
    assert_eq!(
        (call.name, call.repeat),
        ("tiktok.token.exchange", Repeat::Once)
    );
    assert_eq!(call.request.method(), "POST");
    assert_eq!(
        call.request.uri(),
        "https://open.tiktokapis.com/v2/oauth/token/"
    );
    assert_eq!(
        call.request.headers()[CONTENT_TYPE],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(call.request.headers()["cache-control"], "no-cache");
    assert!(!call.request.headers().contains_key(AUTHORIZATION));
    let body = "client_key=awexample0001&client_secret=tt-client-secret-example&grant_type=authorization_code&code=AbCd*0%216410.e1&redirect_uri=https%3A%2F%2Fapp.example.com%2Foauth%2Ftiktok";
    assert_eq!(call.request.body(), body);
    let (_, call) = exchange(Some(VERIFIER));
    assert_eq!(
        call.request.body(),
        &format!("{body}&code_verifier={VERIFIER}")
    );
}

#[test]
fn connecting_asks_only_for_granted_fields() {
    let fields = "https://open.tiktokapis.com/v2/user/info/?fields=open_id,union_id,display_name";
    for (scope, url) in [
        ("user.info.basic,video.list", fields.to_owned()),
        (
            "user.info.basic, user.info.profile",
            format!("{fields},username,profile_deep_link"),
        ),
        (
            "user.info.basic user.info.profile",
            format!("{fields},username,profile_deep_link"),
        ),
    ] {
        let (mut connect, _) = exchange(None);
        let answer = reply(200, tokens(scope).to_string());
        let call = sent(connect.next(Some(answer.answer())));
        assert_eq!(call.repeat, Repeat::Repeatable);
        assert_eq!(call.request.method(), "GET");
        assert_eq!(call.request.uri().to_string(), url);
        assert_eq!(
            call.request.headers()[AUTHORIZATION],
            "Bearer act.example12345!4518.e1"
        );
        assert!(call.request.headers()[AUTHORIZATION].is_sensitive());
    }
}

#[test]
fn connected() {
    let (mut connect, _) = exchange(None);
    let answer = reply(200, tokens("user.info.basic,user.info.profile").to_string());
    sent(connect.next(Some(answer.answer())));
    let user = good(
        json!({"user": {"open_id": "-000InventedOpenId", "union_id": "u-1", "display_name": "Mara",
        "username": "mara.cooks", "profile_deep_link": "https://vm.tiktok.com/x"}}),
    );
    let Linked { account, bundle } = linked(connect.next(Some(user.answer())));
    assert_eq!(account.id, "-000InventedOpenId");
    assert_eq!(account.display_name, "Mara");
    assert_eq!(account.username.as_deref(), Some("mara.cooks"));
    assert_eq!(
        account.profile_url.as_deref(),
        Some("https://vm.tiktok.com/x")
    );
    assert_eq!(account.other_ids["union_id"], "u-1");
    assert_eq!(bundle.access_token.expose(), "act.example12345!4518.e1");
    assert_eq!(
        bundle.refresh_token.unwrap().expose(),
        "rft.example67890!4518.e1"
    );
    assert_eq!(bundle.expires_at, Some(T0.plus_secs(7_200)));
    assert_eq!(bundle.refresh_expires_at, Some(T0.plus_secs(15_552_000)));
    assert_eq!(bundle.scopes, ["user.info.basic", "user.info.profile"]);
    // The machine has ended.
    failed(connect.next(None));
}

/// RFC 6749 §5.1: an answer without scopes granted what was asked.
#[test]
fn an_answer_without_scopes_granted_what_was_asked() {
    for absent in [json!(null), json!(""), json!(7)] {
        let (mut connect, _) = exchange(None);
        let mut body = tokens("");
        body["scope"] = absent;
        sent(connect.next(Some(reply(200, body.to_string()).answer())));
        let user = good(json!({"user": {"open_id": "-000InventedOpenId"}}));
        let Linked { bundle, .. } = linked(connect.next(Some(user.answer())));
        assert_eq!(bundle.scopes, ["user.info.basic", "video.upload"]);
    }
}

#[test]
fn without_the_basic_scope_the_id_is_enough() {
    let (mut connect, _) = exchange(None);
    let answer = reply(200, tokens("video.list").to_string());
    let Linked { account, .. } = linked(connect.next(Some(answer.answer())));
    assert_eq!(
        (account.id.as_str(), account.display_name.as_str()),
        ("-000InventedOpenId", "")
    );
}

#[test]
fn identity_is_asked_twice_and_must_agree() {
    let ask = |scope: &str| {
        let (mut connect, _) = exchange(None);
        let answer = reply(200, tokens(scope).to_string());
        sent(connect.next(Some(answer.answer())));
        connect
    };
    let both = "user.info.basic,user.info.profile";
    let user = good(json!({"user": {"open_id": "-000InventedOpenId", "display_name": "Mara"}}));

    let mut connect = ask(both);
    let again = sent(connect.next(Some(reply(502, "<html>").answer())));
    assert!(again.request.uri().query().unwrap().contains("username"));
    linked(connect.next(Some(user.answer())));

    let mut connect = ask(both);
    let again = sent(connect.next(Some(refusal(400, "scope_permission_missed").answer())));
    assert_eq!(
        again.request.uri().query(),
        Some("fields=open_id,union_id,display_name")
    );
    let fault = failed(connect.next(Some(refusal(500, "internal_error").answer())));
    assert_eq!(fault.kind, FaultKind::PlatformDown);

    let mut connect = ask(both);
    let fault = failed(connect.next(Some(refusal(429, "rate_limit_exceeded").answer())));
    assert_eq!(fault.kind, FaultKind::RateLimited);

    let mut connect = ask(both);
    let other = good(json!({"user": {"open_id": "somebody-else", "display_name": "Mallory"}}));
    assert_eq!(
        failed(connect.next(Some(other.answer()))).kind,
        FaultKind::OurBug
    );
}

#[test]
fn the_body_decides_about_the_exchange() {
    for (status, body, kind, names) in [
        (
            200,
            json!({"error": "invalid_grant", "error_description": "Authorization code is expired.", "log_id": "1"}),
            FaultKind::ReauthNeeded,
            "Start connecting again",
        ),
        (
            400,
            json!({"error": "invalid_grant", "error_description": "Redirect_uri is not matched with the uri when requesting code."}),
            FaultKind::AppRefused,
            "`redirect_uri`",
        ),
        (
            400,
            json!({"error": "invalid_grant", "error_description": "redirect_uri mismatch"}),
            FaultKind::AppRefused,
            "`redirect_uri`",
        ),
        (
            400,
            json!({"error": "invalid_request", "error_description": "Redirect_uri is not matched with the uri when requesting code."}),
            FaultKind::AppRefused,
            "`redirect_uri`",
        ),
        // Words that blame the code as well, or something else, leave `invalid_grant` its meaning.
        (
            400,
            json!({"error": "invalid_grant", "error_description": "The code is invalid, expired or does not match the redirect_uri."}),
            FaultKind::ReauthNeeded,
            "Start connecting again",
        ),
        (
            400,
            json!({"error": "invalid_grant", "error_description": "Redirect URI does not match, or the grant has expired"}),
            FaultKind::ReauthNeeded,
            "Start connecting again",
        ),
        (
            400,
            json!({"error": "invalid_grant", "error_description": "Code verifier or code challenge is invalid."}),
            FaultKind::ReauthNeeded,
            "Start connecting again",
        ),
        (
            400,
            json!({"error": "invalid_grant", "error_description": "code_verifier mismatch"}),
            FaultKind::ReauthNeeded,
            "Start connecting again",
        ),
        (
            400,
            json!({"error": "invalid_grant", "error_description": "Issued to another client_key."}),
            FaultKind::ReauthNeeded,
            "Start connecting again",
        ),
        (
            400,
            json!({"error": "invalid_request", "error_description": "Code verifier or code challenge is invalid."}),
            FaultKind::AppRefused,
            "`pkce`",
        ),
        (
            400,
            json!({"error": "invalid_request", "error_description": "Client key or secret is incorrect."}),
            FaultKind::AppRefused,
            "`client_key`",
        ),
        (200, json!({"open_id": "x"}), FaultKind::OurBug, ""),
        (200, json!({"access_token": ""}), FaultKind::OurBug, ""),
        (429, json!({}), FaultKind::RateLimited, ""),
        (403, json!({}), FaultKind::AppRefused, ""),
    ] {
        let (mut connect, _) = exchange(None);
        let fault = failed(connect.next(Some(reply(status, body.to_string()).answer())));
        assert_eq!(fault.kind, kind, "{body}");
        assert!(fault.explain().contains(names), "{}", fault.explain());
    }
    // An access token means success, whatever the status says.
    let (mut connect, _) = exchange(None);
    let answer = reply(500, tokens("user.info.basic").to_string());
    sent(connect.next(Some(answer.answer())));
}
