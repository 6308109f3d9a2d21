//! Bad input: every refusal names the field, has a stable code, and loses nothing.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{USER, World};

/// Method, path and body of a request.
type Asked = (Method, String, Option<Value>);

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_clear_answer() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    let unknown = "conn_00000000000000000000000000";
    let post = |body: Value| (Method::POST, "/v1/posts".to_owned(), Some(body));
    let target = json!({ "connection_id": id, "options": { "privacy": "SELF_ONLY" } });
    let table: Vec<(Asked, u16, &str)> = vec![
        (
            (Method::POST, "/v1/media".into(), Some(json!({ "size": 0 }))),
            422,
            "size",
        ),
        (
            (
                Method::POST,
                "/v1/media".into(),
                Some(json!({ "size": 5_000_000_000_u64 })),
            ),
            422,
            "size",
        ),
        (
            (
                Method::POST,
                "/v1/media".into(),
                Some(json!({ "size": "big" })),
            ),
            422,
            "size",
        ),
        (
            (
                Method::POST,
                "/v1/media".into(),
                Some(json!({ "size": 1, "color": 1 })),
            ),
            422,
            "color",
        ),
        (
            (
                Method::GET,
                "/v1/media/media_00000000000000000000000000".into(),
                None,
            ),
            404,
            "not_found",
        ),
        (
            (Method::GET, "/v1/media/nonsense".into(), None),
            404,
            "not_found",
        ),
        (
            (Method::GET, format!("/v1/connections/{unknown}"), None),
            404,
            "not_found",
        ),
        (
            (Method::DELETE, format!("/v1/connections/{unknown}"), None),
            404,
            "not_found",
        ),
        (
            (Method::GET, "/v1/connections?platform=myspace".into(), None),
            400,
            "platform",
        ),
        (
            (Method::GET, "/v1/connections?status=lost".into(), None),
            400,
            "status",
        ),
        (
            (Method::GET, "/v1/connections?limit=0".into(), None),
            400,
            "limit",
        ),
        (
            (Method::GET, "/v1/connections?cursor=x".into(), None),
            400,
            "cursor",
        ),
        (
            (
                Method::GET,
                "/v1/posts/post_00000000000000000000000000".into(),
                None,
            ),
            404,
            "not_found",
        ),
        (
            post(json!({ "text": "x", "media": [], "targets": [] })),
            422,
            "targets",
        ),
        (
            post(
                json!({ "text": "x", "media": ["media_00000000000000000000000000"], "targets": [target] }),
            ),
            404,
            "media",
        ),
    ];
    for ((method, path, body), status, named) in table {
        let expected = StatusCode::from_u16(status).unwrap();
        let answer = world.user.call(method.clone(), &path, body, expected).await;
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error:#}"));
        assert!(
            answer.to_string().contains(named),
            "{method} {path}: {answer}"
        );
        assert!(
            answer["code"].is_string() && answer["detail"].is_string(),
            "{answer}"
        );
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_open_what_their_scopes_say_and_no_other_users_things() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    let path = format!("/v1/connections/{id}");
    let api = |subject: &str, scopes: &[&str]| {
        let token = world.stack.mint_jwt(subject, scopes).unwrap();
        local::demo::api::Api::new(world.stack.api_url(), &token).unwrap()
    };
    let get = Method::GET;
    api("user_other", &["connections"])
        .call(get.clone(), &path, None, StatusCode::NOT_FOUND)
        .await
        .unwrap();
    api(USER, &["posts"])
        .call(get.clone(), &path, None, StatusCode::FORBIDDEN)
        .await
        .unwrap();
    // A user's own token may not speak for another user.
    api(USER, &["connections"])
        .on_behalf_of("user_other")
        .call(get.clone(), &path, None, StatusCode::FORBIDDEN)
        .await
        .unwrap();
    // A service must say for whom it speaks, and sessions are the service's alone.
    api("backend", &["service"])
        .call(get.clone(), &path, None, StatusCode::BAD_REQUEST)
        .await
        .unwrap();
    api("backend", &["service"])
        .on_behalf_of(USER)
        .call(get, &path, None, StatusCode::OK)
        .await
        .unwrap();
    let session = json!({ "user_id": USER, "user_label": "x" });
    api(USER, &["connections"])
        .call(
            Method::POST,
            "/v1/sessions",
            Some(session),
            StatusCode::FORBIDDEN,
        )
        .await
        .unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let bare = http
        .get(format!("{}{path}", world.stack.api_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_checked_field_by_field() {
    let world = World::new().await;
    let good = json!({ "user_id": USER, "user_label": "Flow", "platform": "tiktok" });
    let table = [
        ("user_id", json!("has space"), "user_id"),
        ("user_label", json!(""), "user_label"),
        ("email", json!("nobody"), "email"),
        ("locale", json!("f_r"), "locale"),
        ("time_zone", json!("a b"), "time_zone"),
        ("platform", json!("myspace"), "platform"),
        ("return_to", json!("https://evil.example/"), "return_to"),
        ("return_to", json!("//evil.example"), "return_to"),
    ];
    for (field, value, named) in table {
        let mut ask = good.clone();
        ask[field] = value;
        let path = "/v1/sessions";
        let expected = StatusCode::UNPROCESSABLE_ENTITY;
        let answer = world
            .backend
            .call(Method::POST, path, Some(ask), expected)
            .await
            .unwrap();
        assert_eq!(answer["errors"][0]["field"], named, "{answer}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_makes_one_thing() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    let key = [("idempotency-key", "key-1")];
    let size = json!({ "size": 40_000 });
    let call = async |body: Value, expected| {
        world
            .user
            .call_with(Method::POST, "/v1/media", Some(body), &key, expected)
            .await
            .unwrap()
    };
    let first = call(size.clone(), StatusCode::CREATED).await;
    let again = call(size, StatusCode::CREATED).await;
    assert_eq!(first["id"], again["id"]);
    let other = call(json!({ "size": 50_000 }), StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(other["errors"][0]["code"], "idempotency_key_reused");

    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let body = json!({
        "text": "x", "media": [media],
        "targets": [{ "connection_id": id, "options": { "privacy": "SELF_ONLY" } }],
    });
    let post = async || {
        let path = "/v1/posts";
        world
            .user
            .call_with(
                Method::POST,
                path,
                Some(body.clone()),
                &key,
                StatusCode::CREATED,
            )
            .await
            .unwrap()
    };
    let (one, two) = tokio::join!(post(), post());
    assert_eq!(one["id"], two["id"]);
    world
        .until_target(one["id"].as_str().unwrap(), "published")
        .await;
    assert_eq!(world.calls("init").await, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_checked_one_by_one_and_a_refusal_loses_none() {
    let world = World::new().await;
    let size = 20_000_000;
    let file = world.file(size);
    let begun = world
        .user
        .call(
            Method::POST,
            "/v1/media",
            Some(json!({ "size": size })),
            StatusCode::CREATED,
        )
        .await
        .unwrap();
    let id = begun["id"].as_str().unwrap();
    let part_size = begun["part_size"].as_u64().unwrap();
    let parts = begun["upload"]["parts"].as_array().unwrap().clone();
    assert_eq!(parts.len(), 3);
    let bytes = std::fs::read(&file).unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut sent = Vec::new();
    for part in &parts {
        let number = part["part_number"].as_u64().unwrap();
        let from = usize::try_from((number - 1) * part_size).unwrap();
        let to = from + usize::try_from(part["size"].as_u64().unwrap()).unwrap();
        let url = part["url"].as_str().unwrap();
        let put = http
            .put(url)
            .body(bytes[from..to].to_vec())
            .send()
            .await
            .unwrap();
        assert!(put.status().is_success());
        let etag = put.headers()["etag"].to_str().unwrap().to_owned();
        sent.push(json!({ "part_number": number, "etag": etag }));
    }
    let path = format!("/v1/media/{id}/complete");
    let complete = async |parts: Value, expected: u16| {
        let expected = StatusCode::from_u16(expected).unwrap();
        let body = Some(json!({ "parts": parts }));
        world
            .user
            .call(Method::POST, &path, body, expected)
            .await
            .unwrap()
    };
    let mut wrong_etag = sent.clone();
    wrong_etag[2]["etag"] = json!("\"00000000000000000000000000000000\"");
    for (parts, code) in [
        (json!([sent[1], sent[0], sent[2]]), "wrong_order"),
        (json!([sent[0], sent[1]]), "missing_part"),
        (json!(wrong_etag), "wrong_etag"),
    ] {
        let refused = complete(parts, 422).await;
        assert!(
            refused["errors"].to_string().contains(code),
            "{code}: {refused}"
        );
    }
    let done = complete(json!(sent), 200).await;
    assert_eq!(
        (&done["status"], &done["kind"]),
        (&json!("ready"), &json!("mp4"))
    );
    complete(json!(sent), 200).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_listed_by_filter_and_page() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    let list = async |query: &str| {
        let path = format!("/v1/connections{query}");
        world
            .user
            .call(Method::GET, &path, None, StatusCode::OK)
            .await
            .unwrap()
    };
    assert_eq!(
        list("?platform=tiktok&status=active").await["connections"][0]["id"],
        id.as_str()
    );
    assert_eq!(list("?status=disconnected").await["connections"], json!([]));
    let page = list("?limit=1").await;
    assert_eq!(page["connections"].as_array().unwrap().len(), 1);
    assert!(page["next_cursor"].is_null(), "there is no second one");
    let after = list(&format!("?cursor={id}")).await;
    assert_eq!(after["connections"], json!([]));
    world.end().await;
}
