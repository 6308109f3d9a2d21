//! Targets: one post on one connection, with its publishing machine's state.
//!
//! | access | by |
//! |---|---|
//! | read a post's | `post_id`, `target_id` |
//! | what is due for a step, or was left by a dead worker | index `due` |
//! | which target a webhook is about | index `publish` (`<platform>#<publish id>`) |
//!
//! Every unfinished target is in the due index: a queue message only makes it faster. A worker holds
//! the target by a lease; every write of a worker is conditional on its holder and on the step that
//! it saw. Before a call that must not be made twice, the intent is written; an intent found without
//! an outcome means that the answer is lost.

use domain::{
    Account, AppRef, AttemptId, ConnectionId, Event, Fault, Holder, MediaId, MediaKind, Platform,
    PostId, PostOptions, PublishedPost, TargetId, TargetStatus, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};
use vault::Sealed;

use crate::due::{Place, shard_of};
use crate::expression::Change;
use crate::item::{self, Item, key, text, value};
use crate::table::Page;
use crate::transaction::{Transacted, Transaction, put_new};
use crate::{DueKey, Events, StoreError, Table, Written};

/// The table's logical name: part of what is sealed in it.
pub const TABLE: &str = "targets";

/// A target as it stands in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Of which post.
    pub post_id: PostId,
    /// Which.
    pub target_id: TargetId,
    /// Whose.
    pub user_id: UserId,
    /// Through which connection.
    pub connection_id: ConnectionId,
    /// On which platform.
    pub platform: Platform,
    /// As which account.
    pub account: Account,
    /// The caption.
    pub text: String,
    /// What the caller chose.
    pub options: PostOptions,
    /// The files, in order.
    pub media: Vec<TargetMedia>,
    /// Where it stands.
    pub status: TargetStatus,
    /// The visible part of the machine's state, as JSON text; absent before the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The part of the state that must not be read, sealed for `sealed_step`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// The step that brought `sealed`: later ones may leave it as it is, without a key.
    #[serde(default)]
    pub sealed_step: u64,
    /// Counts the states that it has had.
    pub step: u64,
    /// A call that must not be made twice was about to be sent in this step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<AttemptId>,
    /// Which worker has it just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// Until when.
    #[serde(default)]
    pub lease_until: Timestamp,
    /// When somebody should look at it: while it is under way, and after its end as long as the
    /// platform may have more to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// When the product asked for it to be cancelled. The worker that has it next sees to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_asked_at: Option<Timestamp>,
    /// Tries of the present step that failed.
    #[serde(default)]
    pub tries: u32,
    /// The last trouble.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// What the platform calls the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedPost>,
    /// `<platform>#<publish id>`, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_key: Option<String>,
    /// How many bytes of its files were sent, as far as is known; to show, not to decide by.
    #[serde(default)]
    pub sent_bytes: u64,
    /// When it was accepted, or asked for again.
    pub queued_at: Timestamp,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A file of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetMedia {
    /// Which.
    pub media_id: MediaId,
    /// Its object key in the media bucket; empty where we do not hold its bytes.
    pub object_key: String,
    /// What it is.
    pub kind: MediaKind,
    /// How many bytes.
    pub size: u64,
    /// How long it plays, in milliseconds, where the file says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Where the product keeps it, where we do not: under a prefix that the operator has verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
}

/// What a worker writes at the end of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where it stands now.
    pub status: TargetStatus,
    /// The visible part of the new state; `None` where it begins anew.
    pub state: Option<String>,
    /// What becomes of the sealed part.
    pub sealed: SealedPart,
    /// When somebody should look at it; `None` once nothing more is expected.
    pub due_at: Option<Timestamp>,
    /// Whether that is only so while nobody wants it cancelled: if somebody does when this is written, it
    /// is due at once, and stays so should the writer die and every message get lost.
    pub heeds_cancel: bool,
    /// Tries of the step that comes now.
    pub tries: u32,
    /// The last trouble.
    pub fault: Option<Fault>,
    /// What the platform calls the result.
    pub published: Option<PublishedPost>,
    /// `<platform>#<publish id>`, once there is one.
    pub publish_key: Option<String>,
    /// How many bytes of its files were sent.
    pub sent_bytes: u64,
    /// When it was accepted, or asked for again.
    pub queued_at: Timestamp,
    /// Whether the worker goes on with the target, and until when it then holds it.
    pub keep_until: Option<Timestamp>,
}

/// What a step does to the sealed part of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealedPart {
    /// It stays, whether there is one or not.
    Keep,
    /// It goes.
    Drop,
    /// It is replaced; sealed for `step + 1`.
    New(Sealed),
}

