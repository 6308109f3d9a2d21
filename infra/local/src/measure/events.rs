//! Events on their way to the product: a backlog drained to a fast receiver, through the host with the
//! real functions, and in full in process over the model of AWS, since the emulator is what takes the
//! time of the first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use domain::{AttemptId, Clock as _, Event, EventId, EventKind, UserId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use lambda::{Env, OsEntropy, SystemClock, Timeouts};
use model::{BoxFuture, Call, Fate, QueueSettings, Seam, Template};
use outbox::{LaneMessage, NewEndpoint, Sender};
use reqwest::Method;
use serde_json::json;
use simulation::Prices;
use store::{Events, Transaction};
use tokio::{net::TcpListener, task::JoinHandle};
use transport::{NotFetched, Push, Pushed};
use wiring::Wiring;

use super::report::{Bar, Report};
use super::statistics::Samples;
use crate::demo::api::Api;
use crate::{Dev, eventually};

/// The host under which the receiver is found.
pub(super) const HOST: &str = "hooks.product.example";
/// Through the host: so many events of so many connections.
const THROUGH_HOST: (usize, usize) = (1_000, 100);
/// In process.
const IN_PROCESS: (usize, usize) = (100_000, 1_000);
const PATIENCE: Duration = Duration::from_secs(300);
/// What `event-relay` is given at once, and `event-sender`.
const BATCH: usize = 100;
const LANES: usize = 10;

/// When each event arrived first.
type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

