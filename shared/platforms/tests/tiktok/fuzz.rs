//! Right answers with something wrong in them: no reader panics, hands out an empty token, or blames
//! the creator for the platform's trouble; and a post is published once whatever befalls it.
//!
//! `PROPTEST_CASES` makes every test here longer in proportion (256 is the usual number).

use domain::{FaultKind, Retry, Secret};
use http::HeaderMap;
use platforms::tiktok::TikTok;
use platforms::{
    Action, Authorize, CodeGrant, Finish, Publish, Refresh, Repeat, Revoke, State, Step, Webhook,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::server::{Progress, Server};
use crate::support::{Post, T0, app, app_with, bundle, reply};

/// So many cases, or as many more as `PROPTEST_CASES` asks for.
fn cases(usual: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig {
        cases: (usual * (asked.cases / 64).max(1) / 4).max(1),
        ..asked
    }
}

// ---- answers

/// Answers as the sheet shows them.
fn right_answers() -> Vec<Value> {
    let ok = json!({"code": "ok", "message": "", "log_id": "2026"});
    let status = |data: Value| json!({"data": data, "error": ok});
    vec![
        json!({"access_token": "act.new", "expires_in": 7_200, "open_id": "-000InventedOpenId",
            "refresh_token": "rft.new", "refresh_expires_in": 15_552_000,
            "scope": "user.info.basic,video.publish", "token_type": "Bearer"}),
        json!({"error": "invalid_grant", "error_description": "words", "log_id": "2026"}),
        json!({"data": {"user": {"open_id": "-000InventedOpenId", "union_id": "u", "display_name": "Mara",
            "username": "mara", "avatar_url": "https://p16.tiktokcdn.com/a"}}, "error": ok}),
        status(json!({"publish_id": "v_pub_file~v2-1.7",
            "upload_url": "https://open-upload.tiktokapis.com/video/?upload_id=1&upload_token=t"})),
        status(json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": 32_000_000})),
        status(
            json!({"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": [7_000_000_000_000_000_001_u64]}),
        ),
        status(json!({"status": "FAILED", "fail_reason": "picture_size_check_failed"})),
        status(json!({"status": "SEND_TO_USER_INBOX"})),
        json!({"data": {}, "error": {"code": "rate_limit_exceeded", "message": "m", "log_id": "2026"}}),
        json!({"client_key": "awexample0001", "event": "post.publish.complete", "create_time": 1_767_225_600,
            "user_openid": "-000InventedOpenId",
            "content": "{\"publish_id\":\"v_pub_file~v2-1.7\",\"publish_type\":\"DIRECT_PUBLISH\"}"}),
        json!({"client_key": "awexample0001", "event": "authorization.removed", "create_time": 1_767_225_600,
            "user_openid": "-000InventedOpenId", "content": "{\"reason\":1}"}),
    ]
}

/// What may stand where something else should.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        Just(json!("")),
        Just(json!(" ")),
        Just(json!(0)),
        Just(json!(-1)),
        Just(json!(1.5e300)),
        Just(json!(u64::MAX)),
        Just(json!(i64::MIN)),
        Just(json!(true)),
        Just(json!("7200")),
        Just(json!("ok\u{0}")),
        Just(json!("x".repeat(100_000))),
        Just(json!("https://evil.example/upload?upload_token=t")),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
    ]
}

/// What is done to an answer.
#[derive(Clone, Debug)]
enum Change {
    Replace(usize, Value),
    Remove(usize),
    Nest(usize),
    Cut(usize),
    Flip(usize, u8),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one = prop_oneof![
        4 => (any::<usize>(), odd()).prop_map(|(at, value)| Change::Replace(at, value)),
        2 => any::<usize>().prop_map(Change::Remove),
        1 => any::<usize>().prop_map(Change::Nest),
        1 => any::<usize>().prop_map(Change::Cut),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, by)| Change::Flip(at, by)),
    ];
    proptest::collection::vec(one, 0..4)
}

/// Every place of a value, as the names and numbers that lead to it.
fn places(value: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, places: &mut Vec<String>) {
        places.push(path.to_owned());
        match value {
            Value::Object(map) => {
                for (name, inner) in map {
                    walk(inner, &format!("{path}/{name}"), places);
                }
            }
            Value::Array(list) => {
                for (at, inner) in list.iter().enumerate() {
                    walk(inner, &format!("{path}/{at}"), places);
                }
            }
            _ => {}
        }
    }
    let mut places = Vec::new();
    walk(value, "", &mut places);
    places
}

