//! The refresh lease and its fence: taking it, committing under it, giving it back.

use domain::{
    AttemptId, ConnectionId, ConnectionStatus, Fault, Holder, ReauthReason, Timestamp, UserId,
};
use vault::Sealed;

use super::{Connection, Connections, Lifetime, item_key, shard};
use crate::expression::Change;
use crate::item::value;
use crate::{Events, StoreError, Transacted, Transaction, Written};

/// What a refresher asks for.
#[derive(Clone, Copy, Debug)]
pub struct LeaseAsk<'a> {
    /// Whose connection.
    pub user: &'a UserId,
    /// Which.
    pub connection: &'a ConnectionId,
    /// The version that the refresher saw.
    pub seen: u64,
    /// Only if it is due by now: for a refresher that was sent by the schedule.
    pub if_due: bool,
    /// Who it is.
    pub holder: &'a Holder,
    /// The present instant.
    pub now: Timestamp,
    /// When the lease ends by itself.
    pub until: Timestamp,
    /// A lease that ended by itself before this instant may be taken over: now, less the settling
    /// time in which a rescue may still arrive.
    pub settled_before: Timestamp,
}

/// How asking ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It is ours; the item as of now.
    Taken(Box<Connection>),
    /// Somebody else has it, or has left it too lately; the item as it stands.
    Held(Box<Connection>),
    /// The version has moved on, it is no longer due or no longer active; the item as it stands.
    Moved(Box<Connection>),
    /// There is no such connection.
    Absent,
}

/// A renewed bundle, sealed, with what the item says beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Sealed for version `seen + 1`.
    pub sealed: Sealed,
    /// The version that it replaces.
    pub seen: u64,
    /// Scopes as granted now.
    pub scopes: Vec<String>,
    /// When it was issued, and when what ends.
    pub lifetime: Lifetime,
}

/// Why a lease is given back without new tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// When to try again.
    pub due_at: Timestamp,
    /// What went wrong.
    pub fault: Fault,
    /// The request went out at this instant and no answer came: the token may be spent.
    pub spent_since: Option<Timestamp>,
    /// Whether it counts as a failure of this connection (a platform-wide fault does not).
    pub counts: bool,
}

impl Connections {
    /// Asks for the lease. One conditional update; its answer is the strongly consistent re-read
    /// that the protocol wants.
    pub async fn lease(
        &self,
        ask: &LeaseAsk<'_>,
        attempt: &AttemptId,
    ) -> Result<Lease, StoreError> {
        let change = Change::new()
            // The old item's: a lease that is still there was never given back.
            .set_to("lease_abandoned_at", "if_not_exists(#lease_until, :never)")
            .set("lease_holder", value(ask.holder))
            .set("lease_until", value(ask.until))
            .when("#token_version = :seen AND #status = :active")
            .when("attribute_not_exists(#lease_holder) OR #lease_until < :settled_before")
            .bind("never", value(Timestamp::default()))
            .bind("seen", value(ask.seen))
            .bind("active", value(ConnectionStatus::Active))
            .bind("settled_before", value(ask.settled_before));
        let change = if ask.if_due {
            change.when("#due_at <= :now").bind("now", value(ask.now))
        } else {
            change
        };
        let done = self
            .0
            .change(item_key(ask.user, ask.connection), change, attempt)
            .await?;
        Ok(match done {
            Written::Done(item) => Lease::Taken(Box::new(without_never(item))),
            Written::Refused(None) => Lease::Absent,
            Written::Refused(Some(item)) => {
                let item = Box::new(without_never(item));
                let due = !ask.if_due || item.due_at.is_some_and(|at| at <= ask.now);
                let as_seen = due
                    && item.token_version == ask.seen
                    && item.status == ConnectionStatus::Active;
                if as_seen {
                    Lease::Held(item)
                } else {
                    Lease::Moved(item)
                }
            }
        })
    }

    /// Writes the renewed bundle, if this holder still holds the lease at the version that it saw.
    /// `Refused` gives what stands instead.
    pub async fn commit(
        &self,
        at: &Connection,
        holder: &Holder,
        commit: &Commit,
        attempt: &AttemptId,
    ) -> Result<Written<Connection, Option<Connection>>, StoreError> {
        let change = tokens(commit, at)
            .when("#lease_holder = :holder AND #token_version = :seen AND #status = :active")
            .bind("holder", value(holder))
            .bind("seen", value(commit.seen))
            .bind("active", value(ConnectionStatus::Active));
        self.0
            .change(item_key(&at.user_id, &at.connection_id), change, attempt)
            .await
    }

    /// Writes a bundle out of the rescue queue: whoever holds the lease, if nothing newer stands and
    /// nobody disconnected. An active connection only; see [`Connections::rescue_lost`].
    pub async fn rescue(
        &self,
        at: &Connection,
        commit: &Commit,
        attempt: &AttemptId,
    ) -> Result<Written<Connection, Option<Connection>>, StoreError> {
        let change = tokens(commit, at)
            .when("#token_version = :seen AND #status = :active")
            .bind("seen", value(commit.seen))
            .bind("active", value(ConnectionStatus::Active));
        self.0
            .change(item_key(&at.user_id, &at.connection_id), change, attempt)
            .await
    }

