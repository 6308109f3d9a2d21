//! The docs' examples of verifying webhooks, run on requests that were really sent. The Rust one is this
//! file's own module, and the docs must show it word for word; the Python one is taken out of the docs.

use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

use crate::events::{call, endpoint, world};
use crate::receiver::Hit;

const DOCS: &str = include_str!("../../../docs/events.md");
const RUST: &str = include_str!("verify_example.rs");

#[expect(unreachable_pub, reason = "as a product would write it")]
#[path = "verify_example.rs"]
mod example;

/// The one block of a language in the docs.
fn block(language: &str) -> &'static str {
    let (_, rest) = DOCS.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// What each of these requests is to the docs' Python.
fn python(cases: &[(String, Hit)]) -> Vec<Value> {
    let root = local::cloud::project_root().unwrap();
    let program = format!(
        "{}\nimport json, sys\nfor line in sys.stdin:\n    case = json.loads(line)\n    \
         print(json.dumps(receive(case['secret'], case['headers'], case['body'].encode())))\n",
        block("python")
    );
    let mut child = Command::new(local::cloud::python(&root).unwrap())
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = cases.iter().map(|(secret, hit)| {
        let headers = hit.headers.iter();
        let headers: serde_json::Map<String, Value> = headers
            .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
            .collect();
        json!({ "secret": secret, "headers": headers, "body": hit.raw }).to_string() + "\n"
    });
    let input: String = lines.collect();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the example failed");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_docs_examples_verify_what_is_sent_and_nothing_else() {
    assert_eq!(RUST, block("rust"), "the docs show another example");
    let (world, receiver) = world("1").await;
    let made = endpoint(&world, "/hooks", &[]).await;
    let path = format!("/{}", made["id"].as_str().unwrap());
    call(&world, Method::POST, &format!("{path}/test"), None, 202).await;
    receiver.until("/hooks", 1).await;
    let rotate = format!("{path}/rotate-secret");
    let rotated = call(&world, Method::POST, &rotate, None, 200).await;
    call(&world, Method::POST, &format!("{path}/test"), None, 202).await;
    let hits = receiver.until("/hooks", 2).await;
    let (old, new) = (&made["secret"], &rotated["secret"]);
    let secret = |secret: &Value| secret.as_str().unwrap().to_owned();
    let forged = |change: fn(&mut Hit)| {
        let mut hit = hits[1].clone();
        change(&mut hit);
        hit
    };
    let body = forged(|hit| hit.raw = hit.raw.replace("test", "tost"));
    let other = forged(|hit| {
        hit.headers
            .insert("webhook-id", "evt_other".parse().unwrap());
    });
    let stale = forged(|hit| {
        hit.headers
            .insert("webhook-timestamp", "1614265330".parse().unwrap());
    });
    let cases = [
        (secret(old), hits[0].clone(), true),
        (secret(new), hits[0].clone(), false),
        (secret(old), hits[1].clone(), true),
        (secret(new), hits[1].clone(), true),
        (secret(new), body, false),
        (secret(new), other, false),
        (secret(new), stale, false),
    ];
    let asked: Vec<_> = cases
        .iter()
        .map(|case| (case.0.clone(), case.1.clone()))
        .collect();
    let by_python = python(&asked);
    for (place, (secret, hit, good)) in cases.iter().enumerate() {
        let by_rust = example::receive(secret, &hit.headers, hit.raw.as_bytes());
        let expected = good.then(|| hit.body.clone());
        assert_eq!(by_rust, expected, "Rust, case {place}");
        let expected = expected.unwrap_or(Value::Null);
        assert_eq!(by_python[place], expected, "Python, case {place}");
    }
    world.end().await;
}