fn changed(mut value: Value, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let places = places(&value);
        let at = |at: usize| places[at % places.len()].clone();
        match change {
            Change::Replace(place, odd) => *value.pointer_mut(&at(*place)).unwrap() = odd.clone(),
            Change::Remove(place) => {
                let place = at(*place);
                let (parent, name) = place.rsplit_once('/').unwrap_or(("", ""));
                if let Some(Value::Object(map)) = value.pointer_mut(parent) {
                    map.remove(name);
                }
            }
            Change::Nest(place) => {
                let place = value.pointer_mut(&at(*place)).unwrap();
                let inner = place.take();
                *place = json!({ "data": [inner] });
            }
            Change::Cut(_) | Change::Flip(..) => {}
        }
    }
    let mut bytes = value.to_string().into_bytes();
    for change in changes {
        match change {
            Change::Cut(at) => bytes.truncate(at % (bytes.len() + 1)),
            Change::Flip(at, by) if !bytes.is_empty() => {
                let at = at % bytes.len();
                bytes[at] ^= by;
            }
            _ => {}
        }
    }
    bytes
}

proptest! {
    #![proptest_config(cases(1_024))]

    /// No answer, however wrong, becomes an empty token or one without end that the platform ended.
    #[test]
    fn no_reader_hands_out_what_is_not_there(
        which in 0..right_answers().len(),
        changes in changes(),
        status in prop_oneof![Just(200u16), Just(400), Just(401), Just(403), Just(429), 500u16..512],
    ) {
        let body = changed(right_answers()[which].clone(), &changes);
        let answer = reply(status, body.clone());
        match Refresh::read(&TikTok, answer.answer(), &bundle(&["video.publish"])) {
            Ok(new) => {
                prop_assert!(!new.access_token.expose().trim().is_empty());
                prop_assert!(new.refresh_token.is_some_and(|token| !token.is_empty()));
                prop_assert!(new.expires_at.is_none_or(|end| end >= T0));
            }
            // The creator is asked to connect again only where the platform said that the grant is dead.
            Err(fault) => {
                let said = body.windows(13).any(|word| word == b"invalid_grant");
                prop_assert!(
                    fault.kind != FaultKind::ReauthNeeded || status < 500 || said,
                    "{status} became {fault}"
                );
            }
        }
        let _ = Revoke::read(&TikTok, answer.answer());
        let post = Post::direct(100_000_000);
        for state in [post.start(), post.uploading(), post.processing()] {
            if let Ok(next) = post.answered(&state, &answer) {
                // A state grows by what it keeps of one answer at most.
                let size = next.data.to_string().len() + next.secret.map_or(0, |secret| secret.expose().len());
                prop_assert!(size < 300_000, "{size} bytes of state");
            }
        }
    }

    /// The exchange ends, with a usable account or with a fault.
    #[test]
    fn an_exchange_ends(answers in proptest::collection::vec((0..right_answers().len(), changes()), 8)) {
        let mut connect = TikTok.connect(&app(), CodeGrant {
            code: Secret::new("c"),
            redirect_uri: "https://app.example.com/cb".into(),
            verifier: None,
            scopes: vec!["user.info.basic".into()],
        });
        let mut step = connect.next(None);
        for (which, changes) in answers {
            let answer = reply(200, changed(right_answers()[which].clone(), &changes));
            match step {
                Step::Send(_) => step = connect.next(Some(answer.answer())),
                Step::Done(linked) => {
                    prop_assert!(!linked.is_empty());
                    for one in &linked {
                        prop_assert!(!one.account.id.is_empty() && !one.bundle.access_token.is_empty());
                    }
                    return Ok(());
                }
                Step::Failed(_) => return Ok(()),
            }
        }
        prop_assert!(!matches!(step, Step::Send(_)), "it asks for ever");
    }

    // ---- webhooks

    #[test]
    fn deliveries_are_read_or_refused(which in 0..right_answers().len(), changes in changes()) {
        let body = changed(right_answers()[which].clone(), &changes);
        if let Ok(deliveries) = Webhook::read(&TikTok, &HeaderMap::new(), &body) {
            let held: usize = deliveries.iter().map(|one| format!("{one:?}").len()).sum();
            prop_assert!(held <= 2_000 + 20 * body.len(), "{held} bytes out of {}", body.len());
        }
    }

    /// Any header with the name, any bytes in it.
    #[test]
    fn no_header_is_a_signature(value in proptest::collection::vec(any::<u8>(), 0..200), body in any::<Vec<u8>>()) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = http::HeaderValue::from_bytes(&value) {
            headers.insert("tiktok-signature", value);
        }
        prop_assert!(TikTok.verify(&app(), &headers, &body, T0, None).is_err());
    }

    #[test]
    fn callbacks_give_a_code_or_a_reason(
        query in proptest::collection::vec(
            (prop_oneof![Just("code".to_owned()), Just("error".to_owned()), Just("scopes".to_owned()), any::<String>()],
             prop_oneof![Just("access_denied".to_owned()), Just(String::new()), any::<String>()]),
            0..5,
        ),
    ) {
        if let platforms::CallbackAnswer::Code { code, .. } = TikTok.read_callback(&query) {
            prop_assert!(!code.is_empty(), "{query:?}");
            prop_assert!(query.iter().any(|(name, value)| name == "code" && value == code.expose()));
        }
    }
}

