//! Dead letters that name whom we erase. SQS has no search, so every letter is looked at; those of
//! others are shown again at once.

use std::time::Duration;

use aws_sdk_sqs::types::Message;
use data_encoding::BASE64;
use domain::{Account, ReceivedWebhook, WebhookMessage};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use store::erasure::{Bucket, Subject};
use store::{Deliveries, Targets};

use super::Eraser;
use crate::error::code;
use crate::{Pace, RequestsError};

/// SQS gives ten messages at most.
const BATCH: i32 = 10;

/// What dead letters hold, as far as it decides how they name somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The ids in them say whose they are.
    Plain,
    /// Rescued tokens, which are worth a revocation.
    Rescue,
    /// Steps of targets, which name only the target; and files to be fetched.
    Publish,
    /// Webhooks.
    Webhook,
    /// Lanes of events, whose keys end in a connection or a user.
    Lane,
}

/// The queues of dead letters.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    sqs: aws_sdk_sqs::Client,
    queues: Vec<(Kind, String)>,
    targets: Targets,
    deliveries: Deliveries,
}

/// Letters that were received.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// Handles of those that name others.
    others: Vec<String>,
    /// Those that name whom we erase.
    pub(super) theirs: Vec<Theirs>,
}

/// A letter that names whom we erase.
#[derive(Debug)]
pub(super) struct Theirs {
    handle: String,
    body: String,
    /// The webhook's body in the bucket.
    object: Option<String>,
}

impl Aside {
    /// All handles.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        let theirs = self.theirs.iter().map(|letter| &letter.handle);
        self.others.iter().chain(theirs).map(String::as_str)
    }
}

/// What says which target a step is of.
#[derive(Deserialize)]
struct TargetStep {
    post_id: domain::PostId,
    target_id: domain::TargetId,
}

impl DeadLetters {
    /// Over these queues, each with what it holds.
    pub fn new(
        sqs: aws_sdk_sqs::Client,
        queues: Vec<(Kind, String)>,
        targets: Targets,
        deliveries: Deliveries,
    ) -> Self {
        Self {
            sqs,
            queues,
            targets,
            deliveries,
        }
    }

    pub(super) fn queue(&self, at: usize) -> Option<&(Kind, String)> {
        self.queues.get(at)
    }

    /// Looks at every letter of a queue.
    pub(super) async fn look(
        &self,
        (kind, url): &(Kind, String),
        subject: &Subject,
        eraser: &Eraser,
        pace: &Pace,
    ) -> Result<Aside, RequestsError> {
        let mut aside = Aside::default();
        let looked = self
            .look_at_all(*kind, url, subject, eraser, pace, &mut aside)
            .await;
        if let Err(error) = looked {
            self.put_back(url, aside.all()).await;
            return Err(error);
        }
        Ok(aside)
    }

    async fn look_at_all(
        &self,
        kind: Kind,
        url: &str,
        subject: &Subject,
        eraser: &Eraser,
        pace: &Pace,
        aside: &mut Aside,
    ) -> Result<(), RequestsError> {
        loop {
            let left = pace.lease_until.since(eraser.desk.chain.now());
            let batch = self.receive(url, left).await?;
            if batch.is_empty() {
                return Ok(());
            }
            let mut batch = batch.into_iter();
            while let Some(message) = batch.next() {
                let named = self.named(kind, &message, subject, eraser).await;
                let handle = |message: Message| message.receipt_handle.unwrap_or_default();
                match named {
                    Ok(None) => aside.others.push(handle(message)),
                    Ok(Some(theirs)) => aside.theirs.push(theirs),
                    Err(error) => {
                        aside.others.push(handle(message));
                        aside.others.extend(batch.map(handle));
                        return Err(error);
                    }
                }
            }
            if eraser.desk.chain.now() >= pace.stop_at {
                return Err(RequestsError::Letters);
            }
        }
    }

