//! What TikTok fetches by itself: answers lost and senders killed at every step, failed fetches, and
//! wishes to cancel at every step. It is begun once, and never twice without TikTok's word.

use domain::{Mode, Timestamp};
use platforms::tiktok::TikTok;
use platforms::{Action, Cancel, Finish, Publish, Repeat, State};
use serde_json::json;

use crate::machine::{published, status};
use crate::server::{Progress, Server};
use crate::simulation::{ALL, Run, Trouble, go_on, run, until};
use crate::support::{Post, Reply, T0, bundle, good, refusal, reply};

const DAY: i64 = 24 * 3_600;

fn posts() -> [Post; 4] {
    [
        Post::pull(Mode::Direct),
        Post::pull(Mode::Inbox),
        Post::photos(Mode::Direct),
        Post::photos(Mode::Inbox),
    ]
}

fn server() -> Server {
    Server::new(Progress::Never, false)
}

/// The number of the start among the requests.
fn start_of(post: &Post) -> usize {
    usize::from(post.options.mode == Mode::Direct)
}

fn delivered(post: &Post, finish: &Finish) -> bool {
    match post.options.mode {
        Mode::Direct => matches!(finish, Finish::Published(_)),
        Mode::Inbox => *finish == Finish::Inbox,
    }
}

