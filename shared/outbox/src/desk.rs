//! The product's endpoints: made, changed, rotated, tried, and what could not be delivered there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{AttemptId, Clock, EndpointId, Entropy, EventId, Secret, Timestamp};
use store::endpoints::{EndpointEdit, EndpointState};
use store::messages::NewMessage;
use store::{Endpoint, Endpoints, LaneKey, Lanes, Messages, Outgoing, StoreError};
use transport::public_url;
use vault::Vault;

use crate::OutboxError;
use crate::body::{TEST_TYPE, test_body};
use crate::queue::LaneQueue;
use crate::secrets::Secrets;

/// A deployment has at most so many: each costs a write per event.
pub const MOST_ENDPOINTS: usize = 20;
/// Dead letters that one call replays.
const MOST_REPLAYED: usize = 200;
const PAGE: i32 = 100;
/// How often new secrets are tried against another rotation.
const TRIES: usize = 3;

/// See the module.
pub struct Desk {
    /// The endpoints.
    pub endpoints: Endpoints,
    /// Their lanes.
    pub lanes: Lanes,
    /// Their messages.
    pub messages: Messages,
    /// Wakes lanes.
    pub queue: LaneQueue,
    /// Seals secrets.
    pub vault: Vault,
    /// How old an event must be to be sent.
    pub settle: Duration,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// What a new endpoint is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewEndpoint {
    /// Where: checked here.
    pub url: String,
    /// What the product calls it.
    pub description: Option<String>,
    /// The types of events that are wanted; empty: all.
    pub types: Vec<String>,
}

/// A new endpoint or a rotated one, with the secret that is shown this once.
#[derive(Clone, Debug)]
pub struct MadeEndpoint {
    /// The row.
    pub endpoint: Endpoint,
    /// What signs from now on.
    pub secret: Secret,
}

/// How many dead letters went back to their lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// So many.
    pub count: usize,
    /// There are more: ask again.
    pub more: bool,
}

/// Why something cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Nothing is sent to such an address.
    #[error("the address may not be called: {0}")]
    Address(String),
    /// There are as many as there may be.
    #[error("there are {MOST_ENDPOINTS} endpoints already")]
    TooMany,
    /// Nothing is sent to an endpoint that is disabled.
    #[error("the endpoint is disabled")]
    Disabled,
    /// Our own trouble.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

impl From<StoreError> for DeskError {
    fn from(error: StoreError) -> Self {
        Self::Outbox(error.into())
    }
}

impl Desk {
    /// Makes an endpoint, enabled.
    pub async fn create(&self, new: NewEndpoint) -> Result<MadeEndpoint, DeskError> {
        let url = address(&new.url)?;
        if self.endpoints.all().await?.len() >= MOST_ENDPOINTS {
            return Err(DeskError::TooMany);
        }
        let now = self.clock.now();
        let id = EndpointId::new(now, &*self.entropy);
        let secrets = Secrets::new(&*self.entropy);
        let key = self.vault.new_key(id.as_str()).await;
        let key = key.map_err(OutboxError::from)?;
        let endpoint = Endpoint {
            sealed: secrets.seal(&self.vault, &key, id.as_str(), 1)?,
            secret_version: 1,
            endpoint_id: id,
            url,
            description: new.description,
            types: new.types,
            state: EndpointState::Enabled,
            disabled_for: None,
            disabled_at: None,
            created_at: now,
            updated_at: now,
            failures: 0,
            failing_since: None,
            rest_until: None,
            last_failure: None,
            last_failure_at: None,
        };
        self.endpoints.put(&endpoint).await?;
        let secret = secrets.current().clone();
        Ok(MadeEndpoint { endpoint, secret })
    }

    /// Changes an endpoint; `None` where there is none.
    pub async fn edit(
        &self,
        id: &EndpointId,
        mut edit: EndpointEdit,
    ) -> Result<Option<Endpoint>, DeskError> {
        if let Some(url) = &edit.url {
            edit.url = Some(address(url)?);
        }
        let now = self.clock.now();
        Ok(self.endpoints.edit(id, &edit, now, &self.attempt()).await?)
    }

