//! How long the publishing machine tries, and what it asks before it tries again.

use domain::{Fault, FaultKind, Timestamp};
use platforms::tiktok::TikTok;
use platforms::{Action, Finish, Publish, Repeat, State};
use serde_json::{Value, json};

use crate::machine::{down, is_init, status};
use crate::support::{Post, Reply, T0, good, refusal, reply};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Past every pause: what the machine wants then, and when.
fn wants(post: &Post, state: &State, mut now: Timestamp) -> (Action, Timestamp) {
    loop {
        match post.next(state, now) {
            Action::Wait(until) => now = until,
            action => return (action, now),
        }
    }
}

fn is_checked(state: &State) -> bool {
    !state.data["creator"].is_null()
}

fn given_up(finish: Option<Finish>) -> Fault {
    let Some(Finish::Failed(fault)) = finish else {
        panic!("{finish:?}");
    };
    assert_eq!(fault.kind, FaultKind::PlatformDown);
    assert!(fault.explain().contains("given up"), "{}", fault.explain());
    assert!(
        !fault.explain().contains("by itself"),
        "{}",
        fault.explain()
    );
    fault
}

/// Starts that brought no word are made again ever more slowly, and do not count as publishes.
#[test]
fn a_start_without_a_clear_word_is_repeated_for_most_of_an_hour() {
    let post = Post::direct(4_000_000);
    let unclear: [fn() -> Option<Reply>; 7] = [
        || None,
        || Some(reply(500, "")),
        || Some(refusal(500, "internal_error")),
        || Some(reply(200, "<html>")),
        || Some(good(json!({}))),
        || Some(good(json!({"publish_id": "p"}))),
        || Some(good(json!({"publish_id": "p", "upload_url": "no address"}))),
    ];
    for (number, make) in unclear.into_iter().enumerate() {
        let mut state = post.start();
        let mut now = T0;
        let mut pauses = Vec::new();
        while post.finish(&state).is_none() {
            let (_, at) = wants(&post, &state, now);
            // Whatever was learnt of the creator is asked for again before each start.
            assert_eq!(is_checked(&state), pauses.is_empty());
            state = post.checked(&state, at);
            assert_eq!(
                post.next(&state, at),
                Action::Call(Repeat::Once),
                "{number}"
            );
            pauses.push(at.since(now).as_secs());
            now = at;
            state = match make() {
                Some(answer) => post.answered(&state, &answer.at(now)).unwrap(),
                None => TikTok.lost(&post.job(), &state, now),
            };
            assert_eq!(TikTok.publish_id(&state), None);
        }
        assert_eq!(pauses, [0, 10, 30, 90, 270, 810, 900, 900], "{number}");
        given_up(post.finish(&state));
    }
}

#[test]
fn an_unclear_start_waits_as_long_as_it_is_told() {
    let post = Post::direct(4_000_000);
    for (told, pause) in [("120", 120), ("1", 10), ("999999", DAY)] {
        let answer = reply(503, "").header("retry-after", told);
        let state = post.answered(&post.start(), &answer).unwrap();
        assert_eq!(post.next(&state, T0), Action::Wait(T0.plus_secs(pause)));
    }
}

/// A start that is answered ends the count.
#[test]
fn unclear_starts_count_in_a_row() {
    let post = Post::direct(100_000_000);
    let mut state = post.start();
    for _ in 0..2 {
        for _ in 0..7 {
            let later = wants(&post, &state, T0).1;
            state = TikTok.lost(&post.job(), &post.checked(&state, later), T0);
            assert!(is_init(&post, &state));
        }
        let later = wants(&post, &state, T0).1;
        state = post.checked(&state, later);
        let begun =
            good(json!({"publish_id": "p", "upload_url": "https://open-upload.tiktokapis.com/v"}));
        state = post.answered(&state, &begun).unwrap();
        state = post.answered(&state, &reply(403, "")).unwrap();
        assert!(is_init(&post, &state));
    }
}

