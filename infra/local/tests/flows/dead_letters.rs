//! Dead letters, and every call that the operator's function is allowed to make.

use local::{Fault, Rule, eventually};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::admin::{PLAIN, acts, get, has, operator, post, until_delivery, until_version, version};
use crate::world::{SOON, World, text};

/// A webhook as the queue holds it, of no consequence.
fn received(number: u32) -> String {
    let body = json!({
        "client_key": "x", "event": PLAIN, "create_time": 1_767_225_600 + number, "content": "{}",
    });
    let body = data_encoding::BASE64.encode(body.to_string().as_bytes());
    let received = json!({
        "kind": "received", "platform": "tiktok", "received_at": 1_767_225_600_000_i64, "body": body,
    });
    received.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_go_back_where_they_came_from_and_none_is_lost() {
    let world = World::new().await;
    for number in 0..3 {
        world
            .stack
            .send("WebhookDeadLetters", &received(number))
            .await
            .unwrap();
    }
    world
        .stack
        .send("WebhookDeadLetters", "no message of ours")
        .await
        .unwrap();
    let list = async || get(&world, "queues/webhook/dead-letters").await;
    let page = list().await;
    let letters = page["dead_letters"].as_array().unwrap().clone();
    assert_eq!((letters.len(), &page["count"]), (4, &json!(4)), "{page}");
    assert!(
        !page.to_string().contains("create_time"),
        "no payload is shown"
    );
    let odd = letters
        .iter()
        .find(|one| one["about"] == json!({}))
        .unwrap();
    let webhook = letters
        .iter()
        .find(|one| one["about"] != json!({}))
        .unwrap();
    assert_eq!(webhook["about"]["platform"], "tiktok");

    // What was only looked at is there at once.
    let path = "queues/webhook/dead-letters/drop";
    let one = json!({ "message_id": odd["message_id"] });
    assert_eq!(post(&world, path, one.clone(), 200).await["dropped"], 1);
    post(&world, path, one, 404).await;
    post(&world, path, json!({}), 422).await;
    assert_eq!(list().await["count"], 3);

    // Killed after it sent the first one back: that one is in both places, the others where they were.
    let path = "queues/webhook/dead-letters/replay";
    let sent = Rule::on("sqs:SendMessage")
        .by("admin")
        .touching("WebhookQueue");
    world.stack.fault(sent, Fault::KillAfter);
    let api = operator(&world);
    let all = json!({ "all": true });
    let full = format!("/v1/admin/{path}");
    let killed = api
        .call(Method::POST, &full, Some(all.clone()), StatusCode::OK)
        .await;
    assert!(killed.is_err(), "it was killed: {killed:?}");
    has(&acts(&world).await, "admin.dead_letters_replayed", "begun");

    // The rest comes to light again after half a minute, and goes back in one or more calls.
    eventually("all letters sent back", SOON, || async {
        post(&world, path, all.clone(), 200).await;
        let rows = world.items("deliveries").await;
        let applied = rows
            .iter()
            .filter(|row| text(row, "state") == "applied")
            .count();
        Ok((applied == 3 && list().await["count"] == 0).then_some(()))
    })
    .await
    .unwrap();
    has(&acts(&world).await, "admin.dead_letters_replayed", "done");
    has(&acts(&world).await, "admin.dead_letters_dropped", "done");
    // Ticks that reached no function have no queue to go back to.
    post(&world, "queues/schedule/dead-letters/replay", all, 409).await;
    world.end().await;
}

/// Makes every call that the operator's function is allowed to make.
pub(crate) async fn touch_everything(world: &World, user: &str, connection: &str) {
    let none = "00000000000000000000000000";
    let wish = json!({ "user_id": "nobody", "connection_id": format!("conn_{none}") });
    let step =
        json!({ "post_id": format!("post_{none}"), "target_id": format!("tgt_{none}"), "step": 1 });
    let replay = json!({ "kind": "replay", "delivery_id": format!("dlv_{none}") });
    let rescue = json!({
        "user_id": "nobody", "connection_id": format!("conn_{none}"), "sealed": "AA==", "seen": 1,
        "scopes": [], "issued_at": 0,
    });
    let sync = json!({
        "sync_id": format!("sync_{none}"), "user_id": "nobody",
        "connection_id": format!("conn_{none}"), "sync_kind": "manual",
    });
    let slice = json!({ "kind": "go_on", "job_id": format!("job_{none}"), "slice": 0 });
    let erase = json!({ "kind": "erase", "job_id": format!("job_{none}"), "slice": 0 });
    for (queue, letter) in [
        ("refresh", wish),
        ("publish", step),
        ("webhook", replay),
        ("rescue", rescue),
        ("insights", sync),
        ("events", json!({ "lane": format!("ep_{none}#test") })),
        ("rewrap", slice),
        ("data_requests", erase),
        ("schedule", json!({})),
    ] {
        let mut logical = queue.to_owned();
        logical[..1].make_ascii_uppercase();
        let logical = match queue {
            "data_requests" => "DataRequestDeadLetters".to_owned(),
            _ => format!("{logical}DeadLetters"),
        };
        world
            .stack
            .send(&logical, &letter.to_string())
            .await
            .unwrap();
        let listed = get(world, &format!("queues/{queue}/dead-letters")).await;
        // What befell others before may have left letters, too.
        let letters = listed["dead_letters"].as_array().unwrap();
        assert!(!letters.is_empty(), "{queue}: {listed}");
        let fate = if queue == "schedule" {
            "drop"
        } else {
            "replay"
        };
        let path = format!("queues/{queue}/dead-letters/{fate}");
        post(world, &path, json!({ "all": true }), 200).await;
    }
    let sent = post(
        world,
        "platforms/tiktok/webhooks",
        json!({ "type": PLAIN }),
        202,
    )
    .await;
    let id = sent["delivery_ids"][0].as_str().unwrap();
    until_delivery(world, id, "it applied", |one| one["state"] == "applied").await;
    for path in [
        "deliveries".to_owned(),
        "events".to_owned(),
        format!("events?user_id={user}"),
        "audit".to_owned(),
        format!("audit?user_id={user}"),
        "connections/expiring?days=366".to_owned(),
        "sync-logs".to_owned(),
        format!("sync-logs?connection_id={connection}"),
        "health".to_owned(),
    ] {
        get(world, &path).await;
    }
    for name in [
        "sweeper",
        "token-refresh",
        "insights-due",
        "insights-repair",
    ] {
        post(world, &format!("schedules/{name}/run"), json!({}), 202).await;
    }
    crate::admin_jobs::move_keys(world).await;
    let breaker = "platforms/tiktok/breaker";
    post(world, breaker, json!({ "state": "closed" }), 200).await;
    let before = version(world, user).await;
    let one = json!({ "user_id": user, "connection_id": connection });
    post(world, "refreshes", one, 202).await;
    until_version(world, user, before + 1).await;
}
