//! Faults: real cuts, holds, replaced answers.

use serde_json::{Value, json};

use crate::rig::{KEY, Rig, SECRET, read, text};

fn refresh(token: &str) -> [(&str, &str); 4] {
    [
        ("client_key", KEY),
        ("client_secret", SECRET),
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
    ]
}

/// The generation of the first grant: how many refreshes took effect.
async fn generation(rig: &Rig) -> Value {
    rig.control("/state", Value::Null).await["grants"][0]["generation"].clone()
}

#[tokio::test]
async fn cuts_close_the_socket_without_an_answer() {
    let rig = Rig::start().await;
    let token = text(&rig.grant(KEY, "mara").await["refresh_token"]);
    for (knob, generation_after) in [("cut_before", 0), ("cut_after", 1)] {
        rig.fault(json!({"endpoint": "token_refresh", knob: true}))
            .await;
        let error = rig.send_form("/v2/oauth/token/", &refresh(&token)).await;
        let error = error.unwrap_err();
        assert!(error.is_request() && error.status().is_none(), "{error:?}");
        assert_eq!(generation(&rig).await, generation_after, "{knob}");
    }
    // The effect took place: the token that was sent is dead.
    rig.refresh(&token, 400).await;
    let log = rig
        .control("/requests?endpoint=token_refresh", Value::Null)
        .await;
    let line = |at: usize| log["requests"][at].clone();
    assert_eq!(
        (line(1)["outcome"].clone(), line(1)["status"].clone()),
        (json!("cut"), Value::Null)
    );
    assert_eq!(line(2)["status"], 400);
}

#[tokio::test]
async fn a_cut_is_an_end_of_stream_before_any_byte() {
    let rig = Rig::start().await;
    rig.fault(json!({"endpoint": "unknown", "cut_after": true}))
        .await;
    let socket = tokio::net::TcpStream::connect(("127.0.0.1", rig.sandbox.port())).await;
    let socket = socket.unwrap();
    let head = b"GET /tiktok/open/nothing HTTP/1.1\r\nHost: x\r\n\r\n";
    socket.writable().await.unwrap();
    assert_eq!(socket.try_write(head).unwrap(), head.len());
    let mut buffer = [0; 64];
    let got = loop {
        socket.readable().await.unwrap();
        match socket.try_read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            got => break got.unwrap_or(0),
        }
    };
    assert_eq!(got, 0);
}

#[tokio::test]
async fn held_calls_wait_for_a_release() {
    let rig = Rig::start().await;
    for (at, generation_while_held) in [("before", 0), ("after", 1)] {
        rig.control("/reset", json!({})).await;
        let token = text(&rig.grant(KEY, "mara").await["refresh_token"]);
        rig.fault(json!({"endpoint": "token_refresh", "hold": at}))
            .await;
        let form = refresh(&token);
        let call = rig.send_form("/v2/oauth/token/", &form);
        let driver = async {
            let held = rig
                .until("/holds", |seen| seen["holds"][0]["seq"].is_u64())
                .await;
            assert_eq!(held["holds"][0]["hold"], at);
            assert_eq!(generation(&rig).await, generation_while_held);
            let seq = &held["holds"][0]["seq"];
            let done = rig.control("/holds/release", json!({ "seq": seq })).await;
            assert_eq!(done["released"], 1);
        };
        let (answer, ()) = tokio::join!(call, driver);
        read(answer.unwrap(), 200).await;
    }
}

#[tokio::test]
async fn a_caller_that_dies_while_held_does_not_undo_the_effect() {
    let rig = Rig::start().await;
    let token = text(&rig.grant(KEY, "mara").await["refresh_token"]);
    rig.fault(json!({"endpoint": "token_refresh", "hold": "before"}))
        .await;
    let form = refresh(&token);
    tokio::select! {
        _ = rig.send_form("/v2/oauth/token/", &form) => panic!("it was not held"),
        _ = rig.until("/holds", |seen| seen["holds"][0]["seq"].is_u64()) => {}
    }
    // The call was dropped with its connection; the platform goes on.
    rig.control("/holds/release", json!({})).await;
    rig.until("/state", |state| state["grants"][0]["generation"] == 1)
        .await;
}

