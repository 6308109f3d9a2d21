//! Accounts: who holds a connection to a platform's account.
//!
//! | access | by |
//! |---|---|
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
use crate::item::{key, value};
use crate::{StoreError, Table, Transaction, Written};

/// The holders of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountHolders {
    /// The account.
    pub account_key: String,
    /// `"<connection id> <user id>"`: neither holds a space.
    #[serde(default)]
    holders: BTreeSet<String>,
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
    /// the platform was told to end the account's access by then.
    pub async fn unbar(
        &self,
        account_key: &str,
        until: Timestamp,
        revoked_at: Timestamp,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let change = Change::new()
            .set("revoked_at", value(revoked_at))
            .remove(["revoking_until"])
            .when("#revoking_until = :mine")
            .bind("mine", value(until));
        let _: Written<AccountHolders, _> = self
            .0
            .change(key([("account_key", account_key)]), change, attempt)
            .await?;
        Ok(())
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
