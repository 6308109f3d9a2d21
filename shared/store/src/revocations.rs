//! Revocations: tokens whose end the platform still has to be told.
//!
//! | access | by |
//! |---|---|
//! | read one | `revocation_id` |
//! | what is due | index `due` |
//!
//! A row comes from a disconnect, from a flow that nobody confirmed, or from a refresh that lost to a
//! disconnect. It is tried at once, then with back-off for 24 hours.

use domain::{AttemptId, ConnectionId, Platform, Revocation, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use vault::{Place, Sealed};

use crate::due::shard_of;
use crate::expression::Change;
use crate::item::{self, key, value};
use crate::transaction::{Transacted, Transaction, malformed, put_new};
use crate::{Connections, DueKey, StoreError, Table, Written};

/// The table's logical name: part of what tokens are sealed for.
pub const TABLE: &str = "revocations";

/// Between which instants a bundle was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// When it was asked for.
    pub after: Timestamp,
    /// When it was here.
    pub by: Timestamp,
}

impl Issued {
    /// At this very instant.
    pub const fn at(at: Timestamp) -> Self {
        Self { after: at, by: at }
    }
}

/// A revocation that is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRevocation {
    /// Its id: an attempt id of whoever owed it.
    pub revocation_id: String,
    /// On which platform.
    pub platform: Platform,
    /// The client id of the app that made the tokens. Rows of before it was kept have none: the
    /// production's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Of which account.
    pub account_key: String,
    /// The connection that ended, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<(UserId, ConnectionId)>,
    /// The bundle to be revoked.
    pub sealed: Sealed,
    /// When the platform issued it. Rows of before it was kept have none: the platform is always told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<Issued>,
    /// When it is tried next.
    pub due_at: Timestamp,
    /// Its partition of the due index.
    pub due_shard: String,
    /// When it is given up.
    pub give_up_at: Timestamp,
    /// Tries so far.
    #[serde(default)]
    pub tries: u32,
}

impl PendingRevocation {
    /// The place of the sealed bundle.
    pub fn place<'a>(platform: Platform, keys: &'a [&'a str; 1]) -> Place<'a> {
        Place {
            table: TABLE,
            keys,
            platform,
            field: "tokens",
            version: 1,
        }
    }

    /// The partition of the due index for this id.
    pub fn shard(id: &str) -> String {
        shard_of(id)
    }
}

/// The table of revocations.
#[derive(Clone, Debug)]
pub struct Revocations(Table);

impl Revocations {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The row, if it is still owed.
    pub async fn get(&self, id: &str) -> Result<Option<PendingRevocation>, StoreError> {
        self.0.get(key([("revocation_id", id)])).await
    }

    /// Adds the row to a transaction.
    pub(crate) fn queue(
        &self,
        transaction: Transaction,
        pending: &PendingRevocation,
    ) -> Result<Transaction, StoreError> {
        let row = item::write(&self.0.name, pending)?;
        Ok(transaction.put(put_new(&self.0.name, row, "revocation_id")?))
    }

    /// Writes the row by itself: for a refresh that lost to a disconnect.
    pub async fn put(&self, pending: &PendingRevocation) -> Result<(), StoreError> {
        self.0.put(pending).await
    }

    /// Rows of one shard that are due.
    pub async fn due(
        &self,
        shard: &str,
        now: Timestamp,
        limit: i32,
    ) -> Result<Vec<String>, StoreError> {
        let rows = self.0.due(shard, now, limit, &["revocation_id"]).await?;
        Ok(rows
            .into_iter()
            .filter_map(|DueKey(mut keys)| keys.pop())
            .collect())
    }

    /// Takes the row for one try, by moving its due time to when the try is surely over; `None` if
    /// somebody else took it or it is settled.
    pub async fn take(
        &self,
        seen: &PendingRevocation,
        next: Timestamp,
        attempt: &AttemptId,
    ) -> Result<Option<PendingRevocation>, StoreError> {
        let change = Change::new()
            .set("due_at", value(next))
            .add_number("tries", 1)
            .when("#due_at = :seen")
            .bind("seen", value(seen.due_at));
        Ok(
            match self
                .0
                .change(
                    key([("revocation_id", &seen.revocation_id)]),
                    change,
                    attempt,
                )
                .await?
            {
                Written::Done(row) => Some(row),
                Written::Refused(_) => None,
            },
        )
    }

    /// Keeps a bundle that was renewed for its own revocation.
    pub async fn renewed(
        &self,
        row: &PendingRevocation,
        sealed: &Sealed,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let change = Change::new()
            .set("sealed", value(sealed))
            .when("attribute_exists(#revocation_id)");
        let key = key([("revocation_id", row.revocation_id.as_str())]);
        let _: Written<PendingRevocation, _> = self.0.change(key, change, attempt).await?;
        Ok(())
    }

    /// Ends the row, and notes the outcome at the connection unless that was made again.
    pub async fn settle(
        &self,
        row: &PendingRevocation,
        outcome: Revocation,
        connections: &Connections,
        attempt: AttemptId,
    ) -> Result<(), StoreError> {
        let delete = aws_sdk_dynamodb::types::Delete::builder()
            .table_name(&self.0.name)
            .set_key(Some(key([("revocation_id", &row.revocation_id)])))
            .build()
            .map_err(|error| malformed(&self.0.name, &error))?;
        if let Some((user, connection)) = &row.connection {
            // The token makes a repeated transaction one; a conflict is tried again with the same.
            for _ in 0..4 {
                let noted = Transaction::new(attempt.clone())
                    .delete(delete.clone())
                    .update(connections.revoked(user, connection, outcome)?)
                    .run(&self.0.client)
                    .await?;
                match noted {
                    Transacted::Done => return Ok(()),
                    Transacted::Conflict => {}
                    // Connected again in the meantime: there is nothing to note.
                    Transacted::Refused(_) => break,
                }
            }
        }
        self.0
            .delete(key([("revocation_id", &row.revocation_id)]))
            .await
    }
}
