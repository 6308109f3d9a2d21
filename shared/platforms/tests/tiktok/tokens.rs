//! Refresh and revocation.

use domain::{FaultKind, Secret};
use platforms::tiktok::TikTok;
use platforms::{Refresh, Repeat, Revoke};
use serde_json::json;

use crate::support::{T0, app, bundle, refusal, reply};

#[test]
fn refresh_is_exact() {
    let call = Refresh::request(&TikTok, &app(), &bundle(&[])).unwrap();
    assert_eq!(
        (call.name, call.repeat),
        ("tiktok.token.refresh", Repeat::Once)
    );
    assert_eq!(call.request.method(), "POST");
    assert_eq!(
        call.request.uri(),
        "https://open.tiktokapis.com/v2/oauth/token/"
    );
    assert_eq!(
        call.request.headers()["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(
        call.request.body(),
        "client_key=awexample0001&client_secret=tt-client-secret-example&grant_type=refresh_token&refresh_token=rft.old"
    );
    for nothing in [None, Some(Secret::new(""))] {
        let mut bundle = bundle(&[]);
        bundle.refresh_token = nothing;
        let fault = Refresh::request(&TikTok, &app(), &bundle).unwrap_err();
        assert_eq!(fault.kind, FaultKind::ReauthNeeded);
    }
}

#[test]
fn what_a_refresh_leaves_out_is_kept() {
    let old = bundle(&["user.info.basic"]);
    // (body, refresh token, expires in, refresh expires in, scopes)
    for (body, refresh, expires, refresh_expires, scopes) in [
        (
            json!({"access_token": "act.new", "refresh_token": "rft.new", "expires_in": 86_400,
                "refresh_expires_in": 31_536_000, "scope": "user.info.basic,video.list"}),
            "rft.new",
            Some(86_400),
            31_536_000,
            "user.info.basic,video.list",
        ),
        (
            json!({"access_token": "act.new", "refresh_token": "", "expires_in": 7_200}),
            "rft.old",
            Some(7_200),
            1_000,
            "user.info.basic",
        ),
        (
            json!({"access_token": "act.new", "expires_in": "7200", "scope": ""}),
            "rft.old",
            Some(7_200),
            1_000,
            "user.info.basic",
        ),
        (
            json!({"access_token": "act.new", "refresh_token": " "}),
            "rft.old",
            None,
            1_000,
            "user.info.basic",
        ),
        (
            json!({"access_token": "act.new", "refresh_token": null}),
            "rft.old",
            None,
            1_000,
            "user.info.basic",
        ),
    ] {
        let read = Refresh::read(&TikTok, reply(200, body.to_string()).answer(), &old).unwrap();
        assert_eq!(read.access_token.expose(), "act.new");
        assert_eq!(read.refresh_token.unwrap().expose(), refresh, "{body}");
        assert_eq!(read.expires_at, expires.map(|secs: i64| T0.plus_secs(secs)));
        assert_eq!(read.refresh_expires_at, Some(T0.plus_secs(refresh_expires)));
        assert_eq!(read.scopes.join(","), scopes);
    }
}

#[test]
fn no_grant_is_dead_by_the_word_of_a_server_in_trouble() {
    let dead = r#"{"error":"invalid_grant","error_description":"","log_id":"1"}"#;
    for (status, kind) in [
        (200, FaultKind::ReauthNeeded),
        (400, FaultKind::ReauthNeeded),
        (500, FaultKind::PlatformDown),
        (503, FaultKind::PlatformDown),
    ] {
        let read = Refresh::read(&TikTok, reply(status, dead).answer(), &bundle(&[]));
        assert_eq!(read.unwrap_err().kind, kind, "{status}");
    }
}

#[test]
fn the_policy_fits_its_own_rules() {
    let policy = TikTok.policy();
    assert!(policy.rotates && policy.grace.is_none());
    assert!(policy.timeout * 3 < policy.lease);
    // A refresh token of 180 days never gets to its end unused.
    assert!(policy.idle_at_most.as_secs() < 150 * 86_400);
}

#[test]
fn revoke_is_exact() {
    let call = Revoke::request(&TikTok, &app(), &bundle(&[])).unwrap();
    assert_eq!(
        (call.name, call.repeat),
        ("tiktok.token.revoke", Repeat::Repeatable)
    );
    assert_eq!(call.request.method(), "POST");
    assert_eq!(
        call.request.uri(),
        "https://open.tiktokapis.com/v2/oauth/revoke/"
    );
    assert_eq!(
        call.request.body(),
        "client_key=awexample0001&client_secret=tt-client-secret-example&token=act.old"
    );
}

#[test]
fn revoked_is_empty_or_an_empty_object_or_already_gone() {
    for answer in [
        reply(200, ""),
        reply(200, "{}"),
        reply(204, ""),
        refusal(200, "ok"),
        reply(200, r#"{"error":"invalid_grant"}"#),
        reply(400, r#"{"error":"invalid_grant"}"#),
        refusal(401, "access_token_invalid"),
    ] {
        assert_eq!(Revoke::read(&TikTok, answer.answer()), Ok(()));
    }
    for (answer, kind) in [
        (
            reply(200, r#"{"error":"invalid_client"}"#),
            FaultKind::AppRefused,
        ),
        (reply(503, ""), FaultKind::PlatformDown),
        (reply(400, ""), FaultKind::OurBug),
    ] {
        assert_eq!(
            Revoke::read(&TikTok, answer.answer()).unwrap_err().kind,
            kind
        );
    }
}
