//! Kinds of apps: the portal's sandbox, and the app's own token.

use serde_json::{Value, json};

use crate::rig::{KEY, Rig, SECRET, text};

fn app(patch: Value) -> Value {
    let mut app = json!({"client_key": "awsandbox0001", "client_secret": SECRET, "sandbox": true,
        "web_redirect_uris": [crate::rig::WEB], "target_users": ["mara"]});
    for (key, value) in patch.as_object().unwrap() {
        app[key] = value.clone();
    }
    app
}

#[tokio::test]
async fn the_portal_keeps_its_rules() {
    let rig = Rig::start().await;
    let names = |count: usize| (0..count).map(|n| format!("u{n}")).collect::<Vec<_>>();
    let cases = [
        (json!({}), 200),
        (json!({"target_users": names(10)}), 200),
        (json!({"target_users": names(11)}), 400),
        (json!({"sandbox": false}), 400),
        (json!({"sandbox": false, "target_users": []}), 200),
        (json!({"verified_domains": ["media.example.org"]}), 200),
        (
            json!({"verified_domains": ["https://media.example.org"]}),
            400,
        ),
        (json!({"verified_domains": ["Media.example.org"]}), 400),
        (json!({"verified_domains": ["192.0.2.1"]}), 400),
        (json!({"verified_domains": ["org"]}), 400),
        (
            json!({"verified_url_prefixes": ["https://media.example.org/a/"]}),
            200,
        ),
        (
            json!({"verified_url_prefixes": ["http://media.example.org/a/"]}),
            400,
        ),
        (
            json!({"verified_url_prefixes": ["https://192.0.2.1/a/"]}),
            400,
        ),
        (
            json!({"verified_url_prefixes": ["https://media.example.org/?a="]}),
            400,
        ),
        (json!({"verified_prefixes": []}), 400),
    ];
    for (patch, status) in cases {
        let got = rig.control_status("/apps", &app(patch.clone())).await;
        assert_eq!(got, status, "{patch}");
    }
}

#[tokio::test]
async fn a_sandbox_app_knows_its_target_users_and_no_public_post() {
    let rig = Rig::start().await;
    // Whatever its audit says.
    rig.control("/apps", app(json!({"audited": true}))).await;
    let key = "awsandbox0001";
    let asked = json!({"client_key": key, "user": "joris"});
    assert_eq!(rig.control_status("/grants", &asked).await, 400);
    let page = format!(
        "/www/v2/auth/authorize/?client_key={key}&response_type=code&scope=user.info.basic\
         &redirect_uri=https%3A%2F%2Fapp.example.com%2Foauth%2Ftiktok&state=s"
    );
    let seen = rig.http.get(rig.url(&page)).send().await.unwrap();
    let seen = seen.text().await.unwrap();
    assert!(seen.contains("@mara") && !seen.contains("@joris"));
    for (user, status) in [("joris", 400), ("mara", 302)] {
        let form = crate::rig::query(&[("decision", "approve"), ("user", user)]);
        let answer = rig.http.post(rig.url(&page)).body(form).send().await;
        assert_eq!(answer.unwrap().status(), status, "{user}");
    }
    let token = rig.access(key, "mara").await;
    let limited = "unaudited_client_can_only_post_to_private_accounts";
    for (private, privacy, status, code) in [
        (true, "SELF_ONLY", 200, "ok"),
        (true, "FOLLOWER_OF_CREATOR", 403, limited),
        (false, "SELF_ONLY", 403, limited),
        (false, "PUBLIC_TO_EVERYONE", 403, limited),
    ] {
        rig.control("/users/mara", json!({"private": private}))
            .await;
        let body = json!({"post_info": {"privacy_level": privacy, "brand_content_toggle": false},
            "source_info": {"source": "FILE_UPLOAD", "video_size": 9, "chunk_size": 9,
                "total_chunk_count": 1}});
        let answer = rig.post(&token, "/video/init/", &body, status).await;
        assert_eq!(answer["error"]["code"], code, "{private} {privacy}");
    }
    // Somebody who has agreed before is not asked again, while a target user.
    let skip = format!("{page}&disable_auto_auth=0");
    let visit = async || {
        let visit = rig.http.get(rig.url(&skip));
        let visit = visit.header("Cookie", "tiktok_session=mara").send().await;
        visit.unwrap().status().as_u16()
    };
    assert_eq!(visit().await, 302);
    // A sandbox without target users lets nobody in.
    rig.control(&format!("/apps/{key}"), json!({"target_users": []}))
        .await;
    let asked = json!({"client_key": key, "user": "mara"});
    assert_eq!(rig.control_status("/grants", &asked).await, 400);
    assert_eq!(visit().await, 200, "the consent page, with nobody on it");
}

