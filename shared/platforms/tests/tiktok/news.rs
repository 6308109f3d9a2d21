//! What webhooks tell the publishing machine.

use domain::{FaultKind, PublishNews};
use platforms::tiktok::TikTok;
use platforms::{Action, Finish, Publish, State};
use serde_json::json;

use crate::machine::{is_init, published, status};
use crate::support::{Post, T0, refusal};

fn told(state: &State, news: &[PublishNews]) -> State {
    let tell = |state: State, news: &PublishNews| TikTok.told(&state, news, T0);
    news.iter().fold(state.clone(), tell)
}

/// Every order of news, before and after the status has told the same.
#[test]
fn news_in_every_order() {
    let complete = PublishNews::Published(published(&[]));
    let public = PublishNews::Public(published(&["76"]));
    let another = PublishNews::Public(published(&["77"]));
    let inbox = PublishNews::InInbox;
    let failed = PublishNews::Failed {
        reason: "spam_risk".into(),
    };
    let gone = PublishNews::NoLongerPublic(published(&["76"]));
    let all = [&complete, &public, &another, &inbox, &failed, &gone];

    let mut post = Post::direct(4_000_000);
    post.account.username = None;
    let processing = post.processing();
    let poll = status(json!({"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": ["76"]}));
    for first in all {
        for second in all {
            for third in all {
                let order = [first.clone(), second.clone(), third.clone()];
                let good = |news: &PublishNews| {
                    matches!(news, PublishNews::Published(_) | PublishNews::Public(_))
                };
                for polled_before in 0..=3 {
                    let state = told(&processing, &order[..polled_before]);
                    let state = match post.next(&state, T0.plus_secs(60)) {
                        Action::Call(_) => post.answered(&state, &poll).unwrap(),
                        _ => state,
                    };
                    let state = told(&state, &order[polled_before..]);
                    let finish = post.finish(&state).unwrap();
                    let settled = order[..polled_before].iter().any(|news| {
                        matches!(news, PublishNews::InInbox | PublishNews::Failed { .. })
                            || good(news)
                    });
                    if order.iter().any(good) || !settled {
                        // Published once, published for good; ids add up.
                        let Finish::Published(post) = finish else {
                            panic!("{order:?}: {finish:?}");
                        };
                        for id in &post.ids {
                            assert_eq!(post.ids.iter().filter(|other| *other == id).count(), 1);
                        }
                        for news in &order {
                            if let PublishNews::Public(public) = news {
                                assert!(post.ids.contains(&public.ids[0]), "{order:?}");
                            }
                        }
                    } else {
                        assert!(
                            matches!(finish, Finish::Inbox | Finish::Failed(_)),
                            "{order:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn news_of_failure_are_like_the_status() {
    let post = Post::direct(4_000_000);
    let fail = |reason: &str| PublishNews::Failed {
        reason: reason.into(),
    };
    let state = told(&post.processing(), &[fail("duration_check_failed")]);
    assert!(
        matches!(post.finish(&state), Some(Finish::Failed(fault)) if fault.kind == FaultKind::MediaRejected)
    );
    // TikTok's own trouble costs one new start, by either way of hearing of it.
    let state = told(&post.processing(), &[fail("internal")]);
    assert!(is_init(&post, &state));
    let internal = status(json!({"status": "FAILED", "fail_reason": "internal"}));
    assert!(is_init(
        &post,
        &post.answered(&post.processing(), &internal).unwrap()
    ));
    // An outcome that could not be known is known now.
    let unknown = post
        .answered(&post.processing(), &refusal(400, "invalid_publish_id"))
        .unwrap();
    let state = told(&unknown, &[fail("internal")]);
    assert!(matches!(post.finish(&state), Some(Finish::Failed(_))));
    let state = told(&unknown, &[PublishNews::InInbox]);
    assert_eq!(post.finish(&state), Some(Finish::Inbox));
    // Before there is a publish, there is no news of it.
    let start = post.start();
    assert_eq!(told(&start, &[PublishNews::InInbox]), start);
}

#[test]
fn news_may_overtake_the_upload() {
    let post = Post::direct(100_000_000);
    let state = told(
        &post.uploading(),
        &[PublishNews::Published(published(&["76"]))],
    );
    assert!(matches!(post.finish(&state), Some(Finish::Published(_))));
    assert_eq!(state.secret, None);
    assert_eq!(
        TikTok.publish_id(&state).as_deref(),
        Some("v_pub_file~v2-1.7000000000000000001")
    );
}
