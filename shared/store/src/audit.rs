//! The audit trail: who did what, when, on which object, and how it ended. Never a secret, and never
//! a platform's raw text.
//!
//! | access | by |
//! |---|---|
//! | write one | `day` = `<UTC date>#<shard>`, `listed` = `<milliseconds>#<row id>` |
//! | a day's, newest first | the shards of `day` |
//! | a user's, newest first | index `user`: `user_id`, `listed` |
//!
//! Rows are kept for 90 days. A row whose change is a transaction is part of it: see
//! [`crate::Events::audited`].

use domain::{Act, Event, EventKind, Outcome, Timestamp, UserId, Who};
use serde::{Deserialize, Serialize};

use crate::due::{SHARDS, shard_name, shard_of};
use crate::item;
use crate::newest::{Ask, Listing, listed};
use crate::transaction::{Transaction, put};
use crate::{StoreError, Table};

const KEPT_SECONDS: i64 = 90 * 24 * 3600;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its id: an [`domain::AuditId`], or the id of the event that tells the product the same.
    pub id: String,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it.
    pub who: Who,
    /// What was done.
    pub act: Act,
    /// Whom it concerns, where it concerns one user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// On what: an id of ours, or a name out of template.yaml.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// A code or a number of ours that says more: `grant_revoked`, `12 replayed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The table of the audit trail.
#[derive(Clone, Debug)]
pub struct AuditTable(Table);

#[derive(Serialize)]
struct Row<'a> {
    day: String,
    listed: String,
    ttl: i64,
    #[serde(flatten)]
    entry: &'a AuditEntry,
}

impl<'a> Row<'a> {
    fn of(entry: &'a AuditEntry) -> Self {
        Self {
            day: partition(&date(entry.at), &shard_of(&entry.id)),
            listed: listed(entry.at, &entry.id),
            ttl: entry.at.secs() + KEPT_SECONDS,
            entry,
        }
    }
}

impl AuditTable {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// Writes a row by itself; one of the same id and instant is replaced.
    pub async fn put(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.0.put(&Row::of(entry)).await
    }

    /// Adds a row to the transaction of the change that it is about. A row that is there stays.
    pub fn within(
        &self,
        transaction: Transaction,
        entry: &AuditEntry,
    ) -> Result<Transaction, StoreError> {
        let row = item::write(&self.0.name, &Row::of(entry))?;
        Ok(transaction.put_once(put(&self.0.name, row)?, "day"))
    }

