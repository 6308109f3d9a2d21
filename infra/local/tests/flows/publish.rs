//! Publishing: the chunk plan, killed workers, lost answers.

use local::{Fault, Rule, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{SOON, USER, World, text};

/// More than 64 MB, so that TikTok's rules want several chunks.
const SEVERAL_CHUNKS: u64 = 70_000_000;
/// With 5,242,880-byte chunks: 4 of them, the last one longer.
const FOUR_CHUNKS: u64 = 22_000_000;

fn direct() -> Value {
    json!({ "mode": "direct", "privacy": "SELF_ONLY" })
}

/// A world with a connection and a file in small chunks, ready to be posted.
async fn ready(size: u64, settings: Value) -> (World, String, String) {
    let world = World::new().await;
    world.configure(settings).await;
    let connection = world.connect(USER).await;
    let media = world.user.upload(&world.file(size)).await.unwrap();
    (world, connection, media)
}

fn small_chunks() -> Value {
    json!({ "chunk_bytes": 5_242_880 })
}

async fn one_post_with_the_files_bytes(world: &World, size: u64) {
    assert_eq!(world.published().await, 1);
    let whole = local::demo::media::sha256(&world.file(size)).unwrap();
    let publishes = world.publishes().await;
    let done = publishes
        .iter()
        .find(|one| one["status"] == "PUBLISH_COMPLETE")
        .unwrap();
    assert_eq!(done["upload"]["sha256"], whole.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_in_the_sheets_chunks_and_is_told_by_webhook() {
    let (world, connection, media) = ready(SEVERAL_CHUNKS, json!({})).await;
    let post = world.post(&connection, &media, direct()).await;
    let target = world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    assert_eq!(target["progress"]["sent_bytes"], SEVERAL_CHUNKS);
    one_post_with_the_files_bytes(&world, SEVERAL_CHUNKS).await;
    let publish = world.publishes().await.remove(0);
    assert_eq!(
        publish["upload"]["chunks"].as_array().unwrap().len(),
        2,
        "32 MB, then the rest"
    );
    let kinds = world.events(USER).await;
    assert_eq!(
        kinds,
        [
            "connection.connected",
            "post.queued",
            "post.publishing",
            "post.published"
        ]
    );
    let peak = world.stack.host().peak_memory("publish-worker").unwrap();
    assert!(peak < 160 * 1_024, "{peak} KiB");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_goes_to_the_inbox_and_may_be_published_later() {
    let (world, connection, media) = ready(40_000, json!({})).await;
    let post = world
        .post(&connection, &media, json!({ "mode": "inbox" }))
        .await;
    let id = post["id"].as_str().unwrap();
    world.until_target(id, "inbox").await;
    let publish = world.publishes().await.remove(0);
    let path = format!(
        "/publishes/{}/post",
        publish["publish_id"].as_str().unwrap()
    );
    world
        .control(Method::POST, &path, json!({ "public": true }))
        .await;
    eventually("the draft's publication", SOON, || async {
        Ok((world.target(id).await["status"] == "published").then_some(()))
    })
    .await
    .unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_between_chunks_goes_on_at_the_next_one() {
    let (world, connection, media) = ready(FOUR_CHUNKS, small_chunks()).await;
    // Twice: when a chunk's outcome has been written, before the next chunk is sent.
    let advance = || {
        Rule::on("dynamodb:UpdateItem")
            .by("publish-worker")
            .touching("Targets")
    };
    let kills = [
        world.stack.fault(advance().nth(4), Fault::KillAfter),
        world.stack.fault(advance().nth(6), Fault::KillAfter),
    ];
    let post = world.post(&connection, &media, direct()).await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    assert_eq!(kills.map(|kill| kill.fired()), [1, 1]);
    one_post_with_the_files_bytes(&world, FOUR_CHUNKS).await;
    assert_eq!(world.calls("init").await, 1, "no new start");
    assert_eq!(world.calls("upload").await, 4, "no chunk was sent twice");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_inside_a_chunk_sends_that_chunk_again() {
    let (world, connection, media) = ready(FOUR_CHUNKS, small_chunks()).await;
    world
        .fault(json!({ "endpoint": "upload", "skip": 1, "hold": "before" }))
        .await;
    let post = world.post(&connection, &media, direct()).await;
    world.held("upload").await;
    world.stack.kill("publish-worker").await.unwrap();
    world.release().await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    one_post_with_the_files_bytes(&world, FOUR_CHUNKS).await;
    assert_eq!(world.calls("init").await, 1);
    world.end().await;
}

/// The size of the demo's real file.
const DEMO_FILE: u64 = 200_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_survives_four_kills_as_one_post() {
    let (world, connection, media) = ready(DEMO_FILE, json!({})).await;
    // Right after the init took effect …
    world
        .fault(json!({ "endpoint": "init", "hold": "after" }))
        .await;
    let post = world.post(&connection, &media, direct()).await;
    let id = post["id"].as_str().unwrap();
    world.held("init").await;
    world.stack.kill("publish-worker").await.unwrap();
    world.release().await;
    // … inside a chunk …
    world
        .fault(json!({ "endpoint": "upload", "skip": 1, "hold": "before" }))
        .await;
    let sweep = async {
        loop {
            world.stack.fire("sweeper").await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = world.held("upload") => {}
        () = sweep => {}
    }
    // … and twice between chunks.
    let advance = || {
        Rule::on("dynamodb:UpdateItem")
            .by("publish-worker")
            .touching("Targets")
    };
    let kills = [3, 5].map(|nth| world.stack.fault(advance().nth(nth), Fault::KillAfter));
    world.stack.kill("publish-worker").await.unwrap();
    world.release().await;
    world.until_target(id, "published").await;
    assert_eq!(kills.map(|kill| kill.fired()), [1, 1]);
    one_post_with_the_files_bytes(&world, DEMO_FILE).await;
    let peak = world.stack.host().peak_memory("publish-worker").unwrap();
    assert!(peak < 160 * 1_024, "{peak} KiB");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_inside_a_chunk_sends_that_chunk_again() {
    let (world, connection, media) = ready(FOUR_CHUNKS, small_chunks()).await;
    world
        .fault(json!({ "endpoint": "upload", "skip": 1, "cut_after_bytes": 1_000_000 }))
        .await;
    let post = world.post(&connection, &media, direct()).await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    one_post_with_the_files_bytes(&world, FOUR_CHUNKS).await;
    assert_eq!(world.calls("init").await, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_right_after_the_init_took_effect_publishes_once() {
    let (world, connection, media) = ready(40_000, json!({})).await;
    world
        .fault(json!({ "endpoint": "init", "hold": "after" }))
        .await;
    let post = world.post(&connection, &media, direct()).await;
    world.held("init").await;
    world.stack.kill("publish-worker").await.unwrap();
    world.release().await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    one_post_with_the_files_bytes(&world, 40_000).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_chunk_whose_answer_is_lost_is_asked_for_not_sent_anew() {
    let (world, connection, media) = ready(40_000, json!({})).await;
    world
        .fault(json!({ "endpoint": "upload", "cut_after": true }))
        .await;
    let post = world.post(&connection, &media, direct()).await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    one_post_with_the_files_bytes(&world, 40_000).await;
    assert_eq!(
        (world.calls("init").await, world.calls("upload").await),
        (1, 1)
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_right_after_the_last_chunk_took_effect_asks_before_it_sends_anything() {
    let (world, connection, media) = ready(40_000, json!({})).await;
    world
        .fault(json!({ "endpoint": "upload", "hold": "after" }))
        .await;
    let post = world.post(&connection, &media, direct()).await;
    world.held("upload").await;
    world.stack.kill("publish-worker").await.unwrap();
    world.release().await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    one_post_with_the_files_bytes(&world, 40_000).await;
    assert_eq!(
        (world.calls("init").await, world.calls("upload").await),
        (1, 1)
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_known_is_parked_and_the_product_decides() {
    let (world, connection, media) = ready(40_000, json!({})).await;
    world.settings(json!({ "webhooks_paused": true })).await;
    // The last chunk's answer is lost, and the platform then knows nothing of the publish.
    world
        .fault(json!({ "endpoint": "upload", "cut_after": true }))
        .await;
    world
        .fault(json!({ "endpoint": "status", "error": "invalid_publish_id", "times": 50 }))
        .await;
    let post = world.post(&connection, &media, direct()).await;
    let id = post["id"].as_str().unwrap();
    let target = world.until_target(id, "outcome_unknown").await;
    assert_eq!(world.calls("init").await, 1, "nothing was begun anew");
    let path = format!(
        "/v1/posts/{id}/targets/{}/resolve",
        target["id"].as_str().unwrap()
    );
    let wrong = json!({ "action": "guess" });
    world
        .user
        .call(
            Method::POST,
            &path,
            Some(wrong),
            StatusCode::UNPROCESSABLE_ENTITY,
        )
        .await
        .unwrap();
    let right = json!({ "action": "mark_published", "platform_post_id": "7600000000000000001" });
    world
        .user
        .call(Method::POST, &path, Some(right.clone()), StatusCode::OK)
        .await
        .unwrap();
    assert_eq!(world.target(id).await["status"], "published");
    world
        .user
        .call(Method::POST, &path, Some(right), StatusCode::CONFLICT)
        .await
        .unwrap();
    assert_eq!(world.events(USER).await.last().unwrap(), "post.published");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_parked_may_be_posted_again() {
    let (world, connection, media) = ready(40_000, json!({})).await;
    world
        .settings(json!({ "webhooks_paused": true, "fail_next": ["internal"] }))
        .await;
    world
        .fault(json!({ "endpoint": "upload", "cut_after": true }))
        .await;
    world
        .fault(json!({ "endpoint": "status", "error": "invalid_publish_id", "times": 1 }))
        .await;
    let post = world.post(&connection, &media, direct()).await;
    let id = post["id"].as_str().unwrap();
    let target = world.until_target(id, "outcome_unknown").await;
    let path = format!(
        "/v1/posts/{id}/targets/{}/resolve",
        target["id"].as_str().unwrap()
    );
    let again = json!({ "action": "post_again" });
    world
        .user
        .call(Method::POST, &path, Some(again), StatusCode::OK)
        .await
        .unwrap();
    world.settings(json!({ "webhooks_paused": false })).await;
    world.until_target(id, "published").await;
    assert_eq!(world.calls("init").await, 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_platform_refuses_is_renewed_once() {
    let (world, connection, media) = ready(40_000, json!({})).await;
    world
        .fault(json!({ "endpoint": "init", "error": "access_token_invalid" }))
        .await;
    let post = world.post(&connection, &media, direct()).await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    assert_eq!(world.calls("token_refresh").await, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_file_fails_with_a_plain_sentence() {
    let (world, connection, media) = ready(40_000, json!({})).await;
    world
        .settings(json!({ "fail_next": ["frame_rate_check_failed"] }))
        .await;
    let post = world.post(&connection, &media, direct()).await;
    let target = world
        .until_target(post["id"].as_str().unwrap(), "failed")
        .await;
    assert_eq!(target["fault"]["code"], "media_rejected");
    assert_eq!(target["fault"]["actor"], "creator");
    assert_eq!(world.events(USER).await.last().unwrap(), "post.failed");
    let row = world.items("targets").await.remove(0);
    assert!(
        text(&row, "due_shard").is_empty(),
        "a settled target waits for nothing"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_never_arrives_costs_only_time() {
    let (world, connection, media) = ready(40_000, json!({})).await;
    let lost = world.stack.fault(
        Rule::on("sqs:SendMessage").by("upload").times(3),
        Fault::error(500, "InternalFailure"),
    );
    let post = world.post(&connection, &media, direct()).await;
    assert!(lost.fired() >= 1);
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    one_post_with_the_files_bytes(&world, 40_000).await;
    world.end().await;
}
