//! Every crash point of the publishing machine: each call of a direct post of two chunks, from the
//! first message to the end, with each fault; and pairs of kills.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, ConnectionId, Secret, TargetStatus};
use model::{Fault, pass};
use platforms::Apps;
use posts::Ran;
use store::Target;

use crate::bench;
use crate::check;
use crate::people::Wish;
use crate::script::{Script, faults};
use crate::world::{FILE, World};

const WORKER: &str = "publish-worker";

/// A world with one connection and one accepted post.
pub(crate) async fn accepted(name: &str, size: u64) -> (Arc<World>, ConnectionId, Wish) {
    let world = World::new(name, 11, &["mara"]);
    let connection = world.connect("u1", "mara").await.unwrap();
    let wish = Wish {
        user: "u1".to_owned(),
        connection: connection.clone(),
        text: "a post".to_owned(),
        size,
    };
    assert!(world.post(&wish).await);
    (world, connection, wish)
}

/// The calls of the worker's runs on a good day: run, number, action.
pub(crate) fn calls() -> Vec<(usize, usize, String)> {
    bench::paused(async {
        let (world, ..) = accepted("publish-calls", FILE.len() as u64).await;
        world.drive(Duration::from_secs(120)).await;
        let mut runs = Vec::new();
        let mut calls = Vec::new();
        for met in world.trace() {
            if met.run.function == WORKER {
                if !runs.contains(&met.run.number) {
                    runs.push(met.run.number);
                }
                let place = runs.iter().position(|run| *run == met.run.number);
                calls.push((place.unwrap() + 1, met.number, met.call.action.clone()));
            }
        }
        calls
    })
}

/// Runs with these faults; how the target ended, and what is wrong.
fn run(name: &str, faults: Vec<((usize, usize), Fault)>) -> (TargetStatus, Vec<String>) {
    bench::paused(async {
        let (world, _, wish) = accepted(name, FILE.len() as u64).await;
        world.direct(Arc::new(Script::new(WORKER, faults)));
        world.drive(Duration::from_secs(120)).await;
        // A lost start may be tried again for most of an hour.
        world.settle(Duration::from_secs(3_600)).await;
        let (rest, findings) = check::all(&world, &[wish], &BTreeSet::new()).await;
        let mut wrong = findings.0;
        if !wrong.is_empty() {
            wrong.extend(world.trace().iter().map(ToString::to_string));
        }
        (rest.targets[0].status, wrong)
    })
}

#[test]
fn every_call_of_a_post_may_meet_every_fault() {
    let (calls, faults) = (calls(), faults());
    let tally = bench::all(calls.len() * faults.len(), |number| {
        let ((run_number, call, action), fault) = (
            &calls[number / faults.len()],
            &faults[number % faults.len()],
        );
        let name = format!("publish{number}");
        let (status, wrong) = run(&name, vec![((*run_number, *call), fault.clone())]);
        let told = format!("{fault:?} at call {call} of run {run_number} ({action})");
        if !wrong.is_empty() {
            return Err(format!("{told}:\n{}", wrong.join("\n")));
        }
        // One fault costs time, and never the post.
        match status == TargetStatus::Published {
            true => Ok(()),
            false => Err(format!("{told}: it ended as {status:?}")),
        }
    });
    tally.end("publishing, every call and fault");
}

#[test]
fn a_post_survives_two_kills_as_well_as_one() {
    let calls = calls();
    let kills = [Fault::KillBefore, Fault::KillAfter];
    // The second worker begins where the first one was: it is ended at each of its own calls in turn.
    let tally = bench::all(calls.len() * 6, |number| {
        let ((run_number, call, _), second) = (&calls[number / 6], number % 6);
        let faults = vec![
            ((*run_number, *call), kills[number % 2].clone()),
            (
                (run_number + 1, 2 * second + 3),
                kills[number / 2 % 2].clone(),
            ),
        ];
        let (status, wrong) = run(&format!("publish2x{number}"), faults.clone());
        match wrong.is_empty() && status == TargetStatus::Published {
            true => Ok(()),
            false => Err(format!("{faults:?}: {status:?}\n{}", wrong.join("\n"))),
        }
    });
    tally.end("publishing, pairs of kills");
}

/// The worker died over a start, and the operator took the platform out of the deployment.
#[test]
fn an_open_call_without_an_app_ends_after_a_day() {
    let calls = calls();
    let start = calls.iter().find(|call| call.2 == "tiktok.publish.init");
    let (run, number, _) = start.unwrap().clone();
    bench::paused(async {
        let (world, ..) = accepted("publish-no-app", 1_000_000).await;
        world.direct(Arc::new(Script::new(
            WORKER,
            [((run, number), Fault::KillAfter)],
        )));
        // Long enough for the message, not for what comes after the lease.
        world.drive(Duration::from_secs(10)).await;
        let target = || {
            let mut items = world.items_as_read::<Target>("targets");
            items.remove(0).unwrap()
        };
        assert!(target().intent.is_some());
        let look = async || {
            let message = posts::Message::of(&target());
            let work = world.run(WORKER, "PublishTimeout", move |instance, _| {
                Box::pin(async move {
                    let none = Apps::parse(&Secret::new("{}")).unwrap();
                    let deadline = instance.clock.now().plus_secs(60);
                    let runner = &instance.publish.runner;
                    runner.run(&none, &message, deadline).await.unwrap()
                })
            });
            work.await.1.unwrap()
        };
        for _ in 0..4 {
            pass(Duration::from_secs(5 * 3_600)).await;
            assert_eq!(look().await, Ran::Stuck);
            assert_eq!(target().status, TargetStatus::Queued);
        }
        pass(Duration::from_secs(5 * 3_600)).await;
        let end = TargetStatus::OutcomeUnknown;
        assert_eq!(look().await, Ran::Ended(end));
        let target = target();
        assert_eq!((target.status, target.due_at), (end, None));
        let why = target.fault.unwrap();
        assert!(why.explain().contains("took this platform out"));
        assert_eq!(look().await, Ran::Settled);
    });
}
