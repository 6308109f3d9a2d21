//! Events on their way to the product: every call that the relay, the sender, the sweeper and the
//! endpoints' routes are allowed to make.

use std::time::Duration;

use local::eventually;
use reqwest::Method;
use serde_json::json;

use crate::events::{call, endpoint, tell};
use crate::receiver::{Receiver, Reply};
use crate::world::{SOON, World};

pub(super) async fn telling(world: &World, receiver: &Receiver) {
    let made = endpoint(world, "/hooks", &["stats.updated"]).await;
    let id = made["id"].as_str().unwrap();
    let path = |rest: &str| format!("/{id}{rest}");
    // A process that did not make the endpoint has no open data key.
    world.stack.kill("webhook-endpoints").await.unwrap();
    call(world, Method::POST, &path("/rotate-secret"), None, 200).await;
    call(world, Method::POST, &path("/test"), None, 202).await;
    receiver.until("/hooks", 1).await;

    // An event is relayed while an earlier one is not: the sender puts that one first.
    world.stack.pollers().set_enabled(false).await;
    let first = tell(world, "u1", "conn_a", 0).await;
    let second = tell(world, "u1", "conn_a", 1).await;
    let record = json!({ "Records": [{
        "eventName": "INSERT",
        "dynamodb": { "Keys": { "event_id": { "S": second } }, "SequenceNumber": "1" },
    }] });
    let relayed = world.stack.invoke("event-relay", &record).await.unwrap();
    assert_eq!(relayed.json().unwrap(), json!({ "batchItemFailures": [] }));
    // As old as the deployment's settling time asks.
    ripe().await;
    let message = json!({ "Records": [{
        "messageId": "1", "body": json!({ "lane": format!("{id}#conn_a") }).to_string(),
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:events", "attributes": {},
    }] });
    world.stack.invoke("event-sender", &message).await.unwrap();
    let ids: Vec<String> = receiver.accepted("/hooks")[1..]
        .iter()
        .map(|hit| hit.id().to_owned())
        .collect();
    assert_eq!(ids, [first, second]);

    // The sweeper sends what the stream did not bring, and looks after the lane.
    tell(world, "u1", "conn_b", 0).await;
    eventually("the third by the sweeper", SOON, async || {
        world.stack.fire("sweeper").await?;
        let lanes = world.items("eventLanes").await;
        Ok((!lanes.is_empty()).then_some(()))
    })
    .await
    .unwrap();
    world.stack.pollers().set_enabled(true).await;
    receiver.until("/hooks", 4).await;

    // An endpoint that fails, and then says that it is gone.
    receiver.reply("/hooks", [Reply::Status(500), Reply::Status(410)]);
    tell(world, "u1", "conn_c", 0).await;
    let letters = eventually("a dead letter", SOON, async || {
        world.stack.fire("sweeper").await?;
        let page = call(world, Method::GET, &path("/dead-letters"), None, 200).await;
        let letters = page["dead_letters"].as_array().unwrap().clone();
        Ok((!letters.is_empty()).then_some(letters))
    })
    .await
    .unwrap();
    let on = json!({ "state": "enabled" });
    call(world, Method::PATCH, &path(""), Some(on), 200).await;
    let one = json!({ "ids": [letters[0]["id"]] });
    call(world, Method::POST, &path("/replay"), Some(one), 202).await;
    receiver.until("/hooks", 5).await;
    let gone = eventually("no lane open", SOON, async || {
        world.stack.fire("sweeper").await?;
        Ok(world.items("eventLanes").await.is_empty().then_some(()))
    });
    gone.await.unwrap();
    call(world, Method::GET, "", None, 200).await;
    call(world, Method::DELETE, &path(""), None, 204).await;
}

/// Until an event that was just told is older than the settling time of these stacks.
async fn ripe() {
    let begun = std::time::Instant::now();
    let old = async || Ok((begun.elapsed() > Duration::from_millis(400)).then_some(()));
    eventually("a ripe event", SOON, old).await.unwrap();
}
