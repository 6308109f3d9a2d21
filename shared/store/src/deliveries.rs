//! Deliveries: webhooks received, each applied once.
//!
//! | access | by |
//! |---|---|
//! | take, settle | `delivery_id`, `part` = `mark` |
//! | the raw body, for a replay | `delivery_id`, `part` = `raw` |
//! | a platform's in one state, newest first | index `listing`: `<platform>#<state>#<shard>`, `listed` |
//! | raw bodies of an account, to delete them with it | index `account`: `raw_of` = `<platform>#<account id>` |
//!
//! The mark outlives every platform's retries (30 days); the raw body is kept for 14.

use domain::{AttemptId, DeliveryId, Environment, Holder, Platform, Timestamp};
use serde::{Deserialize, Serialize};

use crate::due::{SHARDS, shard_name, shard_of};
use crate::expression::Change;
use crate::item::{key, text, value};
use crate::newest::{Ask, Listing, listed};
use crate::transaction::Transaction;
use crate::{StoreError, Table, Written};

const MARK_SECONDS: i64 = 30 * 24 * 3600;
const RAW_SECONDS: i64 = 14 * 24 * 3600;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// A worker has it.
    Processing,
    /// Its effect stands.
    Applied,
    /// Nobody here knows the account or the publish that it is about.
    Orphan,
    /// Asked to be applied again.
    Replay,
}

impl DeliveryState {
    /// Every state, in the order of the reference.
    pub const ALL: [DeliveryState; 4] =
        [Self::Processing, Self::Applied, Self::Orphan, Self::Replay];

    /// The name in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Applied => "applied",
            Self::Orphan => "orphan",
            Self::Replay => "replay",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// The mark of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which.
    pub delivery_id: DeliveryId,
    /// From which platform.
    pub platform: Platform,
    /// The platform's name for what happened.
    pub kind: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Which worker has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// Until when.
    #[serde(default)]
    pub lease_until: Timestamp,
    /// When we answered the platform.
    pub received_at: Timestamp,
    /// When it was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processed_at: Option<Timestamp>,
    /// How often a worker took it.
    #[serde(default)]
    pub tries: u32,
    /// What makes it unique on its platform: the platform's id of it, or a hash of the fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// `<platform>#<account id>` of the account that it is about, where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_key: Option<String>,
    /// Why the last try did not settle it: a code of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// A body as received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawBody {
    /// Which delivery.
    pub delivery_id: DeliveryId,
    /// From which platform.
    pub platform: Platform,
    /// Whose secret signed it: the production's app or the sandbox's.
    #[serde(default, skip_serializing_if = "Environment::is_production")]
    pub environment: Environment,
    /// The body in base64, or …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// … where it lies in the deliveries bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_key: Option<String>,
    /// Kept headers.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// When we answered the platform.
    pub received_at: Timestamp,
    /// `<platform>#<account id>` of the account that it is about: with that account it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_of: Option<String>,
}

/// What is wanted of the list of deliveries.
#[derive(Clone, Debug)]
pub struct DeliveryAsk<'a> {
    /// On these platforms.
    pub platforms: &'a [Platform],
    /// In these states.
    pub states: &'a [DeliveryState],
    /// With this name of what happened; any where there is none.
    pub kind: Option<&'a str>,
    /// Only what is older than this place of the list.
    pub before: Option<&'a str>,
    /// At most so many.
    pub limit: usize,
}

/// How taking a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is this worker's.
    Yes(Mark),
    /// Its effect stands: nothing to do.
    Settled(DeliveryState),
    /// Another worker has it; come back later.
    Held,
}

/// The table of deliveries.
#[derive(Clone, Debug)]
pub struct Deliveries(Table);

#[derive(Serialize)]
struct RawRow<'a> {
    part: &'static str,
    ttl: i64,
    #[serde(flatten)]
    raw: &'a RawBody,
}

