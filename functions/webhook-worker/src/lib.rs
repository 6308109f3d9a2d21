//! Applies each delivery once.
//!
//! A delivery is taken by a conditional write with a holder and a lease; its effect and the mark
//! `applied` are one transaction. A delivery that names an account or a publish that nobody here
//! knows may have overtaken our own commit: it comes again for a while, then it is filed as an
//! orphan. A worker that dies between taking and applying leaves a lease that runs out.

mod apply;
mod bodies;

use std::borrow::Cow;
use std::time::Duration;

use domain::metric::{DELIVERIES_ORPHANED, DELIVERY_MILLISECONDS, DELIVERY_PLATFORM_MILLISECONDS};
use domain::{
    Account, AttemptId, Delivery, DeliveryId, Holder, ReceivedWebhook, Timestamp, WebhookMessage,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use lambda::Error;
use lambda::sqs::{Message, Outcome};
use ledger::Ledger;
use limits::Limiter;
use posts::PublishQueue;
use statistics::InsightsQueue;
use store::deliveries::{DeliveryState, Taken};
use store::{Accounts, Deliveries, Events, Mark, RawBody, Targets};
use tokens::Tokens;

use apply::Applied;
pub use bodies::Bodies;

/// What the handler needs.
pub struct WebhookWorker {
    /// Marks and raw bodies.
    pub deliveries: Deliveries,
    /// Who holds which account.
    pub accounts: Accounts,
    /// Posts under way.
    pub targets: Targets,
    /// What the product is told.
    pub events: Events,
    /// What platforms tell of accounts.
    pub ledger: Ledger,
    /// Connections and their end.
    pub tokens: Tokens,
    /// Where platforms count what is open.
    pub limiter: Limiter,
    /// For targets that have something to do now.
    pub publish: PublishQueue,
    /// For media whose statistics are worth a look after news of them.
    pub insights: InsightsQueue,
    /// How long after the news.
    pub look_after: Duration,
    /// Bodies that are too large for a message or an item.
    pub bodies: Bodies,
    /// How long this worker holds a delivery; longer than the function's time-out.
    pub lease: Duration,
    /// For how long an unknown account or publish is waited for.
    pub orphan_after: Duration,
}

/// How one delivery ended here.
enum Ended {
    /// Its effect stands by this worker.
    Applied,
    /// Its effect stood before, or it is an orphan.
    Settled,
    /// It must come again.
    Again(&'static str),
}

/// Where a delivery comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whence {
    /// The platform sent it just now.
    Platform,
    /// An operator has it applied again: its age says nothing.
    Replay,
}

impl WebhookWorker {
    /// One message.
    pub async fn handle(&self, message: &Message) -> Result<Outcome, Error> {
        match message.json::<WebhookMessage>()? {
            WebhookMessage::Received(received) => {
                self.received(received, message.sent_at, Whence::Platform)
                    .await
            }
            WebhookMessage::Replay { delivery_id } => {
                self.replay(&delivery_id, message.sent_at).await
            }
        }
    }

    async fn received(
        &self,
        received: ReceivedWebhook,
        since: Timestamp,
        whence: Whence,
    ) -> Result<Outcome, Error> {
        let raw = self.bodies.of(&received).await?;
        let hooks = platforms::webhook(received.platform).ok_or("no webhooks on this platform")?;
        let deliveries = hooks.read(&headers(&received.headers), &raw)?;
        let mut again = None;
        for delivery in &deliveries {
            match self.one(&received, &raw, delivery, since).await? {
                Ended::Again(why) => again = Some(why),
                Ended::Applied if whence == Whence::Platform => self.tell_lag(&received, delivery),
                Ended::Applied | Ended::Settled => {}
            }
        }
        Ok(match again {
            None => Outcome::Done,
            Some(why) => Outcome::Retry {
                why: Cow::Borrowed(why),
            },
        })
    }

    /// Clears the mark and applies the raw body again, under the same id.
    async fn replay(&self, id: &DeliveryId, since: Timestamp) -> Result<Outcome, Error> {
        let now = self.tokens.clock().now();
        let Some(raw) = self.deliveries.raw(id, now).await? else {
            tracing::warn!(delivery.id = %id, "nothing to replay: the raw body is not kept any more");
            return Ok(Outcome::Done);
        };
        if !self.deliveries.clear(id, now, &self.attempt()).await? {
            return Ok(Outcome::Retry {
                why: Cow::Borrowed("it is being applied just now"),
            });
        }
        tracing::info!(delivery.id = %id, platform = %raw.platform, "delivery replayed");
        let received = ReceivedWebhook {
            platform: raw.platform,
            environment: raw.environment,
            received_at: raw.received_at,
            headers: raw.headers,
            body: raw.body,
            object_key: raw.object_key,
        };
        self.received(received, since, Whence::Replay).await
    }

    /// How late a delivery was applied, and how late it came.
    fn tell_lag(&self, received: &ReceivedWebhook, delivery: &Delivery) {
        let millis = |span: Duration| span.as_secs_f64() * 1_000.0;
        let applied = self.tokens.clock().now().since(received.received_at);
        let mut lags = vec![(&DELIVERY_MILLISECONDS, millis(applied))];
        if let Some(occurred_at) = delivery.occurred_at {
            let came = received.received_at.since(occurred_at);
            lags.push((&DELIVERY_PLATFORM_MILLISECONDS, millis(came)));
        }
        self.tokens.meter().put(&lags, received.platform.into());
    }

    async fn one(
        &self,
        received: &ReceivedWebhook,
        raw: &[u8],
        delivery: &Delivery,
        since: Timestamp,
    ) -> Result<Ended, Error> {
        let now = self.tokens.clock().now();
        let id = DeliveryId::of(received.app(), &delivery.dedup_key);
        let wanted = Mark {
            delivery_id: id.clone(),
            platform: received.platform,
            kind: delivery.kind.clone(),
            state: DeliveryState::Processing,
            holder: Some(Holder::new(now, &**self.tokens.entropy())),
            lease_until: now + self.lease,
            received_at: received.received_at,
            processed_at: None,
            tries: 0,
            external_id: Some(delivery.dedup_key.clone()),
            account_key: account_key(received, delivery),
            fault: None,
        };
        let mark = match self.deliveries.take(&wanted, now, &self.attempt()).await? {
            Taken::Yes(mark) => mark,
            Taken::Settled(_) => return Ok(Ended::Settled),
            Taken::Held => return Ok(Ended::Again("another worker has it")),
        };
        // At every try: the worker before this one may have died between taking and keeping.
        let account = mark.account_key.clone();
        self.keep_raw(&id, received, raw, account).await?;
        let applied = match self.apply(&mark, received, delivery).await {
            Ok(applied) => applied,
            Err(error) => {
                // For the operator's list; that it could not be written is not the news.
                let (now, attempt) = (self.tokens.clock().now(), self.attempt());
                drop(self.deliveries.let_go(&mark, "failed", now, &attempt).await);
                return Err(error);
            }
        };
        if applied == Applied::Yes {
            tracing::info!(
                delivery.id = %id,
                platform = %received.platform,
                kind = delivery.kind,
                "delivery applied"
            );
            return Ok(Ended::Applied);
        }
        let now = self.tokens.clock().now();
        if applied == Applied::Unknown && now.since(since) >= self.orphan_after {
            let state = DeliveryState::Orphan;
            self.deliveries
                .settle_alone(&mark, state, now, &self.attempt())
                .await?;
            tracing::warn!(
                delivery.id = %id,
                platform = %received.platform,
                kind = delivery.kind,
                "delivery filed as an orphan: nobody here knows what it is about"
            );
            let labels = received.platform.into();
            self.tokens.meter().count(&DELIVERIES_ORPHANED, labels);
            return Ok(Ended::Settled);
        }
        let (fault, why) = match applied {
            Applied::Busy => ("busy", "what it is about is busy"),
            Applied::Yes | Applied::Unknown => {
                ("unknown", "nobody here knows yet what it is about")
            }
        };
        self.deliveries
            .let_go(&mark, fault, now, &self.attempt())
            .await?;
        Ok(Ended::Again(why))
    }

    async fn keep_raw(
        &self,
        id: &DeliveryId,
        received: &ReceivedWebhook,
        raw: &[u8],
        raw_of: Option<String>,
    ) -> Result<(), Error> {
        let (body, object_key) = self.bodies.kept(id, received, raw).await?;
        let raw = RawBody {
            delivery_id: id.clone(),
            platform: received.platform,
            environment: received.environment,
            body,
            object_key,
            headers: received.headers.clone(),
            received_at: received.received_at,
            raw_of,
        };
        Ok(self.deliveries.keep_raw(&raw).await?)
    }

    fn attempt(&self) -> AttemptId {
        AttemptId::new(self.tokens.clock().now(), &**self.tokens.entropy())
    }
}

/// The account that a delivery is about, as the table of accounts names it.
fn account_key(received: &ReceivedWebhook, delivery: &Delivery) -> Option<String> {
    let account = delivery.account_id.as_ref()?;
    Some(Account::key_of(received.app(), account))
}

fn headers(kept: &[(String, String)]) -> HeaderMap {
    let pair = |(name, value): &(String, String)| {
        Some((
            name.parse::<HeaderName>().ok()?,
            value.parse::<HeaderValue>().ok()?,
        ))
    };
    kept.iter().filter_map(pair).collect()
}
