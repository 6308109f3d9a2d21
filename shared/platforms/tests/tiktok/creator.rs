//! What creators allow: asked before every direct start, and obeyed.

use domain::{FaultKind, Mode, Retry};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use platforms::tiktok::TikTok;
use platforms::{Action, Finish, Publish, Repeat};
use serde_json::{Value, json};

use crate::support::{Post, T0, app_with, bundle, creator, good, refusal, reply};

fn direct() -> [Post; 3] {
    [
        Post::direct(4_000_000),
        Post::pull(Mode::Direct),
        Post::photos(Mode::Direct),
    ]
}

#[test]
fn the_question_is_exact() {
    for post in direct() {
        let state = post.fresh();
        assert_eq!(post.next(&state, T0), Action::Call(Repeat::Repeatable));
        let call = TikTok.call(&post.job(), &state, &bundle(&[])).unwrap();
        assert_eq!(
            (call.name, call.repeat),
            ("tiktok.publish.creator", Repeat::Repeatable)
        );
        assert_eq!(call.request.method(), "POST");
        assert_eq!(
            call.request.uri(),
            "https://open.tiktokapis.com/v2/post/publish/creator_info/query/"
        );
        assert_eq!(call.request.headers()[AUTHORIZATION], "Bearer act.old");
        assert_eq!(
            call.request.headers()[CONTENT_TYPE],
            "application/json; charset=UTF-8"
        );
        assert!(call.request.body().is_empty());
        let state = post.answered(&state, &creator(&json!({}))).unwrap();
        assert_eq!(post.next(&state, T0), Action::Call(Repeat::Once));
    }
    // The creators of drafts choose in the TikTok app.
    for post in [
        Post::inbox(4_000_000),
        Post::pull(Mode::Inbox),
        Post::photos(Mode::Inbox),
    ] {
        assert_eq!(post.next(&post.fresh(), T0), Action::Call(Repeat::Once));
    }
}

#[test]
fn where_nobody_answers_the_question_the_start_is_left_to_tell() {
    for post in direct() {
        for status in [404, 405, 501] {
            let nobody = reply(status, "<html>no such page</html>");
            let state = post.answered(&post.fresh(), &nobody).unwrap();
            assert_eq!(post.next(&state, T0), Action::Call(Repeat::Once));
        }
        let refused = post.answered(&post.fresh(), &refusal(401, "scope_not_authorized"));
        assert_eq!(refused.unwrap_err().kind, FaultKind::ScopeMissing);
    }
}

#[test]
fn the_chosen_privacy_must_be_offered() {
    for post in direct() {
        let offers = |options: Value| {
            let answer = creator(&json!({ "privacy_level_options": options }));
            post.answered(&post.fresh(), &answer)
        };
        assert!(offers(json!(["SELF_ONLY"])).is_ok());
        let private = json!(["FOLLOWER_OF_CREATOR", "MUTUAL_FOLLOW_FRIENDS"]);
        for (options, says) in [
            (
                private,
                "choose one of FOLLOWER_OF_CREATOR, MUTUAL_FOLLOW_FRIENDS.",
            ),
            (json!([]), "look into the TikTok app."),
            (json!([7, "<b>", "a b"]), "look into the TikTok app."),
        ] {
            let fault = offers(options).unwrap_err();
            assert_eq!(fault.kind, FaultKind::InvalidRequest);
            assert_eq!(fault.retry(), Retry::Never);
            assert!(fault.explain().ends_with(says), "{}", fault.explain());
            let end = TikTok.given_up(&post.fresh(), fault);
            assert!(matches!(end, Finish::Failed(_)));
        }
        // An answer that does not say is no answer.
        for odd in [json!(null), json!("SELF_ONLY")] {
            assert_eq!(offers(odd).unwrap_err().kind, FaultKind::PlatformDown);
        }
        let fault = post.answered(&post.fresh(), &good(json!({}))).unwrap_err();
        assert_eq!(fault.retry(), Retry::BackOff);
    }
}

#[test]
fn what_a_creator_has_off_is_sent_as_off() {
    let sent = |post: &Post, off: Value| {
        let state = post.answered(&post.fresh(), &creator(&off)).unwrap();
        let call = TikTok.call(&post.job(), &state, &bundle(&[])).unwrap();
        let body: Value = serde_json::from_slice(call.request.body()).unwrap();
        ["disable_comment", "disable_duet", "disable_stitch"]
            .map(|name| body["post_info"][name].clone())
    };
    let mut video = Post::direct(4_000_000);
    let all = json!({"comment_disabled": true, "duet_disabled": true, "stitch_disabled": true});
    assert_eq!(sent(&video, json!({})), [false, false, false]);
    assert_eq!(
        sent(&video, json!({"comment_disabled": true})),
        [true, false, false]
    );
    assert_eq!(
        sent(&video, json!({"duet_disabled": true})),
        [false, true, false]
    );
    assert_eq!(
        sent(&video, json!({"stitch_disabled": true})),
        [false, false, true]
    );
    assert_eq!(sent(&video, all.clone()), [true, true, true]);
    video.options.disable_comment = true;
    assert_eq!(
        sent(&video, json!({"stitch_disabled": true})),
        [true, false, true]
    );
    let photos = Post::photos(Mode::Direct);
    let null = Value::Null;
    assert_eq!(sent(&photos, all), [json!(true), null.clone(), null]);
}