impl Target {
    /// The place of the sealed part of the state that was written by `step`.
    pub fn place<'a>(&self, keys: &'a [&'a str; 2], step: u64) -> vault::Place<'a> {
        vault::Place {
            table: TABLE,
            keys,
            platform: self.platform,
            field: "state",
            version: step,
        }
    }

    /// The keys in the order of the table's key.
    pub fn keys(&self) -> [&str; 2] {
        [self.post_id.as_str(), self.target_id.as_str()]
    }
}

/// The table of targets.
#[derive(Clone, Debug)]
pub struct Targets(Table);

impl Targets {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The target as last written.
    pub async fn get(
        &self,
        post: &PostId,
        target: &TargetId,
    ) -> Result<Option<Target>, StoreError> {
        self.0.get(item_key(post, target)).await
    }

    /// All targets of a post, in the order of their ids.
    pub async fn of_post(&self, post: &PostId) -> Result<Vec<Target>, StoreError> {
        let page = Page {
            limit: 100,
            ..Page::default()
        };
        Ok(self
            .0
            .page(("post_id", post.as_str()), "target_id", page)
            .await?
            .0)
    }

    /// The targets of a publish of this app. The index lags by some milliseconds.
    pub async fn of_publish(
        &self,
        app: AppRef,
        publish_id: &str,
    ) -> Result<Vec<(PostId, TargetId)>, StoreError> {
        let answer = self
            .0
            .client
            .query()
            .table_name(&self.0.name)
            .index_name("publish")
            .key_condition_expression("publish_key = :key")
            .expression_attribute_values(":key", text(publish_key(app, publish_id)))
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        Ok(answer
            .items
            .unwrap_or_default()
            .into_iter()
            .filter_map(parse_keys)
            .collect())
    }

    /// Targets of one shard that are due, the most overdue first.
    pub async fn due(
        &self,
        shard: &str,
        now: Timestamp,
        limit: i32,
    ) -> Result<Vec<(PostId, TargetId)>, StoreError> {
        Ok(self.due_after(shard, now, limit, None).await?.0)
    }

    /// The same from a place in the shard on, and the place after it.
    pub async fn due_after(
        &self,
        shard: &str,
        now: Timestamp,
        limit: i32,
        from: Option<Place>,
    ) -> Result<(Vec<(PostId, TargetId)>, Option<Place>), StoreError> {
        let keys = ["post_id", "target_id"];
        let (rows, next) = self.0.due_after(shard, now, limit, &keys, from).await?;
        Ok((rows.into_iter().filter_map(parse_due).collect(), next))
    }

    /// Moves the due time of a target whose message is being sent, so that the next sweep does not
    /// send it again; `false` if it changed in the meantime.
    pub async fn nudge(
        &self,
        seen: &Target,
        next: Timestamp,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("due_at", value(next))
            .when("#step = :seen AND #due_at = :was")
            .bind("seen", value(seen.step))
            .bind("was", value(seen.due_at));
        let done: Written<Target, _> = self
            .0
            .change(item_key(&seen.post_id, &seen.target_id), change, attempt)
            .await?;
        Ok(matches!(done, Written::Done(_)))
    }

