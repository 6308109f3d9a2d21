//! Platforms: the circuit breaker of each and what its statistics cost, shared by all workers.
//!
//! | access | by |
//! |---|---|
//! | read, open, close | `platform` |
//! | what statistics have cost today | the same item |

use domain::{AttemptId, Day, Fault, Platform, Timestamp};
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

/// What statistics have cost.
#[derive(Deserialize)]
struct Spent {
    #[serde(default)]
    stats_day: Option<Day>,
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

    /// Adds what one sync costs to what the platform's statistics have cost on `day`, unless that would
    /// be more than `cap`; in millionths of a US dollar. `false`: it would.
    pub async fn spend(
        &self,
        platform: Platform,
        day: &Day,
        micros: u64,
        cap: u64,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let item_key = || key([("platform", platform.as_str())]);
        let Some(room) = cap.checked_sub(micros) else {
            return Ok(false);
        };
        let more = i64::try_from(micros).unwrap_or(i64::MAX);
        for _ in 0..3 {
            let same_day = Change::new()
                .add_number("stats_spent", more)
                .when("#stats_day = :day AND #stats_spent <= :room")
                .bind("day", value(day))
                .bind("room", value(room));
            let done: Written<Spent, Option<Spent>> =
                self.0.change(item_key(), same_day, attempt).await?;
            match done {
                Written::Done(_) => return Ok(true),
                Written::Refused(Some(spent)) if spent.stats_day.as_ref() >= Some(day) => {
                    return Ok(false);
                }
                Written::Refused(_) => {}
            }
            let new_day = Change::new()
                .set("stats_day", value(day))
                .set("stats_spent", value(micros))
                .when("attribute_not_exists(#stats_day) OR #stats_day < :stats_day");
            let done: Written<Spent, Option<Spent>> =
                self.0.change(item_key(), new_day, attempt).await?;
            if matches!(done, Written::Done(_)) {
                return Ok(true);
            }
            // Somebody else began the day at the same moment.
        }
        Ok(false)
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