    /// The rows of one UTC day (`2026-11-20`), newest first.
    pub async fn of_day(
        &self,
        day: &str,
        before: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Listing<AuditEntry>, StoreError> {
        let shards = (0..SHARDS).map(|shard| partition(day, &shard_name(shard)));
        self.newest(None, "day", shards.collect(), before, limit, now)
            .await
    }

    /// The rows that concern a user, newest first. The index lags by some milliseconds.
    pub async fn of_user(
        &self,
        user: &UserId,
        before: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Listing<AuditEntry>, StoreError> {
        let user = vec![user.to_string()];
        self.newest(Some("user"), "user_id", user, before, limit, now)
            .await
    }

    async fn newest(
        &self,
        index: Option<&str>,
        hash: &str,
        partitions: Vec<String>,
        before: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Listing<AuditEntry>, StoreError> {
        let ask = Ask {
            index,
            hash,
            partitions,
            sort: "listed",
            before,
            from: None,
            limit,
        };
        let lives = |entry: &AuditEntry| entry.at.plus_secs(KEPT_SECONDS) > now;
        self.0.newest(&ask, lives).await
    }
}

/// The UTC date of an instant, `2026-11-20`.
pub fn date(at: Timestamp) -> String {
    at.rfc3339().chars().take(10).collect()
}

fn partition(day: &str, shard: &str) -> String {
    format!("{day}#{shard}")
}

/// The row for what the product is told; `None` where the trail has another row for it, or none.
pub(crate) fn of_event(event: &Event, who: &Who) -> Option<AuditEntry> {
    let said = |name: &str| event.detail.get(name)?.as_str();
    let done = |act| Some((act, Outcome::Done, None));
    let (act, outcome, note) = match event.kind {
        EventKind::ConnectionConnected => done(Act::ConnectionConnected),
        EventKind::ConnectionDisconnected => Some((
            Act::ConnectionDisconnected,
            Outcome::Done,
            said("revocation"),
        )),
        EventKind::ConnectionNeedsReauth => Some((
            Act::ConnectionRefreshFailed,
            Outcome::Failed,
            said("reason"),
        )),
        EventKind::ConnectionRecovered => done(Act::ConnectionRecovered),
        EventKind::PostPublished => done(Act::PostPublished),
        EventKind::PostInbox => Some((Act::PostPublished, Outcome::Done, Some("inbox"))),
        EventKind::PostCancelled => done(Act::PostCancelled),
        EventKind::PostFailed => {
            let code = event
                .detail
                .get("fault")
                .and_then(|fault| fault.get("code"));
            let code = code.and_then(serde_json::Value::as_str);
            Some((Act::PostPublished, Outcome::Failed, code))
        }
        EventKind::PostOutcomeUnknown => Some((Act::PostPublished, Outcome::Unknown, None)),
        // Accepted anew by somebody's word; the first acceptance has its row from the API.
        EventKind::PostQueued if who.subject.is_some() => done(Act::PostResolved),
        // Every day, of every connection: the sync logs have it.
        EventKind::PostQueued | EventKind::PostPublishing | EventKind::StatsUpdated => None,
        // Their rows say it, and there are many.
        EventKind::CommentReceived
        | EventKind::MessageReceived
        | EventKind::FanNew
        | EventKind::FanRenewed
        | EventKind::FanLost
        | EventKind::EarningRecorded
        | EventKind::ConnectionExpiring => None,
    }?;
    let object = said("target_id").or(said("connection_id"));
    let who = match event.kind {
        // The creator's own press of the button, in a browser of their session.
        EventKind::ConnectionConnected => Who::user(&event.user_id),
        EventKind::ConnectionDisconnected if said("by") == Some("platform") => Who::PLATFORM,
        _ => who.clone(),
    };
    Some(AuditEntry {
        id: event.id.to_string(),
        at: event.at,
        who,
        act,
        user_id: Some(event.user_id.clone()),
        object: object.map(str::to_owned),
        outcome,
        note: note.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use domain::{EventId, Role};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_product_is_told_is_audited_with_who_did_it() {
        let service = Who::subject(Role::Service, "backend");
        let row = |kind, who: &Who, detail| {
            let event = Event {
                id: EventId::of(&["cause"]),
                kind,
                user_id: "u-1".parse().unwrap(),
                at: Timestamp::from_secs(1_767_225_600),
                detail,
            };
            of_event(&event, who).map(|row| {
                let note = row.note.unwrap_or_default();
                let object = row.object.unwrap_or_default();
                format!(
                    "{} {:?} {:?} {object} {note}",
                    row.act.as_str(),
                    row.who.role,
                    row.outcome
                )
            })
        };
        use EventKind as Kind;
        for (kind, who, detail, expected) in [
            (
                Kind::ConnectionConnected,
                &Who::SYSTEM,
                json!({"connection_id": "c"}),
                Some("connection.connected User Done c "),
            ),
            (
                Kind::ConnectionDisconnected,
                &service,
                json!({"connection_id": "c", "by": "product", "revocation": "pending"}),
                Some("connection.disconnected Service Done c pending"),
            ),
            (
                Kind::ConnectionDisconnected,
                &Who::SYSTEM,
                json!({"connection_id": "c", "by": "platform", "revocation": "not_needed"}),
                Some("connection.disconnected Platform Done c not_needed"),
            ),
            (
                Kind::ConnectionNeedsReauth,
                &Who::SYSTEM,
                json!({"connection_id": "c", "reason": "grant_revoked"}),
                Some("connection.refresh_failed System Failed c grant_revoked"),
            ),
            (
                Kind::PostFailed,
                &Who::SYSTEM,
                json!({"target_id": "t", "connection_id": "c", "fault": {"code": "media_rejected", "sentence": "raw"}}),
                Some("post.published System Failed t media_rejected"),
            ),
            (
                Kind::PostInbox,
                &Who::SYSTEM,
                json!({"target_id": "t"}),
                Some("post.published System Done t inbox"),
            ),
            (
                Kind::PostOutcomeUnknown,
                &Who::SYSTEM,
                json!({"target_id": "t"}),
                Some("post.published System Unknown t "),
            ),
            (
                Kind::PostPublished,
                &service,
                json!({"target_id": "t"}),
                Some("post.published Service Done t "),
            ),
            (
                Kind::PostQueued,
                &service,
                json!({"target_id": "t"}),
                Some("post.resolved Service Done t "),
            ),
            (
                Kind::PostQueued,
                &Who::SYSTEM,
                json!({"target_id": "t"}),
                None,
            ),
            (
                Kind::PostPublishing,
                &Who::SYSTEM,
                json!({"target_id": "t"}),
                None,
            ),
        ] {
            assert_eq!(row(kind, who, detail).as_deref(), expected, "{kind:?}");
        }
    }
}