    /// Writes down that the product wants the target cancelled, and has it looked at now. Asked again
    /// it changes nothing. `None`: the target has come to its end.
    pub async fn ask_cancel(
        &self,
        seen: &Target,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<Option<Target>, StoreError> {
        let change = Change::new()
            .set_to("cancel_asked_at", "if_not_exists(#cancel_asked_at, :now)")
            .set("due_at", value(now))
            .set("due_shard", text(shard_of(seen.target_id.as_str())))
            .when("#status IN (:queued, :publishing)")
            .bind("queued", value(TargetStatus::Queued))
            .bind("publishing", value(TargetStatus::Publishing))
            .bind("now", value(now));
        self.changed(seen, change, attempt).await
    }

    /// Takes the target for a worker, unless another one holds it. Gives the item as of now.
    pub async fn take(
        &self,
        seen: &Target,
        holder: &Holder,
        now: Timestamp,
        until: Timestamp,
        attempt: &AttemptId,
    ) -> Result<Option<Target>, StoreError> {
        let change = Change::new()
            .set("holder", value(holder))
            .set("lease_until", value(until))
            // The sweeper looks again once the lease is over: a dead worker's target is not lost.
            .set("due_at", value(until))
            .set("due_shard", text(shard_of(seen.target_id.as_str())))
            .when("#step = :seen AND attribute_exists(#due_at)")
            .when("attribute_not_exists(#holder) OR #lease_until <= :now")
            .bind("seen", value(seen.step))
            .bind("now", value(now));
        self.changed(seen, change, attempt).await
    }

    /// Writes down that a call is about to be sent which must not be made twice. `None`: the target
    /// is no longer this worker's.
    pub async fn intend(
        &self,
        seen: &Target,
        holder: &Holder,
        attempt: &AttemptId,
    ) -> Result<Option<Target>, StoreError> {
        let change = Change::new()
            .set("intent", value(attempt))
            .when("#holder = :me AND #step = :seen AND attribute_not_exists(#intent)")
            .bind("me", value(holder))
            .bind("seen", value(seen.step));
        self.changed(seen, change, attempt).await
    }

    /// Writes the outcome of a step, with the event that it gives rise to. `None`: the target is no
    /// longer this worker's, and nothing was written.
    pub async fn advance(
        &self,
        seen: &Target,
        holder: Option<&Holder>,
        progress: &Progress,
        now: Timestamp,
        event: Option<(&Events, &Event)>,
        attempt: AttemptId,
    ) -> Result<Option<Target>, StoreError> {
        let change = self.progress(seen, holder, progress, now);
        let Some((events, event)) = event else {
            return self.changed(seen, change, &attempt).await;
        };
        let update =
            change.in_transaction(&self.0.name, item_key(&seen.post_id, &seen.target_id))?;
        let done = events.tell(Transaction::new(attempt).update(update), event)?;
        match done.run(&self.0.client).await? {
            Transacted::Done => self.get(&seen.post_id, &seen.target_id).await,
            Transacted::Refused(_) => Ok(None),
            Transacted::Conflict => Err(StoreError::Unavailable("conflict".to_owned())),
        }
    }

    /// Adds the outcome of a webhook's news to a transaction, conditional on the step that was seen.
    pub fn tell(
        &self,
        transaction: Transaction,
        seen: &Target,
        progress: &Progress,
        now: Timestamp,
    ) -> Result<Transaction, StoreError> {
        let update = self
            .progress(seen, None, progress, now)
            .in_transaction(&self.0.name, item_key(&seen.post_id, &seen.target_id))?;
        Ok(transaction.update(update))
    }

    /// Adds a new target to the transaction that makes its post.
    pub(crate) fn add(
        &self,
        transaction: Transaction,
        target: &Target,
    ) -> Result<Transaction, StoreError> {
        let mut item = item::write(&self.0.name, target)?;
        item.insert(
            "due_shard".to_owned(),
            text(shard_of(target.target_id.as_str())),
        );
        Ok(transaction.put(put_new(&self.0.name, item, "target_id")?))
    }

    fn progress(
        &self,
        seen: &Target,
        holder: Option<&Holder>,
        progress: &Progress,
        now: Timestamp,
    ) -> Change {
        let change = Change::new()
            .set("status", value(progress.status))
            .set("step", value(seen.step + 1))
            .set("tries", value(progress.tries))
            .set("sent_bytes", value(progress.sent_bytes))
            .set("queued_at", value(progress.queued_at))
            .set("updated_at", value(now))
            .set_or_remove("state", progress.state.as_ref().map(text))
            .set_or_remove("fault", progress.fault.as_ref().map(value))
            .set_or_remove("published", progress.published.as_ref().map(value))
            .set_or_remove("publish_key", progress.publish_key.as_ref().map(text))
            .set_or_remove(
                "due_shard",
                progress
                    .due_at
                    .map(|_| text(shard_of(seen.target_id.as_str()))),
            )
            .remove(["intent"])
            .when("#step = :seen")
            .bind("seen", value(seen.step));
        let change = match progress.due_at {
            Some(due) if progress.heeds_cancel => change
                .set_to("due_at", "if_not_exists(#cancel_asked_at, :due)")
                .bind("due", value(due)),
            due => change.set_or_remove("due_at", due.map(value)),
        };
        let change = match progress.queued_at == seen.queued_at {
            true => change,
            // Asked for again: what was wished of the time before is over.
            false => change.remove(["cancel_asked_at"]),
        };
        let change = match &progress.sealed {
            SealedPart::Keep => change,
            SealedPart::Drop => change.remove(["sealed", "sealed_step"]),
            SealedPart::New(sealed) => change
                .set("sealed", value(sealed))
                .set("sealed_step", value(seen.step + 1)),
        };
        let change = match holder {
            Some(holder) => change.when("#holder = :me").bind("me", value(holder)),
            None => change,
        };
        match progress.keep_until {
            Some(until) => change.set("lease_until", value(until)),
            None => change.remove(["holder", "lease_until"]),
        }
    }

    async fn changed(
        &self,
        seen: &Target,
        change: Change,
        attempt: &AttemptId,
    ) -> Result<Option<Target>, StoreError> {
        let key = item_key(&seen.post_id, &seen.target_id);
        Ok(match self.0.change(key, change, attempt).await? {
            Written::Done(target) => Some(target),
            Written::Refused(_) => None,
        })
    }
}

/// The key under which webhooks find a target: `<app>#<publish id>`.
pub fn publish_key(app: impl Into<AppRef>, publish_id: &str) -> String {
    format!("{}#{publish_id}", app.into())
}

fn item_key(post: &PostId, target: &TargetId) -> Item {
    key([("post_id", post.as_str()), ("target_id", target.as_str())])
}

fn parse_due(DueKey(keys): DueKey) -> Option<(PostId, TargetId)> {
    let [post, target] = keys.as_slice() else {
        return None;
    };
    Some((post.parse().ok()?, target.parse().ok()?))
}

fn parse_keys(item: Item) -> Option<(PostId, TargetId)> {
    let get = |name: &str| item.get(name)?.as_s().ok();
    Some((
        get("post_id")?.parse().ok()?,
        get("target_id")?.parse().ok()?,
    ))
}
