//! Inits and status.

use serde_json::{Value, json};

use crate::rig::{AUDITED, KEY, Rig, clip, text};

const DIRECT: &str = "/video/init/";
const INBOX: &str = "/inbox/video/init/";

fn file(size: u64, chunk: u64, count: u64) -> Value {
    json!({"source": "FILE_UPLOAD", "video_size": size, "chunk_size": chunk,
        "total_chunk_count": count})
}

fn direct(privacy: &str) -> Value {
    json!({"post_info": {"privacy_level": privacy, "title": "Soup",
        "brand_content_toggle": false},
        "source_info": file(4_000_000, 4_000_000, 1)})
}

#[tokio::test]
async fn chunk_plans() {
    let rig = Rig::start().await;
    rig.settings(json!({"inits_per_minute": 1000, "pending_shares_max": 1000}))
        .await;
    let token = rig.access(KEY, "mara").await;
    let both = ["decimal", "binary", "either", "both"];
    let decimal = ["decimal", "either"];
    let binary = ["binary", "either"];
    // size, chunk size, count, the readings that take it
    let cases: &[(u64, u64, u64, &[&str])] = &[
        (4_000_000, 4_000_000, 1, &both),
        (50_000_123, 10_000_000, 5, &both),
        (150_000_000, 64_000_000, 2, &both),
        (64_000_000, 64_000_000, 1, &both),
        (64_000_001, 32_000_000, 2, &both),
        (50_000_123, 50_000_123, 1, &both),
        (50_000_123, 10_000_000, 6, &[]),
        (50_000_123, 10_000_000, 4, &[]),
        (4_000_000, 2_000_000, 2, &[]),
        (4_000_000, 5_000_000, 0, &[]),
        (0, 0, 1, &[]),
        (50_000_123, 4_000_000, 12, &[]),
        (150_000_000, 75_000_000, 2, &[]),
        (4_500_000_000, 64_000_000, 70, &[]),
        (4_194_304, 4_194_304, 1, &both),
        // Where the readings part.
        (64_000_001, 64_000_000, 1, &binary),
        (64_000_001, 64_000_001, 1, &binary),
        (134_000_000, 67_000_000, 2, &binary),
        (50_000_000, 5_000_000, 10, &decimal),
        (5_100_000, 5_100_000, 1, &both),
        (4_294_967_296, 64_000_000, 67, &binary),
    ];
    for reading in both {
        rig.settings(json!({ "megabyte": reading })).await;
        for (size, chunk, count, takes) in cases {
            let body = json!({ "source_info": file(*size, *chunk, *count) });
            let taken = takes.contains(&reading);
            let status = if taken { 200 } else { 400 };
            let answer = rig.post(&token, INBOX, &body, status).await;
            let code = if taken { "ok" } else { "invalid_param" };
            assert_eq!(answer["error"]["code"], code, "{size} {chunk} {count}");
        }
    }
}

