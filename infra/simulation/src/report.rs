//! What a run showed, for a terminal.

use std::fmt::Write as _;

use crate::{Calls, DAY, Outcome, Prices};

/// Days of a month, for costs.
const MONTH: f64 = 30.4;

/// The whole report.
pub fn print(outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = platforms(&mut text, outcome);
    let _ = herd(&mut text, outcome);
    let _ = costs(&mut text, outcome);
    text
}

fn platforms(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let plan = &outcome.plan;
    writeln!(text, "{} connections, {} days", plan.connections, plan.days)?;
    writeln!(
        text,
        "\n  {:<12} {:>8} {:>8} {:>8} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "platform",
        "conns",
        "expired",
        "lost",
        "refreshes",
        "stale ‰",
        "most min",
        "recovery",
        "uses",
        "renewing",
        "refused",
        "in outage"
    )?;
    for (kind, counts) in outcome.kinds.iter().zip(&outcome.per_kind) {
        writeln!(
            text,
            "  {:<12} {:>8} {:>8} {:>8} {:>10} {:>9.2} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            kind.name,
            counts.connections,
            counts.expired,
            counts.lost,
            counts.in_use.refreshes + counts.idle.refreshes,
            1_000.0 * f64::from(counts.stale) / f64::from(counts.fresh.max(1)),
            counts.stale_most,
            counts.recovery,
            counts.uses,
            counts.uses_renewing,
            counts.uses_refused,
            counts.uses_refused_outage,
        )?;
    }
    Ok(())
}

/// Peaks over means: in quiet days, and in the days after each outage.
fn herd(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let day = |first: u32| first * DAY..(first + 1) * DAY;
    writeln!(
        text,
        "\n  requests a minute, all platforms: mean {:.0}; day 2 peak {} ({:.2} times its mean)",
        outcome.load.mean(0..outcome.plan.days * DAY),
        outcome.load.peak(day(2)),
        outcome.load.ratio(day(2)),
    )?;
    let first = &outcome.per_kind[0].load;
    writeln!(
        text,
        "  {} moved in on day 3: peak over mean {:.2} on day 2, {:.2} on day 3, {:.2} on day 4, {:.2} on day 5",
        outcome.kinds[0].name,
        first.ratio(day(2)),
        first.ratio(day(3)),
        first.ratio(day(4)),
        first.ratio(day(5)),
    )?;
    for outage in &outcome.plan.outages {
        let (name, load) = match outage.kind {
            Some(kind) => (outcome.kinds[kind].name, &outcome.per_kind[kind].load),
            None => ("all", &outcome.load),
        };
        let end = outage.from + outage.minutes;
        let usual = load.mean(outage.from.saturating_sub(DAY)..outage.from);
        let ratio = |from: u32, until: u32| f64::from(load.peak(from..until)) / usual.max(0.001);
        writeln!(
            text,
            "  day {:>2} {:<12} {:<12} {:>5} min: during {:>6.2}, 2 h after {:>6.2}, 2-12 h {:>6.2}, 12-24 h {:>6.2}",
            outage.from / DAY,
            name,
            format!("{:?}", outage.mode),
            outage.minutes,
            ratio(outage.from, end),
            ratio(end, end + 120),
            ratio(end + 120, end + 720),
            ratio(end + 720, end + DAY),
        )?;
    }
    writeln!(
        text,
        "  longest queue {}, messages that came too late {}",
        outcome.longest_queue, outcome.duplicates
    )
}

fn costs(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let (mut in_use, mut idle) = (Calls::default(), Calls::default());
    for counts in &outcome.per_kind {
        in_use.merge(&counts.in_use);
        idle.merge(&counts.idle);
    }
    let months = f64::from(outcome.plan.days) / MONTH;
    for (name, calls, days) in [
        ("in use", &in_use, outcome.days_in_use),
        ("idle", &idle, outcome.days_idle),
    ] {
        // A thousand connections for a month.
        let thousand = days / f64::from(outcome.plan.days) / 1_000.0 * months;
        let per = |count: u64| count as f64 / thousand;
        writeln!(
            text,
            "\n  a thousand connections {name}, a month: {:.0} refreshes, {:.0} KMS, {:.0} write units, {:.0} read units, {:.0} SQS, {:.0} invocations",
            per(calls.refreshes),
            per(calls.kms),
            per(calls.writes),
            per(calls.milli_reads) / 1_000.0,
            per(calls.milli_sqs) / 1_000.0,
            per(calls.milli_invocations) / 1_000.0,
        )?;
        write!(text, "    ")?;
        for (part, dollars) in calls.parts(&Prices::LIST) {
            write!(text, "{part} ${:.4}, ", dollars / thousand)?;
        }
        writeln!(text, "all ${:.4}", calls.dollars(&Prices::LIST) / thousand)?;
    }
    Ok(())
}
