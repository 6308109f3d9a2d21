//! Every crash point of the refresh: each call of it, with each fault; and each pair of kills.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{ConnectionId, ConnectionStatus, ReauthReason};
use model::Fault;
use serde_json::json;

use crate::bench;
use crate::check::{self, Rest};
use crate::script::{Script, faults};
use crate::world::World;

const WORKER: &str = "refresh-worker";

/// A world with one connection, and a message that asks to refresh it.
async fn asked(name: &str) -> (Arc<World>, ConnectionId) {
    let world = World::new(name, 7, &["mara"]);
    let id = world.connect("u1", "mara").await.unwrap();
    let wish = json!({ "user_id": "u1", "connection_id": id });
    world.queues["refresh"].send(&wish.to_string(), Duration::ZERO);
    (world, id)
}

/// The calls of the one run that refreshes, on a good day.
fn calls() -> Vec<String> {
    bench::paused(async {
        let (world, _) = asked("refresh-calls").await;
        world.drive(Duration::from_secs(30)).await;
        let trace = world.trace();
        let own = trace.iter().filter(|met| met.run.function == WORKER);
        own.map(|met| met.call.action.clone()).collect()
    })
}

/// Runs with these faults; what is left in the end, and what is wrong with it.
fn run(name: &str, faults: Vec<((usize, usize), Fault)>) -> (Rest, ConnectionId, Vec<String>) {
    bench::paused(async {
        let (world, id) = asked(name).await;
        world.direct(Arc::new(Script::new(WORKER, faults)));
        world.drive(Duration::from_secs(60)).await;
        // A message that was lost with its worker comes again after 6 minutes; then the access token's
        // whole life passes once more.
        world.settle(Duration::from_secs(2_400)).await;
        let (rest, findings) = check::all(&world, &[], &BTreeSet::new()).await;
        let mut wrong = findings.0;
        if !wrong.is_empty() {
            wrong.extend(world.trace().iter().map(ToString::to_string));
        }
        (rest, id, wrong)
    })
}

#[test]
fn every_call_of_a_refresh_may_meet_every_fault() {
    let (calls, faults) = (calls(), faults());
    let asks = calls
        .iter()
        .position(|call| call == "tiktok.token.refresh")
        .unwrap();
    // What a kill may cost, and where: between the platform's answer and the write that keeps it.
    let window = |call: usize, fault: &Fault| match fault {
        Fault::KillAfter => call == asks,
        Fault::KillBefore => call == asks + 1,
        _ => false,
    };
    let tally = bench::all(calls.len() * faults.len(), |number| {
        let (call, fault) = (number / faults.len(), &faults[number % faults.len()]);
        let name = format!("refresh{number}");
        let (rest, id, wrong) = run(&name, vec![((1, call + 1), fault.clone())]);
        let what = format!("{fault:?} at call {} ({})", call + 1, calls[call]);
        if !wrong.is_empty() {
            return Err(format!("{what}:\n{}", wrong.join("\n")));
        }
        let at = rest
            .connections
            .iter()
            .find(|at| at.connection_id == id)
            .unwrap();
        // A request whose answer does not come may have rotated as well.
        let unanswered = call == asks
            && matches!(
                fault,
                Fault::DropAfter | Fault::ErrorAfter { .. } | Fault::Delay(_)
            );
        let lost = window(call, fault) || unanswered;
        let (status, reason) = match lost {
            true => (
                ConnectionStatus::NeedsReauth,
                Some(ReauthReason::RotationLost),
            ),
            false => (ConnectionStatus::Active, None),
        };
        if (at.status, at.reason) == (status, reason) {
            return Ok(());
        }
        Err(format!("{what}: {:?} {:?}", at.status, at.reason))
    });
    tally.end("refresh, every call and fault");
}

#[test]
fn a_refresh_survives_two_kills_as_well_as_one() {
    let calls = calls().len();
    // The second worker takes over what the first one left: its calls are as many at most.
    let kills = [Fault::KillBefore, Fault::KillAfter];
    let tally = bench::all(calls * calls * 4, |number| {
        let (first, rest) = (number / (calls * 4), number % (calls * 4));
        let (second, kinds) = (rest / 4, rest % 4);
        let faults = vec![
            ((1, first + 1), kills[kinds % 2].clone()),
            ((2, second + 1), kills[kinds / 2].clone()),
        ];
        let (.., wrong) = run(&format!("refresh2x{number}"), faults.clone());
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(format!("{faults:?}:\n{}", wrong.join("\n"))),
        }
    });
    tally.end("refresh, every pair of kills");
}