#[test]
fn a_video_may_last_as_long_as_the_creator_may_post() {
    let mut post = Post::direct(4_000_000);
    for (duration, most, fits) in [
        (None, json!(60), true),
        (Some(60_000), json!(60), true),
        (Some(60_001), json!(60), false),
        (Some(60_001), json!("60"), false),
        (Some(600_000), json!(3_600), true),
        (Some(600_001), json!(3_600), false),
        (Some(600_000), json!(null), true),
        (Some(600_001), json!(null), false),
    ] {
        post.media[0].duration_ms = duration;
        let answer = creator(&json!({ "max_video_post_duration_sec": most }));
        let outcome = post.answered(&post.fresh(), &answer);
        assert_eq!(outcome.is_ok(), fits, "{duration:?} {most}");
        if let Err(fault) = outcome {
            assert_eq!(fault.kind, FaultKind::MediaRejected);
            assert!(fault.explain().contains("seconds"));
        }
    }
}

/// Before the start is wasted on it.
#[test]
fn a_public_account_of_an_unaudited_app_is_explained() {
    for mut post in direct() {
        for (settings, fits) in [
            (json!({}), true),
            (json!({"audited": true}), true),
            (json!({"audited": "no"}), true),
            (json!({"audited": false}), false),
        ] {
            post.app = app_with(settings);
            let outcome = post.answered(&post.fresh(), &creator(&json!({})));
            assert_eq!(outcome.is_ok(), fits);
            if let Err(fault) = outcome {
                assert_eq!(fault.kind, FaultKind::AppNotApproved);
                assert!(fault.explain().contains("private"));
            }
        }
        let private = json!({"privacy_level_options": ["FOLLOWER_OF_CREATOR", "SELF_ONLY"]});
        assert!(post.answered(&post.fresh(), &creator(&private)).is_ok());
    }
}

/// What was learnt counts for a minute; then it is asked for again, ever more slowly.
#[test]
fn what_was_learnt_is_forgotten_after_a_minute() {
    for post in direct() {
        let mut state = post.start();
        let mut asked_at = T0;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let fresh = asked_at.plus_secs(59);
            assert_eq!(TikTok.aged(&state, fresh), state);
            assert_eq!(post.next(&state, fresh), Action::Call(Repeat::Once));
            let mut now = asked_at.plus_secs(60);
            let aged = TikTok.aged(&state, now);
            // It comes out the same however often and however late it is asked.
            assert_eq!(TikTok.aged(&aged, now.plus_secs(5)), aged);
            assert_eq!(TikTok.aged(&state, now.plus_secs(5_000)), aged);
            if let Action::Wait(until) = post.next(&aged, now) {
                now = until;
            }
            assert_eq!(post.next(&aged, now), Action::Call(Repeat::Repeatable));
            pauses.push(now.since(asked_at).as_secs());
            asked_at = now;
            state = post.answered(&aged, &creator(&json!({})).at(now)).unwrap();
        }
        assert_eq!(pauses, [60, 90, 150, 330, 870, 960, 960, 960]);
    }
}

/// Each new start begins with the question.
#[test]
fn every_new_start_asks_again() {
    let post = Post::direct(100_000_000);
    let again = post.answered(&post.uploading(), &reply(404, "")).unwrap();
    assert_eq!(post.next(&again, T0), Action::Call(Repeat::Repeatable));
    let lost = TikTok.lost(&post.job(), &post.start(), T0);
    let later = T0.plus_secs(10);
    assert_eq!(post.next(&lost, later), Action::Call(Repeat::Repeatable));
    // A start refused for its privacy is not made again at all.
    let fault = post
        .answered(
            &post.start(),
            &refusal(403, "privacy_level_option_mismatch"),
        )
        .unwrap_err();
    assert_eq!(fault.retry(), Retry::Never);
}

/// Trouble is met as at any other call, and says nothing of the start.
#[test]
fn trouble_leaves_the_state_as_it_is() {
    for post in direct() {
        for (answer, retry) in [
            (
                refusal(200, "spam_risk_too_many_posts"),
                Retry::At(T0.plus_secs(86_400)),
            ),
            (
                refusal(200, "reached_active_user_cap"),
                Retry::At(T0.plus_secs(86_400)),
            ),
            (
                refusal(200, "spam_risk_user_banned_from_posting"),
                Retry::Never,
            ),
            (refusal(401, "access_token_invalid"), Retry::AfterRefresh),
            (refusal(429, "rate_limit_exceeded"), Retry::BackOff),
            (refusal(500, "internal_error"), Retry::BackOff),
            (reply(502, "<html>"), Retry::BackOff),
            (reply(200, "<html>"), Retry::BackOff),
        ] {
            let fault = post.answered(&post.fresh(), &answer).unwrap_err();
            assert_eq!(fault.retry(), retry, "{fault}");
            assert!(matches!(
                TikTok.given_up(&post.fresh(), fault),
                Finish::Failed(_)
            ));
        }
    }
}