    /// Writes a rescued bundle over a connection that was given up at the same version, makes it
    /// active again and tells the product.
    pub async fn rescue_lost(
        &self,
        at: &Connection,
        commit: &Commit,
        events: &Events,
        event: &domain::Event,
        attempt: AttemptId,
    ) -> Result<Transacted, StoreError> {
        let update = tokens(commit, at)
            .set("status", value(ConnectionStatus::Active))
            .remove(["reason"])
            .when("#token_version = :seen AND #status = :given_up")
            .bind("seen", value(commit.seen))
            .bind("given_up", value(ConnectionStatus::NeedsReauth))
            .in_transaction(&self.0.name, item_key(&at.user_id, &at.connection_id))?;
        events
            .tell(Transaction::new(attempt).update(update), event)?
            .run(&self.0.client)
            .await
    }

    /// Gives the lease back without new tokens. A lease that is no longer ours is left alone.
    pub async fn release(
        &self,
        at: &Connection,
        holder: &Holder,
        release: &Release,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let mut change = Change::new()
            .remove(["lease_holder", "lease_until", "lease_abandoned_at"])
            .set("last_fault", value(&release.fault))
            .set("due_at", value(release.due_at))
            .set("due_shard", shard(&at.connection_id))
            .set_or_remove(
                "spent_since",
                release
                    .spent_since
                    .or(at.spent_since)
                    .or(at.lease_abandoned_at)
                    .map(value),
            )
            .when("#lease_holder = :holder AND #token_version = :seen AND #status = :active")
            .bind("holder", value(holder))
            .bind("seen", value(at.token_version))
            .bind("active", value(ConnectionStatus::Active));
        if release.counts {
            change = change.add_number("failures", 1);
        }
        let _: Written<Connection, _> = self
            .0
            .change(item_key(&at.user_id, &at.connection_id), change, attempt)
            .await?;
        Ok(())
    }

    /// Gives the lease back with nothing done but having looked: when to look again; and, of an end
    /// that comes soon, that the product is told, together with the telling.
    pub async fn looked(
        &self,
        at: &Connection,
        holder: &Holder,
        due_at: Option<Timestamp>,
        told: Option<(Timestamp, &Events, &domain::Event)>,
        attempt: AttemptId,
    ) -> Result<Transacted, StoreError> {
        let mut change = Change::new()
            .remove(["lease_holder", "lease_until", "lease_abandoned_at"])
            .set_or_remove("due_at", due_at.map(value))
            .set_or_remove("due_shard", due_at.map(|_| shard(&at.connection_id)))
            .when("#lease_holder = :holder AND #token_version = :seen AND #status = :active")
            .bind("holder", value(holder))
            .bind("seen", value(at.token_version))
            .bind("active", value(ConnectionStatus::Active));
        if let Some((end, ..)) = told {
            change = change.set("end_told", value(end));
        }
        let key = item_key(&at.user_id, &at.connection_id);
        let mut done = Transaction::new(attempt).update(change.in_transaction(&self.0.name, key)?);
        if let Some((_, events, event)) = told {
            done = events.tell(done, event)?;
        }
        done.run(&self.0.client).await
    }

    /// Gives the connection up, under the lease, and tells the product: the two together.
    #[expect(clippy::too_many_arguments, reason = "one transaction over two tables")]
    pub async fn give_up(
        &self,
        at: &Connection,
        holder: &Holder,
        reason: ReauthReason,
        fault: &Fault,
        events: &Events,
        event: &domain::Event,
        attempt: AttemptId,
    ) -> Result<Transacted, StoreError> {
        let update = Change::new()
            .set("status", value(ConnectionStatus::NeedsReauth))
            .set("reason", value(reason))
            .set("last_fault", value(fault))
            .set("updated_at", value(event.at))
            .remove([
                "lease_holder",
                "lease_until",
                "lease_abandoned_at",
                "due_at",
                "due_shard",
            ])
            .when("#lease_holder = :holder AND #token_version = :seen AND #status = :active")
            .bind("holder", value(holder))
            .bind("seen", value(at.token_version))
            .bind("active", value(ConnectionStatus::Active))
            .in_transaction(&self.0.name, item_key(&at.user_id, &at.connection_id))?;
        events
            .tell(Transaction::new(attempt).update(update), event)?
            .run(&self.0.client)
            .await
    }
}

fn tokens(commit: &Commit, at: &Connection) -> Change {
    let change = Change::new()
        .set("sealed", value(&commit.sealed))
        .set("token_version", value(commit.seen + 1))
        .set("scopes", value(&commit.scopes))
        .set("updated_at", value(commit.lifetime.issued_at))
        .set("failures", value(0))
        .remove([
            "lease_holder",
            "lease_until",
            "lease_abandoned_at",
            "last_fault",
            "spent_since",
        ]);
    commit.lifetime.set(change, &at.connection_id)
}

fn without_never(mut item: Connection) -> Connection {
    item.lease_abandoned_at = item
        .lease_abandoned_at
        .filter(|at| *at > Timestamp::default());
    item
}
