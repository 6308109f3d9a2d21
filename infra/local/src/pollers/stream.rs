//! A DynamoDB stream as an event source: its shards in order, one batch at a time each.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Poller,
    batch::{Verdict, verdict},
};
use crate::aws::REGION;

/// How often an idle shard is asked; Lambda asks four times a second.
const PAUSE: Duration = Duration::from_millis(250);
/// The pause before a failed batch is given again.
const RETRY: Duration = Duration::from_millis(500);

pub(super) async fn run(poller: Poller) {
    let mut known = BTreeSet::new();
    let mut shards = JoinSet::new();
    let mut first_round = true;
    loop {
        drop(poller.gate.enter().await);
        for shard in list(&poller).await {
            if known.insert(shard.clone()) {
                // A shard that appears later is read whole, else its first records were lost.
                let from_start = poller.source.from_start || !first_round;
                shards.spawn(follow(poller.clone(), shard, from_start));
            }
        }
        first_round = false;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn list(poller: &Poller) -> Vec<String> {
    let request = json!({"StreamArn": poller.source.arn});
    let target = "DynamoDBStreams_20120810.DescribeStream";
    let answer = poller
        .aws
        .json("dynamodb", target, &request)
        .await
        .unwrap_or_default();
    poller.record("dynamodb:DescribeStream");
    let shards = answer["StreamDescription"]["Shards"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    shards
        .iter()
        .filter_map(|shard| shard["ShardId"].as_str().map(str::to_owned))
        .collect()
}

async fn follow(poller: Poller, shard: String, from_start: bool) {
    let request = json!({
        "StreamArn": poller.source.arn, "ShardId": shard,
        "ShardIteratorType": if from_start { "TRIM_HORIZON" } else { "LATEST" },
    });
    let target = "DynamoDBStreams_20120810.GetShardIterator";
    let answer = poller
        .aws
        .json("dynamodb", target, &request)
        .await
        .unwrap_or_default();
    poller.record("dynamodb:GetShardIterator");
    let mut iterator = answer["ShardIterator"].as_str().map(str::to_owned);
    while let Some(at) = iterator {
        drop(poller.gate.enter().await);
        let request = json!({"ShardIterator": at, "Limit": poller.source.batch_size});
        let target = "DynamoDBStreams_20120810.GetRecords";
        let Ok(answer) = poller.aws.json("dynamodb", target, &request).await else {
            tokio::time::sleep(RETRY).await;
            iterator = Some(at);
            continue;
        };
        let mut records = answer["Records"].as_array().cloned().unwrap_or_default();
        let idle = records.is_empty();
        let changes = &poller.source.changes;
        records.retain(|record| {
            changes.is_empty() || changes.iter().any(|name| record["eventName"] == **name)
        });
        if idle {
            tokio::time::sleep(PAUSE).await;
        } else {
            poller.record("dynamodb:GetRecords");
            if !records.is_empty() {
                deliver(&poller, records).await;
            }
        }
        iterator = answer["NextShardIterator"].as_str().map(str::to_owned);
    }
}

/// Gives a batch until it is done or its tries are used up. A partial failure begins again at the
/// first failed record, since a shard is a sequence.
async fn deliver(poller: &Poller, mut records: Vec<Value>) {
    let mut tries = 0;
    while !records.is_empty() {
        let positions: BTreeMap<String, usize> = records
            .iter()
            .enumerate()
            .filter_map(|(i, record)| {
                Some((record["dynamodb"]["SequenceNumber"].as_str()?.to_owned(), i))
            })
            .collect();
        let shaped: Vec<_> = records
            .iter()
            .map(|record| shape(record, &poller.source.arn))
            .collect();
        let event = Bytes::from(json!({"Records": shaped}).to_string());
        let invoked = poller.host.invoke(&poller.source.function, event).await;
        let answer = invoked.ok().and_then(|invocation| invocation.result.ok());
        let ids = positions.keys().cloned().collect();
        match answer.map(|answer| (poller.source.partial, verdict(&answer, &ids))) {
            Some((false, _) | (true, Verdict::Done)) => return,
            Some((true, Verdict::Failed(failed))) => {
                let first = failed.iter().filter_map(|id| positions.get(id)).min();
                records.drain(..first.copied().unwrap_or(0));
            }
            Some((true, Verdict::AllFailed)) | None => {}
        }
        tries += 1;
        if poller.source.tries.is_some_and(|limit| tries >= limit) {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn shape(record: &Value, arn: &str) -> Value {
    let mut shaped = record.clone();
    shaped["eventSourceARN"] = arn.into();
    shaped["awsRegion"] = REGION.into();
    shaped["eventSource"] = "aws:dynamodb".into();
    shaped
}
