//! Signed deliveries and redelivery.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use sandbox::tiktok::sign;
use serde_json::{Value, json};

use crate::rig::{AUDITED, KEY, Rig, SECRET, clip, text};

/// A signature header and the raw body under it.
type Got = (String, Vec<u8>);

/// A receiver that answers from a list, then 200, and keeps what it got.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    answers: Arc<Mutex<VecDeque<u16>>>,
    got: Arc<Mutex<Vec<Got>>>,
    /// The event that is answered only after a release.
    pub(crate) held: Arc<Mutex<String>>,
    pub(crate) release: Arc<tokio::sync::Notify>,
}

impl Receiver {
    pub(crate) async fn start(rig: &Rig, key: &str, answers: &[u16]) -> Self {
        let receiver = Self::default();
        receiver.answers.lock().unwrap().extend(answers);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks/tiktok", listener.local_addr().unwrap());
        let router = Router::new().route("/webhooks/tiktok", post(receive));
        let router = router.with_state(receiver.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        rig.control(
            "/apps",
            json!({"client_key": key, "client_secret": SECRET, "webhook_url": url,
                "audited": key == AUDITED}),
        )
        .await;
        receiver
    }

    /// The signed time and the body of what came as number `at`, signature checked.
    fn got(&self, at: usize) -> (i64, Value) {
        let (header, raw) = self.got.lock().unwrap()[at].clone();
        let (t, s) = header.split_once(",s=").unwrap();
        let t: i64 = t.strip_prefix("t=").unwrap().parse().unwrap();
        assert_eq!(s, sign(SECRET, t, &raw));
        (t, serde_json::from_slice(&raw).unwrap())
    }

    pub(crate) fn events(&self) -> Vec<String> {
        let count = self.got.lock().unwrap().len();
        (0..count)
            .map(|at| text(&self.got(at).1["event"]))
            .collect()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, raw: Bytes) -> StatusCode {
    let signature = headers.get("TikTok-Signature").map(|value| value.to_str());
    let signature = signature
        .transpose()
        .unwrap()
        .unwrap_or_default()
        .to_owned();
    receiver.got.lock().unwrap().push((signature, raw.to_vec()));
    let held = receiver.held.lock().unwrap().clone();
    if !held.is_empty() && String::from_utf8_lossy(&raw).contains(&held) {
        receiver.release.notified().await;
    }
    let answer = receiver.answers.lock().unwrap().pop_front();
    StatusCode::from_u16(answer.unwrap_or(200)).unwrap()
}

fn settled(seen: &Value) -> bool {
    let all = seen["deliveries"].as_array().unwrap();
    !all.is_empty() && all.iter().all(|one| one["state"] != "pending")
}

#[test]
fn signature_vector() {
    let raw = r#"{"client_key":"awexample0001","event":"post.publish.complete","create_time":1767225600,"user_openid":"-000InventedOpenId","content":"{\"publish_id\":\"v_pub_file~v2-1.7000000000000000001\",\"publish_type\":\"DIRECT_PUBLISH\"}"}"#;
    assert_eq!(
        sign("tt-client-secret-example", 1_767_225_605, raw.as_bytes()),
        "24b3acac177c60409eb4b6aab6ff0dea42fb2a22cf256fe26366bdd140bd00c5"
    );
}

#[tokio::test]
async fn a_public_direct_post_tells_its_story() {
    let rig = Rig::start().await;
    let receiver = Receiver::start(&rig, AUDITED, &[]).await;
    let grant = rig.grant(AUDITED, "joris").await;
    let token = text(&grant["access_token"]);
    let body = json!({"post_info": {"privacy_level": "PUBLIC_TO_EVERYONE",
        "brand_content_toggle": false}, "source_info":
        {"source": "FILE_UPLOAD", "video_size": 9, "chunk_size": 9, "total_chunk_count": 1}});
    let data = rig.post(&token, "/video/init/", &body, 200).await["data"].clone();
    rig.put(&text(&data["upload_url"]), "bytes 0-8/9", clip(9))
        .await;
    let id = text(&data["publish_id"]);
    rig.publish(&id, |one| one["posts"][0]["available"] == true)
        .await;
    rig.control(&format!("/publishes/{id}/withdraw"), json!({}))
        .await;
    rig.until("/webhooks", |seen| {
        settled(seen) && seen["deliveries"].as_array().unwrap().len() == 3
    })
    .await;
    let mut events = receiver.events();
    events.sort();
    let expect = [
        "post.publish.complete",
        "post.publish.no_longer_publicaly_available",
        "post.publish.publicly_available",
    ];
    assert_eq!(events, expect);
    let at = receiver.events().iter().position(|one| one == expect[2]);
    let (_, message) = receiver.got(at.unwrap());
    assert_eq!(message["client_key"], AUDITED);
    assert_eq!(message["user_openid"], grant["open_id"]);
    let content: Value = serde_json::from_str(&text(&message["content"])).unwrap();
    assert_eq!(content["publish_id"], id);
    assert_eq!(content["publish_type"], "DIRECT_PUBLISH");
    assert!(content["post_id"].is_string());
}

#[tokio::test]
async fn drafts_failures_and_disconnects() {
    let rig = Rig::start().await;
    let receiver = Receiver::start(&rig, KEY, &[]).await;
    rig.settings(json!({"processing": "held"})).await;
    let token = rig.access(KEY, "mara").await;
    let (draft, url) = rig.inbox(&token, 9, 9).await;
    rig.put(&url, "bytes 0-8/9", clip(9)).await;
    let (failed, _) = rig.inbox(&token, 9, 9).await;
    let steps = [
        (format!("/publishes/{draft}/process"), json!({})),
        (format!("/publishes/{draft}/post"), json!({"public": false})),
        (
            format!("/publishes/{failed}/process"),
            json!({"fail_reason": "internal"}),
        ),
        (
            "/disconnect".to_owned(),
            json!({"client_key": KEY, "user": "mara"}),
        ),
    ];
    for (count, (path, body)) in steps.into_iter().enumerate() {
        rig.control(&path, body).await;
        rig.until("/webhooks", |seen| {
            settled(seen) && seen["deliveries"].as_array().unwrap().len() == count + 1
        })
        .await;
    }
    let contents: Vec<Value> = (0..4)
        .map(|at| serde_json::from_str(&text(&receiver.got(at).1["content"])).unwrap())
        .collect();
    assert_eq!(
        receiver.events(),
        [
            "post.publish.inbox_delivered",
            "post.publish.complete",
            "post.publish.failed",
            "authorization.removed"
        ]
    );
    assert_eq!(contents[1]["publish_type"], "INBOX_SHARE");
    assert_eq!(contents[2]["reason"], "internal");
    assert_eq!(contents[3], json!({"reason": 1}));
}

#[tokio::test]
async fn only_200_ends_redelivery() {
    let rig = Rig::start().await;
    let receiver = Receiver::start(&rig, KEY, &[503, 204, 302]).await;
    let event = json!({"client_key": KEY, "event": "post.publish.complete", "user": "mara",
        "content": {"publish_id": "v_x", "publish_type": "DIRECT_PUBLISH"}});
    rig.control("/webhooks/send", event).await;
    // Waits of 1, 2 and 4 seconds, on the stand-in's clock.
    for (tries, wait) in [(1, 1), (2, 2), (3, 4)] {
        rig.until("/webhooks", |seen| {
            let one = &seen["deliveries"][0];
            one["attempts"].as_array().unwrap().len() == tries
                && one["next_ms"].as_i64() > one["attempts"][tries - 1]["at_ms"].as_i64()
        })
        .await;
        rig.advance(wait).await;
    }
    let seen = rig.until("/webhooks", settled).await;
    let one = &seen["deliveries"][0];
    assert_eq!(one["state"], "delivered");
    let statuses: Vec<_> = (0..4)
        .map(|at| one["attempts"][at]["status"].clone())
        .collect();
    assert_eq!(statuses, [503, 204, 302, 200]);
    let (first, last) = (receiver.got(0), receiver.got(3));
    assert_eq!(first.1, last.1);
    assert!(last.0 >= first.0 + 7, "signed afresh");
    // Again after success, and with the first time kept.
    rig.settings(json!({"webhook_resign": false})).await;
    let again = rig
        .control(&format!("/webhooks/{}/resend", one["id"]), json!({}))
        .await;
    assert_eq!(again["t"], first.0);
}

#[tokio::test]
async fn deliveries_pause_and_give_up() {
    let rig = Rig::start().await;
    let receiver = Receiver::start(&rig, KEY, &[]).await;
    rig.settings(json!({"webhooks_paused": true})).await;
    let event = json!({"client_key": KEY, "event": "authorization.removed", "user": "mara",
        "content": {"reason": 3}, "signature_age_seconds": 4000, "copies": 2});
    let ids = rig.control("/webhooks/send", event.clone()).await;
    // A single one may go out while the rest waits.
    let one = rig
        .control(&format!("/webhooks/{}/resend", ids["ids"][1]), json!({}))
        .await;
    assert_eq!(one["status"], 200);
    assert_eq!(receiver.events().len(), 1);
    rig.settings(json!({"webhooks_paused": false})).await;
    rig.until("/webhooks", settled).await;
    assert_eq!(receiver.events().len(), 2);
    let now = rig.control("/clock", Value::Null).await["now_ms"]
        .as_i64()
        .unwrap();
    assert!(receiver.got(1).0 <= now / 1000 - 4000);
    // A receiver that stays away for 72 hours loses the event.
    receiver.answers.lock().unwrap().extend([500; 200]);
    rig.settings(json!({"webhook_give_up_seconds": 5})).await;
    rig.control("/webhooks/send", event).await;
    for _ in 0..3 {
        rig.until("/webhooks", |seen| {
            let one = &seen["deliveries"][2];
            let tries = one["attempts"].as_array().unwrap().len();
            one["state"] == "dropped"
                || (tries > 0
                    && one["next_ms"].as_i64() > one["attempts"][tries - 1]["at_ms"].as_i64())
        })
        .await;
        rig.advance(2).await;
    }
    rig.until("/webhooks", |seen| {
        seen["deliveries"][2]["state"] == "dropped"
    })
    .await;
}

#[tokio::test]
async fn raw_bodies_are_sent_as_they_are() {
    let rig = Rig::start().await;
    let receiver = Receiver::start(&rig, KEY, &[200, 401]).await;
    let raw = json!({"client_key": KEY, "body_base64": "AP+A", "signature_age_seconds": 400});
    let done = rig.control("/webhooks/raw", raw).await;
    assert_eq!(done["status"], 200);
    let raw = json!({"client_key": KEY, "body": "{}", "signature": "t=1,s=zz"});
    assert_eq!(rig.control("/webhooks/raw", raw).await["status"], 401);
    let got = receiver.got.lock().unwrap().clone();
    assert_eq!(got[0].1, [0, 255, 128]);
    assert_eq!(
        got[0].0.split_once(",s=").unwrap().1,
        sign(SECRET, done["t"].as_i64().unwrap(), &[0, 255, 128])
    );
    assert_eq!(got[1].0, "t=1,s=zz");
}
