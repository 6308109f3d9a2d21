//! A million connections for 60 days, by the virtual clock.

use std::time::Instant;

use anyhow::Result;
use simulation::{Calls, DAY, Outcome, Plan, Prices};

use super::report::{Bar, Report};

/// Days of a month, for costs.
const MONTH: f64 = 30.4;

pub(super) fn measure(report: &mut Report) -> Result<()> {
    let plan = Plan::new(1_000_000, 60);
    report.heading("a million connections for 60 days, simulated")?;
    let started = Instant::now();
    let outcome = simulation::run(plan);
    let seconds = started.elapsed().as_secs_f64();
    for line in simulation::print(&outcome).lines().skip(1) {
        report.note(line.strip_prefix("  ").unwrap_or(line))?;
    }
    let all = |count: fn(&simulation::PerKind) -> u32| -> f64 {
        outcome
            .per_kind
            .iter()
            .map(|kind| f64::from(count(kind)))
            .sum()
    };
    report.add(
        "simulation, refresh tokens expired",
        all(|kind| kind.expired),
        "",
        Bar::Calls(0.0),
    )?;
    report.add(
        "simulation, connections lost",
        all(|kind| kind.lost),
        "",
        Bar::MostCalls(1_000.0),
    )?;
    let quiet = 2 * DAY..3 * DAY;
    report.add(
        "simulation, peak over mean",
        outcome.load.ratio(quiet),
        "",
        Bar::Most(2.0),
    )?;
    let (in_use, idle) = dollars(&outcome);
    report.add(
        "a thousand connections in use, a month",
        in_use,
        "$",
        Bar::None,
    )?;
    report.add("a thousand idle connections, a month", idle, "$", Bar::None)?;
    report.add("simulation, time", seconds, "s", Bar::Most(120.0))?;
    report.add(
        "simulation, state",
        outcome.bytes as f64 / 1e6,
        "MB",
        Bar::None,
    )
}

/// What a thousand connections cost in a month: in use, and idle.
fn dollars(outcome: &Outcome) -> (f64, f64) {
    let (mut in_use, mut idle) = (Calls::default(), Calls::default());
    for kind in &outcome.per_kind {
        in_use.merge(&kind.in_use);
        idle.merge(&kind.idle);
    }
    let per = |calls: &Calls, days: f64| calls.dollars(&Prices::LIST) / days * MONTH * 1_000.0;
    (
        per(&in_use, outcome.days_in_use),
        per(&idle, outcome.days_idle),
    )
}
