//! A platform's sandbox beside its production: each connection lives with the app that made it.

use local::demo::form::Form;
use local::eventually;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{
    CLIENT_KEY, Item, SANDBOX_KEY, SANDBOX_SECRET, SOON, USER, World, number, text,
};

/// Who agrees on the stand-in's consent page: somebody whom the sandbox knows.
const CREATOR: &str = "mara.cooks";

async fn ask(world: &World, method: Method, path: &str, body: Option<Value>, status: u16) -> Value {
    let status = StatusCode::from_u16(status).unwrap();
    world.user.call(method, path, body, status).await.unwrap()
}

fn session(environment: &str) -> Value {
    json!({
        "user_id": USER, "user_label": "Flow", "platform": "tiktok", "environment": environment,
    })
}

/// Connects the creator's account in this environment; gives the connection as the API shows it.
async fn connected(world: &World, environment: &str) -> Value {
    let link = world.backend.session(session(environment)).await.unwrap();
    let mut browser = world.browser();
    let button = browser.open(&link).await.unwrap();
    let consent = browser.agree(&button).await.unwrap();
    let form = Form::agreeing(&consent.text).unwrap().set("user", CREATOR);
    let back = browser.submit(&consent, &form).await.unwrap();
    let confirm = browser.follow(back).await.unwrap();
    browser.agree(&confirm).await.unwrap();
    let all = world.connections(USER).await;
    let mut of = all
        .into_iter()
        .filter(|one| one["environment"] == environment && one["status"] == "active");
    let found = of.next().expect("a connection of this environment");
    assert!(of.next().is_none(), "one connection per account and app");
    found
}

fn id(connection: &Value) -> String {
    connection["id"].as_str().unwrap().to_owned()
}

/// The client ids that called an endpoint so far, in order.
async fn callers(world: &World, endpoint: &str) -> Vec<String> {
    let path = format!("/requests?endpoint={endpoint}");
    let log = world.control(Method::GET, &path, json!({})).await;
    let calls = log["requests"].as_array().cloned().unwrap_or_default();
    let key = |call: &Value| call["fields"]["client_key"].as_str().map(str::to_owned);
    calls.iter().filter_map(key).collect()
}

async fn item(world: &World, connection: &str) -> Item {
    let all = world.items("connections").await;
    all.into_iter()
        .find(|item| text(item, "connection_id") == connection)
        .expect("the connection's item")
}

/// Has a connection refreshed, and waits for what `done` says of its item.
async fn refreshed(world: &World, connection: &str, done: impl Fn(&Item) -> bool) -> Item {
    let wish = json!({ "user_id": USER, "connection_id": connection });
    let wish = wish.to_string();
    world.stack.send("refresh", &wish).await.unwrap();
    eventually("the refresh's end", SOON, || async {
        let item = item(world, connection).await;
        Ok((done(&item) && !item.contains_key("lease_holder")).then_some(item))
    })
    .await
    .unwrap()
}

