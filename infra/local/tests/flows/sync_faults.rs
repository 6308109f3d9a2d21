//! Syncs in trouble: what was read stays, what passes is repaired, and a worker may die anywhere.

use local::{Fault, Rule, eventually};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::statistics::{
    ask, connected, figures, film, followers, followers_of_the_day, named, now_millis, sync, syncs,
    told, until_synced, world,
};
use crate::world::{SOON, USER, World, number};

#[tokio::test(flavor = "multi_thread")]
async fn trouble_of_the_platform_costs_no_reading_that_stands() {
    let (world, id) = connected().await;
    let read_at = number(&world.connection_item(USER).await, "stats_read_at");
    for (fault, code) in [
        (
            json!({ "endpoint": "user_info", "error": "rate_limit_exceeded" }),
            "rate_limited",
        ),
        (
            json!({ "endpoint": "user_info", "error": "internal_error" }),
            "platform_down",
        ),
        (
            json!({ "endpoint": "user_info", "cut_before": true }),
            "platform_down",
        ),
    ] {
        world.fault(fault.clone()).await;
        let ended = sync(&world).await;
        assert_eq!(ended["state"], "failed", "{fault}");
        assert_eq!(ended["connections"][0]["fault"]["code"], code, "{fault}");
        // Once TikTok has said that it is asked too often, nobody asks it for a minute.
        world.forget_limits().await;
    }
    let row = world.connection_item(USER).await;
    assert_eq!(number(&row, "stats_read_at"), read_at);
    assert_eq!(number(&row, "stats_failures"), 3);
    // It is tried again within hours, and the pauses grow.
    let due = number(&row, "stats_due_at") - now_millis();
    assert!((50 * 60_000..=60 * 60_000).contains(&due), "{due}");

    // The list fails after the account was read: the account's figures are kept.
    followers(&world, 1_500).await;
    world
        .fault(json!({ "endpoint": "video_list", "error": "internal_error" }))
        .await;
    let ended = sync(&world).await;
    assert_eq!(
        (&ended["state"], &ended["connections"][0]["rows"]),
        (&json!("failed"), &json!(1))
    );
    assert_eq!(followers_of_the_day(&world).await, 1_500);
    let (latest, _) = figures(&world).await;
    let totals = latest[0]["media"].as_m().unwrap()["read"].as_m().unwrap();
    assert_eq!(
        number(totals, "count"),
        2,
        "the sums stay as they were read"
    );
    let fault = &world.status_of(USER, &id).await["statistics"]["last_fault"];
    assert_eq!(fault["code"], "platform_down");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_the_platform_tells_of_is_kept_before_the_next_call() {
    let (world, _) = connected().await;
    world
        .fault(json!({ "endpoint": "user_info", "error": "rate_limit_exceeded" }))
        .await;
    assert_eq!(sync(&world).await["state"], "failed");
    let asked = world.calls("user_info").await;
    ask(&world).await;
    let waits = world.stack.record().wait(1, SOON, |call| {
        let need =
            |(a, r): &(String, String)| a == "sqs:SendMessage" && r.contains("InsightsQueue");
        call.function == "insights-worker" && call.needs.iter().any(need)
    });
    waits.await.unwrap();
    assert_eq!(world.calls("user_info").await, asked, "nobody asked again");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_passed_is_repaired_and_the_rest_waits_for_its_creator() {
    let (world, _) = connected().await;
    world
        .fault(json!({ "endpoint": "user_info", "error": "internal_error" }))
        .await;
    assert_eq!(sync(&world).await["state"], "failed");
    followers(&world, 1_600).await;
    world.stack.fire("insights").await.unwrap();
    until_synced(&world, "the repair", |row| !row.contains_key("stats_fault")).await;
    assert_eq!(followers_of_the_day(&world).await, 1_600);
    let repaired = syncs(&world).await;
    assert_eq!(repaired.last().unwrap(), &named("repair", "done"));
    // Nothing is left to repair.
    world.stack.fire("insights").await.unwrap();
    let (visible, flying, delayed) = world.stack.queue_depth("insights").await.unwrap();
    assert_eq!(visible + flying + delayed, 0);
    assert_eq!(syncs(&world).await, repaired);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_renewed_and_a_dead_grant_ends_the_syncs() {
    let (world, id) = connected().await;
    world
        .fault(json!({ "endpoint": "user_info", "error": "access_token_invalid" }))
        .await;
    assert_eq!(sync(&world).await["state"], "done");
    assert_eq!(
        number(&world.connection_item(USER).await, "token_version"),
        2
    );

    for fault in [
        json!({ "endpoint": "user_info", "error": "access_token_invalid" }),
        json!({ "endpoint": "token_refresh", "error": "invalid_grant" }),
    ] {
        world.fault(fault).await;
    }
    let ended = sync(&world).await;
    assert_eq!(
        ended["connections"][0]["fault"]["code"], "reauth_needed",
        "{ended}"
    );
    assert_eq!(world.status_of(USER, &id).await["status"], "needs_reauth");
    // It is passed over until its creator connects again, which reads it at once.
    let calls = world.calls("user_info").await;
    world.set_connection(USER, &[("stats_due_at", 1)]).await;
    world.stack.fire("insights").await.unwrap();
    until_synced(&world, "it to be put off", |row| {
        number(row, "stats_due_at") > now_millis()
    })
    .await;
    let refused = world.backend.clone().on_behalf_of(USER);
    let path = format!("/v1/connections/{id}/sync");
    let refused = refused
        .call(Method::POST, &path, None, StatusCode::CONFLICT)
        .await;
    assert_eq!(refused.unwrap()["code"], "reauth_needed");
    assert_eq!(world.calls("user_info").await, calls);
    let before = now_millis();
    world.connect(USER).await;
    until_synced(&world, "the sync of the new consent", |row| {
        number(row, "stats_read_at") >= before
    })
    .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_for_a_connection_that_ended_meanwhile() {
    let world = world().await;
    film(&world, 0, 90).await;
    world
        .fault(json!({ "endpoint": "video_list", "hold": "after" }))
        .await;
    let id = world.connect(USER).await;
    world.held("video_list").await;
    let api = world.backend.clone().on_behalf_of(USER);
    let path = format!("/v1/connections/{id}");
    api.call(Method::DELETE, &path, None, StatusCode::OK)
        .await
        .unwrap();
    let over = world.connection_item(USER).await;
    world.release().await;
    eventually("the sync's end", SOON, || async {
        Ok((syncs(&world).await == [named("first", "failed")]).then_some(()))
    })
    .await
    .unwrap();
    for noun in ["snapshots", "figures"] {
        assert!(world.items(noun).await.is_empty(), "{noun}");
    }
    assert_eq!(told(&world).await, 0);
    assert_eq!(world.connection_item(USER).await, over);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_anywhere_leaves_one_reading() {
    let transaction = |nth| Rule::on("dynamodb:TransactWriteItems").nth(nth);
    for (what, rule, fault) in [
        (
            "before it takes the sync",
            Rule::on("dynamodb:UpdateItem").touching("SyncLogs"),
            Fault::KillBefore,
        ),
        (
            "after it took the sync",
            Rule::on("dynamodb:UpdateItem").touching("SyncLogs"),
            Fault::KillAfter,
        ),
        (
            "before its media are kept",
            transaction(1),
            Fault::KillBefore,
        ),
        (
            "after its media were kept",
            transaction(1),
            Fault::KillAfter,
        ),
        (
            "before the reading is kept",
            transaction(2),
            Fault::KillBefore,
        ),
        (
            "after the reading was kept",
            transaction(2),
            Fault::KillAfter,
        ),
        (
            "and the answer is lost alone",
            transaction(2),
            Fault::DropAfter,
        ),
    ] {
        let world = World::with(|options| {
            options
                .parameter("StatisticsOff", "")
                .parameter("StatisticsLeaseSeconds", "1")
                .parameter("InsightsVisibility", "1")
        })
        .await;
        film(&world, 0, 90).await;
        let killed = world.stack.fault(rule.by("insights-worker"), fault);
        world.connect(USER).await;
        until_synced(&world, what, |row| number(row, "stats_read_at") > 0).await;
        eventually("an empty queue", SOON, || async {
            let (visible, flying, delayed) = world.stack.queue_depth("insights").await?;
            Ok((visible + flying + delayed == 0).then_some(()))
        })
        .await
        .unwrap();
        assert_eq!(killed.fired(), 1, "{what}");
        assert_eq!(syncs(&world).await, [named("first", "done")], "{what}");
        assert_eq!(followers_of_the_day(&world).await, 48_210, "{what}");
        let (latest, media) = figures(&world).await;
        assert_eq!((latest.len(), media.len()), (1, 1), "{what}");
        assert_eq!(told(&world).await, 1, "{what}");
        let dead = world.stack.queue_depth("InsightsDeadLetters").await;
        assert_eq!(dead.unwrap(), (0, 0, 0), "{what}");
        world.end().await;
    }
}
