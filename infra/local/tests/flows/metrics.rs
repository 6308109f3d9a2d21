//! What an operator is told: the embedded metrics in the logs of the real functions, and the pages that
//! creators see when the trouble is ours.

use domain::metric::{self, Dimension};
use local::{Fault, Rule, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{CLIENT_KEY, SOON, USER, World, number};

/// Every line of metrics that the functions have written so far, each checked against the format and
/// the table.
fn lines(world: &World) -> Vec<Value> {
    let logs = world.stack.all_logs().unwrap();
    let lines = logs.lines().filter(|line| line.contains("\"_aws\""));
    let read = |line: &str| -> Value { serde_json::from_str(line).expect("a line of its own") };
    // Its logs lie in a folder of the stack's name.
    let stack = world.stack.logs().file_name().unwrap().to_str().unwrap();
    lines.map(read).inspect(|line| check(line, stack)).collect()
}

fn check(line: &Value, stack: &str) {
    assert_eq!(line["stack"], stack, "{line}");
    assert!(line["_aws"]["Timestamp"].as_i64().unwrap() > 1_700_000_000_000);
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(directive["Namespace"], "Passerelle");
        let metrics = directive["Metrics"].as_array().unwrap();
        assert_eq!(metrics.len(), 1, "{line}");
        let name = metrics[0]["Name"].as_str().unwrap();
        let known = metric::ALL.iter().find(|known| known.name == name);
        let known = known.unwrap_or_else(|| panic!("{name} is not in the table"));
        assert_eq!(metrics[0]["Unit"], known.unit.as_str());
        assert!(line[name].is_number(), "{line}");
        let sets = directive["Dimensions"].as_array().unwrap();
        assert!(!sets.is_empty(), "{line}");
        for set in sets {
            let names: Vec<&str> = set
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            assert_eq!(names[0], "stack");
            let declared = |set: &&[Dimension]| {
                set.iter()
                    .map(|by| by.as_str())
                    .eq(names[1..].iter().copied())
            };
            assert!(known.sets.iter().any(declared), "{name} by {names:?}");
            assert!(names.iter().all(|name| line[name].is_string()), "{line}");
        }
    }
}

/// The values of a metric, with their outcome, in the order of the logs.
fn values(world: &World, name: &str) -> Vec<(f64, String)> {
    let lines = lines(world);
    let told = lines
        .iter()
        .filter_map(|line| Some((line[name].as_f64()?, line)));
    told.map(|(value, line)| {
        (
            value,
            line["outcome"].as_str().unwrap_or_default().to_owned(),
        )
    })
    .collect()
}

