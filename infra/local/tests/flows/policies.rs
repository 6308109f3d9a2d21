//! Least privilege: no function makes a call that the template's policies do not allow (every test
//! asserts that of its own story), and everything that they allow is needed. One story touches it all;
//! what remains is to be taken out of template.yaml.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use local::demo::api::Api;
use local::demo::browser::{Browser, Page};
use local::demo::form::Form;
use local::{Fault, Rule, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::files::FileHost;
use crate::receiver::Receiver;
use crate::statistics::now_millis;
use crate::world::{CLIENT_KEY, Item, SOON, USER, World, number, text};

mod refreshing;
mod rekeying;
mod telling;

/// Lambda itself makes these calls for a function: its log, its event sources.
const BY_LAMBDA: &[&str] = &[
    "logs:",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    // Of the events' stream: finding it, and telling of batches that were given up.
    "dynamodb:ListStreams",
    "sqs:SendMessage RelayDeadLetters",
];

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_allowed_is_needed() {
    let host = FileHost::start().await;
    host.serve("/page", b"<html>no film</html>");
    let receiver = Receiver::start().await;
    let hosts = [
        ("files.product.example", host.url()),
        (crate::receiver::HOST, receiver.url()),
    ];
    let projection = crate::crm::Projection::new(&*crate::world::cloud().await).await;
    let world = World::beside(&hosts, |options| {
        let options = projection
            .of(options)
            .parameter("StatisticsOff", "")
            .parameter("MailFromAddress", crate::mails::FROM);
        crate::events::quick(options, "1,600")
    })
    .await;
    posting(&world).await;
    fetching(&world).await;
    syncing(&world).await;
    records(&world).await;
    crate::mails::touch_everything(&world).await;
    webhooks(&world).await;
    refreshing::refreshing(&world).await;
    operating(&world).await;
    ending(&world).await;
    telling::telling(&world, &receiver).await;
    rekeying::rekeying(&world).await;
    crate::crm_calls::touch_everything(&world, &projection).await;
    let unused: BTreeMap<String, Vec<String>> = world
        .stack
        .unused()
        .into_iter()
        .map(|(function, mut all)| {
            all.retain(|one| !by_lambda(one));
            (function, all)
        })
        .filter(|(_, all)| !all.is_empty())
        .collect();
    assert!(unused.is_empty(), "allowed and never used: {unused:#?}");
    world.end().await;
}

/// Whether Lambda makes this call: by its beginning, and by a part of its resource where one is named.
fn by_lambda(one: &str) -> bool {
    BY_LAMBDA.iter().any(|known| match known.split_once(' ') {
        Some((action, resource)) => one.starts_with(action) && one.contains(resource),
        None => one.starts_with(known),
    })
}

// ---- media, posts, and a target of every fate

async fn posting(world: &World) {
    let id = world.connect(USER).await;
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    // Given up half-way, and after it was complete.
    let size = json!({ "size": 40_000 });
    let begun = ask(&world.user, Method::POST, "/v1/media", Some(size), 201).await;
    let whole = world.user.upload(&world.file(40_000)).await.unwrap();
    for id in [begun["id"].as_str().unwrap(), &whole] {
        let path = format!("/v1/media/{id}");
        ask(&world.user, Method::DELETE, &path, None, 204).await;
    }
    // A post whose message got lost, that the sweeper wakes, that is parked, and posted again.
    world.settings(json!({ "webhooks_paused": true })).await;
    let lost = Rule::on("sqs:SendMessage").by("upload").times(3);
    world
        .stack
        .fault(lost, Fault::error(500, "InternalFailure"));
    for fault in [
        json!({ "endpoint": "upload", "cut_after": true }),
        json!({ "endpoint": "status", "error": "invalid_publish_id", "times": 50 }),
    ] {
        world.fault(fault).await;
    }
    let post = world.post(&id, &media, direct()).await;
    let post = post["id"].as_str().unwrap();
    let target = world.until_target(post, "outcome_unknown").await;
    world.control(Method::DELETE, "/faults", json!({})).await;
    let target = target["id"].as_str().unwrap();
    let path = format!("/v1/posts/{post}/targets/{target}/resolve");
    let again = json!({ "action": "post_again" });
    ask(&world.user, Method::POST, &path, Some(again), 200).await;
    world.settings(json!({ "webhooks_paused": false })).await;
    world.until_target(post, "published").await;
    ask(&world.user, Method::GET, "/v1/posts", None, 200).await;
}

/// A file at the product's address, which turns out to be none; and what may be chosen for a post.
async fn fetching(world: &World) {
    let url = json!({ "url": "https://files.product.example/page" });
    let media = ask(&world.user, Method::POST, "/v1/media", Some(url), 201).await;
    let path = format!("/v1/media/{}", media["id"].as_str().unwrap());
    eventually("the end of the file", SOON, || async {
        let get = world.user.call(Method::GET, &path, None, StatusCode::OK);
        Ok((get.await?["status"] == "failed").then_some(()))
    })
    .await
    .unwrap();
    let connection = text(&world.connection_item(USER).await, "connection_id");
    let path = format!("/v1/connections/{connection}/posting-choices");
    ask(&world.user, Method::GET, &path, None, 200).await;
    // A draft that the creator posts: its place among the open ones is given back by the webhook.
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let inbox = json!({ "mode": "inbox" });
    let draft = world.post(&connection, &media, inbox).await;
    let draft = draft["id"].as_str().unwrap();
    world.until_target(draft, "inbox").await;
    let publishes = world.publishes().await;
    let inbox = |one: &&Value| one["answer"]["status"] == "SEND_TO_USER_INBOX";
    let publish = publishes.iter().find(inbox).unwrap();
    let path = format!(
        "/publishes/{}/post",
        publish["publish_id"].as_str().unwrap()
    );
    world.control(Method::POST, &path, json!({})).await;
    called(
        world,
        "webhook-worker",
        "dynamodb:UpdateItem",
        "LimitsTable",
    )
    .await;
}

// ---- statistics: by the clock, on demand, after news, and once more after they failed

async fn syncing(world: &World) {
    until_connection(world, USER, "the first sync", |row| {
        number(row, "stats_ended_at") > 0
    })
    .await;
    let video = json!({ "user": "joris.bikes", "view_count": 1 });
    world.control(Method::POST, "/videos", video).await;
    world
        .set_connection(USER, &[("stats_due_at", 1), ("stats_read_at", 1)])
        .await;
    world.stack.fire("insights").await.unwrap();
    until_connection(world, USER, "the daily sync", |row| {
        number(row, "stats_read_at") > 1
    })
    .await;
    world
        .fault(json!({ "endpoint": "user_info", "error": "internal_error" }))
        .await;
    let api = world.backend.clone().on_behalf_of(USER);
    let asked = ask(&api, Method::POST, "/v1/sync", Some(json!({})), 202).await;
    until_connection(world, USER, "the failed sync", |row| {
        row.contains_key("stats_fault")
    })
    .await;
    let path = format!("/v1/syncs/{}", asked["id"].as_str().unwrap());
    ask(&api, Method::GET, &path, None, 200).await;
    world.stack.fire("insights").await.unwrap();
    until_connection(world, USER, "the repair", |row| {
        !row.contains_key("stats_fault")
    })
    .await;
    let target = world.items("targets").await.remove(0);
    let publish_id = text(&target, "publish_key").replace("tiktok#", "");
    let content = json!({
        "publish_id": publish_id, "publish_type": "DIRECT_PUBLISH",
        "post_id": "7600000000000000001",
    });
    let state = world.control(Method::GET, "/state", json!({})).await;
    let grant = &state["grants"][0];
    let creator = grant["user"].as_str().or(grant["username"].as_str());
    let news = json!({
        "client_key": CLIENT_KEY, "event": "post.publish.publicly_available",
        "user": creator, "content": content,
    });
    world.control(Method::POST, "/webhooks/send", news).await;
    called(world, "webhook-worker", "sqs:SendMessage", "InsightsQueue").await;
    // TikTok says that it is asked too often: the next sync waits.
    world
        .fault(json!({ "endpoint": "user_info", "error": "rate_limit_exceeded" }))
        .await;
    for _ in 0..2 {
        ask(&api, Method::POST, "/v1/sync", Some(json!({})), 202).await;
    }
    called(world, "insights-worker", "sqs:SendMessage", "InsightsQueue").await;
    world.forget_limits().await;
}

/// Every list of records, of a user who has a connection.
async fn records(world: &World) {
    let api = world.backend.clone().on_behalf_of(USER);
    for list in [
        "media-items",
        "comments",
        "fans",
        "messages",
        "analytics-events",
    ] {
        ask(&api, Method::GET, &format!("/v1/{list}"), None, 200).await;
    }
}

// ---- deliveries of every size and meaning

async fn webhooks(world: &World) {
    let account = world.connection_item(USER).await["account"].clone();
    let account = account.as_m().unwrap()["id"].as_s().unwrap();
    // In the item, in the bucket by the worker, in the bucket by the front. One goes with its account.
    for (size, account) in [(1, "-000Nobody"), (300, account), (800, "-000Nobody")] {
        let content = json!({ "share_id": "x".repeat(size * 1_024) }).to_string();
        let body = json!({
            "client_key": CLIENT_KEY, "event": "video.publish.completed",
            "create_time": 1_767_225_600, "user_openid": account, "content": content,
        });
        let raw = json!({ "client_key": CLIENT_KEY, "body": body.to_string() });
        let answer = world.control(Method::POST, "/webhooks/raw", raw).await;
        assert_eq!(answer["status"], 200, "{size} KiB");
    }
    let in_bucket = eventually("the bodies in the bucket", SOON, || async {
        let mut rows = world.items("deliveries").await;
        rows.retain(|row| !text(row, "object_key").is_empty());
        Ok((rows.len() == 2).then_some(rows))
    });
    let body = in_bucket.await.unwrap().remove(0);
    let replay = json!({ "kind": "replay", "delivery_id": text(&body, "delivery_id") });
    world
        .stack
        .send("webhook", &replay.to_string())
        .await
        .unwrap();
    called(
        world,
        "webhook-worker",
        "dynamodb:GetItem",
        "DeliveriesTable",
    )
    .await;

    news_that_wakes_a_target(world).await;
    let state = world.control(Method::GET, "/state", json!({})).await;
    let grant = &state["grants"][0];
    let creator = grant["user"].as_str().or(grant["username"].as_str());
    let removed = json!({ "client_key": CLIENT_KEY, "user": creator, "reason": 1 });
    world.control(Method::POST, "/disconnect", removed).await;
    until_connection(world, USER, "the platform's end", |row| {
        text(row, "status") == "disconnected"
    })
    .await;
    // TikTok tells whole seconds: a consent given in the second of the end may be older than it, and
    // is refused.
    let ended = now_millis() / 1_000;
    eventually("the next second but one", SOON, || async {
        Ok((now_millis() / 1_000 > ended + 1).then_some(()))
    })
    .await
    .unwrap();
}

/// The platform could not process a post that its worker still waits for: it is begun anew at once.
async fn news_that_wakes_a_target(world: &World) {
    world.settings(json!({ "processing": "held" })).await;
    let id = world.connection_item(USER).await;
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let post = world
        .post(&text(&id, "connection_id"), &media, direct())
        .await;
    let publish = eventually("the whole file there", SOON, || async {
        let all = world.publishes().await;
        let whole = |one: &Value| {
            one["upload"]["complete"] == true && one["answer"]["status"] == "PROCESSING_UPLOAD"
        };
        Ok(all.into_iter().find(whole))
    });
    let publish = publish.await.unwrap();
    let content = json!({
        "publish_id": publish["publish_id"], "publish_type": "DIRECT_PUBLISH", "reason": "internal",
    });
    let news =
        json!({ "client_key": CLIENT_KEY, "event": "post.publish.failed", "content": content });
    world.control(Method::POST, "/webhooks/send", news).await;
    called(world, "webhook-worker", "sqs:SendMessage", "PublishQueue").await;
    world.settings(json!({ "processing": "auto" })).await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
}

// ---- an operator's every call

async fn operating(world: &World) {
    let user = "user_operated";
    let connection = world.connect(user).await;
    crate::dead_letters::touch_everything(world, user, &connection).await;
    disconnect(world, user).await;
}

// ---- ends that others make up for

async fn ending(world: &World) {
    // While a connection lives on the account: tokens that the table does not keep, ...
    world.connect(USER).await;
    let grants = Rule::on("dynamodb:UpdateItem").by("oauth-callback").nth(2);
    world.stack.fault(
        grants.touching("Flows").times(3),
        Fault::error(500, "InternalServerError"),
    );
    let (_, page) = at_confirm(world, "user_unlucky").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    // ... a flow that is cancelled, and one that is never confirmed.
    let (mut browser, confirm) = at_confirm(world, "user_cancels").await;
    browser.decline(&confirm).await.unwrap();
    at_confirm(world, "user_forgets").await;
    let flows = world.items("flows").await;
    let open = flows.iter().find(|flow| flow.contains_key("grant"));
    let open = text(open.unwrap(), "flow_id");
    let over = "expires_at = :past, due_at = :past";
    past(world, "flows", "flow_id", &open, over).await;
    sweep_until(world, "all flows over, no revocation owed", async || {
        let flows = world.items("flows").await;
        let open = flows.iter().any(|flow| flow.contains_key("grant"));
        !open && world.items("revocations").await.is_empty()
    })
    .await;

    // A revoke that fails at first, of a connection that was the account's last.
    world
        .fault(json!({ "endpoint": "revoke", "error": "server_error" }))
        .await;
    disconnect(world, USER).await;
    sweep_until(world, "the connection revoked", async || {
        text(&world.connection_item(USER).await, "revocation") == "done"
    })
    .await;
}

/// A browser before the confirm page.
async fn at_confirm(world: &World, user: &str) -> (Browser, Page) {
    let (mut browser, consent) = world.at_consent(user).await;
    let form = Form::agreeing(&consent.text).unwrap();
    let back = browser.submit(&consent, &form).await.unwrap();
    let confirm = browser.follow(back).await.unwrap();
    (browser, confirm)
}

/// Sweeps, every revocation being due, until the test holds.
async fn sweep_until(world: &World, what: &str, test: impl AsyncFn() -> bool) {
    eventually(what, SOON, || async {
        for row in world.items("revocations").await {
            let id = text(&row, "revocation_id");
            past(world, "revocations", "revocation_id", &id, "due_at = :past").await;
        }
        world.stack.fire("sweeper").await?;
        Ok(test().await.then_some(()))
    })
    .await
    .unwrap();
}

// ---- helpers

fn direct() -> Value {
    json!({ "mode": "direct", "privacy": "SELF_ONLY" })
}

async fn ask(api: &Api, method: Method, path: &str, body: Option<Value>, expected: u16) -> Value {
    let expected = StatusCode::from_u16(expected).unwrap();
    api.call(method, path, body, expected).await.unwrap()
}

async fn disconnect(world: &World, user: &str) {
    let id = text(&world.connection_item(user).await, "connection_id");
    let api = world.backend.clone().on_behalf_of(user);
    let path = format!("/v1/connections/{id}");
    ask(&api, Method::DELETE, &path, None, 200).await;
}

/// Puts attributes of an item into the past, if it is there.
async fn past(world: &World, noun: &str, key: &str, id: &str, sets: &str) {
    let client = world.stack.clients().dynamodb;
    let done = client
        .update_item()
        .table_name(world.stack.table(noun).unwrap())
        .key(key, AttributeValue::S(id.to_owned()))
        .update_expression(format!("SET {sets}"))
        .condition_expression(format!("attribute_exists({key})"))
        .expression_attribute_values(":past", AttributeValue::N("1".to_owned()))
        .send()
        .await;
    if let Err(error) = done {
        let error = error.into_service_error();
        assert!(error.is_conditional_check_failed_exception(), "{error}");
    }
}

/// Waits until a function's code has made such a call.
async fn called(world: &World, function: &str, action: &str, resource: &str) {
    let made = world.stack.record().wait(1, SOON, |call| {
        let need = |(a, r): &(String, String)| a == action && r.contains(resource);
        call.function == function && call.needs.iter().any(need)
    });
    let what = |error| format!("{action} on {resource} by {function}: {error}");
    made.await.map_err(what).unwrap();
}

async fn until_connection(world: &World, user: &str, what: &str, test: impl Fn(&Item) -> bool) {
    eventually(what, SOON, || async {
        Ok(test(&world.connection_item(user).await).then_some(()))
    })
    .await
    .unwrap();
}
