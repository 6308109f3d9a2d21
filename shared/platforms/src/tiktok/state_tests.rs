use proptest::prelude::*;

use super::*;

fn times() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::new(FaultKind::PlatformDown)),
        times().prop_map(|at| Fault::new(FaultKind::QuotaUsed)
            .until(at)
            .code("spam_risk_too_many_posts")
            .sentence("Wait.")),
    ]
}

fn phases() -> impl Strategy<Value = Phase> {
    let id = "[!-~]{1,64}";
    prop_oneof![
        times().prop_map(|not_before| Phase::Init { not_before }),
        (
            id,
            any::<(u64, u8, u8)>(),
            times(),
            proptest::option::of(times()),
            proptest::option::of(prop_oneof![Just(Doubt::Stalled), Just(Doubt::Place)]),
        )
            .prop_map(
                |(publish_id, (next, stalls, resends), opened_at, since, doubt)| {
                    Phase::Uploading {
                        publish_id,
                        next,
                        opened_at,
                        not_before: opened_at,
                        since,
                        stalls,
                        resends,
                        doubt,
                    }
                }
            ),
        (
            id,
            any::<(u32, bool, u8)>(),
            times(),
            times(),
            proptest::option::of(faults())
        )
            .prop_map(
                |(publish_id, (polls, complete, resends), opened_at, since, refused)| {
                    Phase::Processing {
                        publish_id,
                        opened_at,
                        since,
                        ask_at: since,
                        polls,
                        complete,
                        resends,
                        refused,
                    }
                }
            ),
        (
            proptest::option::of(id),
            prop_oneof![
                proptest::collection::vec("[0-9]{1,19}", 0..3)
                    .prop_map(|ids| { Outcome::Published(PublishedPost { ids, url: None }) }),
                Just(Outcome::Inbox),
                faults().prop_map(Outcome::Failed),
                faults().prop_map(Outcome::Unknown),
            ]
        )
            .prop_map(|(publish_id, outcome)| Phase::Done {
                publish_id,
                outcome
            }),
    ]
}

proptest! {
    #[test]
    fn a_state_survives_being_written_down(
        phase in phases(),
        size in 1u64..5_000_000_000,
        inits in any::<u8>(),
        unclear in any::<u8>(),
        retried in any::<bool>(),
    ) {
        let plan = Plan::new(size, None).unwrap();
        let machine = Machine { plan, inits, unclear, retried, phase };
        let state = machine.clone().close(None);
        let text = state.data.to_string();
        let data = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(Machine::open(&State { data, secret: None }), Ok(machine));
    }
}

/// What an older version wrote down is still understood.
#[test]
fn states_without_the_newer_fields_are_read() {
    for phase in [
        serde_json::json!({"phase": "uploading", "publish_id": "p", "next": 1, "opened_at": 0,
            "not_before": 0, "since": null, "stalls": 1, "resends": 0}),
        serde_json::json!({"phase": "processing", "publish_id": "p", "opened_at": 0, "since": 0,
            "ask_at": 0, "polls": 1, "complete": false, "resends": 0}),
    ] {
        let mut data = phase;
        data["plan"] = serde_json::json!({"size": 9, "chunk_size": 9, "count": 1});
        data["inits"] = serde_json::json!(1);
        assert!(Machine::open(&State { data, secret: None }).is_ok());
    }
}

#[test]
fn pauses_grow_by_three_up_to_a_quarter_of_an_hour() {
    let pauses: Vec<_> = (0..7).map(|before| grown(UNCLEAR_PAUSE, before)).collect();
    assert_eq!(pauses, [10, 30, 90, 270, 810, 900, 900]);
    assert_eq!(grown(STALL_PAUSE, u8::MAX), LONGEST_PAUSE);
}

#[test]
fn questions_slow_down_and_stay_far_below_the_limit() {
    let pauses: Vec<_> = (0..12).map(pause).collect();
    assert_eq!(pauses[0], 5);
    assert!(pauses.is_sorted() && pauses[11] == 30, "{pauses:?}");
}
