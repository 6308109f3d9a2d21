//! Functions that a table's stream feeds, in batches of which the first failed record comes again.

use std::collections::BTreeMap;
use std::future::Future;

use domain::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::guard;
use crate::schedule::{deadline, failed};
use crate::start::Error;

/// A new item of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// Its place in the shard.
    pub sequence: String,
    /// Its key attributes that are texts.
    pub keys: BTreeMap<String, String>,
}

/// The answer that the event source expects: the shard goes on from the first of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failures {
    #[serde(rename = "batchItemFailures")]
    items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Item {
    #[serde(rename = "itemIdentifier")]
    id: String,
}

impl Failures {
    /// The batch from this place in the shard on comes again; `None`: all of it is done.
    pub fn from(sequence: Option<String>) -> Self {
        let items = sequence.into_iter().map(|id| Item { id }).collect();
        Self { items }
    }
}

/// Works on batches until Lambda ends the process. The handler is given the new items of a batch, in
/// their order, and gives the sequence number of the first that must come again. An error or a panic
/// brings the whole batch again. The event source must have `ReportBatchItemFailures`.
pub async fn serve<H, Fut>(handler: H) -> Result<(), Error>
where
    H: Fn(Vec<Inserted>, Timestamp) -> Fut,
    Fut: Future<Output = Result<Option<String>, Error>>,
{
    let handler = &handler;
    Runtime::new(service_fn(
        async |event: LambdaEvent<Box<RawValue>>| -> Result<Failures, Diagnostic> {
            let deadline = deadline(event.context.deadline);
            let items = read(event.payload.get()).map_err(|error| failed(&error))?;
            match guard::run(|| handler(items, deadline)).await {
                Ok(Ok(first)) => Ok(Failures::from(first)),
                Ok(Err(error)) => Err(failed(&*error)),
                Err(panicked) => Err(failed(&panicked)),
            }
        },
    ))
    .run()
    .await
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "eventName")]
    name: String,
    dynamodb: Change,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    #[serde(default)]
    keys: BTreeMap<String, Attribute>,
    sequence_number: String,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(rename = "S")]
    text: Option<String>,
}

/// The event is no batch of a stream.
#[derive(Debug, thiserror::Error)]
#[error("the event is not a batch of a stream (line {0}, column {1})")]
struct NoBatch(usize, usize);

/// The new items of a batch: what changes or ends is of no interest here, whatever the event source
/// lets through.
fn read(event: &str) -> Result<Vec<Inserted>, NoBatch> {
    let event: Event =
        serde_json::from_str(event).map_err(|error| NoBatch(error.line(), error.column()))?;
    let inserted = event
        .records
        .into_iter()
        .filter(|record| record.name == "INSERT");
    let items = inserted.map(|record| Inserted {
        sequence: record.dynamodb.sequence_number,
        keys: record
            .dynamodb
            .keys
            .into_iter()
            .filter_map(|(name, attribute)| Some((name, attribute.text?)))
            .collect(),
    });
    Ok(items.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_items_are_read_in_their_order() {
        let event = r#"{"Records":[
            {"eventName":"INSERT","dynamodb":{"Keys":{"event_id":{"S":"evt_1"}},"SequenceNumber":"7"}},
            {"eventName":"MODIFY","dynamodb":{"Keys":{"event_id":{"S":"evt_2"}},"SequenceNumber":"8"}},
            {"eventName":"REMOVE","dynamodb":{"Keys":{"event_id":{"S":"evt_3"}},"SequenceNumber":"9"}},
            {"eventName":"INSERT","dynamodb":{"Keys":{"event_id":{"S":"evt_4"},"n":{"N":"1"}},"SequenceNumber":"10"}}
        ]}"#;
        let read = read(event).unwrap();
        let ids: Vec<_> = read
            .iter()
            .map(|one| (one.sequence.as_str(), one.keys["event_id"].as_str()))
            .collect();
        assert_eq!(ids, [("7", "evt_1"), ("10", "evt_4")]);
        assert!(super::read("{}").is_err());
    }

    #[test]
    fn the_answer_names_the_first_that_failed() {
        let json = |failures| serde_json::to_string(&failures).unwrap();
        assert_eq!(json(Failures::from(None)), r#"{"batchItemFailures":[]}"#);
        assert_eq!(
            json(Failures::from(Some("8".to_owned()))),
            r#"{"batchItemFailures":[{"itemIdentifier":"8"}]}"#
        );
    }
}