impl Deliveries {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The client, for running transactions.
    pub fn client(&self) -> &aws_sdk_dynamodb::Client {
        &self.0.client
    }

    /// The mark, if the delivery was ever taken.
    pub async fn mark(&self, id: &DeliveryId) -> Result<Option<Mark>, StoreError> {
        self.0.get(part(id, "mark")).await
    }

    /// Takes the delivery for a worker, the first time or after a worker that did not settle it.
    pub async fn take(
        &self,
        wanted: &Mark,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<Taken, StoreError> {
        let change = Change::new()
            .set("platform", value(wanted.platform))
            .set("kind", text(&wanted.kind))
            .set("state", value(DeliveryState::Processing))
            .set("holder", value(&wanted.holder))
            .set("lease_until", value(wanted.lease_until))
            .set_to("received_at", "if_not_exists(#received_at, :received)")
            .set("ttl", value(now.secs() + MARK_SECONDS))
            .set(
                "listing",
                text(listing(
                    wanted.platform,
                    DeliveryState::Processing,
                    &wanted.delivery_id,
                )),
            )
            .set_to("listed", "if_not_exists(#listed, :listed)")
            .bind(
                "listed",
                text(listed(wanted.received_at, wanted.delivery_id.as_str())),
            )
            .set_or_remove("external_id", wanted.external_id.as_ref().map(text))
            .set_or_remove("account_key", wanted.account_key.as_ref().map(text))
            .add_number("tries", 1)
            .when(
                "attribute_not_exists(#delivery_id) OR #state = :replay \
                 OR (#state = :processing AND #lease_until <= :now)",
            )
            .bind("received", value(wanted.received_at))
            .bind("replay", value(DeliveryState::Replay))
            .bind("processing", value(DeliveryState::Processing))
            .bind("now", value(now));
        let key = part(&wanted.delivery_id, "mark");
        Ok(match self.0.change::<Mark>(key, change, attempt).await? {
            Written::Done(mark) => Taken::Yes(mark),
            Written::Refused(Some(mark)) if mark.state == DeliveryState::Processing => Taken::Held,
            Written::Refused(Some(mark)) => Taken::Settled(mark.state),
            Written::Refused(None) => Taken::Held,
        })
    }

    /// Adds the mark's part to the transaction that applies a delivery: conditional on the holder.
    pub fn settle(
        &self,
        transaction: Transaction,
        mark: &Mark,
        state: DeliveryState,
        now: Timestamp,
    ) -> Result<Transaction, StoreError> {
        let update = self
            .settled(mark, state, now)
            .in_transaction(&self.0.name, part(&mark.delivery_id, "mark"))?;
        Ok(transaction.update(update))
    }

    /// Settles a delivery that has no other effect.
    pub async fn settle_alone(
        &self,
        mark: &Mark,
        state: DeliveryState,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = self.settled(mark, state, now);
        let done: Written<Mark, _> = self
            .0
            .change(part(&mark.delivery_id, "mark"), change, attempt)
            .await?;
        Ok(matches!(done, Written::Done(_)))
    }

    /// Lets go of a delivery that cannot be applied yet, so that the next try need not wait for the
    /// lease. `fault` is a code of ours for why.
    pub async fn let_go(
        &self,
        mark: &Mark,
        fault: &str,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<(), StoreError> {
        let change = Change::new()
            .set("lease_until", value(now))
            .set("fault", text(fault))
            .when("#holder = :me AND #state = :processing")
            .bind("me", value(&mark.holder))
            .bind("processing", value(DeliveryState::Processing));
        let _: Written<Mark, _> = self
            .0
            .change(part(&mark.delivery_id, "mark"), change, attempt)
            .await?;
        Ok(())
    }

    /// Clears the mark of a delivery, so that its raw body may be applied again under the same id;
    /// `false` if a worker has it just now or it was never seen.
    pub async fn clear(
        &self,
        id: &DeliveryId,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        // The platform of a mark never changes.
        let Some(mark) = self.mark(id).await? else {
            return Ok(false);
        };
        let change = Change::new()
            .set("state", value(DeliveryState::Replay))
            .set(
                "listing",
                text(listing(mark.platform, DeliveryState::Replay, id)),
            )
            .when("attribute_exists(#delivery_id)")
            .when("#state <> :processing OR #lease_until <= :now")
            .bind("processing", value(DeliveryState::Processing))
            .bind("now", value(now));
        let done: Written<Mark, _> = self.0.change(part(id, "mark"), change, attempt).await?;
        Ok(matches!(done, Written::Done(_)))
    }

    /// Keeps a raw body.
    pub async fn keep_raw(&self, raw: &RawBody) -> Result<(), StoreError> {
        let ttl = raw.received_at.secs() + RAW_SECONDS;
        self.0
            .put(&RawRow {
                part: "raw",
                ttl,
                raw,
            })
            .await
    }

    /// The raw body, while it is kept.
    pub async fn raw(
        &self,
        id: &DeliveryId,
        now: Timestamp,
    ) -> Result<Option<RawBody>, StoreError> {
        let raw: Option<RawBody> = self.0.get(part(id, "raw")).await?;
        Ok(raw.filter(|raw| raw.received_at.plus_secs(RAW_SECONDS) > now))
    }

    /// Marks, newest first. The index lags by some milliseconds.
    pub async fn newest(&self, ask: &DeliveryAsk<'_>) -> Result<Listing<Mark>, StoreError> {
        let mut partitions = Vec::new();
        for platform in ask.platforms {
            for state in ask.states {
                for shard in 0..SHARDS {
                    partitions.push(listing_of(*platform, *state, &shard_name(shard)));
                }
            }
        }
        let keep = |mark: &Mark| ask.kind.is_none_or(|kind| mark.kind == kind);
        let ask = Ask {
            index: Some("listing"),
            hash: "listing",
            partitions,
            sort: "listed",
            before: ask.before,
            from: None,
            limit: ask.limit,
        };
        self.0.newest(&ask, keep).await
    }

    /// Ids of deliveries whose raw bodies are kept of an account, at most 100, in no order. The index
    /// lags by some milliseconds.
    pub async fn raw_of(&self, account_key: &str) -> Result<Vec<DeliveryId>, StoreError> {
        let answer = self
            .0
            .client
            .query()
            .table_name(&self.0.name)
            .index_name("account")
            .key_condition_expression("raw_of = :account")
            .expression_attribute_values(":account", text(account_key))
            .limit(100)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        let id = |item: &crate::item::Item| item.get("delivery_id")?.as_s().ok()?.parse().ok();
        Ok(answer.items().iter().filter_map(id).collect())
    }

    /// Deletes a raw body's row; the mark stays, so that the delivery is not applied again.
    pub async fn delete_raw(&self, id: &DeliveryId) -> Result<(), StoreError> {
        self.0.delete(part(id, "raw")).await
    }

    fn settled(&self, mark: &Mark, state: DeliveryState, now: Timestamp) -> Change {
        Change::new()
            .set("state", value(state))
            .set("processed_at", value(now))
            .set(
                "listing",
                text(listing(mark.platform, state, &mark.delivery_id)),
            )
            .remove(["holder", "fault"])
            .when("#holder = :me AND #state = :processing")
            .bind("me", value(&mark.holder))
            .bind("processing", value(DeliveryState::Processing))
    }
}

/// The partition of a mark in the index `listing`.
fn listing(platform: Platform, state: DeliveryState, id: &DeliveryId) -> String {
    listing_of(platform, state, &shard_of(id.as_str()))
}

fn listing_of(platform: Platform, state: DeliveryState, shard: &str) -> String {
    format!("{platform}#{}#{shard}", state.as_str())
}

fn part(id: &DeliveryId, part: &str) -> crate::item::Item {
    key([("delivery_id", id.as_str()), ("part", part)])
}
