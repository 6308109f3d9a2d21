//! Calls per minute and shares per day, on the stand-in's clock.

use serde_json::{Value, json};

use crate::rig::{AUDITED, Rig, text};

fn photo(mode: &str) -> Value {
    json!({"media_type": "PHOTO", "post_mode": mode,
        "post_info": {"privacy_level": "SELF_ONLY", "brand_content_toggle": false,
            "brand_organic_toggle": false},
        "source_info": {"source": "PULL_FROM_URL", "photo_cover_index": 0,
            "photo_images": ["https://media.example.org/1.webp"]}})
}

fn draft() -> Value {
    json!({"source_info": {"source": "FILE_UPLOAD", "video_size": 9, "chunk_size": 9,
        "total_chunk_count": 1}})
}

fn direct() -> Value {
    let mut body = draft();
    body["post_info"] = json!({"privacy_level": "SELF_ONLY", "brand_content_toggle": false});
    body
}

#[tokio::test]
async fn every_call_has_its_own_window_per_token() {
    let rig = Rig::start().await;
    rig.settings(json!({"posting_caps": false, "pulling": "held"}))
        .await;
    let token = rig.access(AUDITED, "joris").await;
    let made = rig.post(&token, "/inbox/video/init/", &draft(), 200).await;
    let id = made["data"]["publish_id"].clone();
    rig.advance(60).await;
    let fields = "?fields=id";
    let query = json!({"filters": {"video_ids": ["1"]}});
    let cases = [
        ("/post/publish/video/init/".to_owned(), direct(), 6, 200),
        (
            "/post/publish/inbox/video/init/".to_owned(),
            draft(),
            6,
            200,
        ),
        (
            "/post/publish/content/init/".to_owned(),
            photo("DIRECT_POST"),
            6,
            200,
        ),
        (
            "/post/publish/creator_info/query/".to_owned(),
            json!({}),
            20,
            200,
        ),
        (
            "/post/publish/status/fetch/".to_owned(),
            json!({ "publish_id": id }),
            30,
            200,
        ),
        (
            "/post/publish/cancel/".to_owned(),
            json!({ "publish_id": id }),
            30,
            400,
        ),
        (format!("/video/list/{fields}"), json!({}), 600, 200),
        (format!("/video/query/{fields}"), query, 600, 200),
    ];
    // What was refused for its form counts; what was refused for its number does not.
    for (path, body, limit, status) in &cases {
        let (path, at) = (path.as_str(), *status);
        for _ in 0..*limit {
            rig.api(&token, path, body, at).await;
        }
        for _ in 0..2 {
            let answer = rig.api(&token, path, body, 429).await;
            assert_eq!(answer["error"]["code"], "rate_limit_exceeded", "{path}");
        }
        // Another token of the same person is counted by itself.
        let other = rig.access(AUDITED, "joris").await;
        rig.api(&other, path, body, at).await;
        rig.advance(59).await;
        rig.api(&token, path, body, 429).await;
        rig.advance(1).await;
        rig.api(&token, path, body, at).await;
        rig.advance(60).await;
    }
    for _ in 0..600 {
        rig.user_info(&token, "open_id", 200).await;
    }
    rig.user_info(&token, "open_id", 429).await;
    rig.settings(json!({"rate_limits": false})).await;
    rig.user_info(&token, "open_id", 200).await;
}

#[tokio::test]
async fn a_window_slides() {
    let rig = Rig::start().await;
    rig.settings(json!({"posting_caps": false})).await;
    let token = rig.access(AUDITED, "joris").await;
    let call = async |status| rig.post(&token, "/video/init/", &direct(), status).await;
    for _ in 0..3 {
        call(200).await;
    }
    rig.advance(40).await;
    for _ in 0..3 {
        call(200).await;
    }
    call(429).await;
    // The first three leave, the others stay: no double burst.
    rig.advance(20).await;
    for _ in 0..3 {
        call(200).await;
    }
    call(429).await;
}

#[tokio::test]
async fn the_display_limits_may_count_by_app() {
    let rig = Rig::start().await;
    rig.settings(json!({"display_limit_by": "app", "user_info_per_minute": 2}))
        .await;
    let joris = rig.access(AUDITED, "joris").await;
    let mara = rig.access(AUDITED, "mara").await;
    rig.user_info(&joris, "open_id", 200).await;
    rig.user_info(&mara, "open_id", 200).await;
    rig.user_info(&joris, "open_id", 429).await;
    rig.user_info(&mara, "open_id", 429).await;
}

#[tokio::test]
async fn only_drafts_are_pending_shares() {
    let rig = Rig::start().await;
    rig.settings(json!({"rate_limits": false, "pulling": "held", "processing": "held"}))
        .await;
    let token = rig.access(AUDITED, "joris").await;
    let code = "spam_risk_too_many_pending_share";
    let full = async || {
        for (path, body) in [
            ("/inbox/video/init/", draft()),
            ("/content/init/", photo("MEDIA_UPLOAD")),
        ] {
            let answer = rig.post(&token, path, &body, 403).await;
            assert_eq!(answer["error"]["code"], code, "{path}");
        }
    };
    let mut ids = Vec::new();
    for number in 0..5 {
        let (path, body) = if number % 2 == 0 {
            ("/inbox/video/init/", draft())
        } else {
            ("/content/init/", photo("MEDIA_UPLOAD"))
        };
        let answer = rig.post(&token, path, &body, 200).await;
        ids.push(text(&answer["data"]["publish_id"]));
        // Direct posts neither count nor are held up.
        rig.post(&token, "/video/init/", &direct(), 200).await;
        rig.post(&token, "/content/init/", &photo("DIRECT_POST"), 200)
            .await;
    }
    full().await;
    // Another person has five of their own.
    let mara = rig.access(AUDITED, "mara").await;
    rig.post(&mara, "/inbox/video/init/", &draft(), 200).await;
    // A failure makes room; and what is cancelled has failed.
    let path = format!("/publishes/{}/process", ids[0]);
    rig.control(&path, json!({"fail_reason": "internal"})).await;
    rig.post(&token, "/inbox/video/init/", &draft(), 200).await;
    full().await;
    rig.post(&token, "/cancel/", &json!({"publish_id": ids[1]}), 200)
        .await;
    rig.post(&token, "/content/init/", &photo("MEDIA_UPLOAD"), 200)
        .await;
    full().await;
    // The form of a request is looked at first.
    let mut wrong = draft();
    wrong["source_info"]["chunk_size"] = json!(1);
    let answer = rig.post(&token, "/inbox/video/init/", &wrong, 400).await;
    assert_eq!(answer["error"]["code"], "invalid_param");
    // Switched off, and with other numbers.
    rig.settings(json!({"posting_caps": false})).await;
    rig.post(&token, "/inbox/video/init/", &draft(), 200).await;
    rig.settings(json!({"posting_caps": true, "pending_shares_max": 7}))
        .await;
    rig.post(&token, "/inbox/video/init/", &draft(), 200).await;
    full().await;
}
