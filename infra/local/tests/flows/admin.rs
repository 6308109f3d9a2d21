//! What operators see and do, through the real functions.

use std::collections::BTreeSet;

use local::demo::api::Api;
use local::eventually;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{CLIENT_KEY, SOON, USER, World, number, text};

pub(crate) const OPERATOR: &str = "op-1";
pub(crate) const PLAIN: &str = "video.publish.completed";

/// The API with an operator's token.
pub(crate) fn operator(world: &World) -> Api {
    let token = world.stack.mint_jwt(OPERATOR, &["admin"]).unwrap();
    Api::new(world.stack.api_url(), &token).unwrap()
}

pub(crate) async fn get(world: &World, path: &str) -> Value {
    let path = format!("/v1/admin/{path}");
    operator(world)
        .call(Method::GET, &path, None, StatusCode::OK)
        .await
        .unwrap()
}

pub(crate) async fn post(world: &World, path: &str, body: Value, expected: u16) -> Value {
    let path = format!("/v1/admin/{path}");
    let expected = StatusCode::from_u16(expected).unwrap();
    operator(world)
        .call(Method::POST, &path, Some(body), expected)
        .await
        .unwrap()
}

/// Waits until a delivery looks as wanted.
pub(crate) async fn until_delivery(
    world: &World,
    id: &str,
    what: &str,
    test: impl Fn(&Value) -> bool,
) -> Value {
    let path = format!("/v1/admin/deliveries/{id}");
    let api = operator(world);
    eventually(what, SOON, || async {
        // 404 until a worker took it.
        let found = api
            .call(Method::GET, &path, None, StatusCode::OK)
            .await
            .ok();
        Ok(found.filter(&test))
    })
    .await
    .unwrap()
}

/// Rows of the trail that concern a user, oldest first: `<act> <role> <outcome> <note>`.
async fn trail_of(world: &World, user: &str) -> Vec<String> {
    let page = get(world, &format!("audit?user_id={user}")).await;
    let rows = page["entries"].as_array().unwrap().iter().rev();
    rows.map(|row| {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let parts = [
            &row["act"],
            &row["who"]["role"],
            &row["outcome"],
            &row["note"],
        ];
        parts.map(word).join(" ").trim_end().to_owned()
    })
    .collect()
}

/// Acts of today's trail by this test's operator, with how they ended.
pub(crate) async fn acts(world: &World) -> BTreeSet<(String, String)> {
    let page = get(world, "audit?limit=100").await;
    let rows = page["entries"].as_array().unwrap();
    let by_us = rows.iter().filter(|row| row["who"]["subject"] == OPERATOR);
    by_us
        .map(|row| {
            assert_eq!(row["who"]["role"], "operator");
            let word = |name: &str| row[name].as_str().unwrap().to_owned();
            (word("act"), word("outcome"))
        })
        .collect()
}

pub(crate) fn has(acts: &BTreeSet<(String, String)>, act: &str, outcome: &str) {
    let wanted = (act.to_owned(), outcome.to_owned());
    assert!(acts.contains(&wanted), "{wanted:?} in {acts:?}");
}

pub(crate) async fn version(world: &World, user: &str) -> i64 {
    number(&world.connection_item(user).await, "token_version")
}