// ---- chunks

proptest! {
    #![proptest_config(cases(512))]

    /// Any size and any setting: the pieces follow one another to the file's end, and each keeps to
    /// the limits under both readings of MB (tiktok.md §4.6).
    #[test]
    fn chunks_tile_the_file(
        size in prop_oneof![1u64..200_000_000, 1u64..4_000_000_000, Just(64_000_000), Just(64_000_001)],
        wish in prop_oneof![
            Just(None),
            (1u64..200_000_000).prop_map(Some),
            Just(Some(u64::MAX)),
        ],
    ) {
        let mut post = Post::direct(size);
        if let Some(wish) = wish {
            let settings = json!({ "chunk_bytes": wish });
            post.app = match std::panic::catch_unwind(|| app_with(settings)) {
                Ok(app) => app,
                // Refused where the settings are read.
                Err(_) => return Ok(()),
            };
        }
        let mut state = post.uploading();
        let (mut at, mut pieces) = (0, 0u32);
        while let Action::Upload { media: 0, range } = post.next(&state, T0) {
            prop_assert_eq!(range.start, at, "a gap or an overlap");
            prop_assert!(range.end > range.start && range.end <= size);
            let length = range.end - range.start;
            let last = range.end == size;
            let most = if last && pieces > 0 { 128_000_000 } else { 64_000_000 };
            prop_assert!(length <= most, "{length} bytes");
            prop_assert!(length >= 5_242_880 || (last && pieces == 0), "{length} bytes");
            pieces += 1;
            prop_assert!(pieces <= 1_000);
            at = range.end;
            state = post.answered(&state, &reply(if last { 201 } else { 206 }, "")).unwrap();
        }
        prop_assert_eq!(at, size);
    }
}

// ---- the publishing machine

