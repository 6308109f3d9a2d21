//! What happens after the bytes are in: ids that come late, drafts, the order of news.

use serde_json::{Value, json};

use crate::origin::movie;
use crate::rig::{AUDITED, KEY, Rig, clip, text};

/// Uploads a whole file to a new publish; its id.
async fn sent(rig: &Rig, token: &str, path: &str, privacy: &str) -> String {
    let file = movie(b"isom", 12, 720, 1280);
    let size = file.len();
    let body = json!({"post_info": {"privacy_level": privacy, "brand_content_toggle": false,
            "title": "Soup night"},
        "source_info": {"source": "FILE_UPLOAD", "video_size": size, "chunk_size": size,
            "total_chunk_count": 1}});
    let data = rig.post(token, path, &body, 200).await["data"].clone();
    let range = format!("bytes 0-{}/{size}", size - 1);
    let put = rig.put(&text(&data["upload_url"]), &range, file).await;
    assert_eq!(put.status(), 201);
    text(&data["publish_id"])
}

async fn step(rig: &Rig, id: &str, step: &str, body: Value) -> Value {
    rig.control(&format!("/publishes/{id}/{step}"), body).await
}

/// The events made so far, oldest first.
async fn events(rig: &Rig) -> Vec<String> {
    let seen = rig.control("/webhooks", Value::Null).await;
    let list = seen["deliveries"].as_array().unwrap();
    list.iter().map(|one| text(&one["event"])).collect()
}

#[tokio::test]
async fn a_post_id_may_come_some_polls_late() {
    let rig = Rig::start().await;
    rig.settings(json!({"post_id_after_polls": 2, "moderation_ms": 0}))
        .await;
    let token = rig.access(AUDITED, "joris").await;
    let id = sent(&rig, &token, "/video/init/", "PUBLIC_TO_EVERYONE").await;
    let seen = rig
        .publish(&id, |one| one["posts"][0]["available"] == true)
        .await;
    let post_id = seen["posts"][0]["post_id"].clone();
    for expect in [Value::Null, Value::Null, json!([post_id]), json!([post_id])] {
        let seen = rig.status(&token, &id).await;
        assert_eq!(seen["status"], "PUBLISH_COMPLETE");
        assert_eq!(seen["publicaly_available_post_id"], expect);
    }
}

