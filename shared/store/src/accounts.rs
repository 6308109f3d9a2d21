//! Accounts: who holds a connection to a platform's account.
//!
//! | access | by |
//! |---|---|
//! | accounts that a user holds or held, for an erasure | a walk over all |
//! | holders of an account, for webhooks and before a revoke | `account_key` = `<platform>#<account id>`, or `<platform>/sandbox#<account id>` |
//!
//! The same account may be connected by several users. An index over connections would lag; this
//! item is written in the transactions that connect and disconnect, so "am I the last?" has one
//! answer.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::Update;
use domain::{AttemptId, ConnectionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{self, key, value};
use crate::{StoreError, Table, Transaction, Written};

/// The holders of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountHolders {
    /// The account.
    pub account_key: String,
    /// `"<connection id> <user id>"`: neither holds a space.
    #[serde(default)]
    holders: BTreeSet<String>,
    /// The same of those who left: an erasure finds by it what they once held, long after their
    /// connection's row is gone.
    #[serde(default)]
    former: BTreeSet<String>,
    /// Counts changes of the holders.
    #[serde(default)]
    pub version: u64,
    /// While a revoke of the account is on its way to the platform, nobody may connect it.
    #[serde(default)]
    pub revoking_until: Timestamp,
    /// When the platform last ended, or was told to end, the app's access to the account: tokens that
    /// were issued before are dead.
    #[serde(default)]
    pub revoked_at: Timestamp,
    /// The same where the platform itself said so: tokens that were issued before need no revoke.
    #[serde(default)]
    pub ended_at: Timestamp,
}

/// The table of accounts.
#[derive(Clone, Debug)]
pub struct Accounts(Table);

impl AccountHolders {
    /// Every connection to the account.
    pub fn holders(&self) -> Vec<(UserId, ConnectionId)> {
        self.holders
            .iter()
            .filter_map(|holder| parse(holder))
            .collect()
    }

    /// Whether anybody but `user` holds the account.
    pub fn held_by_others(&self, user: &UserId) -> bool {
        self.holders().iter().any(|(holder, _)| holder != user)
    }

    /// The members of both sets that name `user`, as they lie there.
    fn naming(&self, user: &UserId) -> Vec<(&'static str, &str)> {
        let holders = self.holders.iter().map(|member| ("holders", member));
        let former = self.former.iter().map(|member| ("former", member));
        let of = |member: &str| parse(member).is_some_and(|(holder, _)| holder == *user);
        let members = holders
            .chain(former)
            .map(|(set, member)| (set, member.as_str()));
        members.filter(|(_, member)| of(member)).collect()
    }
}

/// Accounts that a user holds or held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldPage {
    /// Their keys, and the connections by which they were held.
    pub held: Vec<(String, Vec<ConnectionId>)>,
    /// Where the walk goes on.
    pub next: Option<String>,
}

/// What became of a user's place in an account's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// There was nothing of them.
    Nothing,
    /// Others hold the account: the row no longer names the user.
    Left,
    /// Nobody else holds it: the row is gone.
    Gone,
    /// Others were at the row at the same moment: again.
    Moved,
}

impl Accounts {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The holders as of now; an account that nobody holds has none.
    pub async fn get(&self, account_key: &str) -> Result<AccountHolders, StoreError> {
        let found = self.0.get(key([("account_key", account_key)])).await?;
        Ok(found.unwrap_or_else(|| AccountHolders {
            account_key: account_key.to_owned(),
            ..AccountHolders::default()
        }))
    }

    /// Joins the holders with tokens issued at `issued_at`; refused while a revoke is on its way, and
    /// for good if the account's access was ended since they were issued.
    pub(crate) fn join(
        &self,
        account_key: &str,
        user: &UserId,
        connection: &ConnectionId,
        issued_at: Timestamp,
        now: Timestamp,
    ) -> Result<Update, StoreError> {
        Change::new()
            .add_member("holders", &holder(user, connection))
            .delete_member("former", &holder(user, connection))
            .add_number("version", 1)
            .when("attribute_not_exists(#revoking_until) OR #revoking_until <= :now")
            .when("attribute_not_exists(#revoked_at) OR #revoked_at < :issued")
            .bind("issued", value(issued_at))
            .bind("now", value(now))
            .in_transaction(&self.0.name, key([("account_key", account_key)]))
    }

    /// Adds to a transaction that the holders are those that were seen.
    pub fn unchanged(
        &self,
        transaction: Transaction,
        seen: &AccountHolders,
    ) -> Result<Transaction, StoreError> {
        let check = Change::new()
            .when("#version = :seen")
            .bind("seen", value(seen.version))
            .checked_in_transaction(&self.0.name, key([("account_key", &seen.account_key)]))?;
        Ok(transaction.check(check))
    }

    /// Leaves the holders; refused if they changed since `seen`, since "the last one" may then be
    /// wrong.
    pub(crate) fn leave(
        &self,
        seen: &AccountHolders,
        user: &UserId,
        connection: &ConnectionId,
    ) -> Result<Update, StoreError> {
        Change::new()
            .delete_member("holders", &holder(user, connection))
            .add_member("former", &holder(user, connection))
            .add_number("version", 1)
            .when("attribute_not_exists(#version) OR #version = :seen")
            .bind("seen", value(seen.version))
            .in_transaction(&self.0.name, key([("account_key", &seen.account_key)]))
    }

