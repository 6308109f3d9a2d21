//! Dead letters of one queue: looked at, sent back to the queue that they came from, or dropped.
//!
//! A letter is sent back before it leaves the dead letters, so a call that dies midway leaves it in
//! both: every message of ours may come twice. What a call looked at and left is shown again at once.

use std::collections::HashSet;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as System};
use domain::{Act, Timestamp};
use http::StatusCode;
use lambda::{Answer, Problem, responses};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::query::limit;
use crate::queues::Queue;
use crate::{Acted, Admin, Ask};

const MOST_BODY_BYTES: usize = 1_024;
/// SQS gives ten messages at most.
const BATCH: i32 = 10;
/// For how long a call keeps to itself what it received; longer than it may take.
const HIDDEN_SECONDS: i32 = 30;
/// One call sends back or drops so many.
const MOST: usize = 1_000;
/// What is shown of a letter's body: ids and words of ours, never a payload.
const SHOWN: &[&str] = &[
    "kind",
    "platform",
    "user_id",
    "connection_id",
    "post_id",
    "target_id",
    "delivery_id",
    "sync_id",
    "sync_kind",
    "job_id",
    "slice",
    "step",
    "seen",
    "received_at",
    "issued_at",
    "table",
    "item",
    "sequence",
    "reason",
];

#[derive(Serialize)]
struct Letter {
    message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    bytes: usize,
    about: Map<String, Value>,
}

#[derive(Serialize)]
struct Page {
    queue: &'static str,
    /// Approximately how many there are.
    count: u64,
    dead_letters: Vec<Letter>,
}

/// Exactly one of the two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    #[serde(default)]
    message_id: Option<String>,
    #[serde(default)]
    all: bool,
}

/// What is done with a letter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Replay,
    Drop,
}

#[derive(Serialize)]
struct Done {
    queue: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<usize>,
    /// Whether there was not time for all: ask again.
    more: bool,
}

/// Letters that were received and are to be seen again.
#[derive(Default)]
struct Aside(Vec<Message>);

impl Admin {
    pub(crate) async fn list_dead_letters(&self, ask: &Ask<'_>) -> Answer {
        let name: String = ask.request.path_parameter("queue")?;
        let queue = self.queues.named(&name)?;
        let query = ask.request.query()?;
        query.only(&["limit"])?;
        let limit = limit(&query)?;
        let url = queue.dead.as_str();
        let count = self.depth(url).await?.whole();
        let mut aside = Aside::default();
        let received = self.look(ask, url, limit, &mut aside).await;
        self.put_back(url, &aside).await;
        received?;
        let dead_letters = aside.0.iter().take(limit).map(letter).collect();
        let page = Page {
            queue: queue.name,
            count,
            dead_letters,
        };
        Ok(responses::json(StatusCode::OK, &page))
    }

    pub(crate) async fn replay_dead_letters(&self, ask: &Ask<'_>) -> Answer {
        let name: String = ask.request.path_parameter("queue")?;
        let queue = self.queues.named(&name)?;
        if queue.source.is_none() {
            return Err(Problem::conflict(
                "These came from no queue. Run the schedule, and drop them.",
            ));
        }
        self.decide(ask, queue, Fate::Replay).await
    }

    pub(crate) async fn drop_dead_letters(&self, ask: &Ask<'_>) -> Answer {
        let name: String = ask.request.path_parameter("queue")?;
        let queue = self.queues.named(&name)?;
        self.decide(ask, queue, Fate::Drop).await
    }

    async fn decide(&self, ask: &Ask<'_>, queue: &Queue, fate: Fate) -> Answer {
        let which: Which = ask.request.json(MOST_BODY_BYTES)?;
        if which.all == which.message_id.is_some() {
            return Err(Problem::invalid(
                "message_id",
                "missing",
                "Give either a message_id or all: true.",
            ));
        }
        let act = match fate {
            Fate::Replay => Act::AdminDeadLettersReplayed,
            Fate::Drop => Act::AdminDeadLettersDropped,
        };
        let deed = async {
            let (count, more) = self.settle(ask, queue, &which, fate).await?;
            let done = Done {
                queue: queue.name,
                replayed: (fate == Fate::Replay).then_some(count),
                dropped: (fate == Fate::Drop).then_some(count),
                more,
            };
            Ok(Acted {
                answer: responses::json(StatusCode::OK, &done),
                note: Some(count.to_string()),
            })
        };
        self.act(ask, act, None, Some(queue.name), deed).await
    }

    /// Sends back or drops what is wanted; how many that were, and whether more is left.
    async fn settle(
        &self,
        ask: &Ask<'_>,
        queue: &Queue,
        which: &Which,
        fate: Fate,
    ) -> Result<(usize, bool), Problem> {
        let dead = queue.dead.as_str();
        let mut aside = Aside::default();
        let mut count = 0;
        let ended = loop {
            if self.late(ask) || count >= MOST {
                break Ok(true);
            }
            let batch = match self.receive(dead).await {
                Ok(batch) if batch.is_empty() => break Ok(false),
                Ok(batch) => batch,
                Err(problem) => break Err(problem),
            };
            if let Err(problem) = self
                .settle_batch(ask, (queue, which, fate), batch, &mut aside, &mut count)
                .await
            {
                break Err(problem);
            }
            if which.message_id.is_some() && count > 0 {
                break Ok(false);
            }
        };
        self.put_back(dead, &aside).await;
        let more = ended.inspect_err(|_| {
            tracing::warn!(queue = queue.name, count, "dead letters dealt with in part");
        })?;
        if which.message_id.is_some() && count == 0 {
            return Err(if more {
                Problem::unavailable("the letter was not found in time")
            } else {
                Problem::not_found()
            });
        }
        Ok((count, more))
    }

