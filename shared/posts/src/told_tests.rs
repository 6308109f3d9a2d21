use bytes::Bytes;
use domain::{EventKind, MediaId, MediaKind, PublishedPost, SeededEntropy};
use http::Response;
use platforms::Answer;
use store::targets::TargetMedia;

use super::*;
use crate::decide::tests::{NOW, target};

const APP: &str = r#"{"tiktok":{"client_key":"k","client_secret":"s"}}"#;

fn news(ids: &[&str]) -> PublishNews {
    PublishNews::Published(post(ids))
}

fn failed(reason: &str) -> PublishNews {
    PublishNews::Failed {
        reason: reason.to_owned(),
    }
}

fn post(ids: &[&str]) -> PublishedPost {
    PublishedPost {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        url: None,
    }
}

/// A target whose upload is under way, made by the machine itself.
fn uploading() -> Target {
    let apps = platforms::Apps::parse(&Secret::new(APP)).unwrap();
    let mut target = target(TargetStatus::Publishing);
    target.media = vec![TargetMedia {
        media_id: MediaId::new(NOW, &SeededEntropy::new(1)),
        object_key: "media/1".into(),
        kind: MediaKind::Mp4,
        size: 10,
        duration_ms: None,
        source_url: None,
    }];
    target.options.privacy = Some("SELF_ONLY".into());
    let media = [MediaInfo::uploaded(MediaKind::Mp4, 10)];
    let platform = platforms::publish(target.platform).unwrap();
    let job = Job {
        app: apps.get(target.platform).unwrap(),
        account: &target.account,
        text: &target.text,
        options: &target.options,
        media: &media,
    };
    let creator = r#"{"data":{"privacy_level_options":["SELF_ONLY"],"comment_disabled":false,
        "duet_disabled":false,"stitch_disabled":false,"max_video_post_duration_sec":600},
        "error":{"code":"ok"}}"#;
    let begun = r#"{"data":{"publish_id":"v_pub~1","upload_url":"https://open-upload.tiktokapis.com/u?t=1"},
                   "error":{"code":"ok"}}"#;
    let state = [creator, begun]
        .iter()
        .fold(platform.start(&job).unwrap(), |state, body| {
            let response = Response::new(Bytes::from_static(body.as_bytes()));
            let answer = Answer {
                response: &response,
                sent_at: NOW,
            };
            platform.answered(&job, &state, answer).unwrap()
        });
    assert!(state.secret.is_some());
    target.publish_key = platform
        .publish_id(&state)
        .map(|id| publish_key(target.account.app(), &id));
    target.state = Some(state.data.to_string());
    target.sealed = Some(vault::Sealed::from_bytes(vec![1]));
    target
}

/// The target after a change was written.
fn after(target: &Target, change: &TargetChange) -> Target {
    let progress = &change.progress;
    Target {
        status: progress.status,
        state: progress.state.clone(),
        sealed: match progress.sealed {
            SealedPart::Drop => None,
            _ => target.sealed.clone(),
        },
        step: target.step + 1,
        fault: progress.fault.clone(),
        published: progress.published.clone(),
        publish_key: progress.publish_key.clone(),
        due_at: progress.due_at,
        ..target.clone()
    }
}

fn change(target: &Target, news: &PublishNews) -> TargetChange {
    match told(target, news, NOW) {
        Told::Change(change) => *change,
        other => panic!("{news:?}: {other:?}"),
    }
}

