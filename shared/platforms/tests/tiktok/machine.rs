//! The publishing machine, move by move.

use domain::{Fault, FaultKind, PublishedPost};
use platforms::tiktok::TikTok;
use platforms::{Action, Finish, Publish, Repeat, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Post, Reply, T0, good, refusal, reply};

const HOUR: i64 = 3_600;

pub(crate) fn status(data: Value) -> Reply {
    good(data)
}

pub(crate) fn published(ids: &[&str]) -> PublishedPost {
    PublishedPost {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        url: None,
    }
}

pub(crate) fn is_init(post: &Post, state: &State) -> bool {
    // Later than any pause before a new start, and past the question about the creator.
    let later = T0.plus_secs(2 * HOUR);
    let state = post.checked(state, later);
    post.next(&state, later) == Action::Call(Repeat::Once)
}

#[derive(Deserialize)]
struct UploadRow {
    status: u16,
    last_chunk: bool,
    content_range: Option<String>,
    goes: String,
    kind: Option<String>,
}

/// 100,000,000 bytes go in three chunks of 32,000,000, the last one with the rest.
#[test]
fn every_upload_status_leads_on() {
    let rows: Vec<UploadRow> =
        serde_json::from_str(include_str!("../fixtures/tiktok/upload_statuses.json")).unwrap();
    for row in rows {
        let what = format!("{} {} {:?}", row.status, row.last_chunk, row.content_range);
        let post = Post::direct(100_000_000);
        let mut state = post.uploading();
        for _ in 0..if row.last_chunk { 2 } else { 0 } {
            state = post.answered(&state, &reply(206, "")).unwrap();
        }
        let mut answer = reply(row.status, "");
        if let Some(header) = &row.content_range {
            answer = answer.header("content-range", header);
        }
        let outcome = post.answered(&state, &answer);
        if row.goes == "stop" {
            let fault = outcome.unwrap_err();
            assert_eq!(Some(fault.kind.code()), row.kind.as_deref(), "{what}");
            continue;
        }
        let state = outcome.unwrap();
        // Past any pause, before the address's end.
        let state = post.checked(&state, T0.plus_secs(60));
        let went = match post.next(&state, T0.plus_secs(60)) {
            Action::Call(Repeat::Once) => "init",
            Action::Call(Repeat::Repeatable) => "ask",
            Action::Upload { range, .. } => match (range.start, row.goes.as_str()) {
                (0, "first") => "first",
                (0, _) => "same",
                (32_000_000, _) => "next",
                (64_000_000, _) => "last",
                other => panic!("{what}: {other:?}"),
            },
            other => panic!("{what}: {other:?}"),
        };
        assert_eq!(went, row.goes, "{what}");
    }
}

#[test]
fn a_dead_address_leads_to_a_new_start_at_most_three_times() {
    let post = Post::direct(100_000_000);
    let mut state = post.start();
    for _ in 0..3 {
        assert!(is_init(&post, &state));
        state = post.checked(&state, T0);
        let begun =
            good(json!({"publish_id": "p", "upload_url": "https://open-upload.tiktokapis.com/v"}));
        state = post.answered(&state, &begun).unwrap();
        state = post.answered(&state, &reply(403, "")).unwrap();
        assert_eq!(state.secret, None);
    }
    let Some(Finish::Failed(fault)) = post.finish(&state) else {
        panic!("{state:?}");
    };
    assert_eq!(fault.kind, FaultKind::PlatformDown);
    assert!(fault.explain().contains("given up"), "{}", fault.explain());
}

#[test]
fn a_refused_start_may_be_tried_again_as_it_is() {
    let post = Post::direct(4_000_000);
    let state = post.start();
    for _ in 0..5 {
        let fault = post
            .answered(&state, &refusal(429, "rate_limit_exceeded"))
            .unwrap_err();
        assert_eq!(fault.kind, FaultKind::RateLimited);
    }
    assert!(is_init(&post, &state));
}

