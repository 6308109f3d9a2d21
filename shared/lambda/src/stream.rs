//! Functions that a table's stream feeds, in batches whose records stand in their order.

use domain::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::guard;
use crate::schedule::{deadline, failed};
use crate::start::Error;

/// What such a function was called with.
#[derive(Clone, Debug)]
pub enum Call<R> {
    /// Records of a stream, in the order of its shard.
    Batch {
        /// The records.
        records: Vec<R>,
        /// When Lambda ends the function.
        deadline: Timestamp,
    },
    /// Anything else: an operator's own invocation.
    Command(Value),
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// Every record is dealt with.
    Done,
    /// From the record with this sequence number on, all come again.
    From(String),
    /// A command's answer.
    Answer(Value),
}

/// Works on batches until Lambda ends the process. The event source must have
/// `ReportBatchItemFailures`. An error or a panic brings the whole batch back.
pub async fn serve<R, H, Fut>(handler: H) -> Result<(), Error>
where
    R: DeserializeOwned,
    H: Fn(Call<R>) -> Fut,
    Fut: Future<Output = Result<Ended, Error>>,
{
    let handler = &handler;
    Runtime::new(service_fn(
        async |event: LambdaEvent<Box<RawValue>>| -> Result<Value, Diagnostic> {
            let deadline = deadline(event.context.deadline);
            let call = read(event.payload.get(), deadline).map_err(|error| failed(&error))?;
            match guard::run(|| handler(call)).await {
                Ok(Ok(ended)) => Ok(answer(ended)),
                Ok(Err(error)) => Err(failed(&*error)),
                Err(panicked) => Err(failed(&panicked)),
            }
        },
    ))
    .run()
    .await
}

#[derive(Deserialize)]
struct Batch<R> {
    #[serde(rename = "Records")]
    records: Vec<R>,
}

/// The event is neither a batch of a stream nor a command. Shows no value.
#[derive(Debug, thiserror::Error)]
#[error("the event is not what this function takes (line {0}, column {1})")]
struct BadEvent(usize, usize);

fn read<R: DeserializeOwned>(event: &str, deadline: Timestamp) -> Result<Call<R>, BadEvent> {
    let bad = |error: serde_json::Error| BadEvent(error.line(), error.column());
    let value: Value = serde_json::from_str(event).map_err(bad)?;
    if value.get("Records").is_none() {
        return Ok(Call::Command(value));
    }
    let batch: Batch<R> = serde_json::from_value(value).map_err(bad)?;
    Ok(Call::Batch {
        records: batch.records,
        deadline,
    })
}

/// What the event source expects: the first record that comes again is enough, since a shard is a
/// sequence.
fn answer(ended: Ended) -> Value {
    match ended {
        Ended::Done => json!({"batchItemFailures": []}),
        Ended::From(sequence) => json!({"batchItemFailures": [{"itemIdentifier": sequence}]}),
        Ended::Answer(value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct One {
        id: u8,
    }

    #[test]
    fn batches_and_commands_are_told_apart() {
        let at = Timestamp::from_secs(1);
        let Ok(Call::Batch { records, deadline }) = read::<One>(r#"{"Records":[{"id":1}]}"#, at)
        else {
            panic!("a batch");
        };
        assert_eq!((records, deadline), (vec![One { id: 1 }], at));
        let Ok(Call::Command(command)) = read::<One>(r#"{"do":"it"}"#, at) else {
            panic!("a command");
        };
        assert_eq!(command["do"], "it");
        assert!(read::<One>(r#"{"Records":[{"id":"hush"}]}"#, at).is_err());
    }

    #[test]
    fn the_first_that_comes_again_is_named() {
        assert_eq!(answer(Ended::Done), json!({"batchItemFailures": []}));
        let again = answer(Ended::From("42".to_owned()));
        assert_eq!(again["batchItemFailures"][0]["itemIdentifier"], "42");
    }
}
