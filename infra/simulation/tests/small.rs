//! A small run: the same code and outages as the large one, in a second. A small deployment has few
//! calls a minute, so what is asserted of peaks is asserted of hours.

use simulation::{DAY, Mode, Outage, Outcome, PerKind, Plan, run};

fn sum(outcome: &Outcome, count: impl Fn(&PerKind) -> u32) -> u32 {
    outcome.per_kind.iter().map(count).sum()
}

fn plan(outages: Vec<Outage>) -> Plan {
    Plan {
        outages,
        ..Plan::new(5_000, 20)
    }
}

/// The highest of all sums of 30 minutes, over the mean of the day before.
fn worst_half_hour(outcome: &Outcome, kind: usize, from: u32, until: u32, usual: u32) -> f64 {
    let load = &outcome.per_kind[kind].load;
    let usual = load.mean(usual..usual + DAY);
    let halves = (from..until - 30).map(|at| load.mean(at..at + 30));
    halves.fold(0.0, f64::max) / usual
}

#[test]
fn nothing_expires_and_nobody_is_lost_whatever_is_down() {
    let outcome = run(plan(Outage::calendar(20)));
    assert!(
        outcome.plan.outages.len() >= 3,
        "there is something to survive"
    );
    assert_eq!(sum(&outcome, |kind| kind.expired), 0);
    assert_eq!(sum(&outcome, |kind| kind.lost), 0);
    assert_eq!(sum(&outcome, |kind| kind.too_early), 0);
    assert!(
        sum(&outcome, |kind| kind.fresh) > 100_000,
        "much was refreshed"
    );
    // Outages aside, who needs a token has one, and connections in use have it before they need it.
    assert_eq!(sum(&outcome, |kind| kind.uses_refused), 0);
    assert_eq!(sum(&outcome, |kind| kind.stale), 0);
}

/// Sixty days, so that tokens of 60 days come of age, and an outage of a day for all platforms.
#[test]
fn long_lives_are_renewed_in_time() {
    let all = Outage {
        kind: None,
        from: 40 * DAY,
        minutes: DAY,
        mode: Mode::ServerError,
    };
    let outcome = run(Plan {
        outages: vec![all],
        ..Plan::new(2_000, 65)
    });
    assert_eq!(sum(&outcome, |kind| kind.expired), 0);
    assert_eq!(sum(&outcome, |kind| kind.lost), 0);
    let instagram = &outcome.per_kind[2];
    let calls = instagram.in_use.refreshes + instagram.idle.refreshes;
    assert!(
        calls >= u64::from(instagram.connections),
        "each at least once: {calls}"
    );
}

/// After an outage that held everything up, the wait is over soon, and neither it nor the weeks after
/// it bring a herd.
#[test]
fn an_outage_leaves_no_herd_behind() {
    for mode in [Mode::ServerError, Mode::AppRefused, Mode::BlackHole] {
        let outage = Outage {
            kind: Some(0),
            from: 8 * DAY,
            minutes: 120,
            mode,
        };
        let outcome = run(plan(vec![outage]));
        let end = outage.from + outage.minutes;
        let worst = |from: u32, until: u32| worst_half_hour(&outcome, 0, from, until, 7 * DAY);
        // Everybody who is in use was held up: two hours' worth of refreshes in half an hour.
        let first = worst(end, end + 300);
        assert!(
            (2.0..6.0).contains(&first),
            "{mode:?}: {first:.1} times the usual"
        );
        let later = worst(end + 2 * DAY, end + 3 * DAY);
        assert!(
            later < 2.0,
            "{mode:?}: still {later:.1} times two days later"
        );
        let tiktok = &outcome.per_kind[0];
        assert!(
            tiktok.recovery < 90,
            "{mode:?}: {} minutes",
            tiktok.recovery
        );
        // While it lasts, the platform is asked now and then.
        let during = tiktok.load.mean(outage.from + 30..end);
        let usual = tiktok.load.mean(7 * DAY..8 * DAY);
        assert!(
            during < usual,
            "{mode:?}: {during:.2} a minute, usually {usual:.2}"
        );
    }
}

/// A product moves in with a fifth of all connections within one minute.
#[test]
fn who_was_connected_together_is_soon_refreshed_apart() {
    let outcome = run(Plan {
        moving_in: 200,
        ..plan(Vec::new())
    });
    let ratio = |day: u32| worst_half_hour(&outcome, 0, day * DAY, (day + 1) * DAY, day * DAY);
    assert!(ratio(3) > 2.0, "they are a herd at first: {:.2}", ratio(3));
    assert!(ratio(6) < 1.6, "three days later: {:.2}", ratio(6));
}

/// A platform declares living grants dead for two hours: a few are believed before it shows.
#[test]
fn grants_that_die_all_at_once_are_not_believed() {
    let outage = Outage {
        kind: Some(0),
        from: 8 * DAY,
        minutes: 120,
        mode: Mode::GrantsDead,
    };
    let outcome = run(plan(vec![outage]));
    let lost = sum(&outcome, |kind| kind.lost);
    assert!(
        (1..20).contains(&lost),
        "{lost} of {}",
        outcome.per_kind[0].connections
    );
}

/// A thousand connections that nobody uses cost next to nothing.
#[test]
fn idle_connections_are_cheap() {
    let outcome = run(plan(Vec::new()));
    let idle = outcome
        .per_kind
        .iter()
        .map(|kind| kind.idle.refreshes)
        .sum::<u64>();
    let in_use = outcome
        .per_kind
        .iter()
        .map(|kind| kind.in_use.refreshes)
        .sum::<u64>();
    let per_day = |count: u64, days: f64| count as f64 / days;
    let (idle, in_use) = (
        per_day(idle, outcome.days_idle),
        per_day(in_use, outcome.days_in_use),
    );
    assert!(
        idle * 50.0 < in_use,
        "{idle:.3} and {in_use:.3} refreshes a day"
    );
}
