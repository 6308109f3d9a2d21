//! An SQS queue as an event source.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::{sync::Semaphore, time::Instant};

use super::{
    Poller,
    batch::{Verdict, verdict},
};
use crate::aws::{ACCOUNT, REGION};

/// SQS gives at most so many messages a call.
const RECEIVE_LIMIT: usize = 10;
/// How often a queue is asked when nobody rang. Not a long poll: the process behind goes on with
/// one whose caller has left, and would swallow a message.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn run(poller: Poller) {
    let running = Arc::new(Semaphore::new(poller.source.concurrency));
    let bell = poller.proxy.bell(&poller.source.arn);
    loop {
        let Ok(permit) = Arc::clone(&running).acquire_owned().await else {
            return;
        };
        let guard = poller.gate.enter().await;
        let batch = gather(&poller).await;
        drop(guard);
        if batch.is_empty() {
            drop(tokio::time::timeout(PAUSE, bell.notified()).await);
            continue;
        }
        let poller = poller.clone();
        tokio::spawn(async move {
            process(&poller, batch).await;
            drop(permit);
        });
    }
}

/// One batch: what is there, and with a batch window what comes within it.
async fn gather(poller: &Poller) -> Vec<Value> {
    let size = poller.source.batch_size;
    let mut batch = receive(poller, size).await;
    let window = poller.source.window;
    if batch.is_empty() || window.is_zero() {
        return batch;
    }
    let until = Instant::now() + window;
    while batch.len() < size && Instant::now() < until {
        let more = receive(poller, size - batch.len()).await;
        if more.is_empty() {
            tokio::time::sleep_until(until.min(Instant::now() + PAUSE)).await;
        }
        batch.extend(more);
    }
    batch
}

/// One call, or without a window as many as fill the batch: SQS gives ten messages a call.
async fn receive(poller: &Poller, count: usize) -> Vec<Value> {
    let mut messages = Vec::new();
    while messages.len() < count {
        let request = json!({
            "QueueUrl": url(poller), "MaxNumberOfMessages": (count - messages.len()).min(RECEIVE_LIMIT),
            "WaitTimeSeconds": 0, "AttributeNames": ["All"], "MessageAttributeNames": ["All"],
        });
        // A call that fails is one that found nothing: the next round tries again.
        let answer = poller
            .aws
            .json("sqs", "AmazonSQS.ReceiveMessage", &request)
            .await;
        let Ok(Value::Array(received)) = answer.map(|mut answer| answer["Messages"].take()) else {
            break;
        };
        if received.is_empty() {
            break;
        }
        messages.extend(received);
    }
    if !messages.is_empty() {
        poller.record("sqs:ReceiveMessage");
        // Lambda asks for it to scale; there is nothing to learn from it here.
        poller.record("sqs:GetQueueAttributes");
    }
    messages
}

async fn process(poller: &Poller, batch: Vec<Value>) {
    let receipts: BTreeMap<String, String> = batch
        .iter()
        .filter_map(|message| {
            let id = message["MessageId"].as_str()?.to_owned();
            Some((id, message["ReceiptHandle"].as_str()?.to_owned()))
        })
        .collect();
    let ids: BTreeSet<String> = receipts.keys().cloned().collect();
    let records: Vec<Value> = batch
        .iter()
        .map(|message| record(message, &poller.source.arn))
        .collect();
    let event = json!({"Records": records});
    let invoked = poller
        .host
        .invoke(&poller.source.function, Bytes::from(event.to_string()))
        .await;
    let answer = invoked.ok().and_then(|invocation| invocation.result.ok());
    let failed = match answer {
        // What failed stays in flight until its visibility ends, as on Lambda.
        None => return,
        Some(answer) if poller.source.partial => match verdict(&answer, &ids) {
            Verdict::Done => BTreeSet::new(),
            Verdict::Failed(failed) => failed,
            Verdict::AllFailed => return,
        },
        Some(_) => BTreeSet::new(),
    };
    let done: Vec<_> = receipts
        .iter()
        .filter(|(id, _)| !failed.contains(*id))
        .collect();
    for chunk in done.chunks(RECEIVE_LIMIT) {
        let entries: Vec<_> = chunk
            .iter()
            .enumerate()
            .map(|(i, (_, receipt))| json!({"Id": i.to_string(), "ReceiptHandle": receipt}))
            .collect();
        let request = json!({"QueueUrl": url(poller), "Entries": entries});
        poller.record("sqs:DeleteMessage");
        // A message whose deletion fails comes again; functions must bear that anyway.
        drop(
            poller
                .aws
                .json("sqs", "AmazonSQS.DeleteMessageBatch", &request)
                .await,
        );
    }
}

fn url(poller: &Poller) -> String {
    let name = poller.source.arn.rsplit(':').next().unwrap_or_default();
    format!("{}/{ACCOUNT}/{name}", poller.aws.base())
}

/// A message as Lambda's SQS event has it.
fn record(message: &Value, arn: &str) -> Value {
    let mut attributes = Map::new();
    for name in [
        "ApproximateReceiveCount",
        "SentTimestamp",
        "SenderId",
        "ApproximateFirstReceiveTimestamp",
        "MessageGroupId",
        "MessageDeduplicationId",
        "SequenceNumber",
        "AWSTraceHeader",
        "DeadLetterQueueSourceArn",
    ] {
        if let Some(value) = message["Attributes"].get(name) {
            attributes.insert(name.to_owned(), value.clone());
        }
    }
    let mut message_attributes = Map::new();
    for (name, value) in message["MessageAttributes"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let mut shaped = json!({
            "dataType": value["DataType"], "stringListValues": [], "binaryListValues": [],
        });
        for (theirs, ours) in [
            ("StringValue", "stringValue"),
            ("BinaryValue", "binaryValue"),
        ] {
            if let Some(text) = value.get(theirs).filter(|text| text.is_string()) {
                shaped[ours] = text.clone();
            }
        }
        message_attributes.insert(name.clone(), shaped);
    }
    let mut record = json!({
        "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"], "attributes": attributes,
        "messageAttributes": message_attributes, "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs", "eventSourceARN": arn, "awsRegion": REGION,
    });
    if let Some(md5) = message.get("MD5OfMessageAttributes") {
        record["md5OfMessageAttributes"] = md5.clone();
    }
    record
}