/// A chunk that gets nowhere is sent ever more slowly, with a question before it from the second
/// time on; the publish is begun anew only after the address's hour.
#[test]
fn a_chunk_that_gets_nowhere_has_the_addresss_hour() {
    let post = Post::direct(100_000_000);
    let nowhere: [fn(&Post, &State, Timestamp) -> State; 3] = [
        |post, state, now| TikTok.lost(&post.job(), state, now),
        |post, state, now| {
            let answer = reply(416, "").header("content-range", "bytes 0-0/100000000");
            post.answered(state, &answer.at(now)).unwrap()
        },
        |post, state, now| {
            let answer = reply(206, "").header("content-range", "bytes 0-5/100000000");
            post.answered(state, &answer.at(now)).unwrap()
        },
    ];
    for meet in nowhere {
        let mut state = post.uploading();
        let mut now = T0;
        let (mut sent, mut asked) = (Vec::new(), 0);
        while !is_init(&post, &state) {
            let (action, at) = wants(&post, &state, now);
            now = at;
            state = match action {
                Action::Upload { range, .. } => {
                    assert_eq!(range, 0..32_000_000);
                    sent.push(now.since(T0).as_secs());
                    meet(&post, &state, now)
                }
                Action::Call(Repeat::Repeatable) => {
                    asked += 1;
                    let nothing =
                        status(json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0}));
                    post.answered(&state, &nothing.at(now)).unwrap()
                }
                other => panic!("{other:?}"),
            };
        }
        assert_eq!(sent, [0, 2, 8, 26, 80, 242, 728, 1_628, 2_528]);
        // Before every try from the third on, and once when the address had died.
        assert_eq!(asked, 8);
        assert!(now >= T0.plus_secs(HOUR));
    }
}

/// A 416 that does not say where TikTok stands leads to one question.
#[test]
fn a_place_refused_without_a_word_is_asked_about() {
    let post = Post::direct(100_000_000);
    let second = post.answered(&post.uploading(), &reply(206, "")).unwrap();
    for header in [
        None,
        Some("bytes */100000000"),
        Some("nonsense"),
        Some("bytes 0-5/7"),
    ] {
        let answer = match header {
            Some(header) => reply(416, "").header("content-range", header),
            None => reply(416, ""),
        };
        let asking = post.answered(&second, &answer).unwrap();
        assert!(asking.secret.is_some(), "the address is still of use");
        let (action, now) = wants(&post, &asking, T0);
        assert_eq!(action, Action::Call(Repeat::Repeatable), "{header:?}");
        for (bytes, start) in [
            (json!(0), 0),
            (json!(31_999_999), 0),
            (json!(32_000_000), 32_000_000),
            (json!("63999999"), 32_000_000),
            (json!(64_000_000), 64_000_000),
            (json!(99_999_999), 64_000_000),
        ] {
            let told = json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": bytes});
            let state = post.answered(&asking, &status(told).at(now)).unwrap();
            let (action, _) = wants(&post, &state, now);
            assert!(
                matches!(&action, Action::Upload { range, .. } if range.start == start),
                "{bytes}: {action:?}"
            );
        }
        let all = json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 100_000_000});
        let state = post.answered(&asking, &status(all).at(now)).unwrap();
        let (action, _) = wants(&post, &state, now);
        assert_eq!(action, Action::Call(Repeat::Repeatable));
        // Nothing is known: as after a dead address.
        for answer in [
            status(json!({"status": "PROCESSING_UPLOAD"})),
            refusal(400, "invalid_publish_id"),
        ] {
            let state = post.answered(&asking, &answer.at(now)).unwrap();
            assert!(is_init(&post, &state));
        }
        // Without an answer the chunk is tried again, and the question comes again.
        let state = TikTok.lost(&post.job(), &asking, now);
        let (action, now) = wants(&post, &state, now);
        assert!(matches!(&action, Action::Upload { range, .. } if range.start == 32_000_000));
        let state = post.answered(&state, &answer.at(now)).unwrap();
        let (action, _) = wants(&post, &state, now);
        assert_eq!(action, Action::Call(Repeat::Repeatable));
    }
}

/// A question that was only to save a try does not stand in the way of one.
#[test]
fn a_stalled_chunk_goes_on_where_the_question_brings_nothing() {
    let post = Post::direct(100_000_000);
    let mut asking = post.uploading();
    for _ in 0..2 {
        asking = TikTok.lost(&post.job(), &asking, T0);
    }
    let (action, now) = wants(&post, &asking, T0);
    assert_eq!(action, Action::Call(Repeat::Repeatable));
    let answers = [
        status(json!({"status": "PROCESSING_UPLOAD"})),
        status(json!({})),
        refusal(500, "internal_error"),
        reply(200, "<html>"),
    ];
    let mut states: Vec<_> = answers
        .into_iter()
        .map(|answer| post.answered(&asking, &answer.at(now)).unwrap())
        .collect();
    states.push(TikTok.lost(&post.job(), &asking, now));
    for state in states {
        let range = 0..32_000_000;
        assert_eq!(post.next(&state, now), Action::Upload { media: 0, range });
    }
    // What TikTok says for sure counts.
    for (data, ends) in [
        (json!({"status": "PUBLISH_COMPLETE"}), true),
        (
            json!({"status": "FAILED", "fail_reason": "spam_risk"}),
            true,
        ),
        (json!({"status": "FAILED"}), false),
    ] {
        let state = post.answered(&asking, &status(data).at(now)).unwrap();
        assert_eq!(post.finish(&state).is_some(), ends);
    }
}

