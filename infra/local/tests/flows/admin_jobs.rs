//! What operators see and do of long work: syncs of statistics, the move to another KMS key.

use aws_sdk_dynamodb::types::AttributeValue;
use local::{Fault, Rule, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::admin::{OPERATOR, acts, get, has, operator, post};
use crate::statistics::{ask, connected, due_again, outcome, until_synced};
use crate::world::{SOON, USER, World};

/// The list of logs once it looks as wanted: its indexes lag.
async fn until_logs(world: &World, query: &str, test: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    eventually(query, SOON, || async {
        let page = get(world, &format!("sync-logs{query}")).await;
        let logs = page["sync_logs"].as_array().unwrap().clone();
        Ok(test(&logs).then_some(logs))
    })
    .await
    .unwrap()
}

/// Kinds of syncs, as listed.
fn kinds(logs: &[Value]) -> Vec<&str> {
    let words = logs.iter().map(|log| log["sync_kind"].as_str());
    words.map(Option::unwrap).collect()
}

async fn run(world: &World, schedule: &str) {
    post(world, &format!("schedules/{schedule}/run"), json!({}), 202).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_syncs_are_listed_and_repaired_by_hand() {
    let (world, id) = connected().await;
    assert_eq!(get(&world, "sync-logs").await, json!({ "sync_logs": [] }));
    let mut handles = Vec::new();
    for _ in 0..2 {
        world
            .fault(json!({ "endpoint": "user_info", "error": "internal_error" }))
            .await;
        let handle = ask(&world).await;
        assert_eq!(outcome(&world, &handle).await["state"], "failed");
        handles.push(handle);
    }
    // Newest first, without and with a connection.
    let failed = until_logs(&world, "", |logs| logs.len() == 2).await;
    for (log, handle) in failed.iter().zip(handles.iter().rev()) {
        assert_eq!(log["sync_id"], json!(handle));
        assert_eq!(log["connection_id"], json!(id));
        assert_eq!(
            (&log["user_id"], &log["state"], &log["fault"], &log["tries"]),
            (
                &json!(USER),
                &json!("failed"),
                &json!("platform_down"),
                &json!(1)
            )
        );
        assert!(
            log["started_at"].is_string() && log["ended_at"].is_string(),
            "{log}"
        );
    }
    let newest = until_logs(&world, "?limit=1", |logs| logs.len() == 1).await;
    assert_eq!(newest[0]["sync_id"], json!(handles[1]));

    // Each schedule is run with its own input.
    run(&world, "insights-repair").await;
    until_synced(&world, "the repair", |row| !row.contains_key("stats_fault")).await;
    let of_it = format!("?connection_id={id}");
    let logs = until_logs(&world, &of_it, |logs| {
        kinds(logs).first() == Some(&"repair")
    })
    .await;
    assert_eq!(kinds(&logs), ["repair", "manual", "manual", "first"]);
    due_again(&world).await;
    run(&world, "insights-due").await;
    let daily = |logs: &[Value]| kinds(logs).first() == Some(&"daily");
    let logs = until_logs(&world, &of_it, daily).await;
    assert_eq!(logs.len(), 5, "{logs:?}");
    let nobody = "?connection_id=conn_00000000000000000000000000";
    until_logs(&world, nobody, <[Value]>::is_empty).await;
    has(&acts(&world).await, "admin.schedule_run", "done");
    world.end().await;
}

async fn until_job(world: &World, what: &str, test: impl Fn(&Value) -> bool) -> Value {
    eventually(what, SOON, || async {
        let job = get(world, "rewrap").await;
        Ok(test(&job).then_some(job))
    })
    .await
    .unwrap()
}

/// Moves everything to the key where it is already, and forgets that.
pub(crate) async fn move_keys(world: &World) {
    post(world, "rewrap", json!({}), 202).await;
    until_job(world, "the end of the move", |job| job["state"] != "open").await;
    // Who moves keys next, and waits for its end, is not to find this one's.
    let client = world.stack.clients().dynamodb;
    let row = AttributeValue::S("rewrap".to_owned());
    let table = world.stack.table("jobs").unwrap();
    let gone = client.delete_item().table_name(table).key("job", row);
    gone.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_of_keys_is_begun_watched_and_woken() {
    let world = World::new().await;
    world.connect(USER).await;
    let never = operator(&world);
    let never = never.call(Method::GET, "/v1/admin/rewrap", None, StatusCode::NOT_FOUND);
    never.await.unwrap();

    let scans = Rule::on("dynamodb:Scan").by("rewrap-worker").always();
    world
        .stack
        .fault(scans, Fault::error(500, "InternalServerError"));
    let begun = post(&world, "rewrap", json!({}), 202).await;
    let own = world.stack.reference("TokenKey").unwrap();
    assert!(begun["kms_key"].as_str().unwrap().contains(own), "{begun}");
    assert_eq!(
        (&begun["state"], &begun["counts"]["walk"]),
        (&json!("open"), &json!(1))
    );
    assert!(begun["started_at"].is_string() && begun["updated_at"].is_string());
    let stuck = until_job(&world, "its trouble", |job| job["trouble"].is_string()).await;
    assert_eq!(
        (&stuck["id"], &stuck["state"]),
        (&begun["id"], &json!("open"))
    );

    // Its message would come again in minutes.
    world.stack.clear_faults();
    let woken = post(&world, "rewrap", json!({}), 202).await;
    assert_eq!(woken["id"], begun["id"]);
    let over = until_job(&world, "its end", |job| job["state"] != "open").await;
    assert_eq!(
        (&over["id"], &over["state"]),
        (&begun["id"], &json!("done"))
    );
    assert!(over["counts"]["seen"].as_u64() > Some(0), "{over}");
    assert_eq!(over["counts"]["moved"], 0);
    let another = post(&world, "rewrap", json!({}), 202).await;
    assert_ne!(another["id"], begun["id"]);

    let page = get(&world, "audit?limit=100").await;
    let rows = page["entries"].as_array().unwrap().iter();
    let notes: Vec<_> = rows
        .filter(|row| row["act"] == "admin.keys_rewrapped" && row["who"]["subject"] == OPERATOR)
        .map(|row| (&row["outcome"], &row["object"], &row["note"]))
        .collect();
    let done = json!("done");
    let key = &begun["kms_key"];
    assert_eq!(
        notes,
        [
            (&done, key, &another["id"]),
            (&done, key, &begun["id"]),
            (&done, key, &begun["id"]),
        ]
    );
    until_job(&world, "the other's end", |job| job["state"] == "done").await;
    world.end().await;
}
