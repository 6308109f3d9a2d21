//! The front door: events, answers, authorizer, CORS, limits.

use std::time::Duration;

use local::eventually;
use serde_json::{Value, json};

use crate::harness::{BOUND, options, stack, start};

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_arrives_as_payload_two() {
    let stack = stack("payload").await;
    let answer = http()
        .post(format!("{}/open/a%20b?x=1&x=2&code=%2F", stack.api_url()))
        .header("Cookie", "one=1; two=2")
        .header("X-Custom", "yes")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("a=b")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert!(answer.headers().contains_key("apigw-requestid"));
    let event: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    for (pointer, expected) in [
        ("/version", json!("2.0")),
        ("/routeKey", json!("ANY /open/{name}")),
        ("/rawPath", json!("/open/a b")),
        ("/rawQueryString", json!("x=1&x=2&code=%2F")),
        ("/queryStringParameters/x", json!("1,2")),
        ("/queryStringParameters/code", json!("/")),
        ("/pathParameters/name", json!("a b")),
        ("/cookies", json!(["one=1", "two=2"])),
        ("/headers/x-custom", json!("yes")),
        ("/body", json!("YT1i")),
        ("/isBase64Encoded", json!(true)),
        ("/requestContext/http/method", json!("POST")),
        ("/requestContext/stage", json!("$default")),
        (
            "/requestContext/domainName",
            json!(stack.api_url().trim_start_matches("http://")),
        ),
    ] {
        assert_eq!(event.pointer(pointer), Some(&expected), "{pointer}");
    }
    let log = eventually("a line in the access log", BOUND, async || {
        let log = std::fs::read_to_string(stack.logs().join("gateway.log"))?;
        Ok(log.contains("ANY /open/{name}").then_some(log))
    });
    assert!(!log.await.unwrap().contains("code="));
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authorizer_takes_what_api_gateway_takes() {
    let stack = stack("authorizer").await;
    let issuer = stack.issuer();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let claims = |change: Value| {
        let mut claims = json!({"iss": issuer.url(), "aud": "passerelle-local", "sub": "u",
            "scope": "things other", "exp": now + 60});
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        issuer.sign(&claims).unwrap()
    };
    let good = claims(json!({}));
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    let url = format!("{}/v1/things", stack.api_url());
    for (name, header, expected) in [
        ("good", Some(format!("Bearer {good}")), 200),
        ("without the word Bearer", Some(good.clone()), 200),
        (
            "minted",
            Some(format!(
                "Bearer {}",
                issuer
                    .mint("u", &["service"], Duration::from_secs(9))
                    .unwrap()
            )),
            200,
        ),
        (
            "audience in a list",
            Some(claims(json!({"aud": ["x", "passerelle-local"]}))),
            200,
        ),
        ("no header", None, 401),
        ("nonsense", Some("Bearer nonsense".to_owned()), 401),
        ("forged", Some(forged), 401),
        ("expired", Some(claims(json!({"exp": now - 5}))), 401),
        ("not yet", Some(claims(json!({"nbf": now + 60}))), 401),
        ("other audience", Some(claims(json!({"aud": "x"}))), 401),
        (
            "other issuer",
            Some(claims(json!({"iss": "https://evil.example"}))),
            401,
        ),
        ("other scope", Some(claims(json!({"scope": "other"}))), 403),
        ("no scope", Some(claims(json!({"scope": ""}))), 403),
    ] {
        let mut request = http().get(&url);
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), expected, "{name}");
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        match expected {
            200 => assert_eq!(
                body["requestContext"]["authorizer"]["jwt"]["claims"]["sub"],
                "u"
            ),
            401 => assert_eq!(body, json!({"message": "Unauthorized"})),
            _ => assert_eq!(body, json!({"message": "Forbidden"})),
        }
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_answers_by_itself() {
    let stack = start(options("gateway").parameter("Timeout", "1")).await;
    let url = |path: &str| format!("{}{path}", stack.api_url());
    let large = vec![b'x'; (10 << 20) + 1];
    let larger_than_an_event = vec![b'x'; 5 << 20];
    for (name, request, status, message) in [
        ("no route", http().get(url("/nothing")), 404, "Not Found"),
        (
            "no such method",
            http().put(url("/v1/things")),
            404,
            "Not Found",
        ),
        (
            "too large",
            http().post(url("/open/x")).body(large),
            413,
            "Request Entity Too Large",
        ),
        (
            "too large as base64",
            http().post(url("/open/x")).body(larger_than_an_event),
            413,
            "Request Entity Too Large",
        ),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{name}");
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(body, json!({"message": message}), "{name}");
    }
    stack
        .host()
        .set_environment("probe", "PROBE_BREAKS_AT_START", Some("1"))
        .await
        .unwrap();
    let answer = http().get(url("/open/x")).send().await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(
        answer.text().await.unwrap(),
        r#"{"message":"Internal Server Error"}"#
    );
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_are_answered_before_any_route() {
    let stack = stack("cors").await;
    for (origin, allowed) in [
        ("https://app.example", true),
        ("https://evil.example", false),
    ] {
        let answer = http()
            .request(
                reqwest::Method::OPTIONS,
                format!("{}/v1/things", stack.api_url()),
            )
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204);
        let given = answer
            .headers()
            .get("access-control-allow-origin")
            .is_some();
        assert_eq!(given, allowed, "{origin}");
    }
    stack.stop().await.unwrap();
}