/// Once nothing but silence answers the question about a dead address, a day is enough.
#[test]
fn a_dead_address_is_asked_about_for_a_day_at_most() {
    let post = Post::direct(100_000_000);
    let mut state = post.uploading();
    let mut now = T0.plus_secs(HOUR);
    let mut asked = 0;
    while post.finish(&state).is_none() {
        let (action, at) = wants(&post, &state, now);
        assert_eq!(action, Action::Call(Repeat::Repeatable));
        now = at;
        asked += 1;
        state = TikTok.lost(&post.job(), &state, now);
    }
    assert!((90..110).contains(&asked), "{asked}");
    given_up(post.finish(&state));
}

/// Taking an upload up again slows down and has an end; after it only the status counts.
#[test]
fn sending_again_slows_down_and_has_an_end() {
    let post = Post::direct(4_000_000);
    let mut state = TikTok.lost(&post.job(), &post.uploading(), T0);
    let mut now = T0;
    let mut sent = Vec::new();
    let end = loop {
        match post.next(&state, now) {
            Action::Wait(until) => now = until,
            Action::Upload { .. } => {
                sent.push(now);
                state = TikTok.lost(&post.job(), &state, now);
            }
            Action::Call(_) => {
                let nothing = json!({"status": "PROCESSING_UPLOAD"});
                state = post.answered(&state, &status(nothing).at(now)).unwrap();
            }
            Action::Finish(finish) | Action::Follow(finish, _) => break finish,
        }
    };
    assert_eq!(sent.len(), 8);
    assert!(sent[7].since(sent[0]).as_secs() > 1_600);
    assert!(matches!(end, Finish::Unknown(_)));
}

/// Limits and trouble do not end the questions about a post that may be out, and are paced as told.
#[test]
fn limits_do_not_end_the_questions() {
    let post = Post::direct(4_000_000);
    for make in [
        (|| refusal(429, "rate_limit_exceeded")) as fn() -> Reply,
        || reply(429, ""),
        || refusal(500, "internal_error"),
    ] {
        let state = post.answered(&post.processing(), &make()).unwrap();
        assert_eq!(post.next(&state, T0), Action::Wait(T0.plus_secs(10)));
        let told = make().header("retry-after", "240");
        let state = post.answered(&post.processing(), &told).unwrap();
        assert_eq!(post.next(&state, T0), Action::Wait(T0.plus_secs(240)));

        let mut state = post.processing();
        let mut now = T0;
        while post.finish(&state).is_none() {
            let (action, at) = wants(&post, &state, now);
            assert_eq!(action, Action::Call(Repeat::Repeatable));
            now = at;
            state = post.answered(&state, &make().at(now)).unwrap();
        }
        assert!(matches!(post.finish(&state), Some(Finish::Unknown(_))));
        assert!(now >= T0.plus_secs(DAY));
    }
}

/// TikTok refused the last chunk as malformed: it is asked once whether it has the file all the same.
#[test]
fn a_refused_last_chunk_is_asked_about_once() {
    let post = Post::direct(4_000_000);
    let asking = post.answered(&post.uploading(), &reply(400, "")).unwrap();
    let answered = |data: Value| {
        let state = post.answered(&asking, &status(data)).unwrap();
        post.finish(&state)
    };
    for data in [
        json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0}),
        json!({"status": "PROCESSING_UPLOAD"}),
    ] {
        let Some(Finish::Failed(fault)) = answered(data) else {
            panic!("no failure");
        };
        assert!(fault.explain().contains("a piece of the file"));
    }
    assert!(matches!(
        answered(json!({"status": "SOMETHING_NEW"})),
        Some(Finish::Unknown(_))
    ));
    let complete = answered(json!({"status": "PUBLISH_COMPLETE"}));
    assert!(matches!(complete, Some(Finish::Published(_))));
    let all = json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 4_000_000});
    assert_eq!(answered(all), None);
    // Trouble is no answer.
    let again = post.answered(&asking, &reply(503, "")).unwrap();
    assert_eq!(post.finish(&again), None);
    assert!(matches!(
        TikTok.given_up(&again, down()),
        Finish::Unknown(_)
    ));
}

/// With only the last chunk left, an unknown publish is no proof that nothing was published.
#[test]
fn a_publish_forgotten_before_its_last_chunk_cannot_be_known() {
    let dead = T0.plus_secs(HOUR);
    let unknown = || refusal(400, "invalid_publish_id").at(dead);
    let small = Post::direct(4_000_000);
    let state = small.answered(&small.uploading(), &unknown()).unwrap();
    assert!(matches!(small.finish(&state), Some(Finish::Unknown(_))));
    let large = Post::direct(100_000_000);
    let state = large.answered(&large.uploading(), &unknown()).unwrap();
    assert!(is_init(&large, &state));
}
