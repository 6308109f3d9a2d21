//! A world: AWS, the platform, queues with their pollers, the schedule, and as many processes of the
//! functions as are needed. On tokio's paused clock; nothing of it is real but the functions.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use domain::{Clock, Entropy, Secret, SeededEntropy, Timestamp};
use lambda::Env;
use lambda::schedule::Tick;
use model::{Aws, Queue, QueueSettings, Template, VirtualClock, pass, pass_until};
use platforms::Apps;
use sandbox::{Carrier, Webhook};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::gate::{Calm, Director, Gate, Met, Run};
use crate::instance::{Instance, Parts, message};
use crate::platform::{CHUNK, CLIENT_KEY, CLIENT_SECRET, Platform};
use crate::product::Product;

/// When all worlds begin.
const EPOCH: Timestamp = Timestamp::from_secs(1_795_000_000);

pub(crate) static TEMPLATE: LazyLock<Template> = LazyLock::new(|| Template::of_project().unwrap());

/// A file of two chunks and a bit, which begins as an MP4 does and does not repeat.
pub(crate) static FILE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut file = BytesMut::from(&b"\0\0\0\x18ftypisom\0\0\0\0isommp42"[..]);
    let mut word = 1_u64;
    while (file.len() as u64) < 2 * CHUNK + 4_321 {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        file.put_u64(word);
    }
    file.freeze()
});

/// A future of this thread.
pub(crate) type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// How processes' clocks lie beside the true time.
pub(crate) type Skew = Box<dyn Fn() -> i64 + Send + Sync>;

/// What a world notes for the checks at its end.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Runs that were ended, by a kill or by their time-out.
    pub(crate) dead: BTreeSet<usize>,
    /// Runs that reported a failure.
    pub(crate) failed: BTreeSet<usize>,
    /// Webhooks that we answered with 200.
    pub(crate) acknowledged: Vec<Vec<u8>>,
    /// What people and the product did, with what they were told.
    pub(crate) said: Vec<String>,
    /// Runs of each message.
    pub(crate) runs_of: BTreeMap<String, Vec<usize>>,
}

/// See the module.
pub(crate) struct World {
    pub(crate) aws: Aws,
    pub(crate) platform: Arc<Platform>,
    pub(crate) product: Arc<Product>,
    pub(crate) truth: Arc<VirtualClock>,
    pub(crate) notes: Mutex<Notes>,
    pub(crate) queues: BTreeMap<&'static str, Queue>,
    apps: Apps,
    env: Env,
    pub(crate) region: String,
    origin: Instant,
    director: Arc<Mutex<Arc<dyn Director>>>,
    trace: Arc<Mutex<Vec<Met>>>,
    warm: Mutex<BTreeMap<&'static str, Vec<Instance>>>,
    runs: AtomicUsize,
    busy: AtomicUsize,
    idle: Notify,
    entropy: Arc<dyn Entropy>,
    skew: Mutex<Skew>,
    clocks: Mutex<Vec<Weak<VirtualClock>>>,
}

