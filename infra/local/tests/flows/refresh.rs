//! Refreshing under load and under faults.

use domain::Clock;
use futures_util::future::join_all;
use lambda::SystemClock;
use local::{Fault, Rule, eventually};
use serde_json::{Value, json};

use crate::world::{SOON, USER, World, number, text};

/// The event that a queue with one message hands over.
fn record(queue: &str, body: &Value) -> Value {
    json!({ "Records": [{
        "messageId": "m1", "receiptHandle": "r1", "body": body.to_string(),
        "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1767225600000" },
        "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
        "awsRegion": "us-east-1",
    }]})
}

fn wish(connection: &str) -> Value {
    json!({ "user_id": USER, "connection_id": connection })
}

/// The message that the schedule would send for the item as it stands.
fn due(connection: &str, version: u64) -> Value {
    json!({
        "user_id": USER, "connection_id": connection,
        "due": { "platform": "tiktok", "token_version": version },
    })
}

async fn refresh(world: &World, body: &Value) {
    let ended = world
        .stack
        .invoke("refresh-worker", &record("refresh", body))
        .await
        .unwrap();
    ended.result.unwrap();
}

/// Refreshes in the background and gives up on the answer: the process may be killed meanwhile.
async fn refresh_dying(world: &World, body: &Value) {
    drop(
        world
            .stack
            .invoke("refresh-worker", &record("refresh", body))
            .await,
    );
}

