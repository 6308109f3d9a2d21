//! Events on their way to the product: signed webhooks to a host that fails in every way, and the event
//! bus. Nothing is lost, what belongs to one connection keeps its order, and one id stays one id.

use std::time::Duration;

use domain::{AttemptId, Clock, Event, EventId, EventKind, UserId};
use lambda::{OsEntropy, SystemClock};
use local::{Fault, Rule, StackOptions, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::{Events, Transaction};

use crate::receiver::{HOST, Hit, Receiver, Reply};
use crate::world::{SOON, World, text};

const BUS: &str = "arn:aws:events:eu-west-1:000000000000:event-bus/product";

/// A world with a receiver, and times of seconds where production has minutes.
pub(crate) async fn world(retries: &str) -> (World, Receiver) {
    let receiver = Receiver::start().await;
    let hosts = [(HOST, receiver.url())];
    let world = World::beside(&hosts, |options| quick(options, retries)).await;
    (world, receiver)
}

/// The same times for a stack of another story's.
pub(crate) fn quick(options: StackOptions, retries: &str) -> StackOptions {
    options
        .parameter("EventRetrySeconds", retries)
        .parameter("EventSettleMilliseconds", "300")
        .parameter("EventTimeoutSeconds", "1")
        .parameter("EventsVisibility", "3")
        .parameter("EventLeaseSeconds", "8")
        .parameter("EventUnsentSeconds", "1")
        .parameter("EventBusArn", BUS)
}

/// Makes an endpoint at a path of the receiver; its row as the API shows it, with its secret.
pub(crate) async fn endpoint(world: &World, path: &str, types: &[&str]) -> Value {
    let body = json!({ "url": format!("https://{HOST}{path}"), "types": types });
    call(world, Method::POST, "", Some(body), 201).await
}

/// A call below `/v1/webhook-endpoints`, by the product's backend.
pub(crate) async fn call(
    world: &World,
    method: Method,
    path: &str,
    body: Option<Value>,
    expected: u16,
) -> Value {
    let path = format!("/v1/webhook-endpoints{path}");
    let expected = StatusCode::from_u16(expected).unwrap();
    let called = world.backend.call(method, &path, body, expected).await;
    called.unwrap()
}

fn id(endpoint: &Value) -> String {
    format!("/{}", endpoint["id"].as_str().unwrap())
}

/// Commits an event of a connection, as a change does.
pub(crate) async fn tell(world: &World, user: &str, connection: &str, number: usize) -> String {
    let client = world.stack.clients().dynamodb;
    let events = Events::new(client.clone(), world.stack.table("events").unwrap());
    let at = SystemClock.now();
    let event = Event {
        id: EventId::of(&[user, connection, &number.to_string()]),
        kind: EventKind::StatsUpdated,
        user_id: UserId::try_from(user.to_owned()).unwrap(),
        at,
        detail: json!({
            "connection_id": connection, "platform": "tiktok", "sync_id": "sync_told",
            "sync_kind": "manual", "day": "2026-01-01", "read_at": "2026-01-01T00:00:00Z",
            "account": false, "media": number, "whole": true,
        }),
    };
    let attempt = AttemptId::new(at, &OsEntropy);
    let told = events.tell(Transaction::new(attempt), &event).unwrap();
    told.run(&client).await.unwrap();
    event.id.to_string()
}

fn numbers(hits: &[Hit], connection: &str) -> Vec<u64> {
    let here = hits
        .iter()
        .filter(|hit| hit.body["data"]["connection_id"] == connection);
    here.map(|hit| hit.body["data"]["media"].as_u64().unwrap())
        .collect()
}

/// Waits while the sweeper is fired, as its schedule would.
async fn swept<T>(world: &World, what: &str, mut test: impl AsyncFnMut() -> Option<T>) -> T {
    let found = eventually(what, SOON, async || {
        let found = test().await;
        if found.is_none() {
            world.stack.fire("sweeper").await?;
        }
        Ok(found)
    });
    found.await.unwrap()
}

async fn settled(world: &World) {
    swept(world, "all events sent, no lane open", async || {
        let unsent = world.items("events").await;
        let unsent = unsent.iter().any(|row| row.contains_key("unsent_shard"));
        let open = !world.items("eventLanes").await.is_empty();
        (!unsent && !open).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_in_every_way_gets_everything_in_its_order() {
    let (world, receiver) = world("1,1,1,1,1,1,1,1").await;
    let made = endpoint(&world, "/hooks", &["stats.updated"]).await;
    let replies = [
        Reply::Status(500),
        Reply::Redirect,
        Reply::Hangs,
        Reply::Status(204),
        Reply::Later(429, 3),
        Reply::Status(204),
        Reply::Later(503, 1),
    ];
    receiver.reply("/hooks", replies);
    for number in 0..6 {
        for connection in ["conn_a", "conn_b"] {
            tell(&world, "u1", connection, number).await;
        }
    }
    let accepted = receiver.until("/hooks", 12).await;
    for connection in ["conn_a", "conn_b"] {
        assert_eq!(numbers(&accepted, connection), [0, 1, 2, 3, 4, 5]);
    }
    let hits = receiver.hits("/hooks");
    let secret = made["secret"].as_str().unwrap();
    let key = outbox::signing_key(&domain::Secret::new(secret)).unwrap();
    for (place, hit) in hits.iter().enumerate() {
        assert_eq!(
            hit.body["id"],
            hit.id(),
            "the id in the body is the header's"
        );
        let at = hit.headers["webhook-timestamp"].to_str().unwrap();
        let signed = outbox::signature(&key, hit.id(), at.parse().unwrap(), hit.raw.as_bytes());
        assert_eq!(hit.headers["webhook-signature"], signed);
        if !hit.accepted() {
            let again = hits[place + 1..]
                .iter()
                .find(|later| later.id() == hit.id());
            let again = again.expect("what was not accepted comes again under its id");
            assert_eq!(again.raw, hit.raw);
        }
    }
    // Nothing was sent while it asked for a pause.
    let busy = hits.iter().position(|hit| hit.status == 429).unwrap();
    let next = hits.get(busy + 1).unwrap().at - hits[busy].at;
    assert!(next >= Duration::from_secs(3), "{next:?}");
    assert!(
        receiver.hits("/elsewhere").is_empty(),
        "no redirect is followed"
    );
    settled(&world).await;
    let shown = call(&world, Method::GET, &id(&made), None, 200).await;
    assert!(shown.get("trouble").is_none(), "{shown}");
    assert!(shown.get("secret").is_none(), "{shown}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_endpoint_holds_up_no_other_and_its_dead_letters_can_be_replayed() {
    let (world, receiver) = world("1").await;
    let dead = endpoint(&world, "/dead", &["stats.updated"]).await;
    endpoint(&world, "/good", &["stats.updated"]).await;
    receiver.reply("/dead", vec![Reply::Hangs; 4]);
    for number in 0..2 {
        tell(&world, "u1", "conn_a", number).await;
    }
    let accepted = receiver.until("/good", 2).await;
    assert_eq!(numbers(&accepted, "conn_a"), [0, 1]);
    // Two tries each, then a dead letter; the lane goes on.
    let path = format!("{}/dead-letters", id(&dead));
    let letters = swept(&world, "two dead letters", async || {
        let page = call(&world, Method::GET, &path, None, 200).await;
        let letters = page["dead_letters"].as_array().unwrap().clone();
        (letters.len() == 2).then_some(letters)
    })
    .await;
    assert_eq!(letters[0]["reason"], "no_answer");
    assert_eq!(letters[0]["tries"], 2);
    assert_eq!(receiver.hits("/dead").len(), 4);
    let again = format!("{}/replay", id(&dead));
    call(&world, Method::POST, &again, Some(json!({})), 422).await;
    let one = json!({ "ids": [letters[0]["id"]] });
    let replayed = call(&world, Method::POST, &again, Some(one), 202).await;
    assert_eq!(replayed, json!({ "replayed": 1, "more": false }));
    let accepted = receiver.until("/dead", 1).await;
    assert_eq!(accepted[0].id(), letters[0]["event_id"].as_str().unwrap());
    let all = json!({ "all": true });
    call(&world, Method::POST, &again, Some(all), 202).await;
    receiver.until("/dead", 2).await;
    let page = call(&world, Method::GET, &path, None, 200).await;
    assert_eq!(page["dead_letters"], json!([]));
    settled(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_disables_and_what_happens_meanwhile_is_kept() {
    let (world, receiver) = world("1").await;
    let made = endpoint(&world, "/hooks", &["stats.updated"]).await;
    receiver.reply("/hooks", [Reply::Status(410)]);
    tell(&world, "u1", "conn_a", 0).await;
    let shown = swept(&world, "the endpoint disabled", async || {
        let shown = call(&world, Method::GET, &id(&made), None, 200).await;
        (shown["state"] == "disabled").then_some(shown)
    })
    .await;
    assert_eq!(shown["disabled"]["reason"], "gone");
    tell(&world, "u1", "conn_a", 1).await;
    let path = format!("{}/dead-letters", id(&made));
    swept(&world, "both as dead letters", async || {
        let page = call(&world, Method::GET, &path, None, 200).await;
        let letters = page["dead_letters"].as_array().unwrap();
        let kept = letters
            .iter()
            .all(|one| one["reason"] == "endpoint_disabled");
        (letters.len() == 2 && kept).then_some(())
    })
    .await;
    assert_eq!(receiver.hits("/hooks").len(), 1);
    let acts = world.items("audit").await;
    let noted = acts
        .iter()
        .filter(|row| text(row, "act") == "webhook_endpoint.disabled");
    assert_eq!(noted.count(), 1);
    let log = world.stack.host().log_text("event-sender").unwrap();
    assert!(log.contains("EndpointsDisabled"), "the figure is told");

    let again = format!("{}/replay", id(&made));
    let all = json!({ "all": true });
    call(&world, Method::POST, &again, Some(all.clone()), 409).await;
    let test = format!("{}/test", id(&made));
    call(&world, Method::POST, &test, None, 409).await;
    let on = json!({ "state": "enabled" });
    let shown = call(&world, Method::PATCH, &id(&made), Some(on), 200).await;
    assert!(shown.get("disabled").is_none(), "{shown}");
    call(&world, Method::POST, &again, Some(all), 202).await;
    let accepted = receiver.until("/hooks", 2).await;
    assert_eq!(numbers(&accepted, "conn_a"), [0, 1]);
    settled(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_sign_after_a_rotation() {
    let (world, receiver) = world("1,1").await;
    let made = endpoint(&world, "/hooks", &[]).await;
    let rotate = format!("{}/rotate-secret", id(&made));
    let rotated = call(&world, Method::POST, &rotate, None, 200).await;
    assert_ne!(made["secret"], rotated["secret"]);
    let test = format!("{}/test", id(&made));
    let asked = call(&world, Method::POST, &test, None, 202).await;
    let hit = receiver.until("/hooks", 1).await.remove(0);
    assert_eq!(hit.id(), asked["event_id"].as_str().unwrap());
    assert_eq!(hit.body["type"], "test");
    for secret in [&made["secret"], &rotated["secret"]] {
        let secret = secret.as_str().unwrap();
        let verifier = standardwebhooks::Webhook::new(secret).unwrap();
        verifier.verify(hit.raw.as_bytes(), &hit.headers).unwrap();
    }
    let logs = world.stack.all_logs().unwrap();
    assert!(!logs.contains("whsec_"), "a secret is in a log line");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_loses_nothing() {
    let (world, receiver) = world("1,1,1").await;
    endpoint(&world, "/hooks", &["stats.updated"]).await;
    let (put, update) = ("dynamodb:PutItem", "dynamodb:UpdateItem");
    let mut number = 0;
    for (action, table, fault) in [
        ("dynamodb:GetItem", "EventsTable", Fault::KillAfter),
        (put, "EventMessages", Fault::KillBefore),
        (put, "EventMessages", Fault::KillAfter),
        (update, "EventLanes", Fault::KillBefore),
        (update, "EventLanes", Fault::KillAfter),
        ("events:PutEvents", "event-bus", Fault::KillAfter),
        (update, "EventsTable", Fault::KillBefore),
    ] {
        let rule = Rule::on(action).by("event-relay").touching(table);
        world.stack.fault(rule, fault);
        for _ in 0..2 {
            tell(&world, "u1", "conn_a", number).await;
            number += 1;
        }
        swept(&world, "both arrived", async || {
            (receiver.accepted("/hooks").len() == number).then_some(())
        })
        .await;
    }
    let rule = Rule::on("dynamodb:DeleteItem").by("event-sender");
    world
        .stack
        .fault(rule.touching("EventMessages"), Fault::KillBefore);
    tell(&world, "u1", "conn_a", number).await;
    settled(&world).await;
    let accepted = receiver.accepted("/hooks");
    let expected: Vec<u64> = (0..=number as u64).collect();
    assert_eq!(numbers(&accepted, "conn_a"), expected);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bus_takes_each_event_and_its_trouble_holds_up_no_webhook() {
    let (world, receiver) = world("1,1").await;
    endpoint(&world, "/hooks", &["stats.updated"]).await;
    world.stack.buses().refuse("stats.updated", 1);
    let mut told = Vec::new();
    for number in 0..3 {
        told.push(tell(&world, "u1", "conn_a", number).await);
    }
    receiver.until("/hooks", 3).await;
    settled(&world).await;
    let taken = world.stack.buses().taken();
    for id in &told {
        let found = taken.iter().find(|one| one.detail["id"] == **id).unwrap();
        assert_eq!(
            (found.bus.as_str(), found.source.as_str()),
            (BUS, "passerelle")
        );
        assert_eq!(found.detail_type, "stats.updated");
        assert_eq!(found.detail["version"], 1);
        assert_eq!(found.detail["data"]["connection_id"], "conn_a");
    }
    // The one that was refused came again, to the bus alone.
    assert_eq!(receiver.hits("/hooks").len(), 3);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_the_products_own_affair() {
    let (world, receiver) = world("1").await;
    let forbidden = world.user.call(
        Method::GET,
        "/v1/webhook-endpoints",
        None,
        StatusCode::FORBIDDEN,
    );
    forbidden.await.unwrap();
    for url in [
        "http://hooks.product.example/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://hooks.product.example:8443/x",
        "https://user@hooks.product.example/x",
    ] {
        let body = json!({ "url": url });
        let told = call(&world, Method::POST, "", Some(body), 422).await;
        assert_eq!(told["errors"][0]["field"], "url", "{told}");
    }
    let body = json!({ "url": "https://a.example/", "types": ["post.*"] });
    call(&world, Method::POST, "", Some(body), 422).await;
    let made = endpoint(&world, "/hooks", &["post.failed"]).await;
    let change = json!({ "types": ["stats.updated"], "description": "CRM" });
    let shown = call(&world, Method::PATCH, &id(&made), Some(change), 200).await;
    assert_eq!(shown["description"], "CRM");
    let list = call(&world, Method::GET, "", None, 200).await;
    assert_eq!(list["webhook_endpoints"][0], shown);

    // Deleted while something waits: its lane ends.
    receiver.reply("/hooks", vec![Reply::Status(500); 9]);
    tell(&world, "u1", "conn_a", 0).await;
    let tried = eventually("a try", SOON, async || {
        Ok((!receiver.hits("/hooks").is_empty()).then_some(()))
    });
    tried.await.unwrap();
    call(&world, Method::DELETE, &id(&made), None, 204).await;
    call(&world, Method::GET, &id(&made), None, 404).await;
    settled(&world).await;
    assert!(world.items("eventMessages").await.is_empty());
    world.end().await;
}