impl World {
    /// A world of its own: `name` keeps the SDK's budgets of retries apart, `seed` decides every id,
    /// nonce and jitter.
    pub(crate) fn new(name: &str, seed: u64, accounts: &[&str]) -> Arc<Self> {
        fastrand::seed(seed);
        let truth = Arc::new(VirtualClock::starting(EPOCH));
        let aws = Aws::new(&TEMPLATE);
        let queue = |noun: &'static str, visibility: &str, receives: &str| {
            let number = |parameter| TEMPLATE.number(parameter).unwrap();
            let settings = QueueSettings {
                visibility: Duration::from_secs(number(visibility)),
                max_receives: u32::try_from(number(receives)).unwrap(),
            };
            (noun, aws.make_queue(noun, settings))
        };
        let queues = BTreeMap::from([
            queue("refresh", "RefreshVisibility", "RefreshMaxReceives"),
            queue("rescue", "RescueVisibility", "RescueMaxReceives"),
            queue("publish", "PublishVisibility", "PublishMaxReceives"),
            queue("webhook", "WebhookVisibility", "WebhookMaxReceives"),
            queue("events", "EventsVisibility", "EventsMaxReceives"),
        ]);
        let (carry, mut carried) = mpsc::unbounded_channel::<(Webhook, oneshot::Sender<_>)>();
        let carrier = Carrier::new(move |webhook| {
            let carry = carry.clone();
            async move {
                let (tell, told) = oneshot::channel();
                carry.send((webhook, tell)).ok()?;
                told.await.ok()
            }
        });
        let world = Arc::new({
            Self {
                platform: Platform::start(truth.clone(), accounts, carrier),
                product: Product::new(truth.clone()),
                env: environment(&aws, &queues),
                apps: Apps::parse(&apps()).unwrap(),
                region: format!("us-{name}-1"),
                origin: Instant::now(),
                director: Arc::new(Mutex::new(Arc::new(Calm))),
                trace: Arc::default(),
                warm: Mutex::default(),
                runs: AtomicUsize::new(0),
                busy: AtomicUsize::new(0),
                idle: Notify::new(),
                entropy: Arc::new(SeededEntropy::new(seed)),
                skew: Mutex::new(Box::new(|| 0)),
                clocks: Mutex::default(),
                notes: Mutex::default(),
                aws,
                truth,
                queues,
            }
        });
        let receiver = Arc::downgrade(&world);
        tokio::task::spawn_local(async move {
            while let Some((webhook, tell)) = carried.recv().await {
                let Some(world) = receiver.upgrade() else {
                    return;
                };
                world.clone().go(async move {
                    // Nobody waits for an answer that comes too late.
                    let _late = tell.send(world.receive(webhook).await);
                });
            }
        });
        world
    }

    /// Gives the calls from now on into other hands.
    pub(crate) fn direct(&self, director: Arc<dyn Director>) {
        *self.director.lock().unwrap() = director;
    }

    /// From now on processes start with clocks beside the true time.
    pub(crate) fn skew(&self, skew: Skew) {
        *self.skew.lock().unwrap() = skew;
    }

    /// Steps the clock of one living process.
    pub(crate) fn step(&self, which: usize, by_ms: i64) {
        let mut clocks = self.clocks.lock().unwrap();
        clocks.retain(|clock| clock.strong_count() > 0);
        let count = clocks.len().max(1);
        if let Some(clock) = clocks.get(which % count).and_then(Weak::upgrade) {
            clock.step(by_ms);
        }
    }

    /// Every call so far.
    pub(crate) fn trace(&self) -> Vec<Met> {
        self.trace.lock().unwrap().clone()
    }

    /// Notes what somebody did.
    pub(crate) fn say(&self, what: String) {
        let at = self.origin.elapsed().as_secs_f64();
        let mut notes = self.notes.lock().unwrap();
        notes.said.push(format!("{at:>11.3} {what}"));
    }

    /// The items of a table by its noun, attributes as plain JSON.
    pub(crate) fn items(&self, noun: &str) -> Vec<Value> {
        let items = self.aws.items(TEMPLATE.table(noun).unwrap());
        let plain = |item: BTreeMap<String, Value>| {
            let pairs = item.into_iter();
            pairs
                .map(|(name, value)| (name, unwrapped(&value)))
                .collect()
        };
        items.into_iter().map(plain).collect()
    }

    /// The items of a table as the store reads them, or why it cannot.
    pub(crate) fn items_as_read<T: serde::de::DeserializeOwned>(
        &self,
        noun: &str,
    ) -> Vec<Result<T, String>> {
        let items = self.aws.items(TEMPLATE.table(noun).unwrap());
        let read = |item| {
            let item: serde_dynamo::Item = serde_json::from_value(serde_json::json!(item))
                .map_err(|error| error.to_string())?;
            serde_dynamo::from_item(item).map_err(|error| error.to_string())
        };
        items.into_iter().map(read).collect()
    }

    /// Runs `work` in a process of a function, warm or new; `None` where the process was ended before
    /// it was done.
    pub(crate) async fn run<T>(
        &self,
        function: &'static str,
        timeout: &str,
        work: impl for<'a> FnOnce(&'a Instance, &'a Apps) -> Local<'a, T>,
    ) -> (usize, Option<T>) {
        let number = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        let warm = self.warm.lock().unwrap().entry(function).or_default().pop();
        let instance = warm.unwrap_or_else(|| self.instance());
        instance.gate.begin(Run { function, number });
        let time = Duration::from_secs(TEMPLATE.number(timeout).unwrap());
        let done = tokio::select! {
            biased;
            done = work(&instance, &self.apps) => Some(done),
            () = instance.gate.death() => None,
            () = pass(time) => None,
        };
        if done.is_some() {
            self.warm
                .lock()
                .unwrap()
                .entry(function)
                .or_default()
                .push(instance);
        } else {
            self.notes.lock().unwrap().dead.insert(number);
        }
        (number, done)
    }

    fn instance(&self) -> Instance {
        let gate = Gate::new(self.director.clone(), self.trace.clone(), self.origin);
        let beside = (self.skew.lock().unwrap())();
        let clock = Arc::new(self.truth.beside(beside));
        self.clocks.lock().unwrap().push(Arc::downgrade(&clock));
        Instance::new(Parts {
            aws: &self.aws,
            platform: &self.platform,
            product: &self.product,
            env: &self.env,
            region: &self.region,
            gate: Arc::new(gate),
            clock,
            entropy: self.entropy.clone(),
        })
    }

    /// Works on one message that was received from a queue.
    pub(crate) async fn work(&self, queue: &Queue, received: model::Message) {
        let (function, timeout) = match queue.name() {
            "publish" => ("publish-worker", "PublishTimeout"),
            "webhook" => ("webhook-worker", "WebhookWorkerTimeout"),
            "events" => ("event-sender", "EventSenderTimeout"),
            _ => ("refresh-worker", "RefreshTimeout"),
        };
        let sent_at = self.truth.at(received.sent);
        let name = queue.name().to_owned();
        let time = Duration::from_secs(TEMPLATE.number(timeout).unwrap());
        let id = received.id.clone();
        let (number, done) = self
            .run(function, timeout, move |instance, apps| {
                Box::pin(async move {
                    let now = instance.clock.now();
                    let message = message(&name, &received, sent_at, now, time);
                    instance.work(apps, message).await
                })
            })
            .await;
        let mut notes = self.notes.lock().unwrap();
        notes.runs_of.entry(id.clone()).or_default().push(number);
        match done {
            Some(true) => queue.delete(&id),
            Some(false) => drop(notes.failed.insert(number)),
            None => {}
        }
    }

    /// The webhook function answers the platform.
    async fn receive(&self, webhook: Webhook) -> u16 {
        let body = webhook.body.clone();
        let (_, status) = self
            .run("webhook", "WebhookTimeout", |instance, _| {
                Box::pin(crate::people::answer(instance, webhook))
            })
            .await;
        if status == Some(200) {
            self.notes.lock().unwrap().acknowledged.push(body);
        }
        // A gateway answers for a function that died.
        status.unwrap_or(503)
    }

    /// One minute's schedules.
    async fn tick(self: Arc<Self>) {
        self.run("token-refresh", "TokenRefreshTimeout", |instance, _| {
            Box::pin(async move {
                let tick = tick(instance, "TokenRefreshTimeout");
                drop(instance.token_refresh.handle(&tick).await);
            })
        })
        .await;
        self.run("sweeper", "SweeperTimeout", |instance, apps| {
            Box::pin(async move {
                let tick = tick(instance, "SweeperTimeout");
                drop(instance.sweeper.handle(apps, &tick).await);
            })
        })
        .await;
    }

    /// Whether any due index holds something that a tick would find: a tick that finds nothing changes
    /// nothing, and costs.
    fn anything_due(&self) -> bool {
        let soon = self.truth.truth().plus_secs(5).millis();
        let nouns = [
            "connections",
            "targets",
            "flows",
            "revocations",
            "EventLanes",
        ];
        let mut items = nouns.iter().flat_map(|noun| self.items(noun));
        let unsent = |item: &Value| {
            let old = item["created_at"]
                .as_i64()
                .is_some_and(|at| at + 300_000 <= soon);
            old && item.get("unsent_shard").is_some()
        };
        items.any(|item| item["due_at"].as_i64().is_some_and(|due| due <= soon))
            || self.items("events").iter().any(unsent)
    }

    /// Lets the world run for a while: queues are polled, schedules tick.
    pub(crate) async fn drive(self: &Arc<Self>, span: Duration) {
        let end = Instant::now() + span;
        let minute = Duration::from_secs(60);
        let mut tick = Instant::now() + minute;
        let sent = self.aws.any_sent();
        while Instant::now() < end {
            for queue in self.queues.values() {
                while let Some(message) = queue.receive() {
                    let (world, queue) = (self.clone(), queue.clone());
                    self.go(async move { world.work(&queue, message).await });
                }
            }
            let visible = self.queues.values().filter_map(Queue::next_visible).min();
            let next = visible.map_or(tick, |at| at.min(tick)).min(end);
            tokio::select! {
                () = pass_until(next) => {}
                () = sent.notified() => {}
            }
            if Instant::now() >= tick {
                tick += minute;
                if self.anything_due() {
                    self.go(self.clone().tick());
                }
            }
        }
        self.rest().await;
    }

    /// Begins something that the world waits for before it ends.
    pub(crate) fn go(self: &Arc<Self>, work: impl Future<Output = ()> + 'static) {
        self.busy.fetch_add(1, Ordering::SeqCst);
        let world = self.clone();
        tokio::task::spawn_local(async move {
            work.await;
            if world.busy.fetch_sub(1, Ordering::SeqCst) == 1 {
                world.idle.notify_waiters();
            }
        });
    }

    /// Waits until nothing is under way.
    pub(crate) async fn rest(&self) {
        loop {
            let idle = self.idle.notified();
            if self.busy.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }

    /// No more faults; time enough for everything to come to its end.
    pub(crate) async fn settle(self: &Arc<Self>, span: Duration) {
        self.direct(Arc::new(Calm));
        self.skew(Box::new(|| 0));
        self.warm.lock().unwrap().clear();
        self.aws.index_lag(0);
        self.drive(span).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.platform.end();
    }
}

