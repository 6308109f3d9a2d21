//! An upload that TikTok never got whole, and answers that say nothing.

use domain::{FaultKind, Timestamp};
use platforms::tiktok::TikTok;
use platforms::{Action, Finish, Publish, Repeat, State};
use serde_json::{Value, json};

use crate::machine::{is_init, status};
use crate::support::{Post, T0, good, reply};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// The address's hour, and what TikTok's own count may lag behind.
const CLOSED: i64 = 70 * MINUTE;

/// Asks until it no longer is the status that is to be asked, at most for a day and an hour; gives what
/// is wanted then, when, and after how many questions.
fn asked(
    post: &Post,
    mut state: State,
    mut now: Timestamp,
    data: &Value,
) -> (State, Timestamp, usize) {
    let mut questions = 0;
    while now < T0.plus_secs(25 * HOUR) {
        match post.next(&state, now) {
            Action::Wait(until) => now = until,
            Action::Call(Repeat::Repeatable) if state.data["phase"] != "init" => {
                questions += 1;
                state = post
                    .answered(&state, &status(data.clone()).at(now))
                    .unwrap();
            }
            _ => break,
        }
    }
    (state, now, questions)
}

/// The state in which the last chunk is to be sent.
fn last_left(post: &Post) -> State {
    let mut state = post.uploading();
    while let Action::Upload { range, .. } = post.next(&state, T0)
        && range.end < post.media[0].size
    {
        state = post.answered(&state, &reply(206, "")).unwrap();
    }
    state
}

/// The address refused the last chunk, and by TikTok's count it never came: once the address has died,
/// nothing can be published by it.
#[test]
fn what_never_got_whole_is_begun_anew_once_its_address_has_died() {
    for post in [
        Post::direct(4_000_000),
        Post::direct(100_000_000),
        Post::inbox(4_000_000),
    ] {
        for dead in [401, 403, 404] {
            let state = post
                .answered(&last_left(&post), &reply(dead, "").at(T0))
                .unwrap();
            assert_eq!(state.secret, None);
            let data = json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0});
            let (state, now, questions) = asked(&post, state, T0, &data);
            assert!(is_init(&post, &state), "{dead}: {state:?}");
            assert_eq!(TikTok.publish_id(&state), None);
            assert!(now >= T0.plus_secs(CLOSED), "{dead}: {now}");
            assert!(now <= T0.plus_secs(CLOSED + 15 * MINUTE), "{dead}: {now}");
            assert!(questions < 16, "{questions}");
        }
    }
}

/// The same where the last chunk's answer was lost, or sending it again came to nothing.
#[test]
fn what_was_sent_in_vain_is_begun_anew_too() {
    let post = Post::direct(4_000_000);
    let mut state = TikTok.lost(&post.job(), &last_left(&post), T0);
    let mut now = T0;
    let mut sent = 0;
    while !is_init(&post, &state) {
        match post.next(&state, now) {
            Action::Wait(until) => now = until,
            Action::Upload { .. } => {
                sent += 1;
                assert!(now < T0.plus_secs(45 * MINUTE));
                state = TikTok.lost(&post.job(), &state, now);
            }
            Action::Call(Repeat::Repeatable) => {
                let nothing = json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0});
                state = post.answered(&state, &status(nothing).at(now)).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sent, 8);
    assert!(now >= T0.plus_secs(CLOSED) && now < T0.plus_secs(CLOSED + 16 * MINUTE));
}

/// Only TikTok's own count of missing bytes, told after the address's end, allows it.
#[test]
fn what_may_be_whole_is_never_begun_anew() {
    let post = Post::direct(4_000_000);
    let dead = post.answered(&last_left(&post), &reply(403, "")).unwrap();
    let whole = post.processing();
    let lost = TikTok.lost(&post.job(), &last_left(&post), T0);
    let late = T0.plus_secs(CLOSED);
    // (state, the status, whether it is begun anew)
    for (state, data, again) in [
        (
            &dead,
            json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 3_999_999}),
            true,
        ),
        (
            &lost,
            json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": "0"}),
            true,
        ),
        (
            &dead,
            json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 4_000_000}),
            false,
        ),
        (&dead, json!({"status": "PROCESSING_UPLOAD"}), false),
        (
            &dead,
            json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": "many"}),
            false,
        ),
        (&dead, json!({"uploaded_bytes": 0}), false),
        (
            &dead,
            json!({"status": "SOMETHING_NEW", "uploaded_bytes": 0}),
            false,
        ),
        (
            &dead,
            json!({"status": "PROCESSING_DOWNLOAD", "uploaded_bytes": 0}),
            false,
        ),
        // TikTok has said that it holds the whole file.
        (
            &whole,
            json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0}),
            false,
        ),
    ] {
        for (at, again) in [
            (late, again),
            (late.plus_secs(-1), false),
            (T0.plus_secs(HOUR), false),
        ] {
            let state = post.answered(state, &status(data.clone()).at(at)).unwrap();
            let is = TikTok.publish_id(&state).is_none();
            assert_eq!(is, again, "{data} at {at}");
        }
    }
    // A count that was full once stays so.
    let all = json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 4_000_000});
    let state = post.answered(&dead, &status(all).at(late)).unwrap();
    let none = json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0});
    let state = post.answered(&state, &status(none).at(late)).unwrap();
    assert!(TikTok.publish_id(&state).is_some());
}

