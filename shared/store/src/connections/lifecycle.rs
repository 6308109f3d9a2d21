//! Making, making again and ending a connection. Each is one transaction with the account's holders
//! and the event.

use domain::{
    Account, AttemptId, ConnectionId, ConnectionStatus, Event, Revocation, Timestamp, UserId,
};
use vault::Sealed;

use super::{Connection, Connections, Lifetime, item_key, lifetime::ENDS, shard};
use crate::expression::Change;
use crate::item::value;
use crate::{
    AccountHolders, Accounts, Events, Flow, Flows, PendingRevocation, Revocations, StoreError,
    Transacted, Transaction,
};

/// A connection's row lives on this long as a tombstone.
const TOMBSTONE_SECONDS: i64 = 90 * 24 * 3600;

/// What a confirmed flow brings.
#[derive(Clone, Debug)]
pub struct NewTokens<'a> {
    /// Whose.
    pub user: &'a UserId,
    /// Which.
    pub connection: &'a ConnectionId,
    /// The account as the platform described it.
    pub account: &'a Account,
    /// The client id of the app that made the tokens.
    pub client_id: Option<&'a str>,
    /// The version that the row had when it was read; 0 where there was none.
    pub seen: u64,
    /// Sealed for version `seen + 1`.
    pub sealed: &'a Sealed,
    /// Scopes as granted.
    pub scopes: &'a [String],
    /// Scopes asked and not granted.
    pub missing_scopes: &'a [String],
    /// When it was issued, and when what ends.
    pub lifetime: Lifetime,
    /// When its statistics are read if nobody reads them before; `None` where there are none.
    pub stats_due_at: Option<Timestamp>,
    /// The present instant.
    pub now: Timestamp,
}

/// How a confirmation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// Connected.
    Done,
    /// The flow was confirmed, cancelled or swept in the meantime.
    FlowOver,
    /// The connection's row changed since it was read: read it again.
    RowMoved,
    /// A revoke of this account is on its way to the platform, or its access was ended since the
    /// tokens were issued.
    AccountBarred,
    /// Another writer was there at the same moment: try again.
    Conflict,
}

/// How an end ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Disconnected.
    Done,
    /// The row or the holders changed since they were read: read them again.
    Moved,
}

impl Connections {
    /// Turns a flow's tokens into a connection: the row, the account's holders, the flow's end and
    /// the event, together.
    pub async fn confirm(
        &self,
        new: &NewTokens<'_>,
        flows: (&Flows, &Flow),
        accounts: &Accounts,
        events: (&Events, &Event),
        attempt: AttemptId,
    ) -> Result<Confirmed, StoreError> {
        let row = Change::new()
            .set("platform", value(new.account.platform))
            .set("account", value(new.account))
            .set_or_remove("client_id", new.client_id.map(value))
            .set("status", value(ConnectionStatus::Active))
            .set("sealed", value(new.sealed))
            .set("token_version", value(new.seen + 1))
            .set("scopes", value(new.scopes))
            .set("missing_scopes", value(new.missing_scopes))
            .set("used_at", value(new.now))
            .set("updated_at", value(new.now))
            .set("failures", value(0))
            .set_to("created_at", "if_not_exists(#created_at, :updated_at)")
            .set_or_remove("stats_due_at", new.stats_due_at.map(value))
            .set_or_remove(
                "stats_shard",
                new.stats_due_at.map(|_| shard(new.connection)),
            )
            .set("stats_failures", value(0))
            .remove([
                "stats_fault",
                "stats_off",
                "reason",
                "last_fault",
                "revocation",
                "ttl",
                "lease_holder",
                "lease_until",
                "lease_abandoned_at",
                "spent_since",
                "end_told",
            ]);
        let row = new.lifetime.set(row, new.connection);
        let row = match new.seen {
            0 => row.when("attribute_not_exists(#connection_id)"),
            seen => row.when("#token_version = :seen").bind("seen", value(seen)),
        };
        let (flows, flow) = flows;
        let done = Transaction::new(attempt)
            .update(row.in_transaction(&self.0.name, item_key(new.user, new.connection))?)
            .update(accounts.join(
                &new.account.key(),
                new.user,
                new.connection,
                new.lifetime.issued_at,
                new.now,
            )?)
            .update(flows.confirmed(flow, new.account, new.now)?);
        Ok(
            match events.0.tell(done, events.1)?.run(&self.0.client).await? {
                Transacted::Done => Confirmed::Done,
                Transacted::Refused(0) => Confirmed::RowMoved,
                Transacted::Refused(1) => Confirmed::AccountBarred,
                Transacted::Refused(_) => Confirmed::FlowOver,
                Transacted::Conflict => Confirmed::Conflict,
            },
        )
    }

    /// Ends a connection: the row becomes a tombstone without tokens, the account loses a holder, a
    /// revocation is queued if one is owed, and the product is told; all together. A refresh in
    /// flight loses its lease by it.
    #[expect(
        clippy::too_many_arguments,
        reason = "one transaction over five tables"
    )]
    pub async fn end(
        &self,
        at: &Connection,
        holders: &AccountHolders,
        accounts: &Accounts,
        revocation: Revocation,
        pending: Option<(&Revocations, &PendingRevocation)>,
        events: (&Events, &Event),
        attempt: AttemptId,
    ) -> Result<Ended, StoreError> {
        let now = events.1.at;
        let row = Change::new()
            .set("status", value(ConnectionStatus::Disconnected))
            .set("revocation", value(revocation))
            .set("updated_at", value(now))
            .set("ttl", value(now.secs() + TOMBSTONE_SECONDS))
            .remove([
                "sealed",
                "stats_due_at",
                "stats_shard",
                "due_at",
                "due_shard",
                "lease_holder",
                "lease_until",
                "lease_abandoned_at",
                "spent_since",
                "reason",
            ])
            .remove(ENDS)
            .when("#token_version = :seen AND #status = :was")
            .bind("seen", value(at.token_version))
            .bind("was", value(at.status))
            .in_transaction(&self.0.name, item_key(&at.user_id, &at.connection_id))?;
        let mut transaction = Transaction::new(attempt).update(row).update(accounts.leave(
            holders,
            &at.user_id,
            &at.connection_id,
        )?);
        if let Some((table, pending)) = pending {
            transaction = table.queue(transaction, pending)?;
        }
        Ok(
            match events
                .0
                .tell(transaction, events.1)?
                .run(&self.0.client)
                .await?
            {
                Transacted::Done => Ended::Done,
                Transacted::Refused(_) | Transacted::Conflict => Ended::Moved,
            },
        )
    }

    /// Notes what became of the revocation, unless the user has connected again.
    pub(crate) fn revoked(
        &self,
        user: &UserId,
        connection: &ConnectionId,
        revocation: Revocation,
    ) -> Result<aws_sdk_dynamodb::types::Update, StoreError> {
        Change::new()
            .set("revocation", value(revocation))
            .when("attribute_exists(#connection_id) AND #status = :ended")
            .bind("ended", value(ConnectionStatus::Disconnected))
            .in_transaction(&self.0.name, item_key(user, connection))
    }
}
