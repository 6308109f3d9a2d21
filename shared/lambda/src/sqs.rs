//! Functions that a queue feeds, in batches whose records fail one by one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use domain::{Clock, Timestamp};
use futures_util::{StreamExt, stream};
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::Instrument;

use crate::clock::SystemClock;
use crate::guard;
use crate::logging::chain;
use crate::schedule::{deadline, failed};
use crate::start::Error;

/// One record of a queue. Its body is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// SQS's id of it.
    pub id: String,
    /// The queue's name, for functions that two queues feed.
    pub queue: String,
    /// The body.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Its own attributes that are texts.
    pub attributes: BTreeMap<String, String>,
    /// When Lambda ends the function.
    pub deadline: Timestamp,
}

/// How a record ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is dealt with, and leaves the queue.
    Done,
    /// It comes again after the queue's visibility time-out, and at last goes to the dead letters.
    Retry {
        /// For the log.
        why: Cow<'static, str>,
    },
}

/// How a batch is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many records at once; 1 keeps their order.
    pub at_once: usize,
    /// A record is not begun when less than this is left of the function's time; it comes again.
    pub reserve: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            at_once: 10,
            reserve: Duration::from_secs(5),
        }
    }
}

/// A body that is not what the queue holds. Never shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message's body is not what this queue holds (line {line}, column {column})")]
pub struct Malformed {
    line: usize,
    column: usize,
}

impl Message {
    /// The body as JSON. Hand the error on with `?`: such a message fails until it lies with the dead
    /// letters, where it can be looked at.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        serde_json::from_str(&self.body).map_err(|error| Malformed {
            line: error.line(),
            column: error.column(),
        })
    }
}

/// Shows what a log may show.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("queue", &self.queue)
            .field("receive_count", &self.receive_count)
            .finish_non_exhaustive()
    }
}

/// The answer that SQS's event source expects: the records that come again.
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
    /// The ids of the records that come again.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(|item| item.id.as_str())
    }
}

/// The name in a queue's URL: what [`Message::queue`] shows for messages of that queue.
pub fn queue_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// Works on batches until Lambda ends the process. Each record stands alone: an error, a panic or a
/// lack of time brings that one back and no other. The event source must have
/// `ReportBatchItemFailures`.
pub async fn serve<H, Fut>(options: Options, handler: H) -> Result<(), Error>
where
    H: Fn(Message) -> Fut,
    Fut: Future<Output = Result<Outcome, Error>>,
{
    let handler = &handler;
    Runtime::new(service_fn(
        async |event: LambdaEvent<Box<RawValue>>| -> Result<Failures, Diagnostic> {
            let deadline = deadline(event.context.deadline);
            let messages = read(event.payload.get(), deadline).map_err(|error| failed(&error))?;
            Ok(run(options, handler, &SystemClock, messages).await)
        },
    ))
    .run()
    .await
}

/// One batch. For whatever stands in for the queue (a simulation); [`serve`] does the same.
pub async fn run<H, Fut>(
    options: Options,
    handler: &H,
    clock: &dyn Clock,
    messages: Vec<Message>,
) -> Failures
where
    H: Fn(Message) -> Fut,
    Fut: Future<Output = Result<Outcome, Error>>,
{
    let work = stream::iter(messages).map(|message| async move {
        let id = message.id.clone();
        let span = tracing::error_span!("record", message.id = id, queue = message.queue);
        let done = one(options, handler, clock, message).instrument(span).await;
        (!done).then_some(Item { id })
    });
    // Unordered: a slow record does not keep the next one from starting. One at a time is in order.
    let items = work
        .buffer_unordered(options.at_once.max(1))
        .filter_map(std::future::ready)
        .collect()
        .await;
    Failures { items }
}

/// Whether the record may leave the queue.
async fn one<H, Fut>(options: Options, handler: &H, clock: &dyn Clock, message: Message) -> bool
where
    H: Fn(Message) -> Fut,
    Fut: Future<Output = Result<Outcome, Error>>,
{
    let receive_count = message.receive_count;
    if clock.now() + options.reserve >= message.deadline {
        tracing::warn!(
            receive_count,
            "not begun: the function's time is nearly over"
        );
        return false;
    }
    let started = Instant::now();
    let outcome = guard::run(|| handler(message)).await;
    let elapsed_ms = started.elapsed().as_millis() as u64;
    let error: Error = match outcome {
        Ok(Ok(Outcome::Done)) => {
            tracing::info!(receive_count, elapsed_ms, "done");
            return true;
        }
        Ok(Ok(Outcome::Retry { why })) => {
            tracing::info!(receive_count, elapsed_ms, %why, "comes again");
            return false;
        }
        Ok(Err(error)) => error,
        Err(panicked) => panicked.into(),
    };
    // Nothing changes in a malformed body from one try to the next: once is enough.
    if !error.is::<Malformed>() || receive_count <= 1 {
        let error = chain(&*error).to_string();
        tracing::error!(receive_count, elapsed_ms, error, "failed");
    }
    false
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    message_attributes: BTreeMap<String, Attribute>,
    #[serde(default, rename = "eventSourceARN")]
    event_source_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    #[serde(default)]
    string_value: Option<String>,
}

/// The event is not SQS's; all of it comes again.
#[derive(Debug, thiserror::Error)]
#[error("the event is not a batch of SQS (line {0}, column {1})")]
struct NoBatch(usize, usize);

fn read(event: &str, deadline: Timestamp) -> Result<Vec<Message>, NoBatch> {
    let event: Event =
        serde_json::from_str(event).map_err(|error| NoBatch(error.line(), error.column()))?;
    let messages = event.records.into_iter().map(|record| {
        let attribute = |name: &str| record.attributes.get(name);
        let number = |name: &str| attribute(name).and_then(|text| text.parse::<i64>().ok());
        let count = number("ApproximateReceiveCount").unwrap_or(1);
        Message {
            receive_count: u32::try_from(count).unwrap_or(u32::MAX),
            sent_at: Timestamp::from_millis(number("SentTimestamp").unwrap_or_default()),
            queue: record
                .event_source_arn
                .rsplit(':')
                .next()
                .unwrap_or_default()
                .to_owned(),
            attributes: record
                .message_attributes
                .into_iter()
                .filter_map(|(name, attribute)| Some((name, attribute.string_value?)))
                .collect(),
            id: record.message_id,
            body: record.body,
            deadline,
        }
    });
    Ok(messages.collect())
}

#[cfg(test)]
mod tests;