async fn expired(world: &World) -> String {
    let id = world.connect(USER).await;
    world
        .set_connection(USER, &[("expires_at", 1), ("due_at", 1)])
        .await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_refreshers_of_one_expired_token_make_one_call() {
    let world = World::new().await;
    let id = expired(&world).await;
    join_all((0..50).map(|_| async { refresh(&world, &due(&id, 1)).await })).await;
    assert_eq!(world.calls("token_refresh").await, 1);
    let item = world.connection_item(USER).await;
    assert_eq!(number(&item, "token_version"), 2);
    assert!(!item.contains_key("lease_holder"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_finds_what_is_due_and_the_holder_is_cheap() {
    let world = World::new().await;
    let id = expired(&world).await;
    world.stack.record().clear();
    world.stack.fire("token-refresh").await.unwrap();
    eventually("the refresh", SOON, || async {
        Ok((number(&world.connection_item(USER).await, "token_version") == 2).then_some(()))
    })
    .await
    .unwrap();
    let calls = world.stack.record().of("refresh-worker");
    let count = |service: &str| {
        calls
            .iter()
            .filter(|call| call.action.starts_with(service) && !call.by_poller)
            .count()
    };
    assert!(count("kms:") <= 1, "{} KMS calls", count("kms:"));
    assert!(
        count("dynamodb:") <= 3,
        "{} DynamoDB calls",
        count("dynamodb:")
    );
    // Done: the next run finds nothing.
    world.stack.fire("token-refresh").await.unwrap();
    assert_eq!(world.calls("token_refresh").await, 1);
    let status = world.status_of(USER, &id).await;
    assert_eq!(status["failures"], 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_only_the_creator_can_put_off_is_told_once_and_then_noted() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    let told = async || {
        let mut events = world.events(USER).await;
        events.retain(|kind| kind != "connection.connected");
        events
    };
    let looked_at = async |what: &str| {
        world.stack.fire("token-refresh").await.unwrap();
        eventually(what, SOON, || async {
            Ok((number(&world.connection_item(USER).await, "due_at") != 1).then_some(()))
        })
        .await
        .unwrap();
    };
    // The consent ends tomorrow, whatever is renewed.
    let tomorrow = SystemClock.now().plus_secs(86_400).millis();
    let ends = [("grant_ends_at", tomorrow), ("due_at", 1)];
    world.set_connection(USER, &ends).await;
    looked_at("the telling").await;
    assert_eq!(told().await, ["connection.expiring"]);
    let row = world.connection_item(USER).await;
    assert_eq!(number(&row, "end_told"), tomorrow);
    assert!(!row.contains_key("lease_holder"));
    // It is renewed when that is due, which is before its end.
    assert!(number(&row, "due_at") < tomorrow && world.calls("token_refresh").await == 0);
    // The same end, stated anew, is no news.
    let ends = [("grant_ends_at", tomorrow + 5_000), ("due_at", 1)];
    world.set_connection(USER, &ends).await;
    looked_at("the refresh").await;
    assert_eq!(world.calls("token_refresh").await, 1);
    assert_eq!(told().await, ["connection.expiring"]);

    // Tokens that nothing renews have ended.
    let ended = [("tokens_end_at", 1), ("due_at", 1)];
    world.set_connection(USER, &ended).await;
    world.stack.fire("token-refresh").await.unwrap();
    eventually("the end", SOON, || async {
        Ok((world.status_of(USER, &id).await["status"] == "needs_reauth").then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(
        world.status_of(USER, &id).await["reason"],
        "refresh_expired"
    );
    assert_eq!(
        told().await,
        ["connection.expiring", "connection.needs_reauth"]
    );
    assert_eq!(world.calls("token_refresh").await, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_the_table_refuses_comes_back_out_of_the_rescue_queue() {
    let world = World::new().await;
    let id = expired(&world).await;
    // The lease is the first update of the table; every later one fails until the rescue.
    let broken = world.stack.fault(
        Rule::on("dynamodb:UpdateItem")
            .by("refresh-worker")
            .touching("Connections")
            .nth(2)
            .times(15),
        Fault::error(500, "InternalServerError"),
    );
    refresh(&world, &due(&id, 1)).await;
    assert!(
        broken.fired() >= 4,
        "the write was tried hard: {}",
        broken.fired()
    );
    world.stack.clear_faults();
    eventually("the rescue", SOON, || async {
        Ok((number(&world.connection_item(USER).await, "token_version") == 2).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(world.calls("token_refresh").await, 1);
    // The rescued bundle is the living one: the next refresh works with it.
    refresh(&world, &wish(&id)).await;
    let item = world.connection_item(USER).await;
    assert_eq!(
        (number(&item, "token_version"), text(&item, "status")),
        (3, "active".to_owned())
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_was_lost_is_recognised() {
    let world = World::new().await;
    let id = expired(&world).await;
    let commit = Rule::on("dynamodb:UpdateItem")
        .by("refresh-worker")
        .touching("Connections")
        .nth(2);
    let lost = world.stack.fault(commit, Fault::DropAfter);
    refresh(&world, &due(&id, 1)).await;
    assert_eq!(lost.fired(), 1);
    assert_eq!(
        number(&world.connection_item(USER).await, "token_version"),
        2
    );
    assert_eq!(world.queue_rescue().await, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_inside_the_window_ends_as_rotation_lost_once() {
    let world = World::new().await;
    let id = expired(&world).await;
    // The platform has rotated; the worker dies before it hears of it.
    world
        .fault(json!({ "endpoint": "token_refresh", "hold": "after" }))
        .await;
    let body = due(&id, 1);
    let dying = refresh_dying(&world, &body);
    let kill = async {
        world.held("token_refresh").await;
        world.stack.kill("refresh-worker").await.unwrap();
        world.release().await;
    };
    tokio::join!(dying, kill);
    // Nobody touches the connection before the lease and the settling time are over.
    refresh(&world, &due(&id, 1)).await;
    assert_eq!(world.calls("token_refresh").await, 1);
    eventually("the takeover", SOON, || async {
        refresh(&world, &due(&id, 1)).await;
        Ok((text(&world.connection_item(USER).await, "status") == "needs_reauth").then_some(()))
    })
    .await
    .unwrap();
    let item = world.connection_item(USER).await;
    assert_eq!(text(&item, "reason"), "rotation_lost");
    assert_eq!(
        world.events(USER).await,
        ["connection.connected", "connection.needs_reauth"]
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_outside_the_window_loses_nothing() {
    for (what, rule, fault) in [
        (
            "before the lease",
            Rule::on("dynamodb:UpdateItem").touching("Connections"),
            Fault::KillBefore,
        ),
        (
            "after the lease",
            Rule::on("dynamodb:UpdateItem").touching("Connections"),
            Fault::KillAfter,
        ),
        ("before the key", Rule::on("kms:Decrypt"), Fault::KillBefore),
        ("after the key", Rule::on("kms:Decrypt"), Fault::KillAfter),
        (
            "after the commit",
            Rule::on("dynamodb:UpdateItem")
                .touching("Connections")
                .nth(2),
            Fault::KillAfter,
        ),
    ] {
        let world = World::new().await;
        let id = expired(&world).await;
        let killed = world.stack.fault(rule.by("refresh-worker"), fault);
        refresh_dying(&world, &due(&id, 1)).await;
        assert_eq!(killed.fired(), 1, "{what}");
        eventually(what, SOON, || async {
            refresh(&world, &due(&id, 1)).await;
            Ok((number(&world.connection_item(USER).await, "token_version") == 2).then_some(()))
        })
        .await
        .unwrap();
        let item = world.connection_item(USER).await;
        assert_eq!(text(&item, "status"), "active", "{what}");
        assert_eq!(world.calls("token_refresh").await, 1, "{what}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_grant_needs_the_creator_and_trouble_that_passes_does_not() {
    let world = World::new().await;
    let id = expired(&world).await;
    for fault in [
        json!({ "endpoint": "token_refresh", "error": "server_error" }),
        json!({ "endpoint": "token_refresh", "error": "temporarily_unavailable" }),
        json!({ "endpoint": "token_refresh", "status": 429, "body": {} }),
        json!({ "endpoint": "token_refresh", "cut_before": true }),
    ] {
        world.fault(fault.clone()).await;
        refresh(&world, &wish(&id)).await;
        let item = world.connection_item(USER).await;
        assert_eq!(text(&item, "status"), "active", "{fault}");
        assert!(!item.contains_key("lease_holder"), "{fault}");
    }
    assert_eq!(world.status_of(USER, &id).await["failures"], 4);
    assert_eq!(world.events(USER).await, ["connection.connected"]);

    world
        .fault(json!({ "endpoint": "token_refresh", "error": "invalid_grant", "http200": true }))
        .await;
    refresh(&world, &wish(&id)).await;
    assert_eq!(
        text(&world.connection_item(USER).await, "status"),
        "needs_reauth"
    );
    assert_eq!(
        world.events(USER).await,
        ["connection.connected", "connection.needs_reauth"]
    );

    // Connecting again heals it, under a new version.
    world.connect(USER).await;
    let item = world.connection_item(USER).await;
    assert_eq!(
        (text(&item, "status"), number(&item, "token_version")),
        ("active".to_owned(), 2)
    );
    world.end().await;
}

/// A table that hangs instead of failing must not keep the rescue queue waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_hangs_does_not_keep_the_rescue_waiting() {
    let world = World::new().await;
    let id = expired(&world).await;
    let commits = Rule::on("dynamodb:UpdateItem")
        .by("refresh-worker")
        .touching("Connections")
        .nth(2);
    let hanging = world.stack.fault(commits.times(9), Fault::HoldBefore);
    let body = due(&id, 1);
    let working = refresh(&world, &body);
    let rescued = eventually("the rescue message", SOON, || async {
        let calls = world.stack.record().of("refresh-worker");
        Ok(calls
            .iter()
            .any(|call| call.action == "sqs:SendMessage")
            .then_some(()))
    });
    let (_, rescued) = tokio::join!(working, rescued);
    rescued.unwrap();
    assert!(hanging.fired() >= 1);
    world.stack.clear_faults();
    eventually("the rescue", SOON, || async {
        Ok((number(&world.connection_item(USER).await, "token_version") == 2).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(world.calls("token_refresh").await, 1);
    world.end().await;
}

/// A refresh that failed is not tried again by everybody who wants a token.
#[tokio::test(flavor = "multi_thread")]
async fn callers_keep_to_the_pause_after_a_failed_refresh() {
    let world = World::new().await;
    let id = expired(&world).await;
    world
        .fault(json!({ "endpoint": "token_refresh", "error": "server_error", "times": 9 }))
        .await;
    refresh(&world, &due(&id, 1)).await;
    assert_eq!(world.calls("token_refresh").await, 1);
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let post = world
        .post(&id, &media, json!({ "privacy": "SELF_ONLY" }))
        .await;
    let post = post["id"].as_str().unwrap();
    eventually("the post to wait", SOON, || async {
        Ok((world.target(post).await["fault"]["code"] == "platform_down").then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(world.calls("token_refresh").await, 1);
    world.end().await;
}

/// The mark of a refresh that may have spent its token ends with the next refresh that goes well: a
/// dead grant long after it is a dead grant, not a lost rotation.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_forgotten_once_a_refresh_went_well() {
    let world = World::new().await;
    let id = expired(&world).await;
    world
        .fault(json!({ "endpoint": "token_refresh", "error": "server_error" }))
        .await;
    refresh(&world, &wish(&id)).await;
    assert!(
        world
            .connection_item(USER)
            .await
            .contains_key("spent_since")
    );
    refresh(&world, &wish(&id)).await;
    let item = world.connection_item(USER).await;
    assert_eq!(number(&item, "token_version"), 2);
    assert!(!item.contains_key("spent_since"));
    world
        .fault(json!({ "endpoint": "token_refresh", "error": "invalid_grant" }))
        .await;
    refresh(&world, &wish(&id)).await;
    assert_eq!(
        text(&world.connection_item(USER).await, "reason"),
        "grant_revoked"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_fault_opens_the_breaker_and_flips_nobody() {
    let world = World::new().await;
    let id = expired(&world).await;
    world
        .fault(json!({ "endpoint": "token_refresh", "error": "invalid_client" }))
        .await;
    refresh(&world, &wish(&id)).await;
    let item = world.connection_item(USER).await;
    assert_eq!(
        (text(&item, "status"), number(&item, "failures")),
        ("active".to_owned(), 0)
    );
    let breaker = world.items("platforms").await.remove(0);
    assert!(number(&breaker, "open_until") > 0);
    // Open: nobody asks the platform.
    refresh(&world, &wish(&id)).await;
    world.stack.kill("refresh-worker").await.unwrap();
    refresh(&world, &wish(&id)).await;
    assert_eq!(world.calls("token_refresh").await, 1);
    assert!(
        world
            .stack
            .all_logs()
            .unwrap()
            .contains("circuit breaker opened")
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_could_outlive_its_lease_is_refused_at_the_start() {
    let world = World::with(|options| {
        let options = options.parameter("HttpTimeoutSeconds", "3");
        options.parameter("RefreshLeaseSeconds", "9")
    })
    .await;
    let event = record("refresh", &wish("conn_1"));
    let ended = world.stack.invoke("refresh-worker", &event).await.unwrap();
    assert!(ended.result.is_err());
    let log = world.stack.host().log_text("refresh-worker").unwrap();
    let told = "HTTP_TIMEOUT_SECONDS is 3 s, but must be under a third of REFRESH_LEASE_SECONDS, which is 9 s";
    assert!(log.contains(told), "{log}");
    world.end().await;
}

impl World {
    async fn queue_rescue(&self) -> u64 {
        let (visible, flying, delayed) = self.stack.queue_depth("rescue").await.unwrap();
        visible + flying + delayed
    }
}

/// oauth-hardening.md §3.5, item 12: a platform that declares many grants dead at once is not believed.
#[tokio::test(flavor = "multi_thread")]
async fn many_grants_that_die_at_once_are_not_believed() {
    let world = World::new().await;
    let mut connections = Vec::new();
    for n in 0..12 {
        let user = format!("user_{n}");
        connections.push((world.connect(&user).await, user));
    }
    world
        .fault(json!({ "endpoint": "token_refresh", "error": "invalid_grant", "times": 99 }))
        .await;
    for (id, user) in &connections {
        refresh(&world, &json!({ "user_id": user, "connection_id": id })).await;
    }
    let rows = world.items("connections").await;
    let ended = rows.iter().filter(|row| text(row, "status") != "active");
    assert_eq!(ended.count(), 9, "a few are believed before it shows");
    assert!(rows.iter().all(|row| !row.contains_key("lease_holder")));
    let breaker = world.items("platforms").await.remove(0);
    assert!(number(&breaker, "open_until") > 0 && number(&breaker, "held_since") > 0);
    // The breaker is open: the last two were not asked for.
    assert_eq!(world.calls("token_refresh").await, 10);
    let logs = world.stack.all_logs().unwrap();
    assert!(logs.contains("their end is not believed"));
    world.end().await;
}