pub(crate) async fn until_version(world: &World, user: &str, wanted: i64) {
    eventually("the refresh", SOON, || async {
        Ok((version(world, user).await >= wanted).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_alone_come_in() {
    let world = World::new().await;
    let routes = [
        (Method::GET, "deliveries"),
        (Method::GET, "deliveries/dlv_00000000000000000000000000"),
        (
            Method::POST,
            "deliveries/dlv_00000000000000000000000000/replay",
        ),
        (Method::GET, "queues/webhook/dead-letters"),
        (Method::POST, "queues/webhook/dead-letters/replay"),
        (Method::POST, "queues/webhook/dead-letters/drop"),
        (Method::GET, "events"),
        (Method::POST, "platforms/tiktok/webhooks"),
        (Method::POST, "platforms/tiktok/breaker"),
        (Method::GET, "connections/expiring"),
        (Method::POST, "refreshes"),
        (Method::GET, "schedules"),
        (Method::POST, "schedules/sweeper/run"),
        (Method::GET, "sync-logs"),
        (Method::GET, "rewrap"),
        (Method::POST, "rewrap"),
        (Method::GET, "audit"),
        (Method::GET, "health"),
    ];
    for scopes in [
        &["connections", "posts"][..],
        &["service"],
        &["service", "admin"],
    ] {
        let token = world.stack.mint_jwt("caller", scopes).unwrap();
        let api = Api::new(world.stack.api_url(), &token).unwrap();
        for (method, path) in &routes {
            let path = format!("/v1/admin/{path}");
            let body = (*method == Method::POST).then(|| json!({}));
            let refused = api.call(method.clone(), &path, body, StatusCode::FORBIDDEN);
            let refused = refused.await.unwrap();
            if scopes.contains(&"admin") {
                assert_eq!(refused["code"], "forbidden", "{path}: {refused}");
            }
        }
    }
    assert_eq!(acts(&world).await, BTreeSet::new(), "nothing was begun");
    for (path, named) in [
        ("deliveries?state=lost", "state"),
        ("deliveries?platform=myspace", "platform"),
        ("deliveries?sort=up", "sort"),
        ("events?cursor=x", "cursor"),
        ("audit?day=yesterday", "day"),
        ("audit?day=2026-01-01&user_id=u", "day"),
        ("connections/expiring?days=0", "days"),
        ("sync-logs?limit=51", "limit"),
        ("sync-logs?connection_id=x", "connection_id"),
        ("health?limit=0", ""),
    ] {
        let path = format!("/v1/admin/{path}");
        let expected = if named.is_empty() { 200 } else { 400 };
        let expected = StatusCode::from_u16(expected).unwrap();
        let answer = operator(&world)
            .call(Method::GET, &path, None, expected)
            .await;
        assert!(answer.unwrap().to_string().contains(named), "{path}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synthetic_webhook_takes_the_real_path_and_can_be_replayed() {
    let world = World::new().await;
    let sent = post(
        &world,
        "platforms/tiktok/webhooks",
        json!({ "type": PLAIN }),
        202,
    )
    .await;
    let id = sent["delivery_ids"][0].as_str().unwrap();
    let applied = until_delivery(&world, id, "it applied", |one| one["state"] == "applied").await;
    assert_eq!(
        (&applied["type"], &applied["tries"], &applied["replayable"]),
        (&json!(PLAIN), &json!(1), &json!(true))
    );
    assert!(applied["received_at"].is_string() && applied["processed_at"].is_string());
    assert!(applied["external_id"].is_string(), "{applied}");

    let queued = post(&world, &format!("deliveries/{id}/replay"), json!({}), 202).await;
    assert_eq!(queued["id"], id);
    until_delivery(&world, id, "it applied again", |one| {
        one["state"] == "applied" && one["tries"] == 2
    })
    .await;

    // News of a publish that nobody knows is filed as an orphan.
    let news = json!({ "type": "post.publish.complete", "publish_id": "v_pub_file~nobody" });
    let sent = post(&world, "platforms/tiktok/webhooks", news, 202).await;
    let orphan = sent["delivery_ids"][0].as_str().unwrap();
    until_delivery(&world, orphan, "an orphan", |one| one["state"] == "orphan").await;

    // The lists: by platform, type and state.
    for (query, expected) in [
        ("", vec![orphan, id]),
        ("?platform=tiktok", vec![orphan, id]),
        ("?state=applied", vec![id]),
        ("?state=orphan", vec![orphan]),
        ("?state=replay", vec![]),
        ("?type=video.publish.completed", vec![id]),
        ("?type=video.publish.completed&state=orphan", vec![]),
    ] {
        let ids = eventually(query, SOON, || async {
            let page = get(&world, &format!("deliveries{query}")).await;
            let rows = page["deliveries"].as_array().unwrap();
            let ids: Vec<_> = rows.iter().map(|row| row["id"].clone()).collect();
            // Indexes lag.
            Ok((ids == expected).then_some(()))
        });
        ids.await.unwrap();
    }
    let first = get(&world, "deliveries?limit=1").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = get(&world, &format!("deliveries?limit=1&cursor={cursor}")).await;
    assert_eq!(next["deliveries"][0]["id"], id);

    // What cannot be sent or replayed says why.
    let refused = post(
        &world,
        "platforms/tiktok/webhooks",
        json!({ "type": "x" }),
        422,
    )
    .await;
    assert_eq!(refused["errors"][0]["field"], "type");
    let none = "deliveries/dlv_00000000000000000000000000/replay";
    post(&world, none, json!({}), 404).await;
    let acts = acts(&world).await;
    has(&acts, "admin.webhook_sent", "done");
    has(&acts, "admin.delivery_replayed", "done");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_are_forced_one_by_one_and_by_horizon() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    let before = version(&world, USER).await;
    let one = json!({ "user_id": USER, "connection_id": id });
    let queued = post(&world, "refreshes", one.clone(), 202).await;
    assert_eq!(queued["token_version"], before);
    until_version(&world, USER, before + 1).await;

    let listed = get(&world, "connections/expiring?days=366").await;
    let row = &listed["connections"][0];
    assert_eq!((&row["id"], &row["status"]), (&json!(id), &json!("active")));
    assert!(
        row["expires_at"].is_string() && row["due_at"].is_string(),
        "{row}"
    );
    let queued = post(&world, "refreshes", json!({ "within_hours": 8_784 }), 202).await;
    assert_eq!(queued, json!({ "queued": 1 }));
    until_version(&world, USER, before + 2).await;

    // A message that comes twice refreshes once: its version is gone.
    let old = json!({ "user_id": USER, "connection_id": id, "version": before });
    let calls = world.calls("token_refresh").await;
    world.stack.record().clear();
    world.stack.send("refresh", &old.to_string()).await.unwrap();
    let read = world.stack.record().wait(1, SOON, |call| {
        call.function == "refresh-worker" && call.action == "sqs:DeleteMessage"
    });
    read.await.unwrap();
    assert_eq!(world.calls("token_refresh").await, calls);

    for (body, status) in [
        (json!({ "user_id": "nobody", "connection_id": id }), 404),
        (json!({ "user_id": USER }), 422),
        (json!({ "within_hours": 0 }), 422),
    ] {
        post(&world, "refreshes", body, status).await;
    }
    let acts = acts(&world).await;
    has(&acts, "admin.refresh_forced", "done");
    has(&acts, "admin.refreshes_forced", "done");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_run_now_and_breakers_are_set_by_hand() {
    let world = World::new().await;
    world.connect(USER).await;
    let names = get(&world, "schedules").await;
    let all = [
        "insights-due",
        "insights-repair",
        "sweeper",
        "token-refresh",
    ];
    assert_eq!(names, json!({ "schedules": all }));
    let path = "platforms/tiktok/breaker";
    let open = post(&world, path, json!({ "state": "open", "minutes": 5 }), 200).await;
    assert_eq!(
        (&open["state"], &open["fault"]),
        (&json!("open"), &json!("app_refused"))
    );
    let health = get(&world, "health").await;
    assert_eq!(health["breakers"][0]["state"], "open");
    assert_eq!(health["queues"].as_array().unwrap().len(), 9);
    // Nobody asks the platform while it is open.
    world.set_connection(USER, &[("due_at", 1)]).await;
    let run = "schedules/token-refresh/run";
    let ran = async || {
        world.stack.record().clear();
        post(&world, run, json!({}), 202).await;
        let read = world.stack.record().wait(1, SOON, |call| {
            call.function == "token-refresh" && call.action == "dynamodb:Query"
        });
        read.await.unwrap();
    };
    ran().await;
    let closed = post(&world, path, json!({ "state": "closed" }), 200).await;
    assert_eq!(closed["state"], "closed");
    let before = version(&world, USER).await;
    ran().await;
    until_version(&world, USER, before + 1).await;
    post(&world, "schedules/nothing/run", json!({}), 404).await;
    post(&world, path, json!({ "state": "open", "minutes": 0 }), 422).await;
    let acts = acts(&world).await;
    for act in ["schedule_run", "breaker_opened", "breaker_closed"] {
        has(&acts, &format!("admin.{act}"), "done");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_users_and_products_do_is_in_the_trail() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let options = json!({ "mode": "direct", "privacy": "SELF_ONLY" });
    let made = world.post(&id, &media, options).await;
    world
        .until_target(made["id"].as_str().unwrap(), "published")
        .await;
    world
        .fault(json!({ "endpoint": "token_refresh", "error": "invalid_grant" }))
        .await;
    let one = json!({ "user_id": USER, "connection_id": id });
    post(&world, "refreshes", one, 202).await;
    let reauth = eventually("the end of the grant", SOON, || async {
        let status = text(&world.connection_item(USER).await, "status");
        Ok((status == "needs_reauth").then_some(()))
    });
    reauth.await.unwrap();
    let path = format!("/v1/connections/{id}");
    let gone = world.user.call(Method::DELETE, &path, None, StatusCode::OK);
    gone.await.unwrap();
    let expected = [
        "session.created service done",
        "connection.connected user done",
        "post.created user done",
        "post.published system done",
        "admin.refresh_forced operator done",
        "connection.refresh_failed system failed grant_revoked",
        "connection.disconnected user done",
    ];
    let trail = eventually("the whole trail", SOON, || async {
        let trail = trail_of(&world, USER).await;
        Ok((trail.len() >= expected.len()).then_some(trail))
    });
    let trail = trail.await.unwrap();
    for (row, expected) in trail.iter().zip(expected) {
        // Who tells first of a publish, a worker or the platform, is chance.
        let row = row.replace("post.published platform", "post.published system");
        assert!(row.starts_with(expected), "{row:?} in {trail:#?}");
    }
    let events = get(&world, &format!("events?user_id={USER}")).await;
    let kinds = events["events"].as_array().unwrap().iter();
    let kinds: Vec<_> = kinds.map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds.first(),
        Some(&"connection.disconnected"),
        "newest first: {kinds:?}"
    );
    assert_eq!(kinds.last(), Some(&"connection.connected"));
    let all = get(&world, "events?limit=2").await;
    assert_eq!(all["events"].as_array().unwrap().len(), 2);
    let cursor = all["next_cursor"].as_str().unwrap();
    let rest = get(&world, &format!("events?cursor={cursor}")).await;
    assert_eq!(rest["events"].as_array().unwrap().len(), kinds.len() - 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_bodies_go_with_their_account_and_marks_stay() {
    let world = World::new().await;
    world.connect(USER).await;
    let row = world.connection_item(USER).await;
    let account = row["account"].as_m().unwrap()["id"].as_s().unwrap();
    // In the item, in the bucket, and another account's.
    let mut ids = Vec::new();
    for (account, size) in [(account.as_str(), 1), (account, 300), ("-000Nobody", 1)] {
        let content = json!({ "share_id": "x".repeat(size * 1_024) }).to_string();
        let body = json!({
            "client_key": CLIENT_KEY, "event": PLAIN, "create_time": 1_767_225_600,
            "user_openid": account, "content": content,
        });
        let raw = json!({ "client_key": CLIENT_KEY, "body": body.to_string() });
        world.control(Method::POST, "/webhooks/raw", raw).await;
        let known = ids.len();
        let found = eventually("the mark", SOON, || async {
            let mut rows = world.items("deliveries").await;
            rows.retain(|row| text(row, "part") == "mark" && text(row, "state") == "applied");
            rows.retain(|row| !ids.contains(&text(row, "delivery_id")));
            Ok(rows.first().map(|row| text(row, "delivery_id")))
        });
        let id = found.await.unwrap();
        ids.push(id);
        assert_eq!(ids.len(), known + 1);
    }
    for id in &ids {
        until_delivery(&world, id, "kept", |one| one["replayable"] == true).await;
    }
    let state = world.control(Method::GET, "/state", json!({})).await;
    let grant = &state["grants"][0];
    let creator = grant["user"].as_str().or(grant["username"].as_str());
    let removed = json!({ "client_key": CLIENT_KEY, "user": creator, "reason": 1 });
    world.control(Method::POST, "/disconnect", removed).await;
    for (id, kept) in [(&ids[0], false), (&ids[1], false), (&ids[2], true)] {
        let one = until_delivery(&world, id, "gone with the account, or kept", |one| {
            one["replayable"] == kept
        });
        assert_eq!(one.await["state"], "applied", "the mark stays");
        if !kept {
            post(&world, &format!("deliveries/{id}/replay"), json!({}), 409).await;
        }
    }
    world.end().await;
}
