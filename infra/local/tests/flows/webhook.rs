//! Webhooks: what is taken, what is refused, and each applied once.

use local::{Fault, Rule, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{CLIENT_KEY, CLIENT_SECRET, SOON, USER, World, number, text};

/// A body about a publish that nobody here knows, or about nothing of consequence.
fn body(event: &str, number: u32) -> String {
    json!({
        "client_key": CLIENT_KEY, "event": event, "create_time": 1_767_225_600 + number,
        "user_openid": "-000Nobody", "content": "{\"share_id\":\"1\"}",
    })
    .to_string()
}

async fn send(world: &World, raw: Value) -> u16 {
    let mut ask = json!({ "client_key": CLIENT_KEY });
    for (name, value) in raw.as_object().unwrap() {
        ask[name] = value.clone();
    }
    let answer = world.control(Method::POST, "/webhooks/raw", ask).await;
    u16::try_from(answer["status"].as_u64().expect("an answer")).unwrap()
}

async fn marks(world: &World, state: &str) -> usize {
    let rows = world.items("deliveries").await;
    rows.iter()
        .filter(|row| text(row, "state") == state)
        .count()
}

async fn until_marks(world: &World, state: &str, count: usize) {
    eventually(&format!("{count} deliveries {state}"), SOON, || async {
        Ok((marks(world, state).await == count).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn right_is_200_wrong_is_401_and_one_call_to_aws_is_all() {
    let world = World::new().await;
    let event = "video.publish.completed";
    assert_eq!(send(&world, json!({ "body": body(event, 0) })).await, 200);
    world.stack.record().clear();
    assert_eq!(send(&world, json!({ "body": body(event, 1) })).await, 200);
    let calls = world.stack.record().of("webhook");
    assert_eq!(
        calls
            .iter()
            .map(|call| call.action.as_str())
            .collect::<Vec<_>>(),
        ["sqs:SendMessage"]
    );
    assert_eq!(
        send(
            &world,
            json!({ "body": body(event, 2), "secret": "another" })
        )
        .await,
        401
    );
    assert_eq!(
        send(
            &world,
            json!({ "body": body(event, 3), "signature": "nonsense" })
        )
        .await,
        401
    );
    // TikTok's retries may carry an old time stamp: taken, since deduplication does the rest.
    let old = json!({ "body": body(event, 4), "signature_age_seconds": 86_400 });
    assert_eq!(send(&world, old).await, 200);
    // Bytes that are no text reach the check as they were sent.
    assert_eq!(send(&world, json!({ "body_base64": "e/+A" })).await, 200);
    until_marks(&world, "applied", 3).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_refuse_stale_signatures() {
    let world = World::with(|options| options.parameter("WebhookToleranceSeconds", "300")).await;
    let event = "video.publish.completed";
    assert_eq!(
        send(
            &world,
            json!({ "body": body(event, 0), "signature_age_seconds": 60 })
        )
        .await,
        200
    );
    assert_eq!(
        send(
            &world,
            json!({ "body": body(event, 1), "signature_age_seconds": 600 })
        )
        .await,
        401
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_the_oversized_are_refused_and_our_own_trouble_is_503() {
    let world = World::new().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |platform: &str| format!("{}/webhooks/{platform}", world.stack.api_url());
    let post = async |platform: &str, body: Vec<u8>| {
        http.post(url(platform))
            .body(body)
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(post("myspace", b"{}".to_vec()).await, StatusCode::NOT_FOUND);
    assert_eq!(
        post("tiktok", b"{}".to_vec()).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        post("tiktok", vec![b'x'; (1 << 20) + 1]).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let get = http.get(url("tiktok")).send().await.unwrap();
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);

    let down = world.stack.fault(
        Rule::on("sqs:SendMessage").by("webhook").always(),
        Fault::error(500, "InternalFailure"),
    );
    assert_eq!(
        send(
            &world,
            json!({ "body": body("video.publish.completed", 0) })
        )
        .await,
        503
    );
    assert!(down.fired() >= 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_goes_by_way_of_the_bucket() {
    let world = World::new().await;
    let filler = "x".repeat(800 * 1_024);
    let large = json!({
        "client_key": CLIENT_KEY, "event": "video.publish.completed", "create_time": 1_767_225_600,
        "user_openid": "-000Nobody", "content": json!({ "share_id": filler }).to_string(),
    });
    assert_eq!(
        send(&world, json!({ "body": large.to_string() })).await,
        200
    );
    until_marks(&world, "applied", 1).await;
    let rows = world.items("deliveries").await;
    let raw = rows.iter().find(|row| text(row, "part") == "raw").unwrap();
    assert!(!text(raw, "object_key").is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_get_200_is_sent_again_and_applied_once() {
    let world = World::new().await;
    world
        .settings(json!({ "webhook_backoff_ms": 20, "webhook_resign": false }))
        .await;
    let down = world.stack.fault(
        Rule::on("sqs:SendMessage").by("webhook").times(9),
        Fault::error(500, "InternalFailure"),
    );
    let ask = json!({ "client_key": CLIENT_KEY, "event": "video.publish.completed", "open_id": "-000Nobody", "content": { "share_id": "1" } });
    world.control(Method::POST, "/webhooks/send", ask).await;
    until_marks(&world, "applied", 1).await;
    assert_eq!(
        down.fired(),
        9,
        "three answers of 503 with three tries each"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_delivery_ten_times_is_applied_once() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    world.settings(json!({ "webhooks_paused": true })).await;
    let post = world
        .post(&id, &media, json!({ "privacy": "SELF_ONLY" }))
        .await;
    eventually("the delivery", SOON, || async {
        let sent = world.control(Method::GET, "/webhooks", json!({})).await;
        Ok((!sent["webhooks"]
            .as_array()
            .or(sent["deliveries"].as_array())
            .unwrap()
            .is_empty())
        .then_some(()))
    })
    .await
    .unwrap();
    let sent = world.control(Method::GET, "/webhooks", json!({})).await;
    let delivery = sent["webhooks"]
        .as_array()
        .or(sent["deliveries"].as_array())
        .unwrap()[0]
        .clone();
    let path = format!("/webhooks/{}/resend", delivery["id"]);
    for _ in 0..10 {
        world
            .control(Method::POST, &path.replace('"', ""), json!({}))
            .await;
    }
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    eventually("an empty queue", SOON, || async {
        let (visible, flying, delayed) = world.stack.queue_depth("webhook").await?;
        Ok((visible + flying + delayed == 0).then_some(()))
    })
    .await
    .unwrap();
    let told = world.events(USER).await;
    assert_eq!(
        told.iter().filter(|kind| *kind == "post.published").count(),
        1,
        "{told:?}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_between_taking_and_applying_loses_nothing() {
    for (what, fault) in [
        ("before it settles", Fault::KillBefore),
        ("after it settled", Fault::KillAfter),
    ] {
        let world = World::new().await;
        // The first update takes the delivery, the second settles it.
        let settle = Rule::on("dynamodb:UpdateItem")
            .by("webhook-worker")
            .touching("Deliveries")
            .nth(2);
        let killed = world.stack.fault(settle, fault);
        assert_eq!(
            send(
                &world,
                json!({ "body": body("video.publish.completed", 0) })
            )
            .await,
            200
        );
        until_marks(&world, "applied", 1).await;
        assert_eq!(killed.fired(), 1, "{what}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_record_lies_with_the_dead_letters_and_its_batch_does_not() {
    let world = World::new().await;
    world.stack.pollers().set_enabled(false).await;
    for number in 0..3 {
        assert_eq!(
            send(
                &world,
                json!({ "body": body("video.publish.completed", number) })
            )
            .await,
            200
        );
    }
    assert_eq!(
        send(&world, json!({ "body": "{\"half\":" })).await,
        200,
        "genuine, though unreadable"
    );
    world.stack.pollers().set_enabled(true).await;
    until_marks(&world, "applied", 3).await;
    eventually("the dead letter", SOON, || async {
        Ok((world.stack.queue_depth("WebhookDeadLetters").await?.0 == 1).then_some(()))
    })
    .await
    .unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_is_filed_as_an_orphan_and_may_be_replayed() {
    let world = World::with(|options| options.parameter("WebhookMaxReceives", "20")).await;
    let unknown = json!({
        "client_key": CLIENT_KEY, "event": "post.publish.complete", "create_time": 1_767_225_600,
        "user_openid": "-000Nobody",
        "content": "{\"publish_id\":\"v_pub_file~v2-1.1\",\"publish_type\":\"DIRECT_PUBLISH\"}",
    });
    assert_eq!(
        send(&world, json!({ "body": unknown.to_string() })).await,
        200
    );
    until_marks(&world, "orphan", 1).await;
    let rows = world.items("deliveries").await;
    let mark = rows.iter().find(|row| text(row, "part") == "mark").unwrap();
    let id = text(mark, "delivery_id");
    let tries = number(mark, "tries");
    let replay = json!({ "kind": "replay", "delivery_id": id }).to_string();
    world.stack.send("webhook", &replay).await.unwrap();
    eventually("the replay", SOON, || async {
        let rows = world.items("deliveries").await;
        let mark = rows.iter().find(|row| text(row, "part") == "mark").unwrap();
        Ok((number(mark, "tries") > tries && text(mark, "state") == "orphan").then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(
        world.items("deliveries").await.len(),
        2,
        "the same id: a mark and a raw body"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_is_accepted_beside_the_new_one() {
    let world = World::new().await;
    world
        .configure(json!({ "client_secret": "tt-new-secret", "webhook_secrets": [CLIENT_SECRET] }))
        .await;
    let event = "video.publish.completed";
    assert_eq!(
        send(
            &world,
            json!({ "body": body(event, 0), "secret": "tt-new-secret" })
        )
        .await,
        200
    );
    assert_eq!(send(&world, json!({ "body": body(event, 1) })).await, 200);
    assert!(
        world
            .stack
            .all_logs()
            .unwrap()
            .contains("signed with an older secret")
    );
    world.end().await;
}