    /// Gives an endpoint a new secret; the one before signs for another day. `None` where there is no
    /// such endpoint.
    pub async fn rotate(&self, id: &EndpointId) -> Result<Option<MadeEndpoint>, DeskError> {
        for _ in 0..TRIES {
            let Some(seen) = self.endpoints.get(id).await? else {
                return Ok(None);
            };
            let now = self.clock.now();
            let secrets = Secrets::open(&self.vault, &seen).await?;
            let secrets = secrets.rotated(&*self.entropy, now);
            let key = self.vault.key_of(id.as_str(), &seen.sealed).await;
            let key = key.map_err(OutboxError::from)?;
            let version = seen.secret_version + 1;
            let sealed = secrets.seal(&self.vault, &key, id.as_str(), version)?;
            let attempt = self.attempt();
            if let Some(endpoint) = self.endpoints.reseal(&seen, &sealed, now, &attempt).await? {
                let secret = secrets.current().clone();
                return Ok(Some(MadeEndpoint { endpoint, secret }));
            }
        }
        Err(StoreError::Unavailable("conflict".to_owned()).into())
    }

    /// Sends a test event there by the way of all others; its id.
    pub async fn test(&self, endpoint: &Endpoint) -> Result<EventId, DeskError> {
        if !endpoint.enabled() {
            return Err(DeskError::Disabled);
        }
        let now = self.clock.now();
        let event = EventId::new(now, &*self.entropy);
        let lane = LaneKey::of_tests(&endpoint.endpoint_id);
        let body = test_body(event.as_str(), endpoint.endpoint_id.as_str(), now);
        let message = Outgoing::new(&NewMessage {
            lane: &lane,
            event_id: event.as_str(),
            kind: TEST_TYPE,
            user_id: "",
            created_at: now,
            body: &body,
            now,
        });
        self.messages.put(&message).await?;
        self.lanes.nudge(&lane, "", now, &self.attempt()).await?;
        self.queue.wake_or_leave(&[lane], self.settle).await;
        Ok(event)
    }

    /// Puts dead letters back into their lanes: these, or all. They go by the same ids, and before what
    /// is newer.
    pub async fn replay(
        &self,
        endpoint: &Endpoint,
        only: Option<&[String]>,
    ) -> Result<Replayed, DeskError> {
        if !endpoint.enabled() {
            return Err(DeskError::Disabled);
        }
        let now = self.clock.now();
        let id = &endpoint.endpoint_id;
        let (letters, more) = match only {
            Some(wanted) => {
                let mut letters = Vec::new();
                for message in wanted.iter().take(MOST_REPLAYED) {
                    letters.extend(self.messages.dead_letter(id, message, now).await?);
                }
                (letters, wanted.len() > MOST_REPLAYED)
            }
            None => self.all_dead(id, now).await?,
        };
        let mut lanes = BTreeSet::new();
        for letter in &letters {
            let again = letter.revived(now);
            self.messages
                .revive(letter, &again, &self.lanes, &self.attempt())
                .await?;
            lanes.insert(again.of);
        }
        let lanes: Vec<LaneKey> = lanes.into_iter().collect();
        self.queue.wake_or_leave(&lanes, Duration::ZERO).await;
        Ok(Replayed {
            count: letters.len(),
            more,
        })
    }

    /// The dead letters that one call replays, the oldest first; whether there are more.
    async fn all_dead(
        &self,
        id: &EndpointId,
        now: Timestamp,
    ) -> Result<(Vec<Outgoing>, bool), StoreError> {
        let (mut letters, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = self.messages.dead(id, after.as_deref(), PAGE, now).await?;
            letters.extend(page);
            after = next;
            if after.is_none() || letters.len() >= MOST_REPLAYED {
                letters.reverse();
                return Ok((letters, after.is_some()));
            }
        }
    }

    fn attempt(&self) -> AttemptId {
        AttemptId::new(self.clock.now(), &*self.entropy)
    }
}

fn address(text: &str) -> Result<String, DeskError> {
    let url = public_url(text).map_err(|refused| match refused {
        transport::NotFetched::Refused(why) => DeskError::Address(why.to_owned()),
        other => DeskError::Address(other.to_string()),
    })?;
    Ok(url.into())
}
