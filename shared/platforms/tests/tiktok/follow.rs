//! What is still learnt after the end: drafts that are posted later, ids that come late.

use domain::{PublishNews, Timestamp};
use platforms::tiktok::TikTok;
use platforms::{Action, Finish, Publish, Repeat, State};
use serde_json::{Value, json};

use crate::machine::{down, published, status};
use crate::support::{Post, Reply, T0, bundle, refusal, reply};

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn draft() -> (Post, State) {
    let post = Post::inbox(4_000_000);
    let state = ended(&post, json!({"status": "SEND_TO_USER_INBOX"}));
    (post, state)
}

/// A public video whose id is not known yet.
fn nameless() -> (Post, State) {
    let mut post = Post::direct(4_000_000);
    post.options.privacy = Some("PUBLIC_TO_EVERYONE".into());
    let state = ended(&post, json!({"status": "PUBLISH_COMPLETE"}));
    (post, state)
}

fn ended(post: &Post, data: Value) -> State {
    post.answered(&post.processing(), &status(data)).unwrap()
}

/// When it is asked about, in seconds from its end, as `meet` has it go.
fn asked(
    post: &Post,
    mut state: State,
    meet: impl Fn(&Post, &State, Timestamp) -> State,
) -> (Vec<i64>, State) {
    let mut now = T0;
    let mut times = Vec::new();
    loop {
        match post.next(&state, now) {
            Action::Follow(_, until) => {
                assert!(until > now);
                now = until;
            }
            Action::Call(repeat) => {
                assert_eq!(repeat, Repeat::Repeatable);
                let call = TikTok.call(&post.job(), &state, &bundle(&[])).unwrap();
                assert_eq!(call.name, "tiktok.publish.status");
                times.push(i64::try_from(now.since(T0).as_secs()).unwrap());
                state = meet(post, &state, now);
            }
            Action::Finish(_) => return (times, state),
            other => panic!("{other:?}"),
        }
    }
}

fn answering(make: impl Fn() -> Reply) -> impl Fn(&Post, &State, Timestamp) -> State {
    move |post, state, now| post.answered(state, &make().at(now)).unwrap()
}

fn lost(post: &Post, state: &State, now: Timestamp) -> State {
    TikTok.lost(&post.job(), state, now)
}

#[test]
fn a_draft_is_asked_about_for_a_week() {
    let (post, state) = draft();
    assert_eq!(
        post.next(&state, T0),
        Action::Follow(Finish::Inbox, T0.plus_secs(10 * MINUTE))
    );
    let times = [
        10 * MINUTE,
        HOUR,
        6 * HOUR,
        DAY,
        2 * DAY,
        3 * DAY,
        4 * DAY,
        5 * DAY,
        6 * DAY,
        7 * DAY,
    ];
    let still = answering(|| status(json!({"status": "SEND_TO_USER_INBOX"})));
    let troubled = answering(|| reply(503, ""));
    assert_eq!(asked(&post, state.clone(), still).0, times);
    assert_eq!(asked(&post, state.clone(), lost).0, times);
    let (asked, end) = asked(&post, state, troubled);
    assert_eq!(asked, times);
    assert_eq!(post.finish(&end), Some(Finish::Inbox));
}

#[test]
fn a_post_without_an_id_is_asked_about_for_a_day() {
    let times = [
        MINUTE,
        5 * MINUTE,
        15 * MINUTE,
        HOUR,
        3 * HOUR,
        6 * HOUR,
        12 * HOUR,
        DAY,
    ];
    let (post, state) = nameless();
    let still = || status(json!({"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": []}));
    assert_eq!(asked(&post, state.clone(), answering(still)).0, times);
    // A draft that was posted may be public as well; what only its creator sees has no id.
    let (draft, state) = draft();
    let news = PublishNews::Published(published(&[]));
    let posted = TikTok.told(&state, &news, T0);
    assert_eq!(asked(&draft, posted, lost).0, times);
    let private = Post::direct(4_000_000);
    let state = ended(&private, json!({"status": "PUBLISH_COMPLETE"}));
    assert!(matches!(
        private.next(&state, T0),
        Action::Finish(Finish::Published(_))
    ));
}

/// A question that was late leaves out the ones that it missed.
#[test]
fn late_questions_are_not_made_up_for() {
    let (post, state) = draft();
    let late = T0.plus_secs(2 * DAY + 5);
    assert_eq!(post.next(&state, late), Action::Call(Repeat::Repeatable));
    let state = lost(&post, &state, late);
    assert_eq!(
        post.next(&state, late),
        Action::Follow(Finish::Inbox, T0.plus_secs(3 * DAY))
    );
    let (post, state) = nameless();
    let told = refusal(429, "rate_limit_exceeded")
        .header("retry-after", "400")
        .at(T0.plus_secs(MINUTE));
    let state = post.answered(&state, &told).unwrap();
    let Action::Follow(_, next) = post.next(&state, T0.plus_secs(MINUTE)) else {
        panic!("{state:?}");
    };
    assert_eq!(next, T0.plus_secs(15 * MINUTE));
}