/// What is told is true, and nothing is published twice.
fn is_true(post: &Post, run: &Run) {
    let published = run.server.published();
    match &run.finish {
        finish if delivered(post, finish) => assert_eq!(published, 1),
        Finish::Failed(_) | Finish::Cancelled => assert_eq!(published, 0),
        Finish::Unknown(_) => assert!(published <= 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_straight_path() {
    for post in posts() {
        let run = run(&post, server(), &[]);
        assert!(delivered(&post, &run.finish));
        assert_eq!(run.server.starts(), 1);
        // A question about the creator before a direct one, the start, three questions.
        assert_eq!(run.requests, start_of(&post) + 1 + 3);
    }
}

#[test]
fn a_lost_start_is_never_made_again() {
    for post in posts() {
        let start = start_of(&post);
        for step in 0..start + 4 {
            for trouble in ALL {
                let run = run(&post, server(), &[(step, trouble)]);
                is_true(&post, &run);
                let sent = step != start || trouble != Trouble::RequestLost;
                assert_eq!(run.server.starts(), usize::from(sent));
                match &run.finish {
                    Finish::Unknown(fault) => {
                        assert_eq!(step, start);
                        assert!(fault.explain().contains("cannot be known"));
                    }
                    finish => assert!(step != start && delivered(&post, finish)),
                }
            }
        }
    }
}

#[test]
fn two_losses_at_every_pair_of_steps() {
    for post in posts() {
        for unfetched in 0..=2 {
            for first in 0..10 {
                for second in first + 1..11 {
                    for one in ALL {
                        for two in ALL {
                            let mut server = server();
                            server.unfetched = unfetched;
                            let run = run(&post, server, &[(first, one), (second, two)]);
                            is_true(&post, &run);
                            assert!(run.server.starts() <= 1 + unfetched.min(1));
                        }
                    }
                }
            }
        }
    }
}

/// A file that TikTok could not fetch is worth one more try with a fresh address.
#[test]
fn a_failed_fetch_is_begun_once_more() {
    for post in posts() {
        let mut strict = server();
        strict.unfetched = 1;
        let once = run(&post, strict, &[]);
        assert!(delivered(&post, &once.finish));
        assert_eq!(once.server.starts(), 2);
        let mut strict = server();
        strict.unfetched = 2;
        let twice = run(&post, strict, &[]);
        assert_eq!(twice.server.starts(), 2);
        assert_eq!(twice.server.published(), 0);
        let Finish::Failed(fault) = twice.finish else {
            panic!("{:?}", twice.finish);
        };
        assert!(fault.explain().contains("address"), "{}", fault.explain());
    }
    // The second start carries the address as it is then.
    let mut post = Post::pull(Mode::Inbox);
    let failed = status(json!({"status": "FAILED", "fail_reason": "video_pull_failed"}));
    let again = post.answered(&post.fetching(), &failed).unwrap();
    post.media[0].address = Some(domain::Secret::new("https://media.example.com/b/2.mp4"));
    let call = TikTok.call(&post.job(), &again, &bundle(&[])).unwrap();
    assert!(String::from_utf8_lossy(call.request.body()).contains("/b/2.mp4"));
    // An upload has nothing to fetch: the reason would be nonsense, and no new start follows.
    let upload = Post::direct(4_000_000);
    let state = upload.answered(&upload.processing(), &failed).unwrap();
    assert!(matches!(upload.finish(&state), Some(Finish::Failed(_))));
}

/// Every answer to a start of which it is not sure that it had no effect.
#[test]
fn an_unclear_start_ends_as_unknown() {
    for post in posts() {
        let unclear: [Reply; 8] = [
            reply(500, ""),
            reply(502, "<html>"),
            reply(408, ""),
            refusal(500, "internal_error"),
            refusal(503, "internal_error"),
            reply(200, "<html>"),
            good(json!({})),
            good(json!({"publish_id": ""})),
        ];
        for answer in unclear {
            let state = post.answered(&post.start(), &answer).unwrap();
            let Action::Finish(Finish::Unknown(fault)) = post.next(&state, T0) else {
                panic!("{state:?}");
            };
            assert!(fault.explain().contains("cannot be known"));
        }
        // What TikTok surely refused may be tried again as it is, or is at an end.
        for (answer, kind) in [
            (refusal(429, "rate_limit_exceeded"), "rate_limited"),
            (refusal(401, "access_token_invalid"), "token_rejected"),
            (refusal(400, "invalid_param"), "invalid_request"),
            (refusal(403, "url_ownership_unverified"), "app_refused"),
            (refusal(403, "brand_new_code"), "internal"),
        ] {
            let fault = post.answered(&post.start(), &answer).unwrap_err();
            assert_eq!(fault.kind.code(), kind);
            assert!(!fault.explain().contains("cut"), "{}", fault.explain());
            let given_up = TikTok.given_up(&post.start(), fault.clone());
            assert_eq!(given_up, Finish::Failed(fault));
        }
    }
}

/// The question about the creator publishes nothing: its loss is not the start's.
#[test]
fn a_lost_question_about_the_creator_is_asked_again() {
    for post in [Post::pull(Mode::Direct), Post::photos(Mode::Direct)] {
        let mut state = post.fresh();
        let mut now = T0;
        let mut asked = 0;
        while post.finish(&state).is_none() {
            match post.next(&state, now) {
                Action::Wait(until) => now = until,
                Action::Call(Repeat::Repeatable) => {
                    asked += 1;
                    state = TikTok.lost(&post.job(), &state, now);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(asked, 8);
        assert!(matches!(post.finish(&state), Some(Finish::Failed(_))));
    }
}

#[test]
fn fetching_is_asked_about_for_a_day_at_most() {
    for post in posts() {
        let mut state = post.fetching();
        assert_eq!(state.secret, None);
        let mut now = T0;
        let mut asked = 0;
        loop {
            match post.next(&state, now) {
                Action::Wait(until) => now = until,
                Action::Call(Repeat::Repeatable) => {
                    asked += 1;
                    let data = json!({"status": "PROCESSING_DOWNLOAD", "downloaded_bytes": 7});
                    state = post.answered(&state, &status(data).at(now)).unwrap();
                }
                Action::Finish(Finish::Unknown(_)) => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(now >= T0.plus_secs(DAY) && now < T0.plus_secs(DAY + 60));
        assert!((2_000..3_000).contains(&asked), "{asked}");
    }
}

/// A wish to cancel after every step, with every trouble at every step after it.
#[test]
fn cancelling_at_every_step() {
    let uploads = [Post::direct(100_000_000), Post::inbox(4_000_000)];
    for post in posts().into_iter().chain(uploads) {
        for keeps in [false, true] {
            for steps in 0..12 {
                for trouble in std::iter::once(None).chain(ALL.map(Some)) {
                    for step in 0..3 {
                        let mut server = Server::new(Progress::Count, false);
                        server.keeps = keeps;
                        let (state, before) = until(&post, &mut server, steps, false);
                        let troubles: Vec<_> = trouble.map(|one| (step, one)).into_iter().collect();
                        let now = T0.plus_secs(60);
                        match TikTok.cancel(&state, now) {
                            Cancel::Stop => assert_eq!(before, 0),
                            Cancel::TooLate => {
                                assert!(before == 1 || post.finish(&state).is_some());
                            }
                            Cancel::Ask(asking) => {
                                let run = go_on(&post, server, asking, now, &troubles);
                                is_true(&post, &run);
                                assert_eq!(run.server.starts(), 1);
                                assert_eq!(run.finish == Finish::Cancelled, !keeps);
                            }
                        }
                    }
                }
            }
        }
    }
}

fn asking(post: &Post, state: &State, now: Timestamp) -> State {
    match TikTok.cancel(state, now) {
        Cancel::Ask(state) => state,
        other => panic!("{other:?} {:?}", post.next(state, now)),
    }
}

#[test]
fn the_wish_is_exact_and_may_be_repeated() {
    let post = Post::pull(Mode::Direct);
    let wish = asking(&post, &post.fetching(), T0);
    assert_eq!(post.next(&wish, T0), Action::Call(Repeat::Repeatable));
    let call = TikTok.call(&post.job(), &wish, &bundle(&[])).unwrap();
    assert_eq!(
        (call.name, call.repeat),
        ("tiktok.publish.cancel", Repeat::Repeatable)
    );
    assert_eq!(
        call.request.uri(),
        "https://open.tiktokapis.com/v2/post/publish/cancel/"
    );
    assert_eq!(call.request.body(), r#"{"publish_id":"v_pub_url~v2-1.7"}"#);
    // A second wish changes nothing.
    assert_eq!(TikTok.cancel(&wish, T0.plus_secs(9)), Cancel::Ask(wish));
}

/// TikTok's refusal leaves the publish as it is, and so does its silence after a while.
#[test]
fn a_refused_wish_leaves_the_publish_as_it_is() {
    let post = Post::pull(Mode::Direct);
    let wish = asking(&post, &post.fetching(), T0);
    for code in [
        "publish_not_cancellable",
        "invalid_publish_id",
        "token_not_authorized_for_specified_publish_id",
        "url_ownership_unverified",
        "scope_not_authorized",
        "brand_new_code",
    ] {
        let state = post.answered(&wish, &refusal(400, code)).unwrap();
        assert_eq!(
            state.data["cancel"]["refused"]["why"]["platform_code"],
            code
        );
        assert_eq!(TikTok.cancel(&state, T0), Cancel::TooLate);
        assert_eq!(post.next(&state, T0), Action::Wait(T0.plus_secs(5)));
        let done = status(json!({"status": "PUBLISH_COMPLETE"}));
        let state = post.answered(&state, &done).unwrap();
        assert_eq!(post.finish(&state), Some(Finish::Published(published(&[]))));
    }
    let fault = post
        .answered(&wish, &refusal(401, "access_token_invalid"))
        .unwrap_err();
    assert_eq!(fault.kind.code(), "token_rejected");

    for meet in [
        (|post: &Post, state: &State, now| TikTok.lost(&post.job(), state, now))
            as fn(&Post, &State, Timestamp) -> State,
        |post, state, now| post.answered(state, &reply(503, "").at(now)).unwrap(),
        |post, state, now| {
            let answer = refusal(429, "rate_limit_exceeded").at(now);
            post.answered(state, &answer).unwrap()
        },
    ] {
        let mut state = wish.clone();
        let mut now = T0;
        let mut asked = Vec::new();
        while state.data["cancel"]["wanted"].is_object() {
            match post.next(&state, now) {
                Action::Wait(until) => now = until,
                _ => {
                    asked.push(now.since(T0).as_secs());
                    state = meet(&post, &state, now);
                }
            }
        }
        assert_eq!(asked, [0, 2, 8, 26, 80]);
        assert_eq!(TikTok.cancel(&state, T0), Cancel::TooLate);
        // Asked in vain or not, it may have been heard.
        let cancelled = status(json!({"status": "FAILED", "fail_reason": "publish_cancelled"}));
        let state = post.answered(&state, &cancelled.at(now)).unwrap();
        assert_eq!(post.finish(&state), Some(Finish::Cancelled));
    }
}

/// Nothing is begun anew for a post that nobody wants any more.
#[test]
fn a_failure_after_a_wish_is_an_end() {
    let post = Post::pull(Mode::Direct);
    let wish = asking(&post, &post.fetching(), T0);
    let taken = post.answered(&wish, &good(json!({}))).unwrap();
    assert_eq!(taken.data["cancel"], "taken");
    for (reason, cancelled) in [
        ("publish_cancelled", true),
        ("video_pull_failed", true),
        ("internal", true),
        ("spam_risk", false),
    ] {
        let failed = json!({"status": "FAILED", "fail_reason": reason});
        let polled = post.answered(&taken, &status(failed)).unwrap();
        let news = domain::PublishNews::Failed {
            reason: reason.into(),
        };
        let told = TikTok.told(&taken, &news, T0);
        for state in [polled, told] {
            let finish = post.finish(&state).unwrap();
            assert_eq!(finish == Finish::Cancelled, cancelled, "{reason}");
            assert_eq!(TikTok.told(&state, &news, T0), state);
            // Whatever else is said: what is published is published.
            let public = domain::PublishNews::Public(published(&["76"]));
            let state = TikTok.told(&state, &public, T0);
            assert!(matches!(post.finish(&state), Some(Finish::Published(_))));
        }
        // Unasked, a cancelled publish has failed.
        let news = domain::PublishNews::Failed {
            reason: "publish_cancelled".into(),
        };
        let state = TikTok.told(&post.fetching(), &news, T0);
        assert!(matches!(post.finish(&state), Some(Finish::Failed(_))));
    }
}

/// An upload can be taken back for as long as the bytes that complete it were surely not sent.
#[test]
fn an_upload_can_be_taken_back_before_its_last_bytes() {
    let post = Post::direct(100_000_000);
    let mut state = post.fresh();
    assert_eq!(TikTok.cancel(&state, T0), Cancel::Stop);
    state = post.start();
    assert_eq!(TikTok.cancel(&state, T0), Cancel::Stop);
    state = post.uploading();
    for _ in 0..2 {
        assert_eq!(TikTok.cancel(&state, T0), Cancel::Stop);
        state = post.answered(&state, &reply(206, "")).unwrap();
    }
    assert_eq!(TikTok.cancel(&state, T0), Cancel::Stop);
    // The last chunk may have arrived, even where it is sent again.
    let asking = TikTok.lost(&post.job(), &state, T0);
    assert_eq!(TikTok.cancel(&asking, T0), Cancel::TooLate);
    let missing = json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 64_000_000});
    let again = post.answered(&asking, &status(missing)).unwrap();
    assert!(matches!(post.next(&again, T0), Action::Upload { .. }));
    assert_eq!(TikTok.cancel(&again, T0), Cancel::TooLate);
    assert_eq!(TikTok.cancel(&post.processing(), T0), Cancel::TooLate);
    let draft = Post::inbox(4_000_000);
    let data = json!({"status": "SEND_TO_USER_INBOX"});
    let delivered = draft.answered(&draft.processing(), &status(data)).unwrap();
    assert_eq!(TikTok.cancel(&delivered, T0), Cancel::TooLate);
    let unreadable = State {
        data: json!({}),
        secret: None,
    };
    assert_eq!(TikTok.cancel(&unreadable, T0), Cancel::TooLate);
}
