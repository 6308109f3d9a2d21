//! Flows: OAuth attempts, from the redirect to the platform to the creator's confirmation.
//!
//! | access | by |
//! |---|---|
//! | read, consume, confirm | `flow_id` (it is in `state`, and in the browser's cookie) |
//! | what nobody confirmed in time | index `due` |
//!
//! After the exchange the sealed bundles lie in this row, under this row's associated data, until the
//! creator confirms. A flow past `expires_at` counts as absent.

use aws_sdk_dynamodb::types::Update;
use domain::{Account, AttemptId, FlowId, Platform, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use vault::{Place, Sealed};

use crate::due::shard_of;
use crate::expression::Change;
use crate::item::{key, value};
use crate::transaction::{Transacted, Transaction};
use crate::{DueKey, PendingRevocation, Revocations, StoreError, Table, Written};

/// The table's logical name: part of what is sealed in it.
pub const TABLE: &str = "flows";

/// One OAuth attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Its id.
    pub flow_id: FlowId,
    /// SHA-256 of the secret half of `state`, hex.
    pub state_hash: String,
    /// SHA-256 of the browser's cookie, hex.
    pub browser_hash: String,
    /// Who started it.
    pub user_id: UserId,
    /// What pages call them.
    pub user_label: String,
    /// Where.
    pub platform: Platform,
    /// The client id of the app that it was started with, and no other may end it. Rows of before it
    /// was kept have none: the production's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Exactly as sent.
    pub redirect_uri: String,
    /// The PKCE verifier, where the flow has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_verifier: Option<Sealed>,
    /// Scopes asked.
    pub scopes: Vec<String>,
    /// Where the browser goes in the end; validated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    /// The pages' locale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// From then on it counts as absent.
    pub expires_at: Timestamp,
    /// Set by the callback that took it: a second one finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumed_at: Option<Timestamp>,
    /// What the exchange brought, sealed: awaits the creator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
    /// Set when the creator confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// The account that the creator confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked: Option<Account>,
    /// When the sweeper looks at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
}

/// Tokens that nobody has confirmed yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The accounts that the consent opened.
    pub accounts: Vec<Account>,
    /// Scopes as granted.
    pub scopes: Vec<String>,
    /// Their bundles in the same order, sealed as one.
    pub sealed: Sealed,
    /// When the tokens were issued.
    pub issued_at: Timestamp,
}

impl Flow {
    /// The place of a sealed field of this flow.
    pub fn place<'a>(&self, keys: &'a [&'a str; 1], field: &'static str) -> Place<'a> {
        Place {
            table: TABLE,
            keys,
            platform: self.platform,
            field,
            version: 1,
        }
    }
}

/// The table of flows.
#[derive(Clone, Debug)]
pub struct Flows(Table);

#[derive(Serialize)]
struct Row<'a> {
    ttl: i64,
    due_shard: String,
    #[serde(flatten)]
    flow: &'a Flow,
}

impl Flows {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// Keeps a new flow.
    pub async fn put(&self, flow: &Flow) -> Result<(), StoreError> {
        // The sweeper must find the row before DynamoDB's own clean-up takes it.
        let ttl = flow.expires_at.secs() + 2 * 24 * 3600;
        self.0
            .put(&Row {
                ttl,
                due_shard: shard_of(flow.flow_id.as_str()),
                flow,
            })
            .await
    }

    /// The flow, unless it expired.
    pub async fn get(&self, id: &FlowId, now: Timestamp) -> Result<Option<Flow>, StoreError> {
        Ok(self
            .get_expired(id)
            .await?
            .filter(|flow| flow.expires_at > now))
    }

    /// The flow, expired or not: for the sweeper.
    pub async fn get_expired(&self, id: &FlowId) -> Result<Option<Flow>, StoreError> {
        self.0.get(key([("flow_id", id.as_str())])).await
    }

    /// Marks the flow as used, once: `None` if it was used before or has expired.
    pub async fn consume(
        &self,
        id: &FlowId,
        now: Timestamp,
        attempt: &AttemptId,
    ) -> Result<Option<Flow>, StoreError> {
        let change = Change::new()
            .set("consumed_at", value(now))
            .when("attribute_exists(#flow_id) AND attribute_not_exists(#consumed_at)")
            .when("#expires_at > :now")
            .bind("now", value(now));
        Ok(
            match self
                .0
                .change(key([("flow_id", id.as_str())]), change, attempt)
                .await?
            {
                Written::Done(flow) => Some(flow),
                Written::Refused(_) => None,
            },
        )
    }

    /// Keeps what the exchange brought; the creator has until `until` to confirm.
    pub async fn granted(
        &self,
        id: &FlowId,
        grant: &Grant,
        until: Timestamp,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("grant", value(grant))
            .set("expires_at", value(until))
            .set("due_at", value(until))
            .remove(["sealed_verifier"])
            .when("attribute_exists(#consumed_at) AND attribute_not_exists(#grant)");
        let done: Written<Flow, _> = self
            .0
            .change(key([("flow_id", id.as_str())]), change, attempt)
            .await?;
        Ok(matches!(done, Written::Done(_)))
    }

    /// The flow's part of a confirmation: it ends and its tokens leave it.
    pub(crate) fn confirmed(
        &self,
        flow: &Flow,
        account: &Account,
        now: Timestamp,
    ) -> Result<Update, StoreError> {
        Change::new()
            .set("confirmed_at", value(now))
            .set("linked", value(account))
            .remove(["grant", "due_at", "due_shard"])
            .when("attribute_exists(#grant) AND attribute_not_exists(#confirmed_at)")
            .when("#expires_at > :now")
            .bind("now", value(now))
            .in_transaction(&self.0.name, key([("flow_id", flow.flow_id.as_str())]))
    }

    /// Flows of one shard whose time is over.
    pub async fn due(
        &self,
        shard: &str,
        now: Timestamp,
        limit: i32,
    ) -> Result<Vec<FlowId>, StoreError> {
        let rows = self.0.due(shard, now, limit, &["flow_id"]).await?;
        Ok(rows
            .into_iter()
            .filter_map(|DueKey(mut keys)| keys.pop()?.parse().ok())
            .collect())
    }

    /// Ends a flow that nobody confirmed, and queues the revocations of its tokens in the same
    /// transaction. `false` if it was confirmed in the meantime.
    pub async fn abandon(
        &self,
        flow: &Flow,
        owed: &[PendingRevocation],
        revocations: &Revocations,
        now: Timestamp,
        attempt: AttemptId,
    ) -> Result<bool, StoreError> {
        let update = Change::new()
            .set("expires_at", value(now))
            .remove(["grant", "due_at", "due_shard", "sealed_verifier"])
            .when("attribute_exists(#flow_id) AND attribute_not_exists(#confirmed_at)")
            // What is owed was read out of the grant: it must be the one that stands.
            .when(match flow.grant {
                Some(_) => "attribute_exists(#grant)",
                None => "attribute_not_exists(#grant)",
            })
            .in_transaction(&self.0.name, key([("flow_id", flow.flow_id.as_str())]))?;
        let mut transaction = Transaction::new(attempt).update(update);
        for pending in owed {
            transaction = revocations.queue(transaction, pending)?;
        }
        Ok(transaction.run(&self.0.client).await? == Transacted::Done)
    }
}