    async fn settle_batch(
        &self,
        ask: &Ask<'_>,
        (queue, which, fate): (&Queue, &Which, Fate),
        batch: Vec<Message>,
        aside: &mut Aside,
        count: &mut usize,
    ) -> Result<(), Problem> {
        let mut batch = batch.into_iter();
        while let Some(message) = batch.next() {
            let wanted = match &which.message_id {
                Some(id) => message.message_id() == Some(id),
                // What was sent since this call began may be one of those that it sent back.
                None => sent_at(&message).is_none_or(|at| at < ask.now),
            };
            if !wanted {
                aside.0.push(message);
                continue;
            }
            if let Err(problem) = self.settle_one(queue, fate, &message).await {
                aside.0.push(message);
                aside.0.extend(batch);
                return Err(problem);
            }
            *count += 1;
        }
        Ok(())
    }

    /// First the queue has it again, then the dead letters lose it.
    async fn settle_one(
        &self,
        queue: &Queue,
        fate: Fate,
        message: &Message,
    ) -> Result<(), Problem> {
        if let (Fate::Replay, Some(source)) = (fate, &queue.source) {
            self.sqs
                .send_message()
                .queue_url(source)
                .message_body(message.body().unwrap_or_default())
                .set_message_attributes(message.message_attributes().cloned())
                .send()
                .await
                .map_err(Problem::unavailable)?;
        }
        self.sqs
            .delete_message()
            .queue_url(&queue.dead)
            .set_receipt_handle(message.receipt_handle().map(str::to_owned))
            .send()
            .await
            .map(drop)
            .map_err(Problem::unavailable)
    }

    /// Receives letters until `limit` are there, or no others.
    async fn look(
        &self,
        ask: &Ask<'_>,
        url: &str,
        limit: usize,
        aside: &mut Aside,
    ) -> Result<(), Problem> {
        let mut seen = HashSet::new();
        while aside.0.len() < limit && !self.late(ask) {
            let batch = self.receive(url).await?;
            let before = aside.0.len();
            let id = |message: &Message| message.message_id().unwrap_or_default().to_owned();
            aside
                .0
                .extend(batch.into_iter().filter(|one| seen.insert(id(one))));
            if aside.0.len() == before {
                break;
            }
        }
        Ok(())
    }

    async fn receive(&self, url: &str) -> Result<Vec<Message>, Problem> {
        let answer = self
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(BATCH)
            .visibility_timeout(HIDDEN_SECONDS)
            // A wait asks all of SQS's servers; without one, some of them, which may have none.
            .wait_time_seconds(1)
            .message_system_attribute_names(System::SentTimestamp)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(Problem::unavailable)?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Shows letters again at once. One that cannot be is shown again after half a minute.
    async fn put_back(&self, url: &str, aside: &Aside) {
        for message in &aside.0 {
            let shown = self
                .sqs
                .change_message_visibility()
                .queue_url(url)
                .set_receipt_handle(message.receipt_handle().map(str::to_owned))
                .visibility_timeout(0)
                .send()
                .await;
            if shown.is_err() {
                tracing::warn!("a dead letter stays hidden for a while");
            }
        }
    }
}

fn sent_at(message: &Message) -> Option<Timestamp> {
    let millis = message.attributes()?.get(&System::SentTimestamp)?;
    millis.parse().ok().map(Timestamp::from_millis)
}

fn letter(message: &Message) -> Letter {
    let body = message.body().unwrap_or_default();
    let parsed = serde_json::from_str::<Map<String, Value>>(body);
    Letter {
        message_id: message.message_id().unwrap_or_default().to_owned(),
        sent_at: sent_at(message).map(|at| at.rfc3339()),
        bytes: body.len(),
        about: about(parsed.unwrap_or_default()),
    }
}

fn about(mut body: Map<String, Value>) -> Map<String, Value> {
    // A text of any length is no id.
    body.retain(|name, value| {
        let short = value.as_str().is_none_or(|text| text.len() <= 128);
        SHOWN.contains(&name.as_str()) && short && (value.is_string() || value.is_number())
    });
    body
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_letter_shows_ids_and_no_payload() {
        let message = |body: &str| letter(&Message::builder().message_id("m-1").body(body).build());
        let rescue = json!({
            "user_id": "u", "connection_id": "c", "sealed": "hush", "seen": 3, "scopes": ["a"],
        });
        assert_eq!(
            Value::from(message(&rescue.to_string()).about),
            json!({"user_id": "u", "connection_id": "c", "seen": 3})
        );
        let webhook =
            json!({"kind": "received", "platform": "tiktok", "body": "hush", "headers": []});
        assert_eq!(
            Value::from(message(&webhook.to_string()).about),
            json!({"kind": "received", "platform": "tiktok"})
        );
        let long = json!({"user_id": "x".repeat(129)}).to_string();
        for odd in ["hush", "[1]", &long] {
            assert!(message(odd).about.is_empty(), "{odd}");
            assert_eq!(message(odd).bytes, odd.len());
        }
    }
}
