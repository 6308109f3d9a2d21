//! Committed events on their way to the product: every call of the relay and of the sender with each
//! fault, and whole storms by seed. Whatever is killed, lost, repeated or late, nothing is lost, and each
//! endpoint gets the events of one connection in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::{AttemptId, Clock, Event, EventId, EventKind, SeededEntropy, Timestamp, UserId};
use model::{Fault, pass};
use outbox::NewEndpoint;
use serde_json::json;
use store::{Events, Transaction};

use crate::bench;
use crate::dice::{Dice, Weather};
use crate::product::Manner;
use crate::script::{Script, faults};
use crate::world::World;

const ONE: &str = "https://one.product.example/hooks";
const TWO: &str = "https://two.product.example/hooks";
/// Time for the sweeper to find what was left, for leases and for the first pauses.
const CALM: Duration = Duration::from_secs(3_600);
/// Time for every try of a message that is never accepted.
const LONG_CALM: Duration = Duration::from_secs(4 * 24 * 3_600);

/// An event that was committed.
#[derive(Clone, Debug)]
struct Told {
    id: String,
    subject: String,
}

/// A world with its endpoints, and what was committed in it.
struct Story {
    world: Arc<World>,
    events: Events,
    told: Vec<Told>,
    entropy: SeededEntropy,
    streaming: Arc<AtomicBool>,
}

impl Story {
    async fn new(name: &str, seed: u64, urls: &[&str]) -> Self {
        let world = World::new(name, seed, &[]);
        for url in urls {
            let new = NewEndpoint {
                url: (*url).to_owned(),
                ..NewEndpoint::default()
            };
            let (_, made) = world
                .run("webhook-endpoints", "ApiTimeout", |instance, _| {
                    Box::pin(instance.desk.create(new))
                })
                .await;
            world.product.knows(url, made.unwrap().unwrap().secret);
        }
        let client = aws_sdk_dynamodb::Client::new(world.quiet().config());
        Self {
            events: Events::new(client, world.table("events")),
            world,
            told: Vec::new(),
            entropy: SeededEntropy::new(seed ^ 0xe7e7),
            streaming: Arc::new(AtomicBool::new(true)),
        }
    }

    /// A change is committed, with its event.
    async fn tell(&mut self, user: &str, connection: Option<&str>) {
        let at = self.world.truth.now();
        let number = self.told.len().to_string();
        let detail = match connection {
            Some(connection) => json!({ "connection_id": connection, "number": self.told.len() }),
            None => json!({ "number": self.told.len() }),
        };
        let event = Event {
            id: EventId::of(&[user, &number]),
            kind: EventKind::StatsUpdated,
            user_id: UserId::try_from(user.to_owned()).unwrap(),
            at,
            detail,
        };
        let attempt = AttemptId::new(at, &self.entropy);
        let transaction = self.events.tell(Transaction::new(attempt), &event).unwrap();
        let client = aws_sdk_dynamodb::Client::new(self.world.quiet().config());
        transaction.run(&client).await.unwrap();
        self.told.push(Told {
            id: event.id.to_string(),
            subject: connection.unwrap_or(user).to_owned(),
        });
    }

    /// Hands new events to the relay, as their stream does: each batch until it is done, or given up.
    /// Batches run beside each other, as the shards of a stream do.
    fn stream(&self) {
        let (world, streaming) = (self.world.clone(), self.streaming.clone());
        self.world.go(async move {
            let mut seen = BTreeSet::new();
            while streaming.load(Ordering::SeqCst) {
                let items = world.items("events");
                let ids = items.iter().filter_map(|item| item["event_id"].as_str());
                let new: Vec<String> = ids
                    .map(str::to_owned)
                    .filter(|id| !seen.contains(id))
                    .collect();
                seen.extend(new.iter().cloned());
                for batch in new.chunks(2) {
                    let (world, batch) = (world.clone(), batch.to_vec());
                    world.clone().go(async move {
                        for _ in 0..4 {
                            if world.relay(batch.clone()).await {
                                return;
                            }
                            pass(Duration::from_millis(500)).await;
                        }
                    });
                }
                pass(Duration::from_millis(100)).await;
            }
        });
    }

