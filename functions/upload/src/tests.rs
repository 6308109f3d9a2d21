//! What is refused before anything is looked up. The rest is tested against the local stack.

use domain::{ConnectionId, MediaId, Platform, PostId, SeededEntropy, Timestamp};
use http::Method;
use lambda::{Env, RequestBuilder};
use posts::{Files, PublishQueue};
use serde_json::{Value, json};
use store::{Connections, Events, MediaTable, Posts, Targets};
use wiring::Wiring;

use std::sync::Arc;

use super::*;

/// Over AWS clients that lead nowhere: a call would fail the test by its 503.
fn upload() -> Upload {
    let env = Env::from_values([
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ]);
    let wiring = Wiring::new(&env);
    let media = MediaTable::new(wiring.dynamodb(), "media");
    let targets = Targets::new(wiring.dynamodb(), "targets");
    Upload {
        uploads: Uploads {
            media: media.clone(),
            targets: targets.clone(),
            files: Files::new(wiring.s3(), "bucket"),
            source: Arc::new(wiring.transport(&env).unwrap()),
            verified: Vec::new(),
            queue: PublishQueue::new(wiring.sqs(), "http://127.0.0.1:9/q"),
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
        },
        composer: Composer {
            posts: Posts::new(wiring.dynamodb(), "posts"),
            targets,
            events: Events::new(wiring.dynamodb(), "events"),
            media,
            files: Files::new(wiring.s3(), "bucket"),
            connections: Connections::new(wiring.dynamodb(), "connections"),
            queue: PublishQueue::new(wiring.sqs(), "http://127.0.0.1:9/q"),
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
        },
        scope_prefix: String::new(),
    }
}

fn ask(method: Method, path: &str) -> RequestBuilder {
    Request::builder(method, path).token("u-1", "posts")
}

/// `status field code` of a refusal; the problem's own code where no field is named.
async fn refusal(request: RequestBuilder) -> String {
    let problem = match upload().handle(&Apps::default(), request.build()).await {
        Ok(response) => return format!("{}", response.status()),
        Err(problem) => problem,
    };
    let response = problem.into_response("r", Timestamp::default());
    let told: Value = serde_json::from_slice(response.body()).unwrap();
    let status = told["status"].as_u64().unwrap();
    match told["errors"].get(0) {
        Some(error) => format!(
            "{status} {} {}",
            error["field"].as_str().unwrap(),
            error["code"].as_str().unwrap()
        ),
        None => format!("{status} {}", told["code"].as_str().unwrap()),
    }
}

#[tokio::test]
async fn callers_need_the_scope_and_a_user() {
    let list = |token: RequestBuilder| token.route("GET /v1/posts");
    let get = || Request::builder(Method::GET, "/v1/posts");
    for (request, expected) in [
        (list(get()), "401 unauthorized"),
        (list(get().token("u-1", "connections")), "403 forbidden"),
        (
            list(get().token("u-1", "posts").header("Passerelle-User", "u-2")),
            "403 forbidden",
        ),
        (
            list(get().token("svc", "service")),
            "400 Passerelle-User missing",
        ),
        (ask(Method::GET, "/v1/elsewhere"), "404 not_found"),
    ] {
        assert_eq!(refusal(request).await, expected);
    }
}

#[tokio::test]
async fn ids_of_another_kind_are_not_found() {
    let media = ask(Method::GET, "/v1/media/x")
        .route("GET /v1/media/{media_id}")
        .path_parameter("media_id", "post_00000000000000000000000000");
    assert_eq!(refusal(media).await, "404 not_found");
    let target = ask(Method::POST, "/v1/posts/x/targets/y/resolve")
        .route("POST /v1/posts/{post_id}/targets/{target_id}/resolve")
        .path_parameter(
            "post_id",
            PostId::new(Timestamp::default(), &SeededEntropy::new(1)).as_str(),
        )
        .path_parameter("target_id", "y");
    assert_eq!(refusal(target).await, "404 not_found");
}

