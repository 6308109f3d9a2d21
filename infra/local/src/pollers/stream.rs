//! A DynamoDB stream as an event source: its shards in order, one batch at a time each.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Poller,
    batch::{Verdict, verdict},
};
use crate::aws::{ACCOUNT, REGION};

/// How often an idle shard is asked; Lambda asks four times a second.
const PAUSE: Duration = Duration::from_millis(250);
/// DynamoDB gives at most so many records a call.
const MOST_READ: usize = 1_000;
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
    // A mapping is not even made without it; there is nothing to learn from it here.
    poller.record("dynamodb:ListStreams");
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
        let request =
            json!({"ShardIterator": at, "Limit": poller.source.batch_size.min(MOST_READ)});
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
                deliver(&poller, &shard, records).await;
            }
        }
        iterator = answer["NextShardIterator"].as_str().map(str::to_owned);
    }
}

/// One part of what was taken from the shard, and how often it was tried as it is.
struct Part {
    records: Vec<Value>,
    tries: u32,
}

/// Gives records, in their order, until each is done or given up, as Lambda does:
/// - a partial failure begins again at the first failed record, and what was before it is done;
/// - where the function itself fails and the mapping says so, the batch is halved, and halving is no
///   try;
/// - what was tried too often or grew too old is given up, and the destination is told of it.
async fn deliver(poller: &Poller, shard: &str, records: Vec<Value>) {
    let mut parts = VecDeque::from([Part { records, tries: 0 }]);
    while let Some(mut part) = parts.pop_front() {
        let old = part.records.iter().take_while(|one| too_old(poller, one));
        let old: Vec<Value> = part.records.drain(..old.count()).collect();
        if !old.is_empty() {
            give_up(poller, shard, &old, "RecordAgeExceeded").await;
            part.tries = 0;
        }
        if part.records.is_empty() {
            continue;
        }
        let failed_whole = match give(poller, &part.records).await {
            Given::Done => continue,
            Given::From(first) => {
                part.tries = if first > 0 { 0 } else { part.tries };
                part.records.drain(..first);
                false
            }
            Given::FunctionFailed => true,
        };
        if failed_whole && poller.source.bisect && part.records.len() > 1 {
            let second = part.records.split_off(part.records.len() / 2);
            parts.push_front(Part {
                records: second,
                tries: part.tries,
            });
            parts.push_front(part);
        } else {
            part.tries += 1;
            if poller.source.tries.is_some_and(|most| part.tries >= most) {
                give_up(poller, shard, &part.records, "RetryAttemptsExhausted").await;
                continue;
            }
            parts.push_front(part);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// How a call with a batch ended.
enum Given {
    Done,
    /// From this record on, it comes again.
    From(usize),
    FunctionFailed,
}

async fn give(poller: &Poller, records: &[Value]) -> Given {
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
    let Some(answer) = invoked.ok().and_then(|invocation| invocation.result.ok()) else {
        return Given::FunctionFailed;
    };
    if !poller.source.partial {
        return Given::Done;
    }
    match verdict(&answer, &positions.keys().cloned().collect()) {
        Verdict::Done => Given::Done,
        Verdict::AllFailed => Given::From(0),
        Verdict::Failed(failed) => {
            let first = failed.iter().filter_map(|id| positions.get(id)).min();
            Given::From(first.copied().unwrap_or(0))
        }
    }
}

fn too_old(poller: &Poller, record: &Value) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0.0, |now| now.as_secs_f64());
    let at = record["dynamodb"]["ApproximateCreationDateTime"].as_f64();
    let age = now - at.unwrap_or(now);
    let most = poller.source.most_age;
    most.is_some_and(|most| age > most.as_secs_f64())
}

/// Tells the destination which records were given up; without one they are gone. Lambda tells where
/// they were in the stream, and not what they held.
async fn give_up(poller: &Poller, shard: &str, records: &[Value], condition: &str) {
    let (Some(arn), Some(first), Some(last)) =
        (&poller.source.on_failure, records.first(), records.last())
    else {
        return;
    };
    let name = arn.rsplit(':').next().unwrap_or_default();
    let sequence = |record: &Value| record["dynamodb"]["SequenceNumber"].clone();
    let body = json!({
        "version": "1.0",
        "requestContext": {
            "functionArn": poller.source.function,
            "condition": condition,
        },
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": sequence(first),
            "endSequenceNumber": sequence(last),
            "batchSize": records.len(),
            "streamArn": poller.source.arn,
        },
    });
    let request = json!({
        "QueueUrl": format!("{}/{ACCOUNT}/{name}", poller.aws.base()),
        "MessageBody": body.to_string(),
    });
    // Lambda sends it under the function's role.
    poller.record_at("sqs:SendMessage", arn);
    for _ in 0..3 {
        let sent = poller.aws.json("sqs", "AmazonSQS.SendMessage", &request);
        if sent.await.is_ok() {
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
