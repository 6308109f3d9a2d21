//! Two tasks at once, their calls in every order: a refresh or a publish in flight, and the end of its
//! connection by the product or by the platform. Nothing resurrects the connection, and what was queued
//! ends with a clear fault.
//!
//! An order is a row of turns, one for each call. All orders of up to so many changes between the two
//! are run (`FAULT_CHANGES`, 4 and 3 without it): the number of all orders grows beyond any patience,
//! and what goes wrong between two tasks goes wrong after few changes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{ConnectionId, ConnectionStatus, TargetStatus};
use model::{BoxFuture, Call, Fate};
use serde_json::json;
use tokio::sync::Notify;

use crate::bench;
use crate::check;
use crate::gate::{Director, Run};
use crate::people::Wish;
use crate::publish::accepted;
use crate::world::World;

/// What ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Product,
    Platform,
}

/// What is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    Refresh,
    Publish,
}

/// Lets one task call at a time, in the order that it was given; when that is over, as they come.
struct Turns {
    order: Vec<usize>,
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Default)]
struct State {
    place: usize,
    /// Whose turn lasts: until its next call, or its end.
    turn: Option<usize>,
    over: [bool; 2],
    calls: [usize; 2],
}

impl Turns {
    fn new(order: Vec<usize>) -> Arc<Self> {
        Arc::new(Self {
            order,
            state: Mutex::default(),
            moved: Notify::new(),
        })
    }

    /// Waits for the task's next turn.
    async fn wait(&self, task: usize) {
        loop {
            let moved = self.moved.notified();
            if self.takes(task) {
                return;
            }
            moved.await;
        }
    }

    fn takes(&self, task: usize) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.turn == Some(task) {
            state.turn = None;
            self.moved.notify_waiters();
        }
        while self
            .order
            .get(state.place)
            .is_some_and(|next| state.over[*next])
        {
            state.place += 1;
        }
        let next = self.order.get(state.place).copied();
        let takes = state.turn.is_none() && next.is_none_or(|next| next == task);
        if takes {
            state.calls[task] += 1;
            state.place += 1;
            state.turn = next;
        }
        takes
    }

    fn over(&self, task: usize) {
        let mut state = self.state.lock().unwrap();
        state.over[task] = true;
        if state.turn == Some(task) {
            state.turn = None;
        }
        self.moved.notify_waiters();
    }
}

impl Director for Turns {
    fn fate<'a>(&'a self, run: &'a Run, _: usize, _: &'a Call) -> BoxFuture<'a, Fate> {
        let task = match run.function {
            "refresh-worker" | "publish-worker" => Some(0),
            "connections" | "webhook-worker" => Some(1),
            _ => None,
        };
        Box::pin(async move {
            if let Some(task) = task {
                self.wait(task).await;
            }
            Fate::default()
        })
    }
}

/// One world, both tasks in this order: what is left, what is wrong, how many calls each made.
fn run(name: &str, flight: Flight, end: End, order: Vec<usize>) -> (Vec<String>, [usize; 2]) {
    bench::paused(async {
        let (world, connection, wishes) = begun(name, flight).await;
        let turns = Turns::new(order);
        world.direct(turns.clone());
        let (first, second) = (turns.clone(), turns.clone());
        let flying = world.clone();
        world.go(async move {
            let queue = match flight {
                Flight::Refresh => &flying.queues["refresh"],
                Flight::Publish => &flying.queues["publish"],
            };
            let message = queue.receive().unwrap();
            flying.work(queue, message).await;
            first.over(0);
        });
        let (ending, id) = (world.clone(), connection.clone());
        world.go(async move {
            match end {
                End::Product => drop(ending.disconnect("u1", &id).await),
                End::Platform => removed(&ending, &second).await,
            }
            second.over(1);
        });
        world.rest().await;
        let calls = turns.state.lock().unwrap().calls;
        world.settle(Duration::from_secs(2_400)).await;
        let gone = BTreeSet::from([connection]);
        let (rest, findings) = check::all(&world, &wishes, &gone).await;
        let mut wrong = findings.0;
        for at in &rest.connections {
            let ended = at.status == ConnectionStatus::Disconnected;
            if !ended {
                wrong.push(format!("the connection is {:?}", at.status));
            }
        }
        for target in &rest.targets {
            let clear = target
                .fault
                .as_ref()
                .is_some_and(|fault| !fault.explain().is_empty());
            if target.status != TargetStatus::Published && !clear {
                wrong.push(format!(
                    "the post is {:?} without a clear fault",
                    target.status
                ));
            }
        }
        if !world.items("revocations").is_empty() {
            wrong.push("a revocation is still owed".to_owned());
        }
        if !wrong.is_empty() {
            wrong.extend(world.trace().iter().map(ToString::to_string));
        }
        (wrong, calls)
    })
}