    /// What is wrong in the end: `urls` wanted everything.
    fn wrong(&self, urls: &[&str]) -> Vec<String> {
        let mut wrong = Vec::new();
        let arrived = self.world.product.arrived();
        let bus: BTreeSet<String> = self.world.product.bus().into_iter().collect();
        let messages = self.world.items("EventMessages");
        let dead: BTreeSet<(String, String)> = messages
            .iter()
            .filter_map(|row| {
                let lane = row["lane"].as_str()?.strip_prefix("dead#")?;
                Some((lane.to_owned(), row["event_id"].as_str()?.to_owned()))
            })
            .collect();
        let endpoints = self.world.items("WebhookEndpoints");
        for url in urls {
            let endpoint = endpoints.iter().find(|row| row["url"] == **url).unwrap();
            let endpoint = endpoint["endpoint_id"].as_str().unwrap().to_owned();
            let mut last: BTreeMap<&str, (&Told, Timestamp)> = BTreeMap::new();
            let first = |told: &Told| {
                let mine = |one: &&crate::product::Arrived| one.url == *url && one.id == told.id;
                let accepted = |one: &&crate::product::Arrived| (200..300).contains(&one.status);
                arrived.iter().filter(mine).find(accepted)
            };
            for told in &self.told {
                let buried = dead.contains(&(endpoint.clone(), told.id.clone()));
                match first(told) {
                    None if !buried => wrong.push(format!("{url} never got {told:?}")),
                    None => {}
                    Some(arrival) => {
                        if arrival.body["id"] != told.id {
                            wrong.push(format!("{url}: the body of {told:?} is another's"));
                        }
                        // A dead letter before it is no gap in the order of those that arrived.
                        if let Some((before, at)) = last.get(told.subject.as_str())
                            && arrival.at < *at
                        {
                            wrong.push(format!("{url} got {told:?} before {before:?}"));
                        }
                        last.insert(&told.subject, (told, arrival.at));
                    }
                }
            }
        }
        for told in &self.told {
            if !bus.contains(&told.id) {
                wrong.push(format!("the bus never got {told:?}"));
            }
        }
        for row in self.world.items("events") {
            if row.get("unsent_shard").is_some() {
                wrong.push(format!("{} stays unsent", row["event_id"]));
            }
        }
        for row in messages {
            // A put that arrived after its message was accepted and taken away: a repeat, with luck.
            let id = row["event_id"].as_str().unwrap_or_default();
            let accepted = |one: &crate::product::Arrived| one.id == id && one.status < 300;
            let dead = row["lane"]
                .as_str()
                .unwrap_or_default()
                .starts_with("dead#");
            if !dead && !arrived.iter().any(accepted) {
                wrong.push(format!("{id} waits for ever"));
            }
        }
        for lane in self.world.items("EventLanes") {
            wrong.push(format!("{lane} is open for ever"));
        }
        wrong
    }

    fn trace(&self) -> String {
        let trace = self.world.trace();
        let ours = trace
            .iter()
            .filter(|met| met.run.function.starts_with("event-"));
        let lines: Vec<String> = ours.map(ToString::to_string).collect();
        lines.join("\n")
    }
}

/// Five events of two connections and one of a user, told within a second, with a fault at call `number`
/// of the first run of a function.
async fn with_fault(function: &'static str, number: usize, fault: Fault) -> Result<bool, String> {
    let name = format!("ev{function}{number}{fault:?}").replace(|c: char| !c.is_alphanumeric(), "");
    let mut story = Story::new(&name, 7, &[ONE]).await;
    let world = story.world.clone();
    world.aws.index_lag(300);
    world.direct(Arc::new(Script::new(function, [((1, number), fault)])));
    story.stream();
    for place in 0..5 {
        let connection = ["conn_a", "conn_a", "conn_b", "conn_a"].get(place);
        story.tell("u1", connection.copied()).await;
        pass(Duration::from_millis(150)).await;
    }
    world.drive(Duration::from_secs(90)).await;
    story.streaming.store(false, Ordering::SeqCst);
    world.settle(CALM).await;
    let wrong = story.wrong(&[ONE]);
    let trace = world.trace();
    let met = trace.iter().any(|met| {
        met.run.function == function && met.number == number && met.fate != model::Fate::default()
    });
    match wrong.is_empty() {
        true => Ok(met),
        false => Err(format!("{}\n{}", wrong.join("\n"), story.trace())),
    }
}

