//! Webhook endpoints: the product's addresses that events are sent to.
//!
//! | access | by |
//! |---|---|
//! | read, make, change, delete one | `endpoint_id` |
//! | all of them (they are few) | scan |
//!
//! The secrets lie sealed in the item, for its id and `secret_version`. Beside what the product set
//! stands how its address answers of late: when it fails often in a row it rests, whichever lane the
//! messages are in.

use domain::{AttemptId, EndpointId, Timestamp};
use serde::{Deserialize, Serialize};
use vault::{OwnPlace, Sealed};

use crate::expression::Change;
use crate::item::{self, Item, key, text, value};
use crate::{StoreError, Table, Written};

/// The table's logical name: part of what secrets are sealed for.
pub const TABLE: &str = "webhook_endpoints";

/// Whether events are sent there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// They are.
    Enabled,
    /// They become dead letters, which can be replayed once it is enabled again.
    Disabled,
}

/// Why an endpoint is disabled. The names are part of the public contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledFor {
    /// The product asked for it.
    Request,
    /// It answered 410.
    Gone,
    /// Nothing was accepted there for days.
    Failing,
}

impl DisabledFor {
    /// The name in tables, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Which.
    pub endpoint_id: EndpointId,
    /// Where: https, at a public name.
    pub url: String,
    /// What the product calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The types of events that are wanted; empty: all.
    #[serde(default)]
    pub types: Vec<String>,
    /// Whether events are sent.
    pub state: EndpointState,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_for: Option<DisabledFor>,
    /// Since when not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// The secrets that sign, sealed.
    pub sealed: Sealed,
    /// Counts the sealings.
    pub secret_version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the product last changed it.
    pub updated_at: Timestamp,
    /// Failed tries in a row, of all lanes.
    #[serde(default)]
    pub failures: u32,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// Nothing is sent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest_until: Option<Timestamp>,
    /// Why the last failed try failed, as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure_at: Option<Timestamp>,
}

impl Endpoint {
    /// The place of the secrets at `version`.
    pub fn place<'a>(keys: &'a [&'a str; 1], version: u64) -> OwnPlace<'a> {
        OwnPlace {
            table: TABLE,
            keys,
            field: "secrets",
            version,
        }
    }

    /// Whether events of this type are wanted.
    pub fn wants(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|wanted| wanted == kind)
    }

    /// Whether events are sent there.
    pub fn enabled(&self) -> bool {
        self.state == EndpointState::Enabled
    }
}

/// What the product changes; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointEdit {
    /// The address.
    pub url: Option<String>,
    /// The description; the inner `None` takes it away.
    pub description: Option<Option<String>>,
    /// The types.
    pub types: Option<Vec<String>>,
    /// Whether events are sent.
    pub state: Option<EndpointState>,
}

/// A failed try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointFailure<'a> {
    /// Why, as a code.
    pub reason: &'a str,
    /// When.
    pub at: Timestamp,
    /// Until when nothing is sent there, if it is to rest.
    pub rest_until: Option<Timestamp>,
}

/// The table of endpoints.
#[derive(Clone, Debug)]
pub struct Endpoints(Table);

impl Endpoints {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The endpoint; strongly consistent.
    pub async fn get(&self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
        self.0.get(item_key(id)).await
    }