    /// Bars new connections while a revoke is on its way; refused if the holders changed since
    /// `seen`, or another revoke is on its way.
    pub async fn bar(
        &self,
        seen: &AccountHolders,
        now: Timestamp,
        until: Timestamp,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("revoking_until", value(until))
            .when("attribute_not_exists(#version) OR #version = :seen")
            .when("attribute_not_exists(#revoking_until) OR #revoking_until <= :now")
            .bind("seen", value(seen.version))
            .bind("now", value(now));
        let done: Written<AccountHolders, _> = self
            .0
            .change(key([("account_key", &seen.account_key)]), change, attempt)
            .await?;
        Ok(matches!(done, Written::Done(_)))
    }

    /// Lets new connections in again, if the bar until `until` still stands. `revoked_at` notes that
    /// the platform was told to end the account's access by then; `ended_at`, where it confirmed the
    /// end of all of it, when it was asked.
    pub async fn unbar(
        &self,
        account_key: &str,
        until: Timestamp,
        revoked_at: Timestamp,
        ended_at: Option<Timestamp>,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let mut change = Change::new().set("revoked_at", value(revoked_at));
        if let Some(ended_at) = ended_at {
            change = change.set("ended_at", value(ended_at));
        }
        let change = change
            .remove(["revoking_until"])
            .when("#revoking_until = :mine")
            .bind("mine", value(until));
        let _: Written<AccountHolders, _> = self
            .0
            .change(key([("account_key", account_key)]), change, attempt)
            .await?;
        Ok(())
    }

    /// The accounts that a user holds or held, by a walk over all of them, `limit` at a time.
    pub async fn of_user(
        &self,
        user: &UserId,
        after: Option<&str>,
        limit: i32,
    ) -> Result<HeldPage, StoreError> {
        let answer = self
            .0
            .client
            .scan()
            .table_name(&self.0.name)
            .consistent_read(true)
            .set_exclusive_start_key(after.map(|after| key([("account_key", after)])))
            .limit(limit)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        let next = answer.last_evaluated_key.as_ref();
        let next = next.and_then(|key| key.get("account_key")?.as_s().ok().cloned());
        let mut held = Vec::new();
        for row in answer.items.unwrap_or_default() {
            let row: AccountHolders = item::read(&self.0.name, row)?;
            let members = row.naming(user).into_iter();
            let by: Vec<ConnectionId> = members
                .filter_map(|(_, member)| Some(parse(member)?.1))
                .collect();
            if !by.is_empty() {
                held.push((row.account_key, by));
            }
        }
        Ok(HeldPage { held, next })
    }

    /// Takes a user out of an account's row, and the row away where nobody else holds the account.
    pub async fn forget(
        &self,
        account_key: &str,
        user: &UserId,
        attempt: &AttemptId,
    ) -> Result<Forgotten, StoreError> {
        let of = || key([("account_key", account_key)]);
        let found: Option<AccountHolders> = self.0.get(of()).await?;
        let Some(row) = found else {
            return Ok(Forgotten::Nothing);
        };
        if !row.held_by_others(user) {
            // A row that only says when access ended has no version.
            let unseen = Change::new()
                .when("attribute_not_exists(#version) OR #version = :seen")
                .bind("seen", value(row.version));
            return Ok(match self.0.delete_if(of(), unseen).await? {
                true => Forgotten::Gone,
                false => Forgotten::Moved,
            });
        }
        let members = row.naming(user);
        if members.is_empty() {
            return Ok(Forgotten::Nothing);
        }
        let mut change = Change::new()
            .add_number("version", 1)
            .when("#version = :seen")
            .bind("seen", value(row.version));
        for set in ["holders", "former"] {
            let of_set = members.iter().filter(|(of, _)| *of == set);
            let of_set: Vec<&str> = of_set.map(|(_, member)| *member).collect();
            if !of_set.is_empty() {
                change = change.delete_members(set, &of_set);
            }
        }
        let done: Written<AccountHolders, _> = self.0.change(of(), change, attempt).await?;
        Ok(match done {
            Written::Done(_) => Forgotten::Left,
            Written::Refused(_) => Forgotten::Moved,
        })
    }

    /// Notes that the platform ended the account's access at this instant.
    pub async fn revoked(
        &self,
        account_key: &str,
        at: Timestamp,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let change = Change::new()
            .set("revoked_at", value(at))
            .set("ended_at", value(at))
            .when("attribute_not_exists(#revoked_at) OR #revoked_at < :at")
            .bind("at", value(at));
        let _: Written<AccountHolders, _> = self
            .0
            .change(key([("account_key", account_key)]), change, attempt)
            .await?;
        Ok(())
    }
}

fn holder(user: &UserId, connection: &ConnectionId) -> String {
    format!("{connection} {user}")
}

fn parse(holder: &str) -> Option<(UserId, ConnectionId)> {
    let (connection, user) = holder.split_once(' ')?;
    Some((user.parse().ok()?, connection.parse().ok()?))
}
