//! Rows that nobody can read, at the head of a due index: they hold up no other.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use local::{Fault, Rule};
use serde_json::json;

use crate::world::{USER, World, text};

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_targets_at_the_head_of_a_shard_hold_up_no_other() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    // The post's own message is lost: only the sweeper can wake its target.
    let lost = Rule::on("sqs:SendMessage").by("upload").times(3);
    world
        .stack
        .fault(lost, Fault::error(500, "InternalFailure"));
    let options = json!({ "mode": "direct", "privacy": "SELF_ONLY" });
    let post = world.post(&id, &media, options).await;
    let target = text(&world.items("targets").await[0], "target_id");
    // More of them than one page of the index, all of them longer due.
    let client = world.stack.clients().dynamodb;
    let table = world.stack.table("targets").unwrap();
    for number in 0..60 {
        let post = format!("post_{number:026}");
        let row = HashMap::from([
            ("post_id", AttributeValue::S(post)),
            ("target_id", AttributeValue::S(format!("tgt_{number:026}"))),
            (
                "due_shard",
                AttributeValue::S(store::due::shard_of(&target)),
            ),
            ("due_at", AttributeValue::N(number.to_string())),
            ("status", AttributeValue::S("of a later version".to_owned())),
        ]);
        let row = row
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        let put = client.put_item().table_name(table);
        put.set_item(Some(row.collect())).send().await.unwrap();
    }
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    world.end().await;
}