/// What happens to one request.
#[derive(Clone, Copy, Debug)]
enum Mess {
    Fine,
    RequestLost,
    AnswerLost,
    /// It arrives; its sender dies, and leaves a note only where it must.
    Forgotten,
    /// A stranger answers instead, and the platform sees nothing.
    Instead(u16, &'static str),
    /// It arrives, and a proxy makes this of the answer.
    Garbled(u16),
}

fn messes() -> impl Strategy<Value = Vec<Mess>> {
    let one = prop_oneof![
        3 => Just(Mess::Fine),
        1 => Just(Mess::RequestLost),
        1 => Just(Mess::AnswerLost),
        1 => Just(Mess::Forgotten),
        1 => prop_oneof![
            Just(Mess::Instead(429, "rate_limit_exceeded")),
            Just(Mess::Instead(401, "access_token_invalid")),
            Just(Mess::Instead(500, "internal_error")),
            Just(Mess::Instead(503, "")),
        ],
        1 => prop_oneof![Just(500u16), Just(502), Just(504)].prop_map(Mess::Garbled),
    ];
    proptest::collection::vec(one, 0..14)
}

struct Ended {
    finish: Finish,
    published: usize,
    most: usize,
}

/// Runs a post through the messes, then on undisturbed to its end.
fn run(post: &Post, mut server: Server, messes: &[Mess]) -> Option<Ended> {
    let job = post.job();
    let (mut state, mut now) = (post.start(), T0);
    let mut messes = messes.iter();
    let mut most = 0;
    // A day of questions, each with its pause, is the longest way to an end.
    for _ in 0..10_000 {
        state.data = serde_json::from_str(&state.data.to_string()).unwrap();
        most = most.max(server.published());
        state = TikTok.aged(&state, now);
        let action = TikTok.next(&job, &state, now);
        let noted = match &action {
            Action::Wait(until) => {
                now = *until;
                continue;
            }
            Action::Finish(finish) | Action::Follow(finish, _) => {
                let published = server.published();
                let finish = finish.clone();
                return Some(Ended {
                    finish,
                    published,
                    most,
                });
            }
            Action::Call(repeat) => *repeat == Repeat::Once,
            Action::Upload { range, .. } => range.end == post.media[0].size,
        };
        let mess = messes.next().copied().unwrap_or(Mess::Fine);
        let answer = match mess {
            Mess::RequestLost => None,
            Mess::Instead(status, code) => {
                // What an upload is refused with for good leaves the file unsent for ever: patience.rs.
                let upload = matches!(action, Action::Upload { .. });
                let (status, code) = if upload { (503, "") } else { (status, code) };
                let body = json!({"error": {"code": code, "message": "m", "log_id": "l"}});
                Some(reply(
                    status,
                    if code.is_empty() {
                        "<html>".to_owned()
                    } else {
                        body.to_string()
                    },
                ))
            }
            _ => {
                let answer = if matches!(action, Action::Call(_)) {
                    let call = TikTok.call(&job, &state, &bundle(&[])).unwrap();
                    server.call(&call.request, now)
                } else {
                    let upload = TikTok.upload(&job, &state).unwrap();
                    server.upload(&upload.request, now)
                };
                match mess {
                    Mess::Fine => Some(answer),
                    Mess::Garbled(status) => Some(reply(status, "<html>").at(now)),
                    // Dead, and nothing was written: the same state is taken up again.
                    Mess::Forgotten if !noted => {
                        now = now.plus_secs(1);
                        continue;
                    }
                    _ => None,
                }
            }
        };
        state = match answer {
            None => TikTok.lost(&job, &state, now),
            Some(answer) => match post.answered(&state, &answer) {
                Ok(next) => next,
                Err(fault) if fault.retry() == Retry::Never => {
                    let finish = TikTok.given_up(&state, fault);
                    let published = server.published();
                    return Some(Ended {
                        finish,
                        published,
                        most,
                    });
                }
                Err(_) => {
                    now = now.plus_secs(60);
                    state
                }
            },
        };
        now = now.plus_secs(1);
    }
    None
}

proptest! {
    #![proptest_config(cases(1_024))]

    /// It ends, it is never published twice, and what it says of its end is true.
    #[test]
    fn whatever_befalls_a_post_it_is_published_once_at_most(
        messes in messes(),
        size in prop_oneof![Just(4_000_000u64), Just(100_000_000), Just(64_000_001)],
        inbox in any::<bool>(),
        progress in prop_oneof![Just(Progress::Count), Just(Progress::LastByte), Just(Progress::Nothing), Just(Progress::Never)],
        forgets in any::<bool>(),
    ) {
        let post = if inbox { Post::inbox(size) } else { Post::direct(size) };
        let ended = run(&post, Server::new(progress, forgets), &messes);
        let Some(ended) = ended else {
            return Err(TestCaseError::fail("it does not end"));
        };
        prop_assert!(ended.most <= 1 && ended.published <= 1, "published {} times", ended.most);
        match ended.finish {
            Finish::Published(_) | Finish::Inbox => prop_assert_eq!(ended.published, 1),
            Finish::Failed(fault) => prop_assert_eq!(ended.published, 0, "{}", fault),
            Finish::Unknown(_) => {}
            Finish::Cancelled => return Err(TestCaseError::fail("nobody cancelled it")),
        }
    }

    /// Answers that have nothing to do with the question, for as long as anybody asks.
    #[test]
    fn nonsense_moves_no_machine_for_ever(
        answers in proptest::collection::vec((0..right_answers().len(), changes(), 200u16..600), 1..30),
    ) {
        let post = Post::direct(100_000_000);
        let mut state = post.start();
        let mut now = T0;
        for (which, changes, status) in answers {
            match post.next(&state, now) {
                Action::Wait(until) => {
                    prop_assert!(until > now);
                    now = until;
                }
                Action::Finish(_) | Action::Follow(..) => return Ok(()),
                Action::Call(_) => {
                    let _ = TikTok.call(&post.job(), &state, &bundle(&[]));
                }
                Action::Upload { range, .. } => {
                    prop_assert!(range.start < range.end && range.end <= 100_000_000);
                    let _ = TikTok.upload(&post.job(), &state);
                }
            }
            let answer = reply(status, changed(right_answers()[which].clone(), &changes)).at(now);
            if let Ok(next) = post.answered(&state, &answer) {
                state = State { data: serde_json::from_str(&next.data.to_string()).unwrap(), ..next };
            }
            now = now.plus_secs(1);
        }
    }
}