/// After the last chunk, a dead address proves nothing: the status decides, for a day at most where it
/// does not tell what TikTok holds.
#[test]
fn after_the_last_chunk_only_the_status_counts() {
    let post = Post::direct(4_000_000);
    for dead in [401, 403, 404] {
        let mut state = post.answered(&post.uploading(), &reply(dead, "")).unwrap();
        let mut now = T0;
        loop {
            match post.next(&state, now) {
                Action::Wait(until) => now = until,
                Action::Call(Repeat::Repeatable) => {
                    let answer = status(json!({"status": "PROCESSING_UPLOAD"}));
                    state = post.answered(&state, &answer.at(now)).unwrap();
                }
                Action::Finish(Finish::Unknown(fault)) => {
                    assert!(fault.explain().contains("cannot be known"));
                    break;
                }
                other => panic!("{dead}: {other:?}"),
            }
        }
        assert!(now >= T0.plus_secs(24 * HOUR) && now < T0.plus_secs(25 * HOUR));
    }
}

#[test]
fn questions_are_paced() {
    let post = Post::direct(4_000_000);
    let mut state = post.processing();
    let mut now = T0;
    let mut pauses = Vec::new();
    while pauses.len() < 8 {
        let Action::Wait(until) = post.next(&state, now) else {
            panic!("no pause");
        };
        pauses.push(until.since(now).as_secs());
        now = until;
        let answer = status(json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 4_000_000}));
        state = post.answered(&state, &answer.at(now)).unwrap();
    }
    assert_eq!(pauses, [5, 10, 20, 25, 30, 30, 30, 30]);
}

/// What is missing is sent again: from the count on, or the last chunk where there is no count.
#[test]
fn missing_bytes_are_sent_again() {
    let post = Post::direct(100_000_000);
    let mut uploading = post.uploading();
    for _ in 0..2 {
        uploading = post.answered(&uploading, &reply(206, "")).unwrap();
    }
    let asking = TikTok.lost(&post.job(), &uploading, T0);
    for (data, start) in [
        (json!({"status": "PROCESSING_UPLOAD"}), Some(64_000_000)),
        (
            json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 64_000_000}),
            Some(64_000_000),
        ),
        (
            json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 63_999_999}),
            Some(32_000_000),
        ),
        (
            json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": "0"}),
            Some(0),
        ),
        (
            json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 100_000_000}),
            None,
        ),
        (json!({"status": "PROCESSING_DOWNLOAD"}), None),
        (json!({"status": "SOMETHING_NEW"}), None),
        (json!({}), None),
    ] {
        let state = post.answered(&asking, &status(data.clone())).unwrap();
        match (post.next(&state, T0), start) {
            (Action::Upload { range, .. }, Some(start)) => {
                assert_eq!(range.start, start, "{data}");
                // It stays so that only the status may lead to a new start.
                let state = post.answered(&state, &reply(404, "")).unwrap();
                assert!(!is_init(&post, &state), "{data}");
                assert!(matches!(
                    TikTok.given_up(&state, down()),
                    Finish::Unknown(_)
                ));
            }
            (Action::Wait(_), None) => {}
            other => panic!("{data}: {other:?}"),
        }
    }
}

pub(crate) fn down() -> Fault {
    Fault::new(FaultKind::PlatformDown)
}

