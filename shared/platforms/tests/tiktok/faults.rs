//! Every documented error, through the functions that meet it. One fixture for each row of the
//! sheet's tables.

use domain::{Fault, Mode, Retry};
use platforms::tiktok::TikTok;
use platforms::{
    Answer, Authorize, CallbackAnswer, Cancel, Choices, CodeGrant, Publish, Refresh, Refusal,
    Revoke, Step,
};
use serde::Deserialize;
use serde_json::Value;

use crate::support::{Post, Reply, T0, app, bundle, reply};

#[derive(Deserialize)]
struct Row {
    at: String,
    status: u16,
    body: Value,
    kind: String,
    code: String,
    retry: String,
    says: String,
}

#[test]
fn every_row_has_its_fault() {
    for (text, count) in [
        (include_str!("../fixtures/tiktok/oauth_errors.json"), 44),
        (include_str!("../fixtures/tiktok/api_errors.json"), 27),
        (include_str!("../fixtures/tiktok/init_errors.json"), 38),
        (include_str!("../fixtures/tiktok/publish_id_errors.json"), 7),
        (include_str!("../fixtures/tiktok/fail_reasons.json"), 16),
        (include_str!("../fixtures/tiktok/creator_errors.json"), 23),
        (include_str!("../fixtures/tiktok/cancel_errors.json"), 18),
    ] {
        let rows: Vec<Row> = serde_json::from_str(text).unwrap();
        assert_eq!(rows.len(), count);
        for row in rows {
            let what = format!("{} {} {}", row.at, row.status, row.code);
            let fault = meet(&row.at, &reply(row.status, row.body.to_string()));
            assert_eq!(fault.kind.code(), row.kind, "{what}");
            assert_eq!(
                fault.platform_code.as_deref(),
                Some(row.code.as_str()),
                "{what}"
            );
            assert_eq!(name(fault.retry()), row.retry, "{what}");
            assert!(
                fault.explain().contains(&row.says),
                "{what}: {}",
                fault.explain()
            );
            assert!(
                fault.explain().ends_with('.'),
                "{what}: {}",
                fault.explain()
            );
            assert!(!fault.explain().contains("words of TikTok"), "{what}");
        }
    }
}

/// What TikTok fetches is refused for the same reasons as what is uploaded.
#[test]
fn every_start_has_the_same_faults() {
    let rows: Vec<Row> =
        serde_json::from_str(include_str!("../fixtures/tiktok/init_errors.json")).unwrap();
    for row in rows {
        let mode = match row.at.as_str() {
            "init" => Mode::Direct,
            _ => Mode::Inbox,
        };
        for post in [Post::pull(mode), Post::photos(mode)] {
            let answer = reply(row.status, row.body.to_string());
            let fault = post.answered(&post.start(), &answer).unwrap_err();
            assert_eq!(fault.kind.code(), row.kind, "{}", row.code);
            assert_eq!(fault.platform_code.as_deref(), Some(row.code.as_str()));
            assert_eq!(name(fault.retry()), row.retry, "{}", row.code);
            // There is nothing to cut.
            let says = row.says.replace("`chunk_bytes`", "addresses");
            assert!(fault.explain().contains(&says), "{}", fault.explain());
            assert!(!fault.explain().contains("chunk"), "{}", fault.explain());
        }
    }
}