/// A receiver that takes everything at once.
#[derive(Debug)]
pub(super) struct Receiver {
    url: String,
    arrivals: Arrivals,
    serving: JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn start() -> Result<Self> {
        let arrivals = Arrivals::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(take).with_state(arrivals.clone());
        let serving = tokio::spawn(async move {
            // It serves until it is dropped.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self {
            url,
            arrivals,
            serving,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(arrivals): State<Arrivals>, headers: HeaderMap, _: Bytes) -> StatusCode {
    if let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) {
        arrived(&arrivals, id);
    }
    StatusCode::NO_CONTENT
}

fn arrived(arrivals: &Arrivals, id: &str) {
    let mut all = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(id.to_owned()).or_insert_with(Instant::now);
}

fn count(arrivals: &Arrivals) -> usize {
    let all = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    all.len()
}

/// Commits events, as many of each connection; their ids, and when the first was begun.
async fn tell(
    events: &Events,
    client: &aws_sdk_dynamodb::Client,
    (all, connections): (usize, usize),
) -> Result<Vec<String>> {
    stream::iter(0..all)
        .map(|number| async move {
            let connection = format!("conn_{:026}", number % connections);
            let user = format!("user_{}", number % connections);
            let at = SystemClock.now();
            let event = Event {
                id: EventId::of(&["bench", &number.to_string()]),
                kind: EventKind::StatsUpdated,
                user_id: UserId::try_from(user)?,
                at,
                detail: json!({ "connection_id": connection, "platform": "tiktok", "number": number }),
            };
            let transaction = Transaction::new(AttemptId::new(at, &OsEntropy));
            events.tell(transaction, &event)?.run(client).await?;
            anyhow::Ok(event.id.to_string())
        })
        .buffered(8)
        .try_collect()
        .await
}

/// Through the gateway's stream and queues, with the real functions.
pub(super) async fn through_host(
    dev: &Dev,
    receiver: &Receiver,
    report: &mut Report,
) -> Result<()> {
    let (all, connections) = THROUGH_HOST;
    report.heading(&format!(
        "{all} events of {connections} connections to a webhook, through the host"
    ))?;
    let token = dev.stack.mint_jwt("backend", &["service"])?;
    let api = Api::new(dev.stack.api_url(), &token)?;
    let body = json!({ "url": format!("https://{HOST}/events"), "types": ["stats.updated"] });
    let path = "/v1/webhook-endpoints";
    api.call(Method::POST, path, Some(body), StatusCode::CREATED)
        .await?;
    dev.stack.record().clear();
    let client = dev.stack.clients().dynamodb;
    let events = Events::new(client.clone(), dev.stack.table("events")?);
    let begun = Instant::now();
    tell(&events, &client, THROUGH_HOST).await?;
    eventually("the webhooks", PATIENCE, async || {
        Ok((count(&receiver.arrivals) >= all).then_some(()))
    })
    .await?;
    let mut lag = Samples::default();
    for at in receiver
        .arrivals
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .values()
    {
        lag.add(at.saturating_duration_since(begun));
    }
    report.times("events through the host, lag", &lag)?;
    let mut bill = Bill::default();
    for function in ["event-relay", "event-sender"] {
        for call in dev.stack.record().under_role_of(function) {
            let touched: Vec<&str> = call.needs.iter().map(|need| need.1.as_str()).collect();
            bill.add(&call.action, &touched.join(" "));
        }
    }
    bill.tell("through the host", all, report)
}

/// The whole number, in process.
pub(super) async fn in_process(root: &std::path::Path, report: &mut Report) -> Result<()> {
    let (all, connections) = IN_PROCESS;
    report.heading(&format!(
        "{all} events of {connections} connections to a webhook, in process over the model of AWS"
    ))?;
    let template = Template::parse(&std::fs::read_to_string(root.join("template.yaml"))?)?;
    let aws = model::Aws::new(&template);
    let queue = aws.make_queue(
        "events",
        QueueSettings {
            visibility: Duration::from_secs(360),
            max_receives: 5,
        },
    );
    let count_calls = Arc::new(Counter::default());
    let over = |seam: Arc<dyn Seam>| {
        lambda::Aws::over(aws.http_client(seam), "us-bench-1", Timeouts::default())
    };
    let table = |noun: &str| template.table(noun).map(str::to_owned);
    let env = Env::from_values([
        ("ENVIRONMENT", "bench".to_owned()),
        ("KMS_KEY_ID", aws.key_id().to_owned()),
        ("TABLE_EVENTS", table("events")?),
        ("TABLE_AUDIT", table("audit")?),
        ("TABLE_WEBHOOK_ENDPOINTS", table("WebhookEndpoints")?),
        ("TABLE_EVENT_LANES", table("EventLanes")?),
        ("TABLE_EVENT_MESSAGES", table("EventMessages")?),
        ("QUEUE_EVENTS", queue.url()),
    ]);
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let wired = |aws| Wiring::of(aws, clock.clone(), entropy.clone(), None);
    let quiet = wired(over(Arc::new(model::NoFaults)));
    let new = NewEndpoint {
        url: format!("https://{HOST}/events"),
        ..NewEndpoint::default()
    };
    quiet.outbox_desk(&env).create(new).await?;
    let events = Events::new(quiet.dynamodb(), table("events")?);
    let ids = tell(&events, &quiet.dynamodb(), IN_PROCESS).await?;

    let wiring = wired(over(count_calls.clone()));
    let arrivals = Arrivals::default();
    let sender = Sender::new(
        wiring.relay(&env),
        wiring.vault(&env),
        Arc::new(Inbox(arrivals.clone())),
        wiring::pace(&env).context("the times of events")?,
        wiring.trail(&env),
    );
    let begun = Instant::now();
    let relaying = async {
        for batch in ids.chunks(BATCH) {
            let relayed = sender.relay.relay(batch).await;
            ensure!(relayed.failed.is_empty(), "{:?}", relayed.failed);
        }
        Ok(())
    };
    let sending = async {
        while count(&arrivals) < all {
            ensure!(begun.elapsed() < PATIENCE * 2, "it takes too long");
            let messages: Vec<_> = std::iter::from_fn(|| queue.receive()).take(LANES).collect();
            if messages.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let looks = messages.iter().map(|message| async {
                let wanted: LaneMessage = serde_json::from_str(&message.body)?;
                let deadline = clock.now() + Duration::from_secs(60);
                sender.run(&wanted.lane, deadline).await?;
                queue.delete(&message.id);
                anyhow::Ok(())
            });
            futures_util::future::try_join_all(looks).await?;
        }
        Ok(())
    };
    futures_util::future::try_join(relaying, sending).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut lag = Samples::default();
    for at in arrivals
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .values()
    {
        lag.add(at.saturating_duration_since(begun));
    }
    report.times("events in process, lag", &lag)?;
    report.add("events in process, time", seconds, "s", Bar::None)?;
    let calls = count_calls.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bill = Bill::default();
    for ((action, resource), times) in &*calls {
        for _ in 0..*times {
            bill.add(action, resource);
        }
    }
    bill.tell("in process", all, report)
}

/// Takes everything at once.
struct Inbox(Arrivals);

impl Push for Inbox {
    fn push<'a>(
        &'a self,
        _: &'a str,
        headers: HeaderMap,
        _: Bytes,
        _: Duration,
    ) -> BoxFuture<'a, Result<Pushed, NotFetched>> {
        if let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) {
            arrived(&self.0, id);
        }
        let pushed = Pushed {
            status: StatusCode::NO_CONTENT,
            retry_after: None,
        };
        Box::pin(std::future::ready(Ok(pushed)))
    }
}