/// What TikTok fetches is not begun anew by any such answer.
#[test]
fn what_tiktok_fetches_is_asked_about_to_the_end() {
    let post = Post::pull(domain::Mode::Direct);
    let data = json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0});
    let (state, now, _) = asked(&post, post.fetching(), T0, &data);
    assert!(matches!(post.finish(&state), Some(Finish::Unknown(_))));
    assert!(now >= T0.plus_secs(24 * HOUR));
}

/// As often as an address that dies earlier, and then it has failed for sure.
#[test]
fn it_is_begun_anew_at_most_three_times() {
    let post = Post::direct(4_000_000);
    let mut state = post.start();
    let mut now = T0;
    let data = json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0});
    for round in 0..3 {
        assert_eq!(post.finish(&state), None, "{round}");
        state = post.checked(&state, now);
        assert_eq!(post.next(&state, now), Action::Call(Repeat::Once));
        let begun =
            good(json!({"publish_id": "p", "upload_url": "https://open-upload.tiktokapis.com/v"}));
        state = post.answered(&state, &begun.at(now)).unwrap();
        state = post.answered(&state, &reply(403, "").at(now)).unwrap();
        (state, now, _) = asked(&post, state, now, &data);
    }
    let Some(Finish::Failed(fault)) = post.finish(&state) else {
        panic!("{state:?}");
    };
    assert_eq!(fault.kind, FaultKind::PlatformDown);
    assert!(fault.explain().contains("given up"), "{}", fault.explain());
}

/// Answers that do not say what became of it are asked for ever more slowly, and one that does sets the
/// pace back.
#[test]
fn answers_that_say_nothing_slow_the_questions_down() {
    let upload = Post::direct(4_000_000);
    let pull = Post::pull(domain::Mode::Direct);
    let silent: [(&Post, State, Option<Value>); 6] = [
        (&upload, upload.processing(), Some(json!({}))),
        (
            &upload,
            upload.processing(),
            Some(json!({"status": "SOMETHING_NEW"})),
        ),
        (
            &upload,
            TikTok.lost(&upload.job(), &last_left(&upload), T0),
            Some(json!({"status": "PROCESSING_DOWNLOAD"})),
        ),
        (&upload, upload.processing(), None),
        (
            &pull,
            pull.fetching(),
            Some(json!({"status": "SOMETHING_NEW"})),
        ),
        (&pull, pull.fetching(), None),
    ];
    for (post, mut state, data) in silent {
        let mut now = T0;
        let mut pauses = Vec::new();
        let mut questions = 0;
        while post.finish(&state).is_none() {
            let Action::Wait(until) = post.next(&state, now) else {
                panic!("no pause: {data:?}");
            };
            pauses.push(until.since(now).as_secs());
            now = until;
            questions += 1;
            state = match &data {
                Some(data) => post
                    .answered(&state, &status(data.clone()).at(now))
                    .unwrap(),
                None => TikTok.lost(&post.job(), &state, now),
            };
        }
        assert_eq!(
            pauses[..9],
            [5, 10, 30, 60, 120, 240, 480, 900, 900],
            "{data:?}"
        );
        assert!((90..120).contains(&questions), "{data:?}: {questions}");
        assert!(matches!(post.finish(&state), Some(Finish::Unknown(_))));
    }
    // It is under way: back to the usual pace, where it stood.
    let mut state = upload.processing();
    for _ in 0..6 {
        state = upload.answered(&state, &status(json!({}))).unwrap();
    }
    assert_eq!(upload.next(&state, T0), Action::Wait(T0.plus_secs(480)));
    let busy = status(json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 4_000_000}));
    let state = upload.answered(&state, &busy).unwrap();
    assert_eq!(upload.next(&state, T0), Action::Wait(T0.plus_secs(30)));
}