    /// All of them, the oldest first; strongly consistent.
    pub async fn all(&self) -> Result<Vec<Endpoint>, StoreError> {
        let (mut rows, mut from): (Vec<Endpoint>, _) = (Vec::new(), None);
        loop {
            let answer = self
                .0
                .client
                .scan()
                .table_name(&self.0.name)
                .consistent_read(true)
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| StoreError::unavailable(&error))?;
            for row in answer.items.unwrap_or_default() {
                rows.push(item::read(&self.0.name, row)?);
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                rows.sort_by(|one, other| one.endpoint_id.cmp(&other.endpoint_id));
                return Ok(rows);
            }
        }
    }

    /// Writes a new one: its id is nobody else's.
    pub async fn put(&self, endpoint: &Endpoint) -> Result<(), StoreError> {
        self.0.put(endpoint).await
    }

    /// Changes what the product set; `None` where there is no such endpoint. At another address,
    /// or enabled anew, what it failed of before is forgotten.
    pub async fn edit(
        &self,
        id: &EndpointId,
        edit: &EndpointEdit,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<Option<Endpoint>, StoreError> {
        let mut change = Change::new().set("updated_at", value(now));
        if edit.url.is_some() || edit.state == Some(EndpointState::Enabled) {
            change = rested(change);
        }
        if let Some(url) = &edit.url {
            change = change.set("url", text(url));
        }
        if let Some(description) = &edit.description {
            change = change.set_or_remove("description", description.as_ref().map(text));
        }
        if let Some(types) = &edit.types {
            change = change.set("types", value(types));
        }
        change = match edit.state {
            None => change,
            Some(EndpointState::Enabled) => change
                .set("state", value(EndpointState::Enabled))
                .remove(["disabled_for", "disabled_at"]),
            Some(EndpointState::Disabled) => disabled(change, DisabledFor::Request, now),
        };
        self.changed(id, change, attempt).await
    }

    /// Puts other secrets in the place of those that were seen; `None` where others stand by now.
    pub async fn reseal(
        &self,
        seen: &Endpoint,
        sealed: &Sealed,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<Option<Endpoint>, StoreError> {
        let change = Change::new()
            .set("sealed", value(sealed))
            .set("secret_version", value(seen.secret_version + 1))
            .set("updated_at", value(now))
            .when("#secret_version = :seen")
            .bind("seen", value(seen.secret_version));
        self.changed(&seen.endpoint_id, change, attempt).await
    }

    /// Disables one that is enabled and stands at the address that was tried; whether this call did.
    pub async fn disable(
        &self,
        seen: &Endpoint,
        why: DisabledFor,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = disabled(Change::new(), why, now)
            .when("#state = :enabled AND #url = :url")
            .bind("enabled", value(EndpointState::Enabled))
            .bind("url", text(&seen.url));
        let done = self.changed(&seen.endpoint_id, change, attempt).await?;
        Ok(done.is_some())
    }

    /// Counts a failed try; the endpoint as it then stands.
    pub async fn failed(
        &self,
        id: &EndpointId,
        failure: &EndpointFailure<'_>,
        attempt: &AttemptId,
    ) -> Result<Option<Endpoint>, StoreError> {
        let change = Change::new()
            .add_number("failures", 1)
            .set_to("failing_since", "if_not_exists(#failing_since, :now)")
            .set("last_failure", text(failure.reason))
            .set("last_failure_at", value(failure.at))
            .bind("now", value(failure.at));
        let change = match failure.rest_until {
            Some(until) => change.set("rest_until", value(until)),
            None => change,
        };
        self.changed(id, change, attempt).await
    }

    /// Notes that something was accepted.
    pub async fn answered(&self, id: &EndpointId, attempt: &AttemptId) -> Result<(), StoreError> {
        self.changed(id, rested(Change::new()), attempt).await?;
        Ok(())
    }

    /// Takes the one try after a rest: whoever gets it sends, all others wait until `until`.
    pub async fn probe(
        &self,
        seen: &Endpoint,
        until: Timestamp,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("rest_until", value(until))
            .when("#rest_until = :seen")
            .bind("seen", value(seen.rest_until));
        let done = self.changed(&seen.endpoint_id, change, attempt).await?;
        Ok(done.is_some())
    }

    /// Deletes it; its lanes end by themselves.
    pub async fn delete(&self, id: &EndpointId) -> Result<(), StoreError> {
        self.0.delete(item_key(id)).await
    }

    async fn changed(
        &self,
        id: &EndpointId,
        change: Change,
        attempt: &AttemptId,
    ) -> Result<Option<Endpoint>, StoreError> {
        let change = change.when("attribute_exists(#endpoint_id)");
        Ok(match self.0.change(item_key(id), change, attempt).await? {
            Written::Done(endpoint) => Some(endpoint),
            Written::Refused::<_, Option<Endpoint>>(_) => None,
        })
    }
}

fn disabled(change: Change, why: DisabledFor, now: Timestamp) -> Change {
    change
        .set("state", value(EndpointState::Disabled))
        .set("disabled_for", value(why))
        .set("disabled_at", value(now))
}

fn rested(change: Change) -> Change {
    change
        .set("failures", value(0))
        .remove(["failing_since", "rest_until"])
}

fn item_key(id: &EndpointId) -> Item {
    key([("endpoint_id", id.as_str())])
}
