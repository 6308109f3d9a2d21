//! Everything sealed, moved to another KMS key.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::Blob;
use domain::Platform;
use local::eventually;
use serde_json::json;
use vault::Place;

use crate::sealed::{text_of_stack, vault};
use crate::world::{SOON, World, text};

/// One row in each table whose text is of the first format, which does not say its key.
pub(super) async fn rekeying(world: &World) {
    let client = world.stack.clients().dynamodb;
    let words = |text: &str| AttributeValue::S(text.to_owned());
    let sealed = of_format_one(world, "subject_a").await;
    for (noun, keys) in [
        ("connections", ["user_id", "connection_id"].as_slice()),
        ("targets", &["post_id", "target_id", "connection_id"]),
        ("revocations", &["revocation_id"]),
        ("flows", &["flow_id"]),
        ("webhookEndpoints", &["endpoint_id"]),
    ] {
        let text = if noun == "flows" {
            "sealed_verifier"
        } else {
            "sealed"
        };
        let mut put = client
            .put_item()
            .table_name(world.stack.table(noun).unwrap())
            .item(text, AttributeValue::B(sealed.clone()));
        for key in keys {
            put = put.item(*key, words("subject_a"));
        }
        put.send().await.unwrap();
    }
    let start = json!({ "kind": "start" });
    world
        .stack
        .send("rewrap", &start.to_string())
        .await
        .unwrap();
    let over = eventually("the end of the move", SOON, || async {
        let mut jobs = world.items("jobs").await;
        jobs.retain(|job| text(job, "job") == "rewrap" && text(job, "state") != "open");
        Ok(jobs.pop())
    });
    assert_eq!(text(&over.await.unwrap(), "state"), "done");
}

/// A text with the header of the first format around a wrapped key that KMS knows.
async fn of_format_one(world: &World, subject: &str) -> Blob {
    let vault = vault(world, &text_of_stack(world));
    let key = vault.new_key(subject).await.unwrap();
    let place = Place {
        table: "connections",
        keys: &[],
        platform: Platform::TikTok,
        field: "tokens",
        version: 1,
    };
    let sealed = vault.seal(&key, &place, b"text").unwrap();
    // Format 2: mark, age, ARN, wrapped key, nothing, rest. Format 1 has no ARN.
    let (head, rest) = sealed.as_bytes().split_at(10);
    let arn = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
    let mut bytes = [&[1], &head[1..], &rest[2 + arn..]].concat();
    bytes.extend([0; 12]);
    Blob::new(bytes)
}
