use super::*;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(10_000_000 + secs)
}

fn policy(rotates: bool, grace: Option<u64>) -> RefreshPolicy {
    RefreshPolicy {
        margin_at_least: Duration::from_secs(60),
        margin_percent: 10,
        min_age: Duration::ZERO,
        rotates,
        grace: grace.map(Duration::from_secs),
        idle_after: Duration::from_secs(7 * 86_400),
        idle_margin: Duration::from_secs(30 * 86_400),
        idle_at_most: Duration::from_secs(60 * 86_400),
        timeout: Duration::from_secs(6),
        lease: Duration::from_secs(20),
    }
}

#[test]
fn a_refusal_blames_whom_it_must() {
    let rotating = policy(true, None);
    let staying = policy(false, None);
    let dead = Fault::new(FaultKind::ReauthNeeded);
    let now = at(0);
    for (what, fault, policy, spent, ends, expected) in [
        (
            "dead",
            &dead,
            &rotating,
            false,
            None,
            Refusal::Dead(ReauthReason::GrantRevoked),
        ),
        (
            "dead of age",
            &dead,
            &rotating,
            false,
            Some(at(-1)),
            Refusal::Dead(ReauthReason::RefreshExpired),
        ),
        (
            "perhaps spent",
            &dead,
            &rotating,
            true,
            None,
            Refusal::Dead(ReauthReason::RotationLost),
        ),
        (
            "nothing rotates",
            &dead,
            &staying,
            true,
            None,
            Refusal::Dead(ReauthReason::GrantRevoked),
        ),
        (
            "our app",
            &Fault::new(FaultKind::AppRefused),
            &rotating,
            true,
            None,
            Refusal::App,
        ),
        (
            "down",
            &Fault::new(FaultKind::PlatformDown),
            &rotating,
            true,
            None,
            Refusal::Passes,
        ),
    ] {
        assert_eq!(refusal(fault, policy, spent, ends, now), expected, "{what}");
    }
}

/// A platform with a grace that answers 503 for an hour has spent nothing: the old token is sent
/// again, and the connection is not given up.
#[test]
fn a_token_that_may_be_spent_waits_for_a_rescue_and_for_nothing_else() {
    let graced = policy(true, Some(30));
    let settle = Duration::from_secs(120);
    for (what, spent, abandoned, policy, now, expected) in [
        ("never sent", None, None, &graced, 0, None),
        (
            "unanswered, inside the grace",
            Some(0),
            None,
            &graced,
            30,
            None,
        ),
        ("unanswered, long ago", Some(0), None, &graced, 4_000, None),
        ("left, inside the grace", None, Some(20), &graced, 25, None),
        (
            "left, a rescue may come",
            None,
            Some(20),
            &graced,
            31,
            Some(140),
        ),
        ("left and settled", None, Some(20), &graced, 140, None),
        // The lease is not given out before it has settled.
        ("no grace", None, Some(20), &policy(true, None), 31, None),
        (
            "nothing rotates",
            None,
            Some(20),
            &policy(false, Some(30)),
            31,
            None,
        ),
    ] {
        let then = not_before(spent.map(at), abandoned.map(at), policy, settle, at(now));
        assert_eq!(then, expected.map(at), "{what}");
    }
}

#[test]
fn grants_that_die_one_by_one_are_believed_and_many_at_once_are_not() {
    for (kept, died, expected) in [
        (0, 1, false),
        (0, 9, false),
        (0, 10, true),
        (39, 10, true),
        (40, 10, false),
        (1_000, 200, false),
        (1_000, 300, true),
    ] {
        let lately = Lately {
            kept,
            died,
            down: 0,
        };
        assert_eq!(lately.many_die(), expected, "{lately:?}");
    }
    let never = Timestamp::default();
    let day = 86_400;
    for (what, since, believed, now, expected) in [
        ("for the first time", never, never, 0, true),
        ("held for an hour", at(0), never, 3_600, true),
        ("held for a day", at(0), never, day, false),
        ("the day after", at(0), never, 2 * day - 1, false),
        ("months later", at(0), never, 60 * day, true),
        ("the operator believes it", at(0), at(7_200), 3_600, false),
        ("and no longer does", at(0), at(7_200), 7_200, true),
    ] {
        assert_eq!(holds_ends(since, believed, at(now)), expected, "{what}");
    }
}

#[test]
fn a_platform_is_down_when_most_refreshes_fail() {
    for (kept, down, expected) in [
        (0, 19, false),
        (0, 20, true),
        (20, 20, false),
        (99, 100, true),
    ] {
        let lately = Lately {
            kept,
            died: 0,
            down,
        };
        assert_eq!(lately.is_down(), expected, "{lately:?}");
    }
    assert_eq!(down_pause(0), Duration::from_secs(60));
    assert_eq!(down_pause(30), Duration::from_secs(600));
    assert_eq!(breaker_pause(0), Duration::from_secs(300));
    assert_eq!(breaker_pause(30), Duration::from_secs(3_600));
}

#[test]
fn those_that_waited_take_turns_and_all_have_theirs() {
    for opened in [0, 60, 61, 899, 12_345] {
        let turns = |minute: i64| {
            let now = at(opened + minute * 60);
            let bucket = |bucket: &u32| has_its_turn(*bucket, at(opened), now);
            (0..RAMP_MINUTES).filter(bucket).count()
        };
        let all: Vec<usize> = (0..31).map(turns).collect();
        let expected: Vec<usize> = (1..=30).chain([30]).collect();
        assert_eq!(all, expected, "opened until {opened}");
    }
    // Another opening begins with others.
    let first = |opened: i64| {
        (0..RAMP_MINUTES)
            .find(|bucket| has_its_turn(*bucket, at(opened), at(opened)))
            .unwrap()
    };
    assert_ne!(first(0), first(60));
    // One that was never open holds nobody up.
    assert!((0..RAMP_MINUTES).all(|bucket| has_its_turn(bucket, Timestamp::default(), at(0))));
}