    /// Letters that nobody else is looking at, hidden until our lease is over and no longer: were this
    /// process to die, whoever takes up its work must see them again.
    async fn receive(&self, url: &str, left: Duration) -> Result<Vec<Message>, RequestsError> {
        let answer = self
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(BATCH)
            .visibility_timeout(i32::try_from(left.as_secs()).unwrap_or(i32::MAX).max(1))
            // A wait asks all of SQS's servers; without one, some of them, which may have none.
            .wait_time_seconds(1)
            .send()
            .await
            .map_err(|error| RequestsError::Queue(code(&error)))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// The letter as one of theirs, if it names whom we erase.
    async fn named(
        &self,
        kind: Kind,
        message: &Message,
        subject: &Subject,
        eraser: &Eraser,
    ) -> Result<Option<Theirs>, RequestsError> {
        let body = message.body().unwrap_or_default();
        let Ok(value) = serde_json::from_str::<Value>(body) else {
            return Ok(None);
        };
        let mut object = None;
        let mut theirs = names(&value, subject);
        match kind {
            Kind::Plain | Kind::Rescue => {}
            Kind::Lane => theirs = theirs || is_their_lane(&value, subject),
            Kind::Publish => theirs = theirs || self.is_their_step(&value, subject).await?,
            Kind::Webhook => {
                if let Ok(webhook) = serde_json::from_value(value) {
                    theirs = theirs || self.is_about(&webhook, subject, eraser).await?;
                    if let WebhookMessage::Received(received) = webhook {
                        object = received.object_key;
                    }
                }
            }
        }
        Ok(theirs.then(|| Theirs {
            handle: message.receipt_handle().unwrap_or_default().to_owned(),
            body: body.to_owned(),
            object,
        }))
    }

    /// A step of a target of theirs, or of one that is gone: nobody can do it any more.
    async fn is_their_step(&self, value: &Value, subject: &Subject) -> Result<bool, RequestsError> {
        let Ok(step) = TargetStep::deserialize(value) else {
            return Ok(false);
        };
        let target = self.targets.get(&step.post_id, &step.target_id).await?;
        Ok(target.is_none_or(|target| target.user_id == subject.user))
    }

    async fn is_about(
        &self,
        webhook: &WebhookMessage,
        subject: &Subject,
        eraser: &Eraser,
    ) -> Result<bool, RequestsError> {
        let received = match webhook {
            WebhookMessage::Received(received) => received,
            WebhookMessage::Replay { delivery_id } => {
                // One whose mark is gone has nothing to be applied again.
                let mark = self.deliveries.mark(delivery_id).await?;
                return Ok(mark.is_none_or(|mark| {
                    let key = mark.account_key;
                    key.is_some_and(|key| subject.accounts.contains(&key))
                }));
            }
        };
        let raw = match (&received.body, &received.object_key) {
            (Some(body), _) => BASE64.decode(body.as_bytes()).ok(),
            (None, Some(key)) => eraser.objects.body(key).await?,
            (None, None) => None,
        };
        Ok(raw.is_some_and(|raw| tells_of(received, &raw, subject)))
    }

    /// Drops what is theirs, and shows the rest again. How many were dropped.
    pub(super) async fn settle(
        &self,
        (kind, url): &(Kind, String),
        mut aside: Aside,
        eraser: &Eraser,
    ) -> Result<u64, RequestsError> {
        let mut dropped = 0;
        let theirs = std::mem::take(&mut aside.theirs);
        let mut left = theirs.into_iter();
        let mut ended = Ok(());
        for letter in left.by_ref() {
            ended = self.drop_one(*kind, url, &letter, eraser).await;
            if ended.is_err() {
                aside.others.push(letter.handle);
                break;
            }
            dropped += 1;
        }
        aside.theirs.extend(left);
        self.put_back(url, aside.all()).await;
        ended.map(|()| dropped)
    }

    async fn drop_one(
        &self,
        kind: Kind,
        url: &str,
        letter: &Theirs,
        eraser: &Eraser,
    ) -> Result<(), RequestsError> {
        if kind == Kind::Rescue
            && let Ok(message) = serde_json::from_str(&letter.body)
        {
            // Its connection has ended: what comes of it is a revocation of the tokens in it.
            if let Err(error) = eraser.tokens.rescue(&message).await {
                tracing::error!(error = %error, "rescued tokens could not be revoked");
            }
        }
        if let Some(key) = &letter.object {
            eraser.objects.remove(Bucket::Deliveries, key).await?;
        }
        self.sqs
            .delete_message()
            .queue_url(url)
            .receipt_handle(&letter.handle)
            .send()
            .await
            .map(drop)
            .map_err(|error| RequestsError::Queue(code(&error)))
    }

    /// Shows letters again at once. One that cannot be is shown again when our lease is over.
    pub(super) async fn put_back(&self, url: &str, handles: impl Iterator<Item = &str>) {
        for handle in handles {
            let shown = self
                .sqs
                .change_message_visibility()
                .queue_url(url)
                .receipt_handle(handle)
                .visibility_timeout(0)
                .send()
                .await;
            if shown.is_err() {
                tracing::warn!("a dead letter stays hidden for a while");
            }
        }
    }
}

/// Whether a message names them: a field `user_id` that is the user's, or anywhere the id of a
/// connection or the key of an account of theirs.
fn names(value: &Value, subject: &Subject) -> bool {
    match value {
        Value::String(text) => {
            let connection = subject.connections.iter().any(|id| id.as_str() == text);
            connection || subject.accounts.contains(text)
        }
        Value::Array(list) => list.iter().any(|one| names(one, subject)),
        Value::Object(map) => map.iter().any(|(name, one)| {
            let user = name == "user_id" && one.as_str() == Some(subject.user.as_str());
            user || names(one, subject)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a lane's key, `<endpoint>#<connection>` or `<endpoint>#user#<user>`, ends in theirs.
fn is_their_lane(value: &Value, subject: &Subject) -> bool {
    let Some((_, of)) = value["lane"].as_str().and_then(|lane| lane.split_once('#')) else {
        return false;
    };
    let user = of.strip_prefix("user#") == Some(subject.user.as_str());
    user || subject.connections.iter().any(|id| id.as_str() == of)
}

/// Whether a webhook is about an account of theirs. What cannot be read names no account.
fn tells_of(received: &ReceivedWebhook, raw: &[u8], subject: &Subject) -> bool {
    let Some(hooks) = platforms::webhook(received.platform) else {
        return false;
    };
    let deliveries = hooks.read(&headers(&received.headers), raw);
    let account = |id: &String| {
        subject
            .accounts
            .contains(&Account::key_of(received.app(), id))
    };
    deliveries.is_ok_and(|all| {
        all.iter()
            .filter_map(|one| one.account_id.as_ref())
            .any(account)
    })
}

fn headers(kept: &[(String, String)]) -> HeaderMap {
    let pair = |(name, value): &(String, String)| {
        Some((
            name.parse::<HeaderName>().ok()?,
            value.parse::<HeaderValue>().ok()?,
        ))
    };
    kept.iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_letter_names_somebody_by_whole_values_alone() {
        let connection = "conn_00000000000000000000000000";
        let subject = Subject {
            user: "1".parse().unwrap(),
            connections: [connection.parse().unwrap()].into(),
            accounts: ["tiktok#a".to_owned()].into(),
        };
        for (letter, theirs) in [
            (json!({"user_id": "1"}), true),
            (json!({"user_id": "11"}), false),
            (json!({"step": "1", "id": "1"}), false),
            (json!({"connection_id": connection, "user_id": "2"}), true),
            (json!({"detail": {"user_id": "1"}}), true),
            (json!({"about": ["tiktok#a"]}), true),
            (json!({"about": ["tiktok#ab", "a"]}), false),
            (json!(["1"]), false),
        ] {
            assert_eq!(names(&letter, &subject), theirs, "{letter}");
        }
        for (lane, theirs) in [
            ("ep_1#user#1".to_owned(), true),
            ("ep_1#user#11".to_owned(), false),
            ("ep_1#1".to_owned(), false),
            ("ep_1#test".to_owned(), false),
            (format!("ep_1#{connection}"), true),
            (format!("ep_1#{connection}0"), false),
        ] {
            let letter = json!({ "lane": lane });
            assert_eq!(is_their_lane(&letter, &subject), theirs, "{letter}");
        }
    }
}
