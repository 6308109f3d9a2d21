//! Events, queries, cookies and bodies of any kind: a request or a problem, never a panic, and never
//! more in memory than came in.

use std::collections::BTreeMap;

use http::Method;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Request, event};

/// A body as routes read them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
struct Body {
    user_id: String,
    #[serde(default)]
    targets: Vec<BTreeMap<String, Value>>,
    #[serde(default)]
    size: Option<u64>,
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("user_1")),
        Just(json!([])),
        Just(json!({})),
    ]
}

fn object(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        4 => proptest::sample::select(names).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let value = leaf().prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    });
    proptest::collection::vec((name, value), 0..8)
        .prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
}

proptest! {
    #[test]
    fn bodies(bytes in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        object(&["user_id", "targets", "size"]).prop_map(|value| value.to_string().into_bytes()),
        // Deeper than any reader should follow.
        (1usize..2_000).prop_map(|depth| "[".repeat(depth).into_bytes()),
        (1usize..2_000).prop_map(|depth| "{\"targets\":".repeat(depth).into_bytes()),
    ], most in 0usize..400) {
        let request = Request::builder(Method::POST, "/v1/x").body(bytes.clone()).build();
        match request.json::<Body>(most) {
            Ok(_) => prop_assert!(bytes.len() <= most),
            Err(problem) => {
                let status = problem.status();
                prop_assert!([400, 413, 422].contains(&status), "{status}");
                prop_assert_eq!(status == 413, bytes.len() > most);
            }
        }
    }

    #[test]
    fn queries_and_forms(text in prop_oneof![any::<String>(), "[a-c=&%0-9+]{0,60}"]) {
        let query: String = text.chars().filter(|c| *c != '#').collect();
        let path = format!("/x?{query}");
        let request = Request::builder(Method::GET, &path).body(query).build();
        for read in [request.query(), request.form(10_000)] {
            if let Err(problem) = read {
                prop_assert_eq!(problem.status(), 400);
            }
        }
    }

    #[test]
    fn cookies(cookies in proptest::collection::vec("[ -~]{0,40}", 0..5)) {
        let mut builder = Request::builder(Method::GET, "/x");
        for cookie in &cookies {
            builder = builder.cookie(cookie);
        }
        let request = builder.build();
        let _ = request.cookie("__Host-session");
        let _ = request.cookie("other");
    }

    /// What the gateway hands over, or something like it.
    #[test]
    fn events(value in object(&[
        "routeKey", "rawPath", "rawQueryString", "cookies", "headers", "pathParameters",
        "requestContext", "body", "isBase64Encoded",
    ]), right in any::<bool>()) {
        let mut value = value;
        if right {
            value["requestContext"] = json!({ "http": { "method": "GET" } });
        }
        let _ = event::read(&value.to_string());
    }
}
