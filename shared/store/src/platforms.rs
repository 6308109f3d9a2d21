//! Platforms: the circuit breaker of each app on them, how its refreshes ended lately and what their
//! statistics cost, shared by all workers.
//!
//! | access | by |
//! |---|---|
//! | read, count, open, close | `platform`: the app's text, that is `<platform>` or `<platform>/sandbox` |
//! | what a platform's statistics have cost today | the item of its production |

use domain::{AppRef, AttemptId, Day, Fault, Platform, Timestamp};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{Item, key, value};
use crate::{StoreError, Table, Written};

/// An app's circuit breaker. Open, nobody calls the platform for the app's tokens until `open_until`;
/// then calls are tried again, and the first to fail in the same way opens it for longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Whose.
    #[serde(rename = "platform")]
    pub app: AppRef,
    /// Closed from then on; zero where it was never open.
    #[serde(default)]
    pub open_until: Timestamp,
    /// How often in a row it was opened.
    #[serde(default)]
    pub trips: u32,
    /// What opened it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Since when refreshes are counted, anew after [`WINDOW_SECONDS`].
    #[serde(default)]
    pub counted_since: Timestamp,
    /// Refreshes that went well.
    #[serde(default)]
    pub kept: u64,
    /// Refreshes that the platform answered with a dead grant.
    #[serde(default)]
    pub died: u64,
    /// Refreshes that failed of the platform's own trouble.
    #[serde(default)]
    pub down: u64,
    /// Since when the end of grants is not believed; zero where it never was doubted.
    #[serde(default)]
    pub held_since: Timestamp,
    /// Until then the operator believes every end.
    #[serde(default)]
    pub believed_until: Timestamp,
}

/// Refreshes are counted together for this long.
pub const WINDOW_SECONDS: i64 = 600;

/// Ends of refreshes, to be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Went well.
    pub kept: u32,
    /// Dead grants.
    pub died: u32,
    /// The platform's own trouble.
    pub down: u32,
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

    /// The app's breaker; a closed one where there was never trouble.
    pub async fn breaker(&self, app: impl Into<AppRef>) -> Result<Breaker, StoreError> {
        let app = app.into();
        let found = self.0.get(item_key(app)).await?;
        Ok(found.unwrap_or(Breaker::closed(app)))
    }

    /// Counts ends of refreshes, and gives the breaker with the sums of the present window. Sums serve
    /// to judge by: a write that the SDK repeats counts twice.
    pub async fn count(
        &self,
        app: impl Into<AppRef>,
        ends: Ends,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<Breaker, StoreError> {
        let app = app.into();
        let began = value(now.plus_secs(-WINDOW_SECONDS));
        let more = Change::new()
            .add_number("kept", ends.kept.into())
            .add_number("died", ends.died.into())
            .add_number("down", ends.down.into())
            .when("#counted_since > :began")
            .bind("began", began.clone());
        let anew = Change::new()
            .set("kept", value(ends.kept))
            .set("died", value(ends.died))
            .set("down", value(ends.down))
            .set("counted_since", value(now))
            .when("attribute_not_exists(#counted_since) OR #counted_since <= :began")
            .bind("began", began);
        // Another may begin the window between the two.
        for change in [&more, &anew, &more] {
            let item = item_key(app);
            match self.0.change(item, change.clone(), attempt).await? {
                Written::Done(breaker) => return Ok(breaker),
                Written::Refused(_) => {}
            }
        }
        self.breaker(app).await
    }

    /// Notes that the end of grants is doubted from now on.
    pub async fn hold(
        &self,
        seen: &Breaker,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let change = Change::new()
            .set("held_since", value(now))
            .when("attribute_not_exists(#held_since) OR #held_since = :seen")
            .bind("seen", value(seen.held_since));
        let item = item_key(seen.app);
        let _: Written<Breaker, _> = self.0.change(item, change, attempt).await?;
        Ok(())
    }

    /// Opens the breaker until `until`, unless it is open already. What was counted is forgotten: what
    /// comes after it is judged by itself.
    pub async fn open(
        &self,
        app: impl Into<AppRef>,
        fault: &Fault,
        now: Timestamp,
        until: Timestamp,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("open_until", value(until))
            .set("fault", value(fault))
            .add_number("trips", 1)
            .set("counted_since", value(0))
            .when("attribute_not_exists(#open_until) OR #open_until <= :now")
            .bind("now", value(now));
        let done: Written<Breaker, _> = self.0.change(item_key(app), change, attempt).await?;
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

    /// Opens the breaker until `until` by an operator's word, whatever it is.
    pub async fn open_by_hand(
        &self,
        app: impl Into<AppRef>,
        fault: &Fault,
        until: Timestamp,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let change = Change::new()
            .set("open_until", value(until))
            .set("fault", value(fault))
            .add_number("trips", 1);
        let _: Written<Breaker, _> = self.0.change(item_key(app), change, attempt).await?;
        Ok(())
    }

    /// Closes the breaker after a call that went well at `now`, from when on those that waited take
    /// their turns.
    pub async fn close(
        &self,
        app: impl Into<AppRef>,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let change = Change::new()
            .set("trips", value(0))
            .set("open_until", value(now))
            .remove(["fault"]);
        let _: Written<Breaker, _> = self.0.change(item_key(app), change, attempt).await?;
        Ok(())
    }
}

impl Breaker {
    fn closed(app: AppRef) -> Self {
        Self {
            app,
            open_until: Timestamp::default(),
            trips: 0,
            fault: None,
            counted_since: Timestamp::default(),
            kept: 0,
            died: 0,
            down: 0,
            held_since: Timestamp::default(),
            believed_until: Timestamp::default(),
        }
    }
}

fn item_key(app: impl Into<AppRef>) -> Item {
    key([("platform", &app.into().to_string())])
}