#[test]
fn an_expired_address_is_not_used() {
    let post = Post::direct(100_000_000);
    let state = post.uploading();
    let dead = T0.plus_secs(HOUR);
    assert!(matches!(
        post.next(&state, T0.plus_secs(45 * 60 - 1)),
        Action::Upload { .. }
    ));
    assert_eq!(post.next(&state, T0.plus_secs(45 * 60)), Action::Wait(dead));
    assert_eq!(post.next(&state, dead), Action::Call(Repeat::Repeatable));
    // Bytes are missing, or the publish is gone: nothing was published, so a new one is begun.
    for answer in [
        status(json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 32_000_000})),
        status(json!({"status": "PROCESSING_UPLOAD"})),
        status(json!({"status": "FAILED"})),
        status(json!({"status": "FAILED", "fail_reason": "upload_expired"})),
        refusal(400, "invalid_publish_id"),
    ] {
        let state = post.answered(&state, &answer.at(dead)).unwrap();
        assert!(is_init(&post, &state));
    }
    // With only the last chunk left, TikTok must say that it is missing.
    let small = Post::direct(4_000_000);
    for (data, again) in [
        (
            json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0}),
            true,
        ),
        (json!({"status": "PROCESSING_UPLOAD"}), false),
        (
            json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 4_000_000}),
            false,
        ),
    ] {
        let answer = status(data).at(dead);
        let state = small.answered(&small.uploading(), &answer).unwrap();
        assert_eq!(is_init(&small, &state), again);
    }
    // Trouble is no word on it.
    let again = refusal(500, "internal_error").at(dead);
    assert_eq!(
        post.answered(&state, &again).unwrap_err().kind,
        FaultKind::PlatformDown
    );
    // Our own notes may be behind: what TikTok has published stays published.
    let done = status(json!({"status": "PUBLISH_COMPLETE"})).at(dead);
    let state = post.answered(&state, &done).unwrap();
    assert_eq!(post.finish(&state), Some(Finish::Published(published(&[]))));
}

#[test]
fn ends() {
    let post = Post::direct(4_000_000);
    let state = post.processing();
    let url = "https://www.tiktok.com/@mara.cooks/video/7600000000000000001";
    for ids in [
        json!({"publicaly_available_post_id": ["7600000000000000001"]}),
        json!({"publicaly_available_post_id": [7_600_000_000_000_000_001_u64]}),
        json!({"publicly_available_post_id": ["7600000000000000001"]}),
        json!({"publicly_available_post_id": 7_600_000_000_000_000_001_u64}),
        json!({"publicaly_available_post_id": ["7600000000000000001"], "publicly_available_post_id": [7_600_000_000_000_000_001_u64]}),
    ] {
        let mut data = ids.clone();
        data["status"] = json!("PUBLISH_COMPLETE");
        let state = post.answered(&state, &status(data)).unwrap();
        let mut expected = published(&["7600000000000000001"]);
        expected.url = Some(url.into());
        assert_eq!(
            post.finish(&state),
            Some(Finish::Published(expected)),
            "{ids}"
        );
    }
    // Without an id, or without a sure handle, there is no address.
    let done = post
        .answered(
            &state,
            &status(json!({"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": []})),
        )
        .unwrap();
    assert_eq!(post.finish(&done), Some(Finish::Published(published(&[]))));
    for name in [None, Some("mara/../x"), Some("")] {
        let mut post = Post::direct(4_000_000);
        post.account.username = name.map(str::to_owned);
        let done = post
            .answered(
                &state,
                &status(json!({"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": [76]})),
            )
            .unwrap();
        assert_eq!(
            post.finish(&done),
            Some(Finish::Published(published(&["76"])))
        );
    }
    let inbox = post
        .answered(&state, &status(json!({"status": "SEND_TO_USER_INBOX"})))
        .unwrap();
    assert_eq!(post.finish(&inbox), Some(Finish::Inbox));
    // A publish that TikTok no longer shows may have been published.
    for code in [
        "invalid_publish_id",
        "token_not_authorized_for_specified_publish_id",
        "scope_not_authorized",
    ] {
        let lost = post.answered(&state, &refusal(400, code)).unwrap();
        assert!(
            matches!(post.finish(&lost), Some(Finish::Unknown(_))),
            "{code}"
        );
    }
    // Trouble on TikTok's side does not end it.
    for answer in [
        reply(503, ""),
        reply(200, "<html>"),
        refusal(500, "internal_error"),
    ] {
        let state = post.answered(&state, &answer).unwrap();
        assert!(matches!(post.next(&state, T0), Action::Wait(_)));
    }
}

#[test]
fn giving_up_is_failure_only_before_the_last_chunk() {
    let post = Post::direct(100_000_000);
    let mut state = post.start();
    assert_eq!(TikTok.given_up(&state, down()), Finish::Failed(down()));
    state = post.uploading();
    assert_eq!(TikTok.given_up(&state, down()), Finish::Failed(down()));
    state = post.processing();
    assert_eq!(TikTok.given_up(&state, down()), Finish::Unknown(down()));
}
