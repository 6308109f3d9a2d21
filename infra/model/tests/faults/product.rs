//! The product on the other side: its endpoints, which answer as a story wants, and its event bus. It
//! checks every signature, and notes what it was given and when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use domain::{Secret, Timestamp};
use http::{HeaderMap, Method, StatusCode};
use model::{Call, Fate, Outcome, Seam, VirtualClock, pass};
use outbox::{Bus, BusEntry, BusError, Refusal};
use transport::{BoxFuture, NoAnswer, NoAnswerKind, NotFetched, Push, Pushed};

use crate::gate::Gate;

/// A webhook that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) at: Timestamp,
    pub(crate) url: String,
    pub(crate) id: String,
    pub(crate) body: serde_json::Value,
    pub(crate) status: u16,
}

/// How an endpoint takes a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Answers(u16),
    /// With `Retry-After`, in seconds.
    Asks(u16, u64),
    /// It takes it, and never answers.
    Hangs,
}

/// What an endpoint does with the webhook of this address and id, after so many arrived.
type Manners = Box<dyn Fn(&str, &str, usize) -> Manner + Send + Sync>;

/// See the module.
pub(crate) struct Product {
    truth: Arc<VirtualClock>,
    arrived: Mutex<Vec<Arrived>>,
    bus: Mutex<Vec<String>>,
    manners: Mutex<Manners>,
    secrets: Mutex<BTreeMap<String, Vec<Secret>>>,
}

impl Product {
    pub(crate) fn new(truth: Arc<VirtualClock>) -> Arc<Self> {
        Arc::new(Self {
            truth,
            arrived: Mutex::default(),
            bus: Mutex::default(),
            manners: Mutex::new(Box::new(|_, _, _| Manner::Answers(204))),
            secrets: Mutex::default(),
        })
    }

    pub(crate) fn behave(&self, manners: Manners) {
        *self.manners.lock().unwrap() = manners;
    }

    pub(crate) fn knows(&self, url: &str, secret: Secret) {
        let mut secrets = self.secrets.lock().unwrap();
        secrets.entry(url.to_owned()).or_default().push(secret);
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// The events that its bus took, in order, repeats included.
    pub(crate) fn bus(&self) -> Vec<String> {
        self.bus.lock().unwrap().clone()
    }

    fn take(&self, url: &str, headers: &HeaderMap, body: &Bytes) -> Manner {
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        let id = text("webhook-id");
        let timestamp: i64 = text("webhook-timestamp").parse().unwrap();
        let secrets = self.secrets.lock().unwrap();
        let known = secrets.get(url).expect("an endpoint of the product's");
        let signed = text("webhook-signature");
        let good = signed.split(' ').any(|one| {
            known.iter().any(|secret| {
                let key = outbox::signing_key(secret).unwrap();
                outbox::signature(&key, &id, timestamp, body) == one
            })
        });
        assert!(good, "{url}: no signature matches");
        let mut arrived = self.arrived.lock().unwrap();
        let manner = (self.manners.lock().unwrap())(url, &id, arrived.len());
        arrived.push(Arrived {
            at: self.truth.truth(),
            url: url.to_owned(),
            id,
            body: serde_json::from_slice(body).unwrap(),
            status: match manner {
                Manner::Answers(status) | Manner::Asks(status, _) => status,
                Manner::Hangs => 0,
            },
        });
        manner
    }
}

/// One instance's way to the product.
pub(crate) struct Post {
    pub(crate) product: Arc<Product>,
    pub(crate) gate: Arc<Gate>,
}

impl Post {
    /// Takes a call through its fate: what it does, if it arrives, is `effect`.
    async fn carry<T: Send + 'static>(
        &self,
        call: Call,
        effect: impl FnOnce(&Product) -> T + Send + 'static,
    ) -> Result<T, Outcome> {
        let Fate {
            before,
            after,
            outcome,
        } = self.gate.meet(&call).await;
        let product = self.product.clone();
        let arrives = !matches!(
            outcome,
            Outcome::RequestLost | Outcome::NotConnected | Outcome::Refused(_) | Outcome::NeverSent
        );
        // What is under way arrives, whatever becomes of its sender.
        let done = tokio::spawn(async move {
            if !before.is_zero() {
                pass(before).await;
            }
            arrives.then(|| effect(&product))
        });
        let done = done.await.unwrap();
        if !after.is_zero() {
            pass(after).await;
        }
        match (outcome, done) {
            (Outcome::Done, Some(done)) => Ok(done),
            (Outcome::NeverSent | Outcome::NeverAnswered, _) => {
                self.gate.ended();
                std::future::pending().await
            }
            (outcome, _) => Err(outcome),
        }
    }
}

impl Push for Post {
    fn push<'a>(
        &'a self,
        url: &'a str,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Pushed, NotFetched>> {
        let lost = |kind| Err(NoAnswer::new(kind, &Method::POST, url, "a fault").into());
        let call = Call {
            service: "product",
            action: "product:webhook".to_owned(),
            resource: url.to_owned(),
        };
        let to = url.to_owned();
        let answer = |status: u16, asked: Option<u64>| {
            Ok(Pushed {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: asked.map(|seconds| seconds.to_string()),
            })
        };
        Box::pin(async move {
            let carried = self.carry(call, move |product| product.take(&to, &headers, &body));
            match tokio::time::timeout(timeout, carried).await {
                Ok(Ok(Manner::Answers(status))) => answer(status, None),
                Ok(Ok(Manner::Asks(status, seconds))) => answer(status, Some(seconds)),
                Ok(Ok(Manner::Hangs)) => {
                    pass(timeout).await;
                    lost(NoAnswerKind::Lost)
                }
                Ok(Err(Outcome::Refused(refusal) | Outcome::DoneAndRefused(refusal))) => {
                    answer(refusal.status, None)
                }
                Ok(Err(Outcome::NotConnected)) => lost(NoAnswerKind::NotSent),
                Ok(Err(_)) | Err(_) => lost(NoAnswerKind::Lost),
            }
        })
    }
}

impl Bus for Post {
    fn put<'a>(
        &'a self,
        _: &'a str,
        entries: &'a [BusEntry],
    ) -> BoxFuture<'a, Result<Vec<Result<(), Refusal>>, BusError>> {
        let call = Call {
            service: "events",
            action: "events:PutEvents".to_owned(),
            resource: "bus".to_owned(),
        };
        let ids: Vec<String> = entries.iter().map(|one| one.event_id.clone()).collect();
        let count = ids.len();
        Box::pin(async move {
            let carried = self.carry(call, move |product| product.bus.lock().unwrap().extend(ids));
            match carried.await {
                Ok(()) => Ok(vec![Ok(()); count]),
                Err(outcome) => Err(BusError(format!("{outcome:?}"))),
            }
        })
    }
}