#[tokio::test]
async fn new_media_are_checked_field_by_field() {
    let post = |body: Value| ask(Method::POST, "/v1/media").json(&body);
    for (request, expected) in [
        (post(json!({})), "422 size missing"),
        (post(json!({"size": "1"})), "422 size wrong_type"),
        (post(json!({"size": -1})), "422 size invalid"),
        (post(json!({"size": 0})), "422 size empty"),
        (
            post(json!({"size": 4_000_000_001u64})),
            "422 size too_large",
        ),
        (
            post(json!({"size": 1, "content_type": "text/html"})),
            "422 content_type unsupported_type",
        ),
        (
            post(json!({"size": 1, "name": "a.mp4"})),
            "422 name unknown_field",
        ),
        (ask(Method::POST, "/v1/media").body("{"), "400 . not_json"),
        (
            ask(Method::POST, "/v1/media").body(vec![b' '; 5_000]),
            "413 too_large",
        ),
        (
            post(json!({"size": 1})).header("Idempotency-Key", ""),
            "400 Idempotency-Key malformed",
        ),
        (
            post(json!({"size": 1}))
                .header("Idempotency-Key", "a")
                .header("Idempotency-Key", "b"),
            "400 Idempotency-Key malformed",
        ),
    ] {
        assert_eq!(refusal(request).await, expected);
    }
}

#[tokio::test]
async fn new_posts_are_checked_field_by_field() {
    let connection = ConnectionId::of(&"u-1".parse().unwrap(), Platform::TikTok, "a");
    let media = MediaId::new(Timestamp::default(), &SeededEntropy::new(1));
    let post = |body: Value| ask(Method::POST, "/v1/posts").json(&body);
    let target = |options: Value| json!({"connection_id": connection, "options": options});
    for (body, expected) in [
        (json!({}), "422 targets missing"),
        (json!({"targets": []}), "422 targets required"),
        (
            json!({"targets": [{"connection_id": "x"}]}),
            "422 targets[0].connection_id invalid",
        ),
        (
            json!({"targets": [target(json!({"visibility": "x"}))]}),
            "422 targets[0].options.visibility unknown_field",
        ),
        (
            json!({"targets": [target(json!({"mode": "later"}))]}),
            "422 targets[0].options.mode unknown_value",
        ),
        (
            json!({"targets": [target(json!({})), target(json!({}))]}),
            "422 targets[1].connection_id duplicate",
        ),
        (
            json!({"media": [media, media], "targets": [target(json!({}))]}),
            "422 media[1] duplicate",
        ),
        (
            json!({"text": "x".repeat(20_001), "targets": [target(json!({}))]}),
            "422 text too_long",
        ),
    ] {
        assert_eq!(refusal(post(body.clone())).await, expected, "{body}");
    }
}

#[tokio::test]
async fn parameters_and_resolutions_are_read_strictly() {
    let list = |query: &str| ask(Method::GET, &format!("/v1/posts{query}")).route("GET /v1/posts");
    for (query, expected) in [
        ("?limit=0", "400 limit malformed"),
        ("?limit=101", "400 limit malformed"),
        ("?limit=999", "400 limit malformed"),
        ("?cursor=x", "400 cursor malformed"),
        ("?page=2", "400 page unknown"),
        ("?limit=1&limit=2", "400 limit repeated"),
    ] {
        assert_eq!(refusal(list(query)).await, expected, "{query}");
    }
    let id = |prefix: &str| format!("{prefix}{}", "0".repeat(26));
    let parts = ask(Method::GET, "/v1/media/x/parts?after=-1")
        .route("GET /v1/media/{media_id}/parts")
        .path_parameter("media_id", &id("media_"));
    assert_eq!(refusal(parts).await, "400 after malformed");
    for (body, expected) in [
        (json!({}), "422 action missing"),
        (json!({"action": "forget"}), "422 action unknown_value"),
        (
            json!({"action": "mark_published", "url": "http://a.example"}),
            "422 url malformed",
        ),
    ] {
        let resolve = ask(Method::POST, "/v1/posts/x/targets/y/resolve")
            .route("POST /v1/posts/{post_id}/targets/{target_id}/resolve")
            .path_parameter("post_id", &id("post_"))
            .path_parameter("target_id", &id("tgt_"))
            .json(&body);
        assert_eq!(refusal(resolve).await, expected, "{body}");
    }
}