/// Waits for the value of a metric: what a worker tells may come after its effect.
async fn until(world: &World, name: &str, outcome: &str) -> f64 {
    eventually(&format!("{name} {outcome}"), SOON, || async {
        let found = values(world, name);
        Ok(found
            .into_iter()
            .find(|(_, with)| with == outcome)
            .map(|(value, _)| value))
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_a_refresh_a_post_and_a_webhook_are_told() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    assert_eq!(values(&world, "Flows"), [(1.0, "connected".to_owned())]);

    world
        .set_connection(USER, &[("expires_at", 1), ("due_at", 1)])
        .await;
    world.stack.fire("token-refresh").await.unwrap();
    assert_eq!(until(&world, "Refreshed", "").await, 1.0);
    assert_eq!(until(&world, "RefreshesDue", "").await, 1.0);
    assert!(until(&world, "RefreshLateness", "").await > 1_000_000.0);
    assert_eq!(until(&world, "BreakerOpen", "").await, 0.0);
    // Counted before the refresh or after it: one connection, in one state.
    let counted = ["ConnectionsActive", "ConnectionsExpired"].map(|name| values(&world, name)[0].0);
    assert_eq!(counted.iter().sum::<f64>(), 1.0, "{counted:?}");

    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let options = json!({ "mode": "direct", "privacy": "SELF_ONLY" });
    let post = world.post(&id, &media, options).await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    assert_eq!(until(&world, "Publishes", "published").await, 1.0);
    let time = until(&world, "PublishMilliseconds", "published").await;
    assert!((1.0..120_000.0).contains(&time), "{time}");

    // The stand-in tells of the publish; another delivery is not the platform's.
    let lag = until(&world, "DeliveryMilliseconds", "").await;
    assert!((0.0..120_000.0).contains(&lag), "{lag}");
    assert!(until(&world, "DeliveryPlatformMilliseconds", "").await >= 0.0);
    let forged = json!({ "client_key": CLIENT_KEY, "body": "{}", "secret": "another" });
    let answer = world.control(Method::POST, "/webhooks/raw", forged).await;
    assert_eq!(answer["status"], 401);
    assert_eq!(until(&world, "WebhooksRefused", "").await, 1.0);
    assert!(values(&world, "WebhooksFailed").is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_told_by_its_name() {
    let world = World::new().await;
    world.connect(USER).await;
    let due = [("expires_at", 1), ("due_at", 1)];

    // The table refuses renewed tokens: they wait in the rescue queue.
    world.set_connection(USER, &due).await;
    let commits = Rule::on("dynamodb:UpdateItem")
        .by("refresh-worker")
        .touching("Connections");
    let refused = Fault::error(500, "InternalServerError");
    world.stack.fault(commits.nth(2).times(15), refused);
    world.stack.fire("token-refresh").await.unwrap();
    assert_eq!(until(&world, "RescueSent", "").await, 1.0);
    world.stack.clear_faults();
    assert_eq!(until(&world, "Rescued", "").await, 1.0);
    assert_eq!(
        number(&world.connection_item(USER).await, "token_version"),
        2
    );

    // KMS does not answer.
    world.stack.kill("refresh-worker").await.unwrap();
    world.set_connection(USER, &due).await;
    let keys = Rule::on("kms:Decrypt").by("refresh-worker").times(50);
    world
        .stack
        .fault(keys, Fault::error(400, "ThrottlingException"));
    world.stack.fire("token-refresh").await.unwrap();
    assert_eq!(until(&world, "KeyCallsFailed", "").await, 1.0);
    assert_eq!(until(&world, "RefreshOurFault", "").await, 1.0);
    world.stack.clear_faults();

    // The platform is down, then refuses our app, and the breaker opens.
    for (fault, metric) in [
        (json!({ "status": 503 }), "RefreshLater"),
        (json!({ "error": "invalid_client" }), "BreakerOpen"),
    ] {
        let mut rule = json!({ "endpoint": "token_refresh" });
        for (name, value) in fault.as_object().unwrap() {
            rule[name] = value.clone();
        }
        world.fault(rule).await;
        eventually(metric, SOON, || async {
            world.set_connection(USER, &due).await;
            world.stack.fire("token-refresh").await?;
            let told = values(&world, metric);
            Ok(told.iter().any(|(value, _)| *value > 0.0).then_some(()))
        })
        .await
        .unwrap();
    }
    assert!(values(&world, "RefreshOurFault").len() >= 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_trouble_is_a_page_in_browsers() {
    let world = World::new().await;
    // Every function on the creator's way, one after the other, cannot read its table.
    let (mut browser, consent) = world.at_consent(USER).await;
    let link = world.link("user_other").await;
    for (function, url) in [
        ("session", link),
        (
            "oauth-start",
            format!("{}/oauth/tiktok/start", world.stack.api_url()),
        ),
        (
            "oauth-callback",
            format!("{}/oauth/tiktok/confirm", world.stack.api_url()),
        ),
    ] {
        let reads = Rule::on("dynamodb:GetItem").by(function).times(20);
        let broken = world
            .stack
            .fault(reads, Fault::error(400, "ThrottlingException"));
        let page = browser.open(&url).await.unwrap();
        assert!(broken.fired() > 0, "{function} read nothing");
        assert_eq!(page.status, 503, "{function}: {}", page.text);
        assert!(
            page.text.contains("busy") && page.text.contains("<html"),
            "{}",
            page.text
        );
        assert!(!page.text.contains("urn:passerelle"), "{}", page.text);
        world.stack.clear_faults();
    }
    assert_eq!(until(&world, "Flows", "internal").await, 1.0);
    // The way goes on where the trouble passes.
    let form = local::demo::form::Form::agreeing(&consent.text).unwrap();
    let back = browser.submit(&consent, &form).await.unwrap();
    let page = browser.follow(back).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.text);
    world.end().await;
}
