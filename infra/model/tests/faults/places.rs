//! The places that a start takes in the platform's limits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::TargetStatus;
use model::Fault;
use serde_json::Value;

use crate::bench;
use crate::check;
use crate::publish::{accepted, calls};
use crate::script::Script;

/// How a post ends whose first start met `fault`, and how many places of the day it has taken.
fn taken(name: &str, fault: Option<Fault>) -> (TargetStatus, usize) {
    let calls = calls();
    let start = calls.iter().find(|call| call.2 == "tiktok.publish.init");
    let (run, number, _) = start.unwrap();
    let faults: Vec<_> = fault
        .map(|fault| ((*run, *number), fault))
        .into_iter()
        .collect();
    bench::paused(async {
        let (world, _, wish) = accepted(name, 1_000_000).await;
        world.direct(Arc::new(Script::new("publish-worker", faults)));
        world.drive(Duration::from_secs(7_200)).await;
        let (rest, findings) = check::all(&world, &[wish], &BTreeSet::new()).await;
        assert_eq!(findings.0, Vec::<String>::new());
        let books = world.items("limits").into_iter().map(|row| {
            let book = row["book"].as_str().unwrap_or_default().to_owned();
            serde_json::from_str::<Value>(&book).unwrap_or_default()
        });
        let calls = books.filter_map(|book| Some(book["publish.daily"]["c"].as_array()?.len()));
        (rest.targets[0].status, calls.sum())
    })
}

#[test]
fn a_refused_start_keeps_no_place_of_the_day() {
    use TargetStatus::{Failed, Published};
    for (number, (fault, status, places)) in [
        (None, Published, 1),
        // A clear word: nothing came of it, now or until it is tried again.
        (Some(Fault::error(403, "spam_risk")), Failed, 0),
        (
            Some(Fault::error(401, "access_token_invalid")),
            Published,
            1,
        ),
        (Some(Fault::Throttle), Published, 1),
        // Nobody knows: it may count.
        (Some(Fault::DropBefore), Published, 2),
        (Some(Fault::DropAfter), Published, 2),
        (Some(Fault::error(500, "internal_error")), Published, 2),
        (Some(Fault::KillAfter), Published, 2),
    ]
    .into_iter()
    .enumerate()
    {
        let told = format!("{fault:?}");
        let name = format!("places{number}");
        assert_eq!(taken(&name, fault), (status, places), "{told}");
    }
}
