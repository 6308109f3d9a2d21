//! Platforms: the circuit breaker of each, shared by all workers.
//!
//! | access | by |
//! |---|---|
//! | read, open, close | `platform` |

use domain::{AttemptId, Fault, Platform, Timestamp};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{key, value};
use crate::{StoreError, Table, Written};

/// A platform's circuit breaker. Open, nobody calls the platform for its tokens until `open_until`;
/// then calls are tried again, and the first to fail in the same way opens it for longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Which platform.
    pub platform: Platform,
    /// Closed from then on; zero where it was never open.
    #[serde(default)]
    pub open_until: Timestamp,
    /// How often in a row it was opened.
    #[serde(default)]
    pub trips: u32,
    /// What opened it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// The table of platforms.
#[derive(Clone, Debug)]
pub struct Platforms(Table);

impl Platforms {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The platform's breaker; a closed one where there was never trouble.
    pub async fn breaker(&self, platform: Platform) -> Result<Breaker, StoreError> {
        let found = self.0.get(key([("platform", platform.as_str())])).await?;
        Ok(found.unwrap_or(Breaker {
            platform,
            open_until: Timestamp::default(),
            trips: 0,
            fault: None,
        }))
    }

    /// Opens the breaker until `until`, unless it is open already.
    pub async fn open(
        &self,
        platform: Platform,
        fault: &Fault,
        now: Timestamp,
        until: Timestamp,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("open_until", value(until))
            .set("fault", value(fault))
            .add_number("trips", 1)
            .when("attribute_not_exists(#open_until) OR #open_until <= :now")
            .bind("now", value(now));
        let done: Written<Breaker, _> = self
            .0
            .change(key([("platform", platform.as_str())]), change, attempt)
            .await?;
        Ok(matches!(done, Written::Done(_)))
    }

    /// Opens the breaker until `until` by an operator's word, whatever it is.
    pub async fn hold(
        &self,
        platform: Platform,
        fault: &Fault,
        until: Timestamp,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let change = Change::new()
            .set("open_until", value(until))
            .set("fault", value(fault))
            .add_number("trips", 1);
        let _: Written<Breaker, _> = self
            .0
            .change(key([("platform", platform.as_str())]), change, attempt)
            .await?;
        Ok(())
    }

    /// Closes the breaker after a call that went well.
    pub async fn close(&self, platform: Platform, attempt: &AttemptId) -> Result<(), StoreError> {
        let change = Change::new()
            .set("trips", value(0))
            .set("open_until", value(0))
            .remove(["fault"]);
        let _: Written<Breaker, _> = self
            .0
            .change(key([("platform", platform.as_str())]), change, attempt)
            .await?;
        Ok(())
    }
}