#[tokio::test]
async fn answers_are_replaced() {
    let rig = Rig::start().await;
    let token = text(&rig.grant(KEY, "mara").await["refresh_token"]);
    // fault, status, what the body says, refreshes that took effect so far
    let cases = [
        (
            json!({"error": "temporarily_unavailable"}),
            503,
            "temporarily_unavailable",
            0,
        ),
        (
            json!({"error": "invalid_grant", "http200": true}),
            200,
            "invalid_grant",
            0,
        ),
        (
            json!({"error": "odd_news", "status": 418}),
            418,
            "odd_news",
            0,
        ),
        (
            json!({"body": {"error": "own"}, "status": 400}),
            400,
            "own",
            0,
        ),
        (
            json!({"error": "server_error", "effect": true}),
            500,
            "server_error",
            1,
        ),
    ];
    for (mut fault, status, error, effects) in cases {
        fault["endpoint"] = json!("token_refresh");
        rig.fault(fault).await;
        let body = rig.refresh(&token, status).await;
        assert_eq!(body["error"], error);
        assert_eq!(generation(&rig).await, effects);
    }
}

#[tokio::test]
async fn faults_count_skip_and_match() {
    let rig = Rig::start().await;
    let grants = [rig.grant(KEY, "mara").await, rig.grant(KEY, "joris").await];
    let access = grants.each_ref().map(|grant| text(&grant["access_token"]));
    rig.fault(
        json!({"endpoint": "creator_info", "error": "internal_error", "times": 2,
        "skip": 1, "match": {"user": "joris"}}),
    )
    .await;
    for (who, status) in [(0, 200), (1, 200), (1, 500), (0, 200), (1, 500), (1, 200)] {
        rig.post(&access[who], "/creator_info/query/", &json!({}), status)
            .await;
    }
    for bad in [
        json!({"endpoint": "nowhere"}),
        json!({"endpoint": "init", "eror": "x"}),
        json!({"endpoint": "init", "error": "no_such_code"}),
        json!({"endpoint": "init", "cut_after_bytes": 5}),
    ] {
        let url = format!("{}/faults", rig.sandbox.admin_url());
        let answer = rig.http.post(url).body(bad.to_string()).send().await;
        assert_eq!(answer.unwrap().status(), 400, "{bad}");
    }
}

#[tokio::test]
async fn stopping_cuts_what_is_open() {
    let rig = Rig::start().await;
    rig.fault(json!({"endpoint": "unknown", "hold": "before"}))
        .await;
    let url = rig.url("/open/nothing");
    let call = tokio::spawn(rig.http.get(url).send());
    rig.until("/holds", |seen| seen["holds"][0]["seq"].is_u64())
        .await;
    let port = rig.sandbox.port();
    rig.sandbox.stop().await;
    assert!(call.await.unwrap().is_err());
    tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
}

#[tokio::test]
async fn secrets_are_listed_and_reset_forgets_them() {
    let rig = Rig::start().await;
    let grant = rig.grant(KEY, "mara").await;
    let seen = rig.control("/secrets", Value::Null).await.to_string();
    for secret in [
        SECRET,
        &text(&grant["access_token"]),
        &text(&grant["refresh_token"]),
    ] {
        assert!(seen.contains(secret));
    }
    rig.advance(100).await;
    rig.control("/reset", json!({})).await;
    let state = rig.control("/state", Value::Null).await;
    assert_eq!(state["grants"], json!([]));
    assert_eq!(state["users"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn every_endpoint_of_posting_and_display_takes_faults() {
    let rig = Rig::start().await;
    let token = rig.access(KEY, "mara").await;
    for (endpoint, path) in [
        ("init", "/post/publish/video/init/"),
        ("inbox_init", "/post/publish/inbox/video/init/"),
        ("photo_init", "/post/publish/content/init/"),
        ("creator_info", "/post/publish/creator_info/query/"),
        ("status", "/post/publish/status/fetch/"),
        ("cancel", "/post/publish/cancel/"),
        ("video_list", "/video/list/"),
        ("video_query", "/video/query/"),
    ] {
        rig.fault(json!({"endpoint": endpoint, "error": "internal_error"}))
            .await;
        let answer = rig.api(&token, path, &json!({}), 500).await;
        assert_eq!(answer["error"]["code"], "internal_error", "{endpoint}");
        let log = rig
            .control(&format!("/requests?endpoint={endpoint}"), Value::Null)
            .await;
        assert_eq!(log["requests"][0]["fault"], true);
        assert_eq!(log["requests"][0]["fields"]["user"], "mara");
    }
}