#[tokio::test]
async fn a_post_id_may_come_some_seconds_late() {
    let rig = Rig::start().await;
    rig.settings(json!({"moderation_ms": 3_600_000})).await;
    let token = rig.access(AUDITED, "joris").await;
    let id = sent(&rig, &token, "/video/init/", "PUBLIC_TO_EVERYONE").await;
    rig.publish(&id, |one| one["status"] == "PUBLISH_COMPLETE")
        .await;
    assert_eq!(events(&rig).await, ["post.publish.complete"]);
    assert_eq!(
        rig.status(&token, &id).await["publicaly_available_post_id"],
        Value::Null
    );
    rig.advance(3600).await;
    rig.publish(&id, |one| one["posts"][0]["available"] == true)
        .await;
    let seen = rig.status(&token, &id).await;
    assert_eq!(
        seen["publicaly_available_post_id"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn only_posts_for_everyone_get_an_id() {
    let rig = Rig::start().await;
    rig.settings(json!({"processing_ms": 0, "moderation_ms": 0}))
        .await;
    let token = rig.access(AUDITED, "joris").await;
    for privacy in ["SELF_ONLY", "MUTUAL_FOLLOW_FRIENDS"] {
        let id = sent(&rig, &token, "/video/init/", privacy).await;
        let seen = rig
            .publish(&id, |one| one["status"] == "PUBLISH_COMPLETE")
            .await;
        assert_eq!(
            (&seen["posts"], &seen["in_moderation"]),
            (&json!([]), &json!(0))
        );
        // Until the person makes it public by hand.
        step(&rig, &id, "make_public", json!({})).await;
        rig.publish(&id, |one| one["posts"][0]["available"] == true)
            .await;
    }
}

#[tokio::test]
async fn a_draft_is_posted_once_several_times_or_never() {
    let rig = Rig::start().await;
    rig.settings(json!({"moderation_ms": 0})).await;
    let token = rig.access(AUDITED, "joris").await;
    let id = sent(&rig, &token, "/inbox/video/init/", "").await;
    rig.publish(&id, |one| one["status"] == "SEND_TO_USER_INBOX")
        .await;
    for count in 1..=3 {
        step(&rig, &id, "post", json!({"public": true})).await;
        rig.publish(&id, |one| one["posts"].as_array().unwrap().len() == count)
            .await;
    }
    let seen = rig.status(&token, &id).await;
    let ids = seen["publicaly_available_post_id"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(
        (seen["status"].clone(), ids.len()),
        (json!("PUBLISH_COMPLETE"), 3)
    );
    // One of the three, by its id, stops being public.
    step(
        &rig,
        &id,
        "withdraw",
        json!({"post_id": ids[1].to_string()}),
    )
    .await;
    let seen = rig.status(&token, &id).await;
    assert_eq!(seen["publicaly_available_post_id"], json!([ids[0], ids[2]]));
    let last = rig.control("/webhooks", Value::Null).await["deliveries"][7].clone();
    assert_eq!(last["event"], "post.publish.no_longer_publicaly_available");
    assert!(text(&last["body"]).contains(&ids[1].to_string()));
    let path = format!("/publishes/{id}/withdraw");
    assert_eq!(
        rig.control_status(&path, &json!({"post_id": ids[1]})).await,
        400
    );
    // Thrown away: it stays as it is, and cannot be posted.
    let gone = sent(&rig, &token, "/inbox/video/init/", "").await;
    rig.publish(&gone, |one| one["status"] == "SEND_TO_USER_INBOX")
        .await;
    step(&rig, &gone, "discard", json!({})).await;
    assert_eq!(
        rig.status(&token, &gone).await["status"],
        "SEND_TO_USER_INBOX"
    );
    let path = format!("/publishes/{gone}/post");
    assert_eq!(rig.control_status(&path, &json!({})).await, 400);
}

#[tokio::test]
async fn drafts_of_unaudited_apps_and_private_accounts_are_not_public() {
    let rig = Rig::start().await;
    rig.settings(json!({"processing_ms": 0})).await;
    for (key, user, public) in [
        (KEY, "joris", 400),
        (KEY, "mara", 400),
        (AUDITED, "mara", 400),
        (AUDITED, "joris", 200),
    ] {
        let token = rig.access(key, user).await;
        let (id, url) = rig.inbox(&token, 9, 9).await;
        rig.put(&url, "bytes 0-8/9", clip(9)).await;
        rig.publish(&id, |one| one["status"] == "SEND_TO_USER_INBOX")
            .await;
        let path = format!("/publishes/{id}/post");
        let status = rig.control_status(&path, &json!({"public": true})).await;
        assert_eq!(status, public, "{key} {user}");
        step(&rig, &id, "post", json!({"public": false})).await;
    }
}

#[tokio::test]
async fn news_comes_in_the_order_asked_for() {
    for (order, expect) in [
        (
            "available_first",
            ["post.publish.publicly_available", "post.publish.complete"],
        ),
        (
            "complete_first",
            ["post.publish.complete", "post.publish.publicly_available"],
        ),
    ] {
        let rig = Rig::start().await;
        let receiver = crate::webhooks::Receiver::start(&rig, AUDITED, &[]).await;
        rig.settings(json!({"webhook_order": order, "processing_ms": 0, "moderation_ms": 0}))
            .await;
        let token = rig.access(AUDITED, "joris").await;
        let id = sent(&rig, &token, "/video/init/", "PUBLIC_TO_EVERYONE").await;
        rig.publish(&id, |one| one["posts"][0]["available"] == true)
            .await;
        rig.until("/webhooks", |seen| {
            let list = seen["deliveries"].as_array().unwrap();
            list.len() == 2 && list.iter().all(|one| one["state"] == "delivered")
        })
        .await;
        assert_eq!(receiver.events(), expect);
        // A post that is not public never waits for the other event.
        sent(&rig, &token, "/video/init/", "SELF_ONLY").await;
        rig.until("/webhooks", |seen| {
            let list = seen["deliveries"].as_array().unwrap();
            list.len() == 3 && list.iter().all(|one| one["state"] == "delivered")
        })
        .await;
        assert_eq!(receiver.events()[2], "post.publish.complete");
        // The later one waits for a try of the first even while deliveries pause.
        rig.settings(json!({"webhooks_paused": true})).await;
        sent(&rig, &token, "/video/init/", "PUBLIC_TO_EVERYONE").await;
        rig.until("/webhooks", |seen| {
            seen["deliveries"].as_array().unwrap().len() == 5
        })
        .await;
        rig.settings(json!({"webhooks_paused": false})).await;
        rig.until("/webhooks", |seen| {
            seen["deliveries"][4]["state"] == "delivered"
        })
        .await;
        assert_eq!(receiver.events()[3..], expect);
    }
}

#[tokio::test]
async fn a_ban_meets_what_is_processed() {
    let rig = Rig::start().await;
    rig.settings(json!({"processing": "held"})).await;
    let token = rig.access(AUDITED, "joris").await;
    let id = sent(&rig, &token, "/video/init/", "SELF_ONLY").await;
    rig.control("/users/joris", json!({"banned_from_posting": true}))
        .await;
    step(&rig, &id, "process", json!({})).await;
    let seen = rig.status(&token, &id).await;
    assert_eq!(seen["fail_reason"], "spam_risk_user_banned_from_posting");
}

#[tokio::test]
async fn the_second_news_waits_for_a_try_of_the_first() {
    let rig = Rig::start().await;
    let receiver = crate::webhooks::Receiver::start(&rig, AUDITED, &[]).await;
    *receiver.held.lock().unwrap() = "post.publish.publicly_available".into();
    rig.settings(
        json!({"webhook_order": "available_first", "processing_ms": 0,
        "moderation_ms": 0}),
    )
    .await;
    let token = rig.access(AUDITED, "joris").await;
    sent(&rig, &token, "/video/init/", "PUBLIC_TO_EVERYONE").await;
    rig.until("/webhooks", |seen| {
        seen["deliveries"].as_array().unwrap().len() == 2
    })
    .await;
    // An event made later than both is through before the second.
    let other = json!({"client_key": AUDITED, "event": "authorization.removed", "user": "mara",
        "content": {"reason": 3}});
    rig.control("/webhooks/send", other).await;
    let seen = rig
        .until("/webhooks", |seen| {
            seen["deliveries"][2]["state"] == "delivered"
        })
        .await;
    assert_eq!(seen["deliveries"][1]["event"], "post.publish.complete");
    assert_eq!(seen["deliveries"][1]["attempts"], json!([]));
    receiver.release.notify_one();
    rig.until("/webhooks", |seen| {
        seen["deliveries"][1]["state"] == "delivered"
    })
    .await;
    assert_eq!(receiver.events().last().unwrap(), "post.publish.complete");
}