fn notices(choices: &Value) -> Vec<&str> {
    let notices = choices["notices"].as_array().unwrap();
    let codes = notices.iter().filter_map(|one| one["code"].as_str());
    codes.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_and_its_production_serve_one_user_side_by_side() {
    let world = World::new().await;
    let production = id(&connected(&world, "production").await);
    let sandbox = id(&connected(&world, "sandbox").await);
    assert_ne!(production, sandbox);
    assert_eq!(world.connections(USER).await.len(), 2);
    let status = world.status_of(USER, &sandbox).await;
    assert_eq!(status["environment"], "sandbox");
    assert_eq!(
        callers(&world, "token_code").await,
        [CLIENT_KEY, SANDBOX_KEY]
    );

    for (connection, key) in [(&sandbox, SANDBOX_KEY), (&production, CLIENT_KEY)] {
        let item = refreshed(&world, connection, |item| {
            number(item, "token_version") == 2
        })
        .await;
        assert_eq!(text(&item, "client_id"), key);
    }
    let refreshes = callers(&world, "token_refresh").await;
    assert_eq!(refreshes, [SANDBOX_KEY, CLIENT_KEY]);

    // What the form must show, and what a post may be, is each app's own.
    for (connection, restricted) in [(&sandbox, true), (&production, false)] {
        let path = format!("/v1/connections/{connection}/posting-choices");
        let choices = ask(&world, Method::GET, &path, None, 200).await;
        assert_eq!(
            notices(&choices).contains(&"sandbox"),
            restricted,
            "{choices}"
        );
    }
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let body = json!({
        "text": "x", "media": [media],
        "targets": [{ "connection_id": sandbox, "options": { "privacy": "PUBLIC_TO_EVERYONE" } }],
    });
    let refused = ask(&world, Method::POST, "/v1/posts", Some(body), 422).await;
    assert_eq!(refused["errors"][0]["code"], "sandbox", "{refused}");

    let direct = json!({ "mode": "direct", "privacy": "SELF_ONLY" });
    for connection in [&sandbox, &production] {
        let post = world.post(connection, &media, direct.clone()).await;
        let post = post["id"].as_str().unwrap();
        world.until_target(post, "published").await;
    }
    let publishes = world.publishes().await;
    let of = |key: &str| {
        let mut all = publishes.iter();
        all.any(|one| one["client_key"] == key && one["status"] == "PUBLISH_COMPLETE")
    };
    assert!(of(SANDBOX_KEY) && of(CLIENT_KEY), "{publishes:#?}");
    // Each app's news of its post was genuine and found the post.
    eventually("both apps' deliveries", SOON, || async {
        let marks = world.items("deliveries").await;
        let done = |mark: &&Item| {
            text(mark, "kind") == "post.publish.complete" && text(mark, "state") == "applied"
        };
        Ok((marks.iter().filter(done).count() == 2).then_some(()))
    })
    .await
    .unwrap();

    let path = format!("/v1/connections/{sandbox}");
    let ended = ask(&world, Method::DELETE, &path, None, 200).await;
    assert_eq!(ended["revocation"]["state"], "done", "{ended}");
    assert_eq!(callers(&world, "revoke").await, [SANDBOX_KEY]);
    assert_eq!(world.status_of(USER, &production).await["status"], "active");
    refreshed(&world, &production, |item| {
        number(item, "token_version") == 3
    })
    .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_taken_away_blames_no_connection_and_lends_to_none() {
    let world = World::new().await;
    let sandbox = id(&connected(&world, "sandbox").await);
    // A second attempt stands before the consent page.
    let link = world.backend.session(session("sandbox")).await.unwrap();
    let mut browser = world.browser();
    let button = browser.open(&link).await.unwrap();
    let consent = browser.agree(&button).await.unwrap();

    world.configure(json!({ "sandbox": null })).await;
    let item = refreshed(&world, &sandbox, |item| item.contains_key("last_fault")).await;
    assert_eq!(text(&item, "status"), "active");
    assert_eq!(number(&item, "token_version"), 1);
    assert_eq!(number(&item, "failures"), 0, "no connection is blamed");
    let status = world.status_of(USER, &sandbox).await;
    assert_eq!(status["last_fault"]["code"], "app_refused", "{status}");
    assert_eq!(status["last_fault"]["actor"], "operator", "{status}");
    assert_eq!(
        world.calls("token_refresh").await,
        0,
        "the other app asks for nothing"
    );

    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let body = json!({
        "text": "x", "media": [media],
        "targets": [{ "connection_id": sandbox, "options": { "privacy": "SELF_ONLY" } }],
    });
    let refused = ask(&world, Method::POST, "/v1/posts", Some(body), 422).await;
    assert_eq!(refused["errors"][0]["code"], "not_configured", "{refused}");
    let answer = world.backend.call(
        Method::POST,
        "/v1/sessions",
        Some(session("sandbox")),
        StatusCode::UNPROCESSABLE_ENTITY,
    );
    let refused = answer.await.unwrap();
    assert_eq!(refused["errors"][0]["field"], "environment", "{refused}");
    assert_eq!(refused["errors"][0]["code"], "not_configured", "{refused}");
    // The code belongs to the app that asked for it.
    let form = Form::agreeing(&consent.text).unwrap();
    let back = browser.submit(&consent, &form).await.unwrap();
    let page = browser.follow(back).await.unwrap();
    assert!(page.text.contains("app_refused"), "{}", page.text);
    assert_eq!(callers(&world, "token_code").await, [SANDBOX_KEY]);

    // A disconnect is kept until the app can tell the platform.
    let path = format!("/v1/connections/{sandbox}");
    let ended = ask(&world, Method::DELETE, &path, None, 200).await;
    assert_eq!(ended["revocation"]["state"], "pending", "{ended}");
    assert_eq!(world.calls("revoke").await, 0);
    world.configure(json!({})).await;
    let row = world.items("revocations").await.remove(0);
    let client = world.stack.clients().dynamodb;
    client
        .update_item()
        .table_name(world.stack.table("revocations").unwrap())
        .key("revocation_id", row["revocation_id"].clone())
        .update_expression("SET due_at = :past")
        .expression_attribute_values(
            ":past",
            aws_sdk_dynamodb::types::AttributeValue::N("1".into()),
        )
        .send()
        .await
        .unwrap();
    world.stack.fire("sweeper").await.unwrap();
    assert_eq!(callers(&world, "revoke").await, [SANDBOX_KEY]);
    assert!(world.items("revocations").await.is_empty());
    world.end().await;
}

/// The papers do not say whether a sandbox counts as an app of its own when ids are given out: here
/// both apps call the creator by one id.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_one_app_does_not_touch_the_other() {
    let world = World::new().await;
    world.settings(json!({ "shared_open_ids": true })).await;
    let production = connected(&world, "production").await;
    let sandbox = connected(&world, "sandbox").await;
    assert_eq!(production["account"]["id"], sandbox["account"]["id"]);
    let (production, first) = (id(&production), id(&sandbox));
    assert_ne!(production, first);

    // The creator ends the sandbox's access.
    let ask = json!({ "client_key": SANDBOX_KEY, "user": CREATOR, "reason": 1 });
    world.control(Method::POST, "/disconnect", ask).await;
    eventually("the sandbox's end", SOON, || async {
        let status = world.status_of(USER, &first).await;
        Ok((status["status"] == "disconnected").then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(world.status_of(USER, &production).await["status"], "active");

    // The oddity that is told of sandboxes: refreshing always fails.
    let sandbox = id(&connected(&world, "sandbox").await);
    assert_eq!(sandbox, first, "connecting again keeps the id");
    let app = format!("/apps/{SANDBOX_KEY}");
    let fails = json!({ "refresh_always_fails": true });
    world.control(Method::POST, &app, fails).await;
    let ended = |item: &Item| text(item, "status") == "needs_reauth";
    refreshed(&world, &sandbox, ended).await;
    refreshed(&world, &production, |item| {
        number(item, "token_version") == 2
    })
    .await;

    // Wrong credentials of the sandbox stop the sandbox alone.
    connected(&world, "sandbox").await;
    let wrong = json!({ "client_key": SANDBOX_KEY, "client_secret": "wrong" });
    world.configure(json!({ "sandbox": wrong })).await;
    let refused = refreshed(&world, &sandbox, |item| item.contains_key("last_fault")).await;
    assert_eq!(text(&refused, "status"), "active");
    // The lease goes back before the breaker opens.
    let open = eventually("the sandbox's breaker", SOON, || async {
        let mut rows = world.items("platforms").await;
        rows.retain(|row| number(row, "open_until") > 0);
        let open: Vec<String> = rows.iter().map(|row| text(row, "platform")).collect();
        Ok((!open.is_empty()).then_some(open))
    })
    .await
    .unwrap();
    assert_eq!(open, ["tiktok/sandbox"]);
    refreshed(&world, &production, |item| {
        number(item, "token_version") == 3
    })
    .await;

    let works = json!({ "refresh_always_fails": false });
    world.control(Method::POST, &app, works).await;
    // Connected again through another production app: the new tokens come with their own app.
    world
        .configure(json!({
            "client_key": SANDBOX_KEY, "client_secret": SANDBOX_SECRET, "sandbox": null,
        }))
        .await;
    assert_eq!(id(&connected(&world, "production").await), production);
    let item = refreshed(&world, &production, |item| {
        number(item, "token_version") == 5
    })
    .await;
    assert_eq!(text(&item, "client_id"), SANDBOX_KEY);
    world.end().await;
}
