//! Every call that the projection's functions are allowed to make.

use crm::tables;
use local::eventually;
use reqwest::Method;
use serde_json::json;

use crate::admin::{get, post};
use crate::crm::{Projection, letters, words};
use crate::world::{SOON, World};

/// Makes every call that the projection's functions are allowed to make.
pub(crate) async fn touch_everything(world: &World, projection: &Projection) {
    let client = world.stack.clients().dynamodb;
    for noun in [
        "mediaItems",
        "comments",
        "fans",
        "messages",
        "analyticsEvents",
    ] {
        // No record: its letter goes to the dead letters, and it is touched all the same.
        client
            .put_item()
            .table_name(world.stack.table(noun).unwrap())
            .item("account", words("tiktok#odd"))
            .item("record_id", words("odd"))
            .send()
            .await
            .unwrap();
    }
    eventually("letters of all five", SOON, || async {
        Ok((letters(world).await >= 5).then_some(()))
    })
    .await
    .unwrap();
    let none = "00000000000000000000000000";
    for table in tables::ALL {
        // A row of nothing in each table, so that each table is asked of it.
        let columns = format!(
            "SELECT string_agg(quote_ident(column_name), ', ') || '|' || string_agg(\
             CASE WHEN column_name = 'connection_id' THEN '''conn_{none}''' \
             WHEN column_name = 'delivery_id' THEN '''dlv_{none}''' \
             WHEN column_name = 'sync_id' THEN '''sync_{none}''' \
             WHEN data_type = 'text' THEN '''phantom''' \
             WHEN data_type = 'numeric' THEN '1' ELSE '''2020-01-01''' END, ', ') \
             FROM information_schema.columns WHERE table_schema = 'passerelle' \
             AND table_name = '{}' AND is_nullable = 'NO'",
            table.name
        );
        let columns = projection.texts(&columns).await.remove(0);
        let (names, values) = columns.split_once('|').unwrap();
        let insert = format!(
            "INSERT INTO passerelle.{} ({names}) VALUES ({values})",
            table.name
        );
        projection.run(&insert).await;
    }
    let start = json!({ "kind": "start" });
    world
        .stack
        .send("crmBackfill", &start.to_string())
        .await
        .unwrap();
    eventually("the end of a backfill", SOON * 2, || async {
        let api = crate::admin::operator(world);
        let path = "/v1/admin/crm-backfill";
        let job = api
            .call(Method::GET, path, None, reqwest::StatusCode::OK)
            .await;
        Ok(job.is_ok_and(|job| job["state"] == "done").then_some(()))
    })
    .await
    .unwrap();
    for table in tables::ALL {
        let phantoms = format!("SELECT 1 FROM passerelle.{} WHERE sequence = 1", table.name);
        assert!(
            projection.texts(&phantoms).await.is_empty(),
            "{}",
            table.name
        );
    }
    post(world, "crm-backfill", json!({}), 202).await;
    let slice = json!({ "kind": "go_on", "job_id": format!("job_{none}"), "slice": 0 });
    world
        .stack
        .send("CrmBackfillDeadLetters", &slice.to_string())
        .await
        .unwrap();
    let all = json!({ "all": true });
    for (queue, fate) in [("crm_backfill", "replay"), ("crm_sync", "drop")] {
        get(world, &format!("queues/{queue}/dead-letters")).await;
        let path = format!("queues/{queue}/dead-letters/{fate}");
        post(world, &path, all.clone(), 200).await;
    }
    get(world, "health").await;
}
