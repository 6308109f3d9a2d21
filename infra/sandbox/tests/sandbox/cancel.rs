//! Cancel: whose, when, and what comes of it.

use serde_json::{Value, json};

use crate::origin::{Origin, movie};
use crate::rig::{AUDITED, KEY, Rig, text};

const CANCEL: &str = "/cancel/";
const URL: &str = "https://media.example.org/1.mp4";

/// A draft (or a direct post) whose pull is held; its id.
async fn pulled(rig: &Rig, token: &str, path: &str) -> String {
    let body = json!({"post_info": {"privacy_level": "SELF_ONLY", "brand_content_toggle": false},
        "source_info": {"source": "PULL_FROM_URL", "video_url": URL}});
    text(&rig.post(token, path, &body, 200).await["data"]["publish_id"])
}

async fn start() -> Rig {
    let rig = Rig::start().await;
    rig.settings(json!({"pulling": "held", "rate_limits": false, "posting_caps": false}))
        .await;
    rig
}

fn ask(id: &str) -> Value {
    json!({ "publish_id": id })
}

#[tokio::test]
async fn only_the_own_pull_is_cancelled_and_once() {
    let rig = start().await;
    let joris = rig.access(AUDITED, "joris").await;
    let draft = pulled(&rig, &joris, "/inbox/video/init/").await;
    let direct = pulled(&rig, &joris, "/video/init/").await;
    let (file, _) = rig.inbox(&joris, 9, 9).await;
    let other_user = rig.access(AUDITED, "mara").await;
    let other_app = rig.access(KEY, "joris").await;
    let publish = rig.scoped(AUDITED, "joris", &["video.publish"]).await;
    let upload = rig.scoped(AUDITED, "joris", &["video.upload"]).await;
    let none = rig.scoped(AUDITED, "joris", &["video.list"]).await;
    let dead = "act.unknown".to_owned();
    let not_own = (400, "token_not_authorized_for_specified_publish_id");
    let scope = (401, "scope_not_authorized");
    let too_late = (400, "publish_not_cancellable");
    let cases = [
        (&dead, ask(&draft), (401, "access_token_invalid")),
        (&none, ask(&draft), scope),
        (&joris, json!({}), (400, "invalid_param")),
        (&joris, json!({"publish_id": 7}), (400, "invalid_param")),
        (&joris, ask("v_inbox_url~v2.1"), (400, "invalid_publish_id")),
        (&other_user, ask(&draft), not_own),
        (&other_app, ask(&draft), not_own),
        // The scope of the init that made it.
        (&publish, ask(&draft), scope),
        (&upload, ask(&direct), scope),
        (&joris, ask(&file), too_late),
        (&upload, ask(&draft), (200, "ok")),
        (&publish, ask(&direct), (200, "ok")),
        (&joris, ask(&draft), too_late),
    ];
    for (token, body, (status, code)) in cases {
        let answer = rig.post(token, CANCEL, &body, status).await;
        assert_eq!(answer["error"]["code"], code, "{body}");
    }
    for id in [draft, direct] {
        let seen = rig.status(&joris, &id).await;
        let expect = json!({"status": "FAILED", "fail_reason": "publish_cancelled",
            "downloaded_bytes": 0});
        assert_eq!(seen, expect);
    }
    let sent = rig.control("/webhooks", Value::Null).await;
    let sent = sent["deliveries"].as_array().unwrap();
    assert_eq!(sent.len(), 2);
    for one in sent {
        assert_eq!(one["event"], "post.publish.failed");
        let body: Value = serde_json::from_str(&text(&one["body"])).unwrap();
        let content: Value = serde_json::from_str(&text(&body["content"])).unwrap();
        assert_eq!(content["reason"], "publish_cancelled");
    }
}

#[tokio::test]
async fn what_is_pulled_or_no_longer_owned_is_not_cancelled() {
    let rig = start().await;
    let origin = Origin::start(&rig).await;
    origin.serve("/1.mp4", movie(b"isom", 3, 720, 1280));
    rig.settings(json!({"processing": "held"})).await;
    let token = rig.access(AUDITED, "joris").await;
    let id = pulled(&rig, &token, "/inbox/video/init/").await;
    let taken = json!({"verified_domains": []});
    rig.control(&format!("/apps/{AUDITED}"), taken).await;
    let answer = rig.post(&token, CANCEL, &ask(&id), 403).await;
    assert_eq!(answer["error"]["code"], "url_ownership_unverified");
    let given = json!({"verified_domains": ["example.org"]});
    rig.control(&format!("/apps/{AUDITED}"), given).await;
    // The bytes are in, processing goes on: still the same status, and too late.
    rig.control(&format!("/publishes/{id}/pull"), json!({}))
        .await;
    let seen = rig
        .publish(&id, |one| one["pulled"][0]["sha256"].is_string())
        .await;
    assert_eq!(seen["status"], "PROCESSING_DOWNLOAD");
    let answer = rig.post(&token, CANCEL, &ask(&id), 400).await;
    assert_eq!(answer["error"]["code"], "publish_not_cancellable");
}

#[tokio::test]
async fn a_pull_under_way_is_stopped() {
    let rig = start().await;
    rig.settings(json!({"pulling": "auto", "pull_next": ["hang"]}))
        .await;
    let token = rig.access(AUDITED, "joris").await;
    let id = pulled(&rig, &token, "/inbox/video/init/").await;
    rig.post(&token, CANCEL, &ask(&id), 200).await;
    // Nothing of the pull is left that could end the publish otherwise.
    rig.advance(4000).await;
    let (reason, path) = ("publish_cancelled", format!("/publishes/{id}/pull"));
    assert_eq!(rig.status(&token, &id).await["fail_reason"], reason);
    assert_eq!(rig.control_status(&path, &json!({})).await, 400);
}

#[tokio::test]
async fn cancelling_is_best_effort() {
    let rig = start().await;
    let origin = Origin::start(&rig).await;
    origin.serve("/1.mp4", movie(b"isom", 3, 720, 1280));
    let token = rig.access(AUDITED, "joris").await;
    for (effect, status) in [("too_late", "SEND_TO_USER_INBOX"), ("later", "FAILED")] {
        rig.settings(json!({"cancel": effect, "processing_ms": 60_000}))
            .await;
        let id = pulled(&rig, &token, "/inbox/video/init/").await;
        rig.post(&token, CANCEL, &ask(&id), 200).await;
        let seen = rig.status(&token, &id).await;
        assert_eq!(seen["status"], "PROCESSING_DOWNLOAD");
        if effect == "too_late" {
            rig.control(&format!("/publishes/{id}/pull"), json!({}))
                .await;
            rig.publish(&id, |one| one["pulled"][0]["sha256"].is_string())
                .await;
            rig.settings(json!({"processing_ms": 0})).await;
            let path = format!("/publishes/{id}/process");
            rig.control(&path, json!({})).await;
        }
        rig.advance(61).await;
        rig.publish(&id, |one| one["status"] == status).await;
    }
}
