//! Addresses that get no mail: those that bounced for good and those whose owners complained.
//!
//! | access | by |
//! |---|---|
//! | read one, write one, free one | `address_hash` |
//!
//! The key is a hash that the caller makes; no address is kept.

use domain::{AttemptId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{key, value};
use crate::{StoreError, Table, Written};

/// Why an address gets no mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionReason {
    /// Mail to it bounced for good. The product may free it by giving the address anew.
    Bounce,
    /// Its owner called a mail spam. It stays.
    Complaint,
}

/// An address that gets no mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// The address's hash.
    pub address_hash: String,
    /// Why.
    pub reason: SuppressionReason,
    /// Since when.
    pub at: Timestamp,
}

/// The table of suppressions.
#[derive(Clone, Debug)]
pub struct Suppressions(Table);

impl Suppressions {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// Why the address of this hash gets no mail, if it gets none.
    pub async fn get(&self, address_hash: &str) -> Result<Option<Suppression>, StoreError> {
        self.0.get(of(address_hash)).await
    }

    /// Stops mail to an address. A bounce does not take the place of a complaint.
    pub async fn stop(
        &self,
        address_hash: &str,
        reason: SuppressionReason,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let change = Change::new()
            .set("reason", value(reason))
            .set("at", value(now))
            .when("attribute_not_exists(#reason) OR #reason <> :complaint")
            .bind("complaint", value(SuppressionReason::Complaint));
        let _: Written<Suppression, _> = self.0.change(of(address_hash), change, attempt).await?;
        Ok(())
    }

    /// Frees an address that bounced; a complaint stays. Gives whether mail goes there again.
    pub async fn free(&self, address_hash: &str) -> Result<bool, StoreError> {
        match self.get(address_hash).await?.map(|found| found.reason) {
            None => Ok(true),
            Some(SuppressionReason::Complaint) => Ok(false),
            Some(SuppressionReason::Bounce) => {
                self.0.delete(of(address_hash)).await?;
                Ok(true)
            }
        }
    }
}

fn of(address_hash: &str) -> crate::item::Item {
    key([("address_hash", address_hash)])
}