fn tick(instance: &Instance, timeout: &str) -> Tick {
    let time = Duration::from_secs(TEMPLATE.number(timeout).unwrap());
    Tick {
        request_id: "tick".to_owned(),
        deadline: instance.clock.now() + time,
    }
}

/// The platforms secret.
pub(crate) fn apps() -> Secret {
    let app = json!({
        "client_key": CLIENT_KEY, "client_secret": CLIENT_SECRET, "chunk_bytes": CHUNK,
    });
    Secret::new(json!({ "tiktok": app }).to_string())
}

fn environment(aws: &Aws, queues: &BTreeMap<&'static str, Queue>) -> Env {
    let mut values = vec![
        ("ENVIRONMENT".to_owned(), "world".to_owned()),
        ("KMS_KEY_ID".to_owned(), aws.key_id().to_owned()),
        ("MEDIA_BUCKET".to_owned(), "media".to_owned()),
        ("DELIVERIES_BUCKET".to_owned(), "deliveries".to_owned()),
    ];
    for spec in TEMPLATE.tables() {
        let noun = spec.name.trim_end_matches("Table");
        let name = noun
            .chars()
            .enumerate()
            .fold(String::new(), |mut name, (at, c)| {
                if at > 0 && c.is_ascii_uppercase() {
                    name.push('_');
                }
                name.push(c.to_ascii_uppercase());
                name
            });
        values.push((format!("TABLE_{name}"), spec.name.clone()));
    }
    for (noun, queue) in queues {
        values.push((format!("QUEUE_{}", noun.to_uppercase()), queue.url()));
    }
    for (variable, parameter) in [
        ("SETTLE_SECONDS", "SettleSeconds"),
        ("RESCUE_DELAY_SECONDS", "RescueDelaySeconds"),
        ("REFRESH_LEASE_SECONDS", "RefreshLeaseSeconds"),
        ("PUBLISH_LEASE_SECONDS", "PublishLeaseSeconds"),
        ("DELIVERY_LEASE_SECONDS", "DeliveryLeaseSeconds"),
        ("ORPHAN_SECONDS", "OrphanSeconds"),
        ("HTTP_TIMEOUT_SECONDS", "HttpTimeoutSeconds"),
        ("SWEEP_LATE_SECONDS", "SweepLateSeconds"),
        ("EVENT_SETTLE_MILLISECONDS", "EventSettleMilliseconds"),
        ("EVENT_GIVE_UP_SECONDS", "EventGiveUpSeconds"),
        ("EVENT_TIMEOUT_SECONDS", "EventTimeoutSeconds"),
        ("EVENT_LEASE_SECONDS", "EventLeaseSeconds"),
        ("EVENT_UNSENT_SECONDS", "EventUnsentSeconds"),
    ] {
        let number = TEMPLATE.number(parameter).unwrap();
        values.push((variable.to_owned(), number.to_string()));
    }
    Env::from_values(values)
}

/// A value without DynamoDB's types.
fn unwrapped(value: &Value) -> Value {
    let object = value.as_object().unwrap();
    let (kind, inner) = object.iter().next().unwrap();
    match kind.as_str() {
        "N" => serde_json::from_str(inner.as_str().unwrap()).unwrap(),
        "L" => inner.as_array().unwrap().iter().map(unwrapped).collect(),
        "M" => {
            let pairs = inner.as_object().unwrap().iter();
            pairs
                .map(|(name, value)| (name.clone(), unwrapped(value)))
                .collect()
        }
        "NULL" => Value::Null,
        _ => inner.clone(),
    }
}