#[tokio::test]
async fn direct_posts_are_checked() {
    let rig = Rig::start().await;
    rig.settings(json!({"inits_per_minute": 1000})).await;
    let token = rig.access(AUDITED, "joris").await;
    let with = |key: &str, value: Value| {
        let mut body = direct("PUBLIC_TO_EVERYONE");
        body["post_info"][key] = value;
        body
    };
    let url = |url: &str| {
        let mut body = direct("SELF_ONLY");
        body["source_info"] = json!({"source": "PULL_FROM_URL", "video_url": url});
        body
    };
    let mismatch = "privacy_level_option_mismatch";
    let cases = [
        (with("unknown_field", json!(1)), 200, "ok"),
        (with("privacy_level", Value::Null), 403, mismatch),
        (
            with("privacy_level", json!("FOLLOWER_OF_CREATOR")),
            403,
            mismatch,
        ),
        (with("privacy_level", json!("EVERYBODY")), 403, mismatch),
        // 1100 characters of two UTF-16 units each.
        (with("title", json!("🍲".repeat(1100))), 200, "ok"),
        (
            with("title", json!("🍲".repeat(1100) + "!")),
            400,
            "invalid_param",
        ),
        (with("title", json!(7)), 400, "invalid_param"),
        (with("disable_duet", json!("no")), 400, "invalid_param"),
        (
            with("brand_content_toggle", Value::Null),
            400,
            "invalid_param",
        ),
        (json!({"source_info": file(1, 1, 1)}), 400, "invalid_param"),
        (
            json!({"post_info": {"privacy_level": "SELF_ONLY", "brand_content_toggle": false}}),
            400,
            "invalid_param",
        ),
        (
            url("https://other.example.com/a/1.mp4"),
            403,
            "url_ownership_unverified",
        ),
        (
            url("http://media.example.com/a/1.mp4"),
            400,
            "invalid_param",
        ),
        (url("https://192.0.2.1/a/1.mp4"), 400, "invalid_param"),
        (url("https://media.example.com/a/1.mp4"), 200, "ok"),
        (json!([]), 400, "invalid_param"),
    ];
    for (body, status, code) in cases {
        let answer = rig.post(&token, DIRECT, &body, status).await;
        assert_eq!(answer["error"]["code"], code, "{body}");
    }
    rig.settings(json!({"posting_param_error": "invalid_params"}))
        .await;
    let answer = rig.post(&token, DIRECT, &json!({}), 400).await;
    assert_eq!(answer["error"]["code"], "invalid_params");
    let plain = rig.http.post(rig.url("/open/v2/post/publish/video/init/"));
    let plain = plain.header("Authorization", format!("Bearer {token}"));
    assert_eq!(plain.body("{}").send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn unaudited_apps_post_to_private_accounts_alone() {
    let rig = Rig::start().await;
    let (mara, joris) = (
        rig.access(KEY, "mara").await,
        rig.access(KEY, "joris").await,
    );
    let unaudited = "unaudited_client_can_only_post_to_private_accounts";
    let cases = [
        (&mara, "SELF_ONLY", 200, "ok"),
        (&mara, "MUTUAL_FOLLOW_FRIENDS", 403, unaudited),
        (
            &mara,
            "PUBLIC_TO_EVERYONE",
            403,
            "privacy_level_option_mismatch",
        ),
        (&joris, "SELF_ONLY", 403, unaudited),
        (&joris, "PUBLIC_TO_EVERYONE", 403, unaudited),
    ];
    for (token, privacy, status, code) in cases {
        let answer = rig.post(token, DIRECT, &direct(privacy), status).await;
        assert_eq!(answer["error"]["code"], code, "{privacy}");
    }
}

#[tokio::test]
async fn scopes_and_limits() {
    let rig = Rig::start().await;
    let asked = json!({"client_key": AUDITED, "user": "joris", "scopes": ["video.upload"]});
    let draft = text(&rig.control("/grants", asked).await["access_token"]);
    let answer = rig.post(&draft, DIRECT, &direct("SELF_ONLY"), 401).await;
    assert_eq!(answer["error"]["code"], "scope_not_authorized");
    // Five drafts may wait; the sixth is refused until one is posted or discarded.
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(rig.inbox(&draft, 9, 9).await);
    }
    let body = json!({ "source_info": file(9, 9, 1) });
    let answer = rig.post(&draft, INBOX, &body, 403).await;
    assert_eq!(answer["error"]["code"], "spam_risk_too_many_pending_share");
    // Seventh call in the minute.
    let answer = rig.post(&draft, INBOX, &body, 429).await;
    assert_eq!(answer["error"]["code"], "rate_limit_exceeded");
    rig.advance(60).await;
    let (id, url) = &ids[0];
    assert_eq!(rig.put(url, "bytes 0-8/9", clip(9)).await.status(), 201);
    rig.publish(id, |one| one["status"] == "SEND_TO_USER_INBOX")
        .await;
    rig.post(&draft, INBOX, &body, 403).await;
    rig.control(&format!("/publishes/{id}/discard"), json!({}))
        .await;
    rig.post(&draft, INBOX, &body, 200).await;
    rig.advance(24 * 3600).await;
    let draft = rig.access(AUDITED, "joris").await;
    rig.post(&draft, INBOX, &body, 200).await;
}

#[tokio::test]
async fn status_is_for_its_owner() {
    let rig = Rig::start().await;
    let (mara, joris) = (
        rig.access(AUDITED, "mara").await,
        rig.access(AUDITED, "joris").await,
    );
    let (id, _) = rig.inbox(&mara, 9, 9).await;
    assert!(id.starts_with("v_inbox_file~v2.") && id.len() <= 64);
    let fetch = "/status/fetch/";
    let ask = json!({ "publish_id": id });
    let answer = rig.post(&joris, fetch, &ask, 400).await;
    let code = "token_not_authorized_for_specified_publish_id";
    assert_eq!(answer["error"]["code"], code);
    let answer = rig
        .post(&mara, fetch, &json!({"publish_id": "v_x"}), 400)
        .await;
    assert_eq!(answer["error"]["code"], "invalid_publish_id");
    rig.post(&mara, fetch, &json!({}), 400).await;
    for _ in 0..28 {
        let expect = json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0});
        assert_eq!(rig.status(&mara, &id).await, expect);
    }
    rig.post(&mara, fetch, &ask, 429).await;
}