/// The same codes on the browser's way back.
#[test]
fn consent_errors_have_their_faults() {
    for (code, kind) in [
        ("invalid_client", "app_refused"),
        ("invalid_grant", "reauth_needed"),
        ("invalid_request", "internal"),
        ("invalid_scope", "app_refused"),
        ("unauthorized_client", "app_refused"),
        ("unsupported_grant_type", "internal"),
        ("unsupported_response_type", "internal"),
        ("server_error", "platform_down"),
        ("temporarily_unavailable", "platform_down"),
        ("brand_new_code", "internal"),
    ] {
        let query = [("error".to_owned(), code.to_owned())];
        match TikTok.read_callback(&query) {
            CallbackAnswer::Refused(Refusal::ByPlatform(fault)) => {
                assert_eq!(fault.kind.code(), kind, "{code}");
                assert_eq!(fault.platform_code.as_deref(), Some(code));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn odd_codes_are_not_repeated() {
    for code in ["x".repeat(65), "a b".into(), "<script>".into(), "é".into()] {
        let body = serde_json::json!({"data": {}, "error": {"code": code}}).to_string();
        let fault = meet("init", &reply(400, body));
        assert_eq!(
            fault.platform_code.as_deref(),
            Some("unreadable_code"),
            "{code}"
        );
    }
}

#[test]
fn bodies_that_say_nothing_are_told_by_status() {
    for (at, status, kind) in [
        ("refresh", 200, "platform_down"),
        ("refresh", 502, "platform_down"),
        ("refresh", 408, "platform_down"),
        ("refresh", 401, "app_refused"),
        ("refresh", 429, "rate_limited"),
        ("identify", 401, "token_rejected"),
        ("identify", 404, "internal"),
        ("identify", 503, "platform_down"),
        ("init", 401, "token_rejected"),
        ("init", 429, "rate_limited"),
        ("creator", 200, "platform_down"),
        ("creator", 401, "token_rejected"),
        ("creator", 404, "internal"),
        ("creator", 429, "rate_limited"),
        ("creator", 503, "platform_down"),
        ("cancel", 401, "token_rejected"),
        ("cancel", 404, "internal"),
        ("cancel", 503, "platform_down"),
    ] {
        for body in ["", "<html>", "[]", "null"] {
            let fault = meet(at, &reply(status, body));
            assert_eq!(fault.kind.code(), kind, "{at} {status} {body}");
            assert_eq!(fault.platform_code, None);
        }
    }
}

/// A refused plan is told with its numbers, so that the operator can choose others.
#[test]
fn a_refused_plan_is_told() {
    let post = Post::direct(100_000_000);
    let body =
        r#"{"data":{},"error":{"code":"invalid_params","message":"The chunk size is invalid"}}"#;
    let fault = post.answered(&post.start(), &reply(400, body)).unwrap_err();
    assert!(
        fault
            .explain()
            .contains("100000000 bytes in 3 chunks of 32000000"),
        "{}",
        fault.explain()
    );
}

fn name(retry: Retry) -> &'static str {
    match retry {
        Retry::Never => "never",
        Retry::BackOff => "back_off",
        Retry::AfterRefresh => "after_refresh",
        Retry::At(at) if at == T0.plus_secs(24 * 3_600) => "in_24_hours",
        Retry::At(at) if at == T0.plus_secs(10 * 60) => "in_10_minutes",
        Retry::At(_) => "at another time",
    }
}

/// The fault that an answer leads to at a place.
fn meet(at: &str, reply: &Reply) -> Fault {
    let answer = reply.answer();
    match at {
        "exchange" | "identify" => {
            let grant = CodeGrant {
                code: domain::Secret::new("c"),
                redirect_uri: "https://app.example.com/cb".into(),
                verifier: None,
                scopes: Vec::new(),
            };
            let mut connect = TikTok.connect(&app(), grant);
            connect.next(None);
            if at == "identify" {
                let tokens = r#"{"open_id":"o","access_token":"a","scope":"user.info.basic"}"#;
                connect.next(Some(crate::support::reply(200, tokens).answer()));
            }
            // User info may be asked a second time.
            loop {
                match connect.next(Some(answer)) {
                    Step::Failed(fault) => return fault,
                    Step::Send(_) => {}
                    Step::Done(_) => panic!("{answer:?}"),
                }
            }
        }
        "refresh" => Refresh::read(&TikTok, answer, &bundle(&[])).unwrap_err(),
        "revoke" => Revoke::read(&TikTok, answer).unwrap_err(),
        "creator" => {
            let post = Post::direct(4_000_000);
            let told = Choices::read(&TikTok, &app(), answer).unwrap_err();
            match post.answered(&post.fresh(), reply) {
                Err(fault) => assert_eq!(fault, told),
                // Nobody answers there: the start is left to tell.
                Ok(_) => assert!(matches!(answer.response.status().as_u16(), 404 | 405 | 501)),
            }
            told
        }
        "cancel" => {
            let post = Post::pull(Mode::Direct);
            let Cancel::Ask(mut state) = TikTok.cancel(&post.fetching(), T0) else {
                panic!("it can be cancelled");
            };
            // Trouble is met a few times before it counts as a refusal.
            for _ in 0..5 {
                match post.answered(&state, reply) {
                    Err(fault) => return fault,
                    Ok(next) => state = next,
                }
                let refused = &state.data["cancel"]["refused"]["why"];
                if refused.is_object() {
                    return serde_json::from_value(refused.clone()).unwrap();
                }
            }
            panic!("{state:?}")
        }
        "init" | "inbox_init" => {
            let post = match at {
                "init" => Post::direct(4_000_000),
                _ => Post::inbox(4_000_000),
            };
            post.answered(&post.start(), reply).unwrap_err()
        }
        "status" => {
            // A limit met by the questions after the last chunk only slows them down.
            if reply.answer().response.status() == 429 {
                let post = Post::direct(100_000_000);
                let dead = T0.plus_secs(3_600);
                let answer = Answer {
                    sent_at: dead,
                    ..answer
                };
                let job = post.job();
                return TikTok
                    .answered(&job, &post.uploading(), answer)
                    .unwrap_err();
            }
            let post = Post::direct(4_000_000);
            post.fault_of(post.answered(&post.processing(), reply))
                .unwrap()
        }
        "outcome" => {
            let post = Post::direct(4_000_000);
            let mut state = post.processing();
            // TikTok's own trouble is worth one more publish.
            if reply_says(reply, "internal") {
                let again = post.answered(&state, reply).unwrap();
                assert_eq!(post.finish(&again), None);
                state = again_processing(&post, again);
            }
            post.fault_of(post.answered(&state, reply)).unwrap()
        }
        other => panic!("{other}"),
    }
}

fn reply_says(reply: &Reply, reason: &str) -> bool {
    let body: Value = serde_json::from_slice(reply.answer().response.body()).unwrap();
    body["data"]["fail_reason"] == reason
}

fn again_processing(post: &Post, init: platforms::State) -> platforms::State {
    let begun = crate::support::good(serde_json::json!({
        "publish_id": "v_pub_file~2", "upload_url": "https://open-upload.tiktokapis.com/video/?upload_id=2",
    }));
    let uploading = post.answered(&post.checked(&init, T0), &begun).unwrap();
    post.answered(&uploading, &reply(201, "")).unwrap()
}