fn every_call_of(function: &'static str, calls: usize) {
    let faults = faults();
    let all = calls * faults.len();
    let met = std::sync::atomic::AtomicUsize::new(0);
    let tally = bench::all(all, |run| {
        let (number, fault) = (run / faults.len() + 1, faults[run % faults.len()].clone());
        let what = format!("{function}, call {number}, {fault:?}");
        let done = bench::paused(with_fault(function, number, fault));
        let struck = done.map_err(|wrong| format!("{what}: {wrong}"))?;
        met.fetch_add(usize::from(struck), Ordering::SeqCst);
        Ok(())
    });
    // A run that makes fewer calls meets no fault at the last of them; most must.
    let met = met.into_inner();
    assert!(met * 2 > all, "{met} of {all} faults were met");
    tally.end(&format!("every call of {function}"));
}

#[test]
fn a_relay_that_dies_anywhere_loses_nothing_and_keeps_the_order() {
    every_call_of("event-relay", 10);
}

#[test]
fn a_sender_that_dies_anywhere_loses_nothing_and_keeps_the_order() {
    every_call_of("event-sender", 10);
}

/// A world of a seed: storms, endpoints with moods, and then calm.
fn storm(seed: u64) -> Result<(), String> {
    bench::paused(async {
        let mut story = Story::new(&format!("events{seed}"), seed, &[ONE, TWO]).await;
        let world = story.world.clone();
        let dice = Dice::new(seed);
        let span = Duration::from_secs(20 * 60);
        world.aws.index_lag(dice.below(600));
        world.direct(Arc::new(Weather::new(seed, span)));
        let moods = Dice::new(seed ^ 0x300d);
        let poison = dice.chance(15).then(|| dice.below(20));
        let calm = Arc::new(AtomicBool::new(false));
        let settled = calm.clone();
        world.product.behave(Box::new(move |url, id, _| {
            let bad = settled.load(Ordering::SeqCst);
            if url == TWO
                && poison.is_some_and(|n| EventId::of(&["u1", &n.to_string()]).as_str() == id)
            {
                return Manner::Answers(400);
            }
            match moods.below(100) {
                _ if bad => Manner::Answers(200),
                0..60 => Manner::Answers(204),
                60..70 => Manner::Answers(500),
                70..76 => Manner::Answers(302),
                76..82 => Manner::Hangs,
                82..90 => Manner::Asks(429, 1 + moods.below(20)),
                _ => Manner::Asks(503, 1 + moods.below(40)),
            }
        }));
        story.stream();
        let driven = world.clone();
        let driving = tokio::task::spawn_local(async move { driven.drive(span).await });
        for _ in 0..25 {
            let user = *dice.pick(&["u1", "u1", "u2"]);
            let connection = *dice.pick(&[Some("conn_a"), Some("conn_b"), None]);
            let connection = connection.map(|id| format!("{id}{user}"));
            story.tell(user, connection.as_deref()).await;
            // Two writers never commit in the same millisecond here: which of them was first?
            pass(Duration::from_millis(1) + dice.millis(40_000)).await;
        }
        driving.await.unwrap();
        story.streaming.store(false, Ordering::SeqCst);
        calm.store(true, Ordering::SeqCst);
        let rest = match poison {
            Some(_) => LONG_CALM,
            None => CALM * 4,
        };
        world.settle(rest).await;
        let wrong = story.wrong(&[ONE, TWO]);
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(format!("{}\n{}", wrong.join("\n"), story.trace())),
        }
    })
}

#[test]
fn events_outlive_storms() {
    if let Ok(seed) = std::env::var("FAULT_SEED") {
        storm(seed.parse().unwrap()).unwrap();
        return;
    }
    let count = std::env::var("FAULT_SEEDS").map_or(150, |text| text.parse().unwrap());
    let run = |number| {
        storm(number as u64)
            .map_err(|wrong| format!("run it again with FAULT_SEED={number}\n{wrong}"))
    };
    bench::all(count, run).end("storms of events");
}
