//! SQS: the sending side speaks the JSON protocol; the receiving side, which is Lambda's own poller
//! on AWS, is whoever drives the world.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Refusal;
use crate::aws::locked;

/// SQS's limit on a message.
const MOST_BYTES: usize = 1_048_576;
/// SQS's limit on a delay.
const MOST_DELAY: u64 = 900;

/// How a queue is set up.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    /// How long a received message is hidden.
    pub visibility: Duration,
    /// How often a message is received before it goes to the dead letters.
    pub max_receives: u32,
}

/// A message as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// SQS's id of it.
    pub id: String,
    /// The body.
    pub body: String,
    /// How often it was received, this time included.
    pub receives: u32,
    /// When it was sent.
    pub sent: Instant,
    /// When it is seen again, or first seen.
    pub visible: Instant,
}

/// One queue with its dead letters.
#[derive(Clone, Debug)]
pub struct Queue(Arc<QueueInner>);

#[derive(Debug)]
struct QueueInner {
    name: String,
    settings: QueueSettings,
    state: Mutex<QueueState>,
    sent: Arc<Notify>,
}

#[derive(Debug, Default)]
struct QueueState {
    messages: Vec<Message>,
    dead: Vec<Message>,
    counter: u64,
}

impl Queue {
    /// The URL by which the SDK knows it.
    pub fn url(&self) -> String {
        let account = crate::ACCOUNT;
        format!("https://sqs.model/{account}/{}", self.0.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Puts a message there, as `SendMessage` does; its id.
    pub fn send(&self, body: &str, delay: Duration) -> String {
        let mut state = locked(&self.0.state);
        state.counter += 1;
        let id = format!("{}-{}", self.0.name, state.counter);
        let now = Instant::now();
        state.messages.push(Message {
            id: id.clone(),
            body: body.to_owned(),
            receives: 0,
            sent: now,
            visible: now + delay,
        });
        drop(state);
        self.0.sent.notify_one();
        id
    }

    /// Takes the longest visible message and hides it; one received too often goes to the dead
    /// letters instead.
    pub fn receive(&self) -> Option<Message> {
        let now = Instant::now();
        let mut state = locked(&self.0.state);
        loop {
            let visible = state.messages.iter().enumerate();
            let visible = visible.filter(|(_, message)| message.visible <= now);
            let at = visible.min_by_key(|(_, message)| message.visible)?.0;
            if state.messages[at].receives >= self.0.settings.max_receives {
                let message = state.messages.remove(at);
                state.dead.push(message);
                continue;
            }
            let message = &mut state.messages[at];
            message.receives += 1;
            message.visible = now + self.0.settings.visibility;
            return Some(message.clone());
        }
    }

    /// Deletes a message; one that is not there is deleted already.
    pub fn delete(&self, id: &str) {
        locked(&self.0.state)
            .messages
            .retain(|message| message.id != id);
    }

    /// Shows a message again at `at`: an earlier redelivery, a duplicate, or a later one.
    pub fn show(&self, id: &str, at: Instant) {
        let mut state = locked(&self.0.state);
        if let Some(message) = state.messages.iter_mut().find(|message| message.id == id) {
            message.visible = at;
        }
        drop(state);
        self.0.sent.notify_one();
    }

    /// When the next message is visible, if there is any.
    pub fn next_visible(&self) -> Option<Instant> {
        let state = locked(&self.0.state);
        state.messages.iter().map(|message| message.visible).min()
    }

    /// Everything in the queue, seen or hidden.
    pub fn messages(&self) -> Vec<Message> {
        locked(&self.0.state).messages.clone()
    }

    /// The dead letters.
    pub fn dead(&self) -> Vec<Message> {
        locked(&self.0.state).dead.clone()
    }
}

/// All queues of a world.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    queues: Mutex<BTreeMap<String, Queue>>,
    sent: Arc<Notify>,
}

impl Queues {
    pub(crate) fn make(&self, name: &str, settings: QueueSettings) -> Queue {
        let queue = Queue(Arc::new(QueueInner {
            name: name.to_owned(),
            settings,
            state: Mutex::default(),
            sent: self.sent.clone(),
        }));
        locked(&self.queues).insert(name.to_owned(), queue.clone());
        queue
    }

    /// Tells whoever waits for messages of any queue.
    pub(crate) fn sent(&self) -> Arc<Notify> {
        self.sent.clone()
    }

    pub(crate) fn run(&self, operation: &str, body: &Value) -> Result<Value, Refusal> {
        let queue = self.find(body)?;
        match operation {
            "SendMessage" => {
                let (body, delay) = read(body)?;
                Ok(sent(&queue.send(body, delay)))
            }
            "SendMessageBatch" => {
                let entries = body["Entries"].as_array().cloned().unwrap_or_default();
                if entries.is_empty() || entries.len() > 10 {
                    let code = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest";
                    return Err(Refusal::new(400, code, "1 to 10 entries are taken"));
                }
                let mut successful = Vec::new();
                for entry in &entries {
                    let (text, delay) = read(entry)?;
                    let mut one = sent(&queue.send(text, delay));
                    one["Id"] = entry["Id"].clone();
                    successful.push(one);
                }
                Ok(json!({ "Successful": successful, "Failed": [] }))
            }
            other => Err(Refusal::unknown(format!("sqs:{other}"))),
        }
    }

    fn find(&self, body: &Value) -> Result<Queue, Refusal> {
        let url = body["QueueUrl"].as_str().unwrap_or_default();
        let name = url.rsplit('/').next().unwrap_or_default();
        locked(&self.queues).get(name).cloned().ok_or_else(|| {
            let sentence = "The specified queue does not exist.";
            Refusal::new(400, "QueueDoesNotExist", sentence)
        })
    }
}

fn read(entry: &Value) -> Result<(&str, Duration), Refusal> {
    let invalid = |text: &str| Err(Refusal::new(400, "InvalidParameterValue", text));
    let Some(body) = entry["MessageBody"]
        .as_str()
        .filter(|body| !body.is_empty())
    else {
        return invalid("the message has no body");
    };
    if body.len() > MOST_BYTES {
        return invalid("the message is larger than 1 MiB");
    }
    let legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if !body.chars().all(legal) {
        return Err(Refusal::new(400, "InvalidMessageContents", "not XML's"));
    }
    let delay = entry["DelaySeconds"].as_u64().unwrap_or(0);
    if delay > MOST_DELAY {
        return invalid("DelaySeconds is more than 900");
    }
    Ok((body, Duration::from_secs(delay)))
}

fn sent(id: &str) -> Value {
    json!({ "MessageId": id, "MD5OfMessageBody": "" })
}