#[tokio::test]
async fn a_sandbox_posts_are_never_made_public() {
    let rig = Rig::start().await;
    rig.settings(json!({"processing_ms": 0})).await;
    rig.control("/apps", app(json!({}))).await;
    for (key, status) in [("awsandbox0001", 400), (KEY, 200)] {
        rig.control("/users/mara", json!({"private": true})).await;
        let token = rig.access(key, "mara").await;
        let body = json!({"post_info": {"privacy_level": "SELF_ONLY", "brand_content_toggle":
            false}, "source_info": {"source": "FILE_UPLOAD", "video_size": 9, "chunk_size": 9,
                "total_chunk_count": 1}});
        let data = rig.post(&token, "/video/init/", &body, 200).await["data"].clone();
        rig.put(
            &text(&data["upload_url"]),
            "bytes 0-8/9",
            crate::rig::clip(9),
        )
        .await;
        let id = text(&data["publish_id"]);
        rig.publish(&id, |one| one["status"] == "PUBLISH_COMPLETE")
            .await;
        let path = format!("/publishes/{id}/make_public");
        let private = rig.control_status(&path, &json!({})).await;
        assert_eq!(private, 400, "the account is private");
        rig.control("/users/mara", json!({"private": false})).await;
        assert_eq!(rig.control_status(&path, &json!({})).await, status, "{key}");
    }
}

#[tokio::test]
async fn every_refresh_of_an_app_may_fail() {
    let rig = Rig::start().await;
    let path = format!("/apps/{KEY}");
    rig.control(&path, json!({"refresh_always_fails": true}))
        .await;
    let grant = rig.grant(KEY, "mara").await;
    let token = text(&grant["refresh_token"]);
    for _ in 0..2 {
        assert_eq!(rig.refresh(&token, 400).await["error"], "invalid_grant");
    }
    rig.control(&path, json!({"refresh_always_fails": false}))
        .await;
    let fresh = rig.refresh(&token, 200).await;
    assert_ne!(fresh["refresh_token"], grant["refresh_token"]);
}

#[tokio::test]
async fn an_app_gets_a_token_that_opens_nothing_here() {
    let rig = Rig::start().await;
    let form = |secret: &'static str| {
        [
            ("client_key", KEY),
            ("client_secret", secret),
            ("grant_type", "client_credentials"),
        ]
    };
    let answer = rig.form("/v2/oauth/token/", &form(SECRET), 200).await;
    let token = text(&answer["access_token"]);
    assert!(token.starts_with("clt."));
    assert_eq!(
        (&answer["expires_in"], &answer["token_type"]),
        (&json!(7200), &json!("Bearer"))
    );
    assert!(answer.get("refresh_token").is_none());
    let refused = rig.user_info(&token, "open_id", 401).await;
    assert_eq!(refused["error"]["code"], "access_token_invalid");
    let wrong = rig.form("/v2/oauth/token/", &form("wrong"), 401).await;
    assert_eq!(wrong["error"], "invalid_client");
    let secrets = rig.control("/secrets", Value::Null).await.to_string();
    assert!(secrets.contains(&token));
}

/// What an app sends of a token of its own.
fn own<'a>(key: &'a str, token: &'a str, value: &'a str) -> [(&'a str, &'a str); 4] {
    let secret = ("client_secret", SECRET);
    [
        ("client_key", key),
        secret,
        ("grant_type", "refresh_token"),
        (token, value),
    ]
}

#[tokio::test]
async fn tokens_are_good_with_the_client_that_they_were_given_to() {
    let rig = Rig::start().await;
    rig.control("/apps", app(json!({}))).await;
    let sandbox = "awsandbox0001";
    let grant = rig.grant(sandbox, "mara").await;
    let (access, refresh) = (text(&grant["access_token"]), text(&grant["refresh_token"]));
    let (renew, end) = ("/v2/oauth/token/", "/v2/oauth/revoke/");
    let sent = own(KEY, "refresh_token", &refresh);
    assert_eq!(rig.form(renew, &sent, 400).await["error"], "invalid_grant");
    let sent = own(KEY, "token", &access);
    assert_eq!(rig.form(end, &sent, 400).await["error"], "invalid_request");
    rig.user_info(&access, "open_id", 200).await;
    let sent = own(sandbox, "refresh_token", &refresh);
    let access = text(&rig.form(renew, &sent, 200).await["access_token"]);
    rig.form(end, &own(sandbox, "token", &access), 200).await;

    // An id of a person is each app's own, unless the stand-in is told otherwise.
    let id = async |key: &str| text(&rig.grant(key, "mara").await["open_id"]);
    assert_ne!(id(KEY).await, id(sandbox).await);
    rig.settings(json!({"shared_open_ids": true})).await;
    assert_eq!(id(KEY).await, id(sandbox).await);
}