#[tokio::test]
async fn a_public_post_gets_its_id_after_moderation() {
    let rig = Rig::start().await;
    rig.settings(json!({"processing": "held", "moderation": "held"}))
        .await;
    let token = rig.access(AUDITED, "joris").await;
    let mut body = direct("PUBLIC_TO_EVERYONE");
    body["source_info"] = file(9, 9, 1);
    let data = rig.post(&token, DIRECT, &body, 200).await["data"].clone();
    let (id, url) = (text(&data["publish_id"]), text(&data["upload_url"]));
    assert!(id.starts_with("v_pub_file~v2-1.") && url.len() <= 256);
    rig.put(&url, "bytes 0-8/9", clip(9)).await;
    assert_eq!(rig.status(&token, &id).await["status"], "PROCESSING_UPLOAD");
    rig.control(&format!("/publishes/{id}/process"), json!({}))
        .await;
    let expect = json!({"status": "PUBLISH_COMPLETE", "uploaded_bytes": 9});
    assert_eq!(rig.status(&token, &id).await, expect);
    let done = rig
        .control(&format!("/publishes/{id}/moderate"), json!({}))
        .await;
    let number: u64 = text(&done["post_id"]).parse().unwrap();
    let seen = rig.status(&token, &id).await;
    assert_eq!(seen["publicaly_available_post_id"], json!([number]));
    rig.settings(json!({"post_id": "string", "post_id_spelling": "publicly"}))
        .await;
    let seen = rig.status(&token, &id).await;
    assert_eq!(
        seen["publicly_available_post_id"],
        json!([number.to_string()])
    );
    rig.control(&format!("/publishes/{id}/withdraw"), json!({}))
        .await;
    assert_eq!(rig.status(&token, &id).await, expect);
}

#[tokio::test]
async fn failures_are_queued() {
    let rig = Rig::start().await;
    rig.settings(json!({"fail_next": ["duration_check_failed"], "processing_ms": 0}))
        .await;
    let token = rig.access(KEY, "mara").await;
    for (status, reason) in [
        ("FAILED", json!("duration_check_failed")),
        ("SEND_TO_USER_INBOX", Value::Null),
    ] {
        let (id, url) = rig.inbox(&token, 9, 9).await;
        rig.put(&url, "bytes 0-8/9", clip(9)).await;
        rig.publish(&id, |one| one["status"] == status).await;
        let seen = rig.status(&token, &id).await;
        assert_eq!(seen.get("fail_reason").cloned().unwrap_or_default(), reason);
    }
}

#[tokio::test]
async fn daily_caps() {
    let rig = Rig::start().await;
    rig.settings(json!({"direct_posts_per_day": 2, "unaudited_users_per_day": 1}))
        .await;
    let user = json!({"username": "noor", "private": true});
    rig.control("/users", user).await;
    let mara = rig.access(KEY, "mara").await;
    let noor = rig.access(KEY, "noor").await;
    let again = rig.access(AUDITED, "mara").await;
    let cases = [
        (&mara, 200, "ok"),
        // Another user of the unaudited app; then the creator's own cap, across apps.
        (&noor, 403, "reached_active_user_cap"),
        (&mara, 200, "ok"),
        (&again, 403, "spam_risk_too_many_posts"),
    ];
    for (token, status, code) in cases {
        let answer = rig.post(token, DIRECT, &direct("SELF_ONLY"), status).await;
        assert_eq!(answer["error"]["code"], code);
    }
    rig.advance(24 * 3600).await;
    let noor = rig.access(KEY, "noor").await;
    rig.post(&noor, DIRECT, &direct("SELF_ONLY"), 200).await;
}

#[tokio::test]
async fn a_disconnected_account_fails_what_is_processed() {
    let rig = Rig::start().await;
    rig.settings(json!({"processing": "held"})).await;
    let token = rig.access(KEY, "mara").await;
    let (id, url) = rig.inbox(&token, 9, 9).await;
    rig.put(&url, "bytes 0-8/9", clip(9)).await;
    rig.control("/disconnect", json!({"client_key": KEY, "user": "mara"}))
        .await;
    rig.control(&format!("/publishes/{id}/process"), json!({}))
        .await;
    let token = rig.access(KEY, "mara").await;
    let seen = rig.status(&token, &id).await;
    assert_eq!(seen["fail_reason"], "auth_removed");
}
