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

fn known() -> impl Strategy<Value = Known> {
    (times(), any::<(bool, bool, bool)>()).prop_map(|(at, (comment_off, duet_off, stitch_off))| {
        Known {
            at,
            comment_off,
            duet_off,
            stitch_off,
        }
    })
}

fn sources() -> impl Strategy<Value = Source> {
    prop_oneof![
        (1u64..5_000_000_000).prop_map(|size| Source::Upload(Plan::new(size, None).unwrap())),
        any::<u8>().prop_map(|failures| Source::Pull(Pull { failures })),
    ]
}

fn wishes() -> impl Strategy<Value = Option<Asked>> {
    proptest::option::of(prop_oneof![
        (any::<u8>(), times()).prop_map(|(tries, not_before)| Asked::Wanted { tries, not_before }),
        Just(Asked::Taken),
        faults().prop_map(|why| Asked::Refused { why }),
    ])
}

fn phases() -> impl Strategy<Value = Phase> {
    let id = "[!-~]{1,64}";
    prop_oneof![
        (times(), proptest::option::of(known()), any::<u8>()).prop_map(
            |(not_before, creator, forgotten)| Phase::Init {
                not_before,
                creator,
                forgotten
            }
        ),
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
                        idle: resends,
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
                Just(Outcome::Cancelled),
            ],
            proptest::option::of(times()),
            proptest::option::of(times()),
        )
            .prop_map(|(publish_id, outcome, since, asked_at)| Phase::Done {
                publish_id,
                outcome,
                since,
                asked_at,
            }),
    ]
}

proptest! {
    #[test]
    fn a_state_survives_being_written_down(
        phase in phases(),
        source in sources(),
        cancel in wishes(),
        inits in any::<u8>(),
        unclear in any::<u8>(),
        retried in any::<bool>(),
    ) {
        let machine = Machine { source, inits, unclear, retried, cancel, phase };
        let state = machine.clone().close(None);
        let text = state.data.to_string();
        let data = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(Machine::open(&State { data, secret: None }), Ok(machine));
    }
}