/// Counts calls by action and resource.
#[derive(Debug, Default)]
struct Counter(Mutex<BTreeMap<(String, String), usize>>);

impl Seam for Counter {
    fn meet<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Fate> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (call.action.clone(), call.resource.clone());
        *all.entry(key).or_default() += 1;
        Box::pin(std::future::ready(Fate::default()))
    }
}

/// Calls and their list price. Lambda's own time is not in it.
#[derive(Debug, Default)]
struct Bill {
    calls: BTreeMap<String, usize>,
    dollars: f64,
}

impl Bill {
    fn add(&mut self, action: &str, resource: &str) {
        *self.calls.entry(action.to_owned()).or_default() += 1;
        let prices = Prices::LIST;
        let on = |noun: &str| resource.contains(noun);
        // Rows are under 1 KB (messages: under 1 KB of body). A lane's due time takes one entry out of
        // the index and puts one in; an event's mark changes it in two indexes and takes it out of a
        // third.
        let writes = match action {
            "dynamodb:UpdateItem" if on("EventLanes") => 3.0,
            "dynamodb:DeleteItem" if on("EventLanes") => 2.0,
            "dynamodb:UpdateItem" if on("EventsTable") => 4.0,
            "dynamodb:PutItem" | "dynamodb:UpdateItem" | "dynamodb:DeleteItem" => 1.0,
            _ => 0.0,
        };
        let reads = match action {
            "dynamodb:GetItem" | "dynamodb:Scan" => 1.0,
            // A page of messages, some 10 KB; a user's events of ten minutes, not consistently.
            "dynamodb:Query" if on("EventMessages") => 3.0,
            "dynamodb:Query" => 5.0,
            _ => 0.0,
        };
        let sqs = f64::from(u8::from(action.starts_with("sqs:")));
        let kms = f64::from(u8::from(action.starts_with("kms:")));
        self.dollars +=
            writes * prices.write + reads * prices.read + sqs * prices.sqs + kms * prices.kms;
    }

    fn tell(&self, how: &str, events: usize, report: &mut Report) -> Result<()> {
        let per_event = |calls: usize| calls as f64 / events as f64;
        let told: Vec<String> = self
            .calls
            .iter()
            .map(|(action, calls)| format!("{action} {:.3}", per_event(*calls)))
            .collect();
        report.note(&format!("calls per event: {}", told.join(", ")))?;
        let all = per_event(self.calls.values().sum());
        let name = format!("events {how}, calls per event");
        report.add(&name, all, "calls", Bar::None)?;
        let million = self.dollars / events as f64 * 1e6;
        let name = format!("a million events {how}, list price");
        report.add(&name, million, "$", Bar::None)
    }
}
