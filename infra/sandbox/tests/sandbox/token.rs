//! Exchange, refresh, revoke.

use serde_json::json;
use url::Url;

use crate::authorize::params;
use crate::rig::{AUDITED, KEY, Pairs, Rig, SECRET, VERIFIER, WEB, header, text};

const TOKEN: &str = "/v2/oauth/token/";
const LOOP: &str = "http://127.0.0.1:3455/callback/";

async fn code(rig: &Rig, redirect: &str) -> String {
    let form = [
        ("decision", "approve"),
        ("user", "mara"),
        ("scope", "video.publish"),
    ];
    let url: Url = rig.decide(&params(redirect, &[]), &form).await;
    let code = url.query_pairs().find(|(key, _)| key == "code").unwrap();
    code.1.into_owned()
}

fn exchange<'a>(code: &'a str, with: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![
        ("client_key", KEY),
        ("client_secret", SECRET),
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", LOOP),
        ("code_verifier", VERIFIER),
    ];
    for (key, value) in with {
        form.retain(|(name, _)| name != key);
        if !value.is_empty() {
            form.push((key, value));
        }
    }
    form
}

#[tokio::test]
async fn a_code_is_exchanged_once() {
    let rig = Rig::start().await;
    let code = code(&rig, LOOP).await;
    assert!(code.contains('*') && code.contains('!'));
    let answer = rig.form(TOKEN, &exchange(&code, &[]), 200).await;
    assert_eq!(answer["scope"], "user.info.basic,video.publish");
    assert_eq!(answer["expires_in"], 7200);
    assert_eq!(answer["refresh_expires_in"], 15_552_000);
    assert_eq!(answer["token_type"], "Bearer");
    assert!(text(&answer["access_token"]).starts_with("act."));
    assert!(answer.get("data").is_none());
    let again = rig.form(TOKEN, &exchange(&code, &[]), 400).await;
    assert_eq!(again["error"], "invalid_grant");
    assert_eq!(text(&again["log_id"]).len(), 34);
}

#[tokio::test]
async fn a_wrong_exchange_is_refused() {
    let rig = Rig::start().await;
    let other = "x".repeat(43);
    let cases: &[(Pairs<'_>, u16, &str)] = &[
        (&[("code", "unknown*!")], 400, "invalid_grant"),
        (
            &[("redirect_uri", "http://127.0.0.1:3456/callback/")],
            400,
            "invalid_grant",
        ),
        (&[("code_verifier", &other)], 400, "invalid_grant"),
        (&[("code_verifier", "short")], 400, "invalid_grant"),
        (&[("code_verifier", "")], 400, "invalid_request"),
        (&[("client_secret", "wrong")], 401, "invalid_client"),
        (&[("client_key", AUDITED)], 400, "invalid_grant"),
        (&[("client_key", "")], 400, "invalid_request"),
        (&[("redirect_uri", "")], 400, "invalid_request"),
        (&[("grant_type", "password")], 400, "unsupported_grant_type"),
        (&[("grant_type", "")], 400, "invalid_request"),
    ];
    for (with, status, error) in cases {
        let code = code(&rig, LOOP).await;
        let answer = rig.form(TOKEN, &exchange(&code, with), *status).await;
        assert_eq!(answer["error"], *error, "{with:?}");
    }
    // A web redirect needs no PKCE; an expired code is dead; JSON is not read.
    let web = [("redirect_uri", WEB), ("code_verifier", "")];
    rig.form(TOKEN, &exchange(&code(&rig, WEB).await, &web), 200)
        .await;
    let late = code(&rig, LOOP).await;
    rig.advance(600).await;
    rig.form(TOKEN, &exchange(&late, &[]), 400).await;
    let url = rig.url("/open/v2/oauth/token/");
    let json = rig
        .http
        .post(&url)
        .header("Content-Type", "application/json");
    let answer = json.body("{}").send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let no_slash = rig.http.post(url.trim_end_matches('/')).send().await;
    assert_eq!(no_slash.unwrap().status(), 404);
}

#[tokio::test]
async fn refresh_rotates_strictly() {
    let rig = Rig::start().await;
    let first = rig.grant(KEY, "mara").await;
    let old = text(&first["refresh_token"]);
    let second = rig.refresh(&old, 200).await;
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_eq!(rig.refresh(&old, 400).await["error"], "invalid_grant");
    // The access token given before lives on until it expires.
    for token in [&first["access_token"], &second["access_token"]] {
        rig.post(&text(token), "/creator_info/query/", &json!({}), 200)
            .await;
    }
    rig.advance(7200).await;
    let dead = text(&second["access_token"]);
    let answer = rig
        .post(&dead, "/creator_info/query/", &json!({}), 401)
        .await;
    assert_eq!(answer["error"]["code"], "access_token_invalid");
    rig.advance(15_552_000 - 7200).await;
    rig.refresh(&text(&second["refresh_token"]), 400).await;
    let state = rig.control("/state", json!(null)).await;
    assert_eq!(state["grants"][0]["refresh"][0]["presented"], 2);
    assert_eq!(state["grants"][0]["generation"], 1);
    let log = rig
        .control("/requests?endpoint=token_refresh", json!(null))
        .await;
    assert_eq!(log["counts"]["token_refresh"], 3);
    assert_eq!(log["requests"][0]["fields"]["open_id"], first["open_id"]);
}

#[tokio::test]
async fn token_knobs() {
    let rig = Rig::start().await;
    rig.settings(json!({"rotation": "none", "oauth_errors_http200": true,
        "access_token_seconds": 86_400, "refresh_token_seconds": 31_536_000}))
        .await;
    let first = rig.grant(KEY, "mara").await;
    assert_eq!(first["expires_in"], 86_400);
    let second = rig.refresh(&text(&first["refresh_token"]), 200).await;
    assert_eq!(second["refresh_token"], first["refresh_token"]);
    assert_ne!(second["access_token"], first["access_token"]);
    assert_eq!(
        rig.refresh("rft.unknown", 200).await["error"],
        "invalid_grant"
    );
    let id = first["grant_id"].as_u64().unwrap();
    rig.control(&format!("/grants/{id}/expire"), json!({"access": true}))
        .await;
    let token = text(&second["access_token"]);
    rig.post(&token, "/creator_info/query/", &json!({}), 401)
        .await;
}

#[tokio::test]
async fn revoke_disconnects_the_app() {
    let rig = Rig::start().await;
    let (one, two) = (rig.grant(KEY, "mara").await, rig.grant(KEY, "mara").await);
    let access = text(&one["access_token"]);
    let form = [
        ("client_key", KEY),
        ("client_secret", SECRET),
        ("token", access.as_str()),
    ];
    assert_eq!(rig.form("/v2/oauth/revoke/", &form, 200).await, json!({}));
    rig.refresh(&text(&two["refresh_token"]), 400).await;
    let seen = rig.control("/webhooks", json!(null)).await;
    let delivery = &seen["deliveries"][0];
    assert_eq!(delivery["event"], "authorization.removed");
    assert_eq!(delivery["state"], "no_url");
    assert!(text(&delivery["body"]).ends_with(r#""content":"{\"reason\":5}"}"#));
    rig.form("/v2/oauth/revoke/", &form, 400).await;
    rig.settings(json!({"revoke_body": "empty"})).await;
    let access = rig.access(KEY, "mara").await;
    let form = [
        ("client_key", KEY),
        ("client_secret", SECRET),
        ("token", access.as_str()),
    ];
    let answer = rig.send_form("/v2/oauth/revoke/", &form).await.unwrap();
    assert_eq!(header(&answer, "content-length"), "0");
}
