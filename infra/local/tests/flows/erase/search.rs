//! Looks into everything that the template declares to keep something: every table, bucket, queue.

use aws_sdk_dynamodb::types::AttributeValue;
use data_encoding::BASE64;

use crate::world::{Item, World};

/// The logical ids of the resources of a type, out of the template itself.
fn resources(kind: &str) -> Vec<String> {
    let path = local::cloud::project_root().unwrap().join("template.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let of_kind = |pair: &[&str]| {
        let name = pair[0].strip_prefix("  ")?.strip_suffix(':')?;
        (pair[1].trim() == format!("Type: {kind}")).then(|| name.to_owned())
    };
    let found: Vec<String> = lines.windows(2).filter_map(of_kind).collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

/// Every place where one of the needles is found.
pub(super) async fn found(world: &World, needles: &[&str]) -> Vec<String> {
    let rows = rows_naming(world, needles).await;
    let mut places: Vec<String> = rows
        .into_iter()
        .map(|(table, row)| format!("{table}: {row}"))
        .collect();
    places.extend(objects(world, needles).await);
    places.extend(messages(world, needles).await);
    places
}

/// Every row, in any table, with one of the needles in it.
pub(super) async fn rows_naming(world: &World, needles: &[&str]) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let client = world.stack.clients().dynamodb;
    for table in resources("AWS::DynamoDB::Table") {
        let name = world.stack.reference(&table).unwrap();
        let mut after = None;
        loop {
            let scan = client.scan().table_name(name).consistent_read(true);
            let page = scan.set_exclusive_start_key(after).send().await.unwrap();
            for item in page.items.unwrap_or_default() {
                let row = shown(&item);
                if names(&row, needles) {
                    rows.push((table.clone(), row));
                }
            }
            after = page.last_evaluated_key;
            if after.is_none() {
                break;
            }
        }
    }
    rows.sort();
    rows
}

/// A row as text, in one order, with what its texts hold in base64.
fn shown(item: &Item) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (name, value) in item {
        let hidden = value.as_s().ok().and_then(|text| hidden_in(text));
        let value = ordered(value);
        parts.push(format!("{name}={value} {}", hidden.unwrap_or_default()));
    }
    parts.sort();
    parts.join(" ")
}

/// A value as text: maps by their names, which have no order of their own.
fn ordered(value: &AttributeValue) -> String {
    match value {
        AttributeValue::M(map) => {
            let pair = |(name, value)| format!("{name}={}", ordered(value));
            let mut pairs: Vec<String> = map.iter().map(pair).collect();
            pairs.sort();
            format!("{{{}}}", pairs.join(", "))
        }
        AttributeValue::L(list) => {
            let parts: Vec<String> = list.iter().map(ordered).collect();
            format!("[{}]", parts.join(", "))
        }
        plain => format!("{plain:?}"),
    }
}

fn hidden_in(text: &str) -> Option<String> {
    let bytes = BASE64.decode(text.as_bytes()).ok()?;
    String::from_utf8(bytes).ok()
}

fn names(text: &str, needles: &[&str]) -> bool {
    needles.iter().any(|needle| text.contains(needle))
}

async fn objects(world: &World, needles: &[&str]) -> Vec<String> {
    let client = world.stack.clients().s3;
    let mut places = Vec::new();
    for bucket in resources("AWS::S3::Bucket") {
        let name = world.stack.reference(&bucket).unwrap();
        let uploads = client.list_multipart_uploads().bucket(name).send();
        for upload in uploads.await.unwrap().uploads() {
            let key = upload.key().unwrap();
            // Only of users who go is anything uploaded in these stories.
            places.push(format!("{bucket}: an unfinished upload of {key}"));
        }
        let list = client.list_objects_v2().bucket(name).send().await.unwrap();
        assert_ne!(list.is_truncated(), Some(true));
        for object in list.contents() {
            let key = object.key().unwrap();
            let got = client.get_object().bucket(name).key(key).send().await;
            let bytes = got.unwrap().body.collect().await.unwrap().to_vec();
            let text = String::from_utf8_lossy(&bytes);
            if names(&text, needles) || names(key, needles) {
                places.push(format!("{bucket}: {key}"));
            }
        }
    }
    places
}

async fn messages(world: &World, needles: &[&str]) -> Vec<String> {
    let client = world.stack.clients().sqs;
    let mut places = Vec::new();
    for queue in resources("AWS::SQS::Queue") {
        // Of a projection that this stack does not have.
        let Ok(url) = world.stack.reference(&queue) else {
            continue;
        };
        let mut handles = Vec::new();
        loop {
            let received = client
                .receive_message()
                .queue_url(url)
                .max_number_of_messages(10)
                .visibility_timeout(20)
                .send()
                .await
                .unwrap();
            if received.messages().is_empty() {
                break;
            }
            for message in received.messages() {
                handles.push(message.receipt_handle().unwrap().to_owned());
                let body = message.body().unwrap_or_default();
                let parsed = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
                let hidden = parsed["body"].as_str().and_then(hidden_in);
                if names(body, needles) || hidden.is_some_and(|text| names(&text, needles)) {
                    places.push(format!("{queue}: {body}"));
                }
            }
        }
        for handle in handles {
            let back = client.change_message_visibility().queue_url(url);
            let back = back.receipt_handle(handle).visibility_timeout(0);
            back.send().await.unwrap();
        }
    }
    places
}