#[test]
fn drafts_are_posted_or_fail_later() {
    let (post, state) = draft();
    let at = T0.plus_secs(HOUR);
    let answered = |data: Value| post.answered(&state, &status(data).at(at)).unwrap();
    let posted = answered(json!({
        "status": "PUBLISH_COMPLETE", "publicaly_available_post_id": [76_u64],
    }));
    assert!(matches!(
        post.next(&posted, at),
        Action::Finish(Finish::Published(post)) if post.ids == ["76"]
    ));
    // Private, or not moderated yet: its id is asked for from now on.
    let nameless = answered(json!({"status": "PUBLISH_COMPLETE"}));
    assert!(matches!(
        post.next(&nameless, at),
        Action::Follow(Finish::Published(_), next) if next == at.plus_secs(MINUTE)
    ));
    let failed = answered(json!({"status": "FAILED", "fail_reason": "spam_risk"}));
    assert!(matches!(
        post.next(&failed, at),
        Action::Finish(Finish::Failed(_))
    ));
    // TikTok's own trouble does not begin a draft anew that somebody may have posted by hand.
    let failed = answered(json!({"status": "FAILED", "fail_reason": "internal"}));
    assert!(matches!(
        post.next(&failed, at),
        Action::Finish(Finish::Failed(_))
    ));
    for data in [
        json!({"status": "PROCESSING_UPLOAD"}),
        json!({"status": "SOMETHING_NEW"}),
        json!({}),
    ] {
        let state = answered(data);
        assert!(matches!(
            post.next(&state, at),
            Action::Follow(Finish::Inbox, _)
        ));
    }
}

/// An id may be a text or a number, under either spelling.
#[test]
fn late_ids_are_read_in_every_form() {
    let (mut post, state) = nameless();
    post.account.username = None;
    let id = 7_600_000_000_000_000_001_u64;
    for data in [
        json!({"publicaly_available_post_id": [id]}),
        json!({"publicaly_available_post_id": [id.to_string()]}),
        json!({"publicly_available_post_id": id}),
        json!({"publicly_available_post_id": id.to_string()}),
    ] {
        let mut whole = data.clone();
        whole["status"] = json!("PUBLISH_COMPLETE");
        let state = post.answered(&state, &status(whole)).unwrap();
        assert_eq!(
            post.next(&state, T0),
            Action::Finish(Finish::Published(published(&["7600000000000000001"]))),
            "{data}"
        );
    }
    // What was published stays so.
    for data in [
        json!({"status": "FAILED", "fail_reason": "spam_risk"}),
        json!({"status": "SEND_TO_USER_INBOX"}),
    ] {
        let state = post.answered(&state, &status(data)).unwrap();
        assert!(matches!(
            post.next(&state, T0),
            Action::Follow(Finish::Published(_), _)
        ));
    }
}

/// What TikTok no longer shows is left alone, and what was known stays.
#[test]
fn what_cannot_be_asked_about_is_left_alone() {
    for (post, state) in [draft(), nameless()] {
        let known = post.finish(&state);
        for code in [
            "invalid_publish_id",
            "token_not_authorized_for_specified_publish_id",
            "scope_not_authorized",
            "brand_new_code",
        ] {
            let state = post.answered(&state, &refusal(400, code)).unwrap();
            assert!(matches!(post.next(&state, T0), Action::Finish(_)), "{code}");
            assert_eq!(post.finish(&state), known);
        }
        let rejected = refusal(401, "access_token_invalid");
        let fault = post.answered(&state, &rejected).unwrap_err();
        assert_eq!(fault.kind.code(), "token_rejected");
        assert_eq!(Some(TikTok.given_up(&state, down())), known);
    }
}

/// Polls and webhooks, in every order and twice, come to the same end.
#[test]
fn questions_and_news_agree() {
    let id = json!({"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": ["76"]});
    type Move<'a> = &'a dyn Fn(&Post, &State) -> State;
    let steps: [Move<'_>; 4] = [
        &|_, state| TikTok.told(state, &PublishNews::Published(published(&[])), T0),
        &|_, state| TikTok.told(state, &PublishNews::Public(published(&["76"])), T0),
        &|post, state| post.answered(state, &status(id.clone())).unwrap(),
        &|post, state| {
            let inbox = TikTok.told(state, &PublishNews::InInbox, T0);
            lost(post, &inbox, T0)
        },
    ];
    for (mut post, start) in [draft(), nameless()] {
        post.account.username = None;
        for order in 0..256_usize {
            let order = [order % 4, order / 4 % 4, order / 16 % 4, order / 64];
            let mut state = start.clone();
            for step in order {
                state = steps[step](&post, &state);
                // The same news again change nothing.
                if step < 2 {
                    assert_eq!(steps[step](&post, &state), state);
                }
            }
            let named = order.iter().any(|step| matches!(step, 1 | 2));
            match post.finish(&state) {
                Some(Finish::Published(post)) => assert_eq!(post.ids.len(), usize::from(named)),
                Some(Finish::Inbox) => assert!(order.iter().all(|step| *step == 3)),
                other => panic!("{other:?}"),
            }
        }
    }
}