#[test]
fn news_ends_a_target_and_later_news_adds_to_it() {
    let target = uploading();
    let first = change(&target, &news(&[]));
    assert_eq!(first.progress.status, TargetStatus::Published);
    assert_eq!(first.progress.sealed, SealedPart::Drop);
    assert_eq!((first.progress.due_at, first.wake), (None, false));
    assert_eq!(first.progress.publish_key, target.publish_key);
    let told_first = first.event.as_ref().unwrap();
    assert_eq!(told_first.kind, EventKind::PostPublished);

    let published = after(&target, &first);
    assert_eq!(told(&published, &news(&[]), NOW), Told::Nothing);
    let second = change(&published, &PublishNews::Public(post(&["7"])));
    assert_eq!(second.progress.published.as_ref().unwrap().ids, ["7"]);
    assert_ne!(second.event.as_ref().unwrap().id, told_first.id);
    let public = after(&published, &second);
    for old in [news(&["7"]), PublishNews::InInbox, failed("internal")] {
        assert_eq!(told(&public, &old, NOW), Told::Nothing, "{old:?}");
    }
}

#[test]
fn a_draft_may_become_a_post() {
    let target = uploading();
    let inbox = change(&target, &PublishNews::InInbox);
    assert_eq!(inbox.progress.status, TargetStatus::Inbox);
    assert_eq!(inbox.event.as_ref().unwrap().kind, EventKind::PostInbox);
    let published = change(&after(&target, &inbox), &news(&["7"]));
    assert_eq!(published.progress.status, TargetStatus::Published);
}

#[test]
fn a_failure_that_is_worth_another_try_wakes_a_worker() {
    let target = uploading();
    let again = change(&target, &failed("internal"));
    assert_eq!(again.progress.status, TargetStatus::Publishing);
    assert!(again.wake && again.progress.due_at.is_some() && again.event.is_none());
    let over = change(&target, &failed("frame_rate_check_failed"));
    assert_eq!(over.progress.status, TargetStatus::Failed);
    assert!(over.progress.fault.is_some());

    // While a call is open whose outcome is needed, only an end is taken.
    let busy = Target {
        intent: Some(domain::AttemptId::new(NOW, &SeededEntropy::new(1))),
        ..target
    };
    assert_eq!(told(&busy, &failed("internal"), NOW), Told::Later);
    assert!(matches!(told(&busy, &news(&[]), NOW), Told::Change(_)));
}

#[test]
fn news_settles_what_could_not_be_known_and_begins_nothing() {
    let parked = Target {
        status: TargetStatus::OutcomeUnknown,
        due_at: None,
        sealed: None,
        ..uploading()
    };
    let known = change(&parked, &news(&["7"]));
    assert_eq!(known.progress.status, TargetStatus::Published);
    let known = change(&parked, &failed("internal"));
    assert_eq!(known.progress.status, TargetStatus::Failed);
    assert_eq!((known.wake, known.progress.due_at), (false, None));

    // Marked as published by the product: only the platform's ids are news.
    let marked = Target {
        status: TargetStatus::Published,
        published: Some(post(&["own"])),
        ..parked.clone()
    };
    for old in [
        PublishNews::InInbox,
        failed("internal"),
        failed("spam_risk"),
    ] {
        assert_eq!(told(&marked, &old, NOW), Told::Nothing, "{old:?}");
    }
    let named = change(&marked, &news(&["7"]));
    assert_eq!(named.progress.published.unwrap().ids, ["own", "7"]);

    // To be posted again: news of the publish that was given up means nothing to the new one.
    let again = Target {
        status: TargetStatus::Queued,
        state: None,
        ..parked
    };
    assert_eq!(told(&again, &news(&[]), NOW), Told::Nothing);
}

#[test]
fn what_may_become_of_a_settled_target() {
    use TargetStatus::{Failed, Inbox, OutcomeUnknown, Published, Queued};
    for (is, becomes, may) in [
        (Failed, Published, true),
        (Inbox, Published, true),
        (Published, Inbox, false),
        (Published, Failed, false),
        (Failed, Inbox, true),
        (Inbox, Failed, true),
        (OutcomeUnknown, Failed, true),
        (Failed, OutcomeUnknown, false),
        (OutcomeUnknown, Queued, false),
    ] {
        assert_eq!(
            decide::may_become(is, becomes),
            may,
            "{is:?} -> {becomes:?}"
        );
    }
}