async fn begun(name: &str, flight: Flight) -> (Arc<World>, ConnectionId, Vec<Wish>) {
    if flight == Flight::Publish {
        let (world, id, wish) = accepted(name, 40_000).await;
        return (world, id, vec![wish]);
    }
    let world = World::new(name, 13, &["mara"]);
    let id = world.connect("u1", "mara").await.unwrap();
    let wish = json!({ "user_id": "u1", "connection_id": id });
    world.queues["refresh"].send(&wish.to_string(), Duration::ZERO);
    (world, id, Vec::new())
}

/// The person removes the app, and the webhook that says so is worked on.
async fn removed(world: &Arc<World>, turns: &Turns) {
    turns.wait(1).await;
    let sent = world.aws.any_sent();
    world.platform.remove("mara").await;
    let queue = &world.queues["webhook"];
    let message = loop {
        match queue.receive() {
            Some(message) => break message,
            None => sent.notified().await,
        }
    };
    world.work(queue, message).await;
}

/// All orders of `calls` with at most so many changes from one task to the other.
fn orders(calls: [usize; 2], changes: usize) -> Vec<Vec<usize>> {
    fn go(
        left: [usize; 2],
        task: usize,
        changes: usize,
        so_far: &[usize],
        all: &mut Vec<Vec<usize>>,
    ) {
        let other = 1 - task;
        if left[other] == 0 {
            let rest = std::iter::repeat_n(task, left[task]);
            all.push(so_far.iter().copied().chain(rest).collect());
            return;
        }
        if changes == 0 {
            return;
        }
        for taken in 1..=left[task] {
            let mut next = so_far.to_vec();
            next.extend(std::iter::repeat_n(task, taken));
            let mut left = left;
            left[task] -= taken;
            go(left, other, changes - 1, &next, all);
        }
    }
    let mut all = Vec::new();
    go(calls, 0, changes, &[], &mut all);
    go(calls, 1, changes, &[], &mut all);
    all.sort();
    all.dedup();
    all
}

fn every_order(flight: Flight, end: End, changes: usize) {
    let asked = std::env::var("FAULT_CHANGES").ok();
    let changes = asked.map_or(changes, |text| text.parse().unwrap());
    let name = format!("{flight:?}{end:?}").to_lowercase();
    let (_, calls) = run(&format!("{name}-calls"), flight, end, Vec::new());
    let orders = orders(calls, changes);
    let tally = bench::all(orders.len(), |number| {
        let order = orders[number].clone();
        let shown: String = order
            .iter()
            .map(|task| if *task == 0 { 'a' } else { 'b' })
            .collect();
        let (wrong, _) = run(&format!("{name}{number}"), flight, end, order);
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(format!("{shown}:\n{}", wrong.join("\n"))),
        }
    });
    tally.end(&format!(
        "{flight:?} of {} calls and end by the {end:?} of {} calls, orders of up to {changes} changes",
        calls[0], calls[1]
    ));
}

#[test]
fn a_disconnect_in_every_order_with_a_refresh() {
    every_order(Flight::Refresh, End::Product, 4);
}

#[test]
fn a_removal_in_every_order_with_a_refresh() {
    every_order(Flight::Refresh, End::Platform, 4);
}

#[test]
fn a_disconnect_in_every_order_with_a_publish() {
    every_order(Flight::Publish, End::Product, 3);
}

#[test]
fn a_removal_in_every_order_with_a_publish() {
    every_order(Flight::Publish, End::Platform, 3);
}

#[test]
fn orders_are_all_there_are() {
    let all = orders([2, 2], 3);
    assert_eq!(all.len(), 6, "4 over 2: {all:?}");
    assert_eq!(orders([3, 3], 1), [[0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]]);
}
