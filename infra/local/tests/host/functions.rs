//! Processes of functions: environment, reuse, scaling, errors, time-outs, kills.

use std::time::Instant;

use local::eventually;
use serde_json::json;

use crate::harness::{BOUND, options, stack, start, wish};

#[tokio::test(flavor = "multi_thread")]
async fn a_function_sees_what_lambda_shows_it() {
    let stack = start(
        options("context")
            .parameter("Greeting", "hello")
            .env("EXTRA", "1"),
    )
    .await;
    let seen = wish(&stack, "context").await;
    let environment = &seen["environment"];
    for (name, expected) in [
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_ACCESS_KEY_ID", "LOCALPROBE"),
        ("AWS_REGION", "us-east-1"),
        ("GREETING", "hello"),
        ("EXTRA", "1"),
        ("TABLE_ROWS", stack.table("rows").unwrap()),
        ("QUEUE_WORK", stack.queue("work").unwrap()),
        ("SECRET", stack.reference("AppSecret").unwrap()),
        ("AWS_ENDPOINT_URL", &stack.aws_endpoint()),
    ] {
        assert_eq!(environment[name], expected, "{name}");
    }
    assert!(
        environment["KMS_KEY_ID"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:kms:")
    );
    assert!(
        environment["SECRET"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:secretsmanager:")
    );
    // Nothing of the surrounding process leaks in.
    assert!(environment.get("HOME").is_none());
    assert!(seen["arn"].as_str().unwrap().ends_with("-ProbeFunction"));
    assert_eq!(
        wish(&stack, "context").await["process"],
        seen["process"],
        "kept warm"
    );
    assert!(stack.host().peak_memory("probe").unwrap() > 1_000);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_at_once_has_a_process_of_its_own_up_to_the_limit() {
    let mut options = options("scale");
    options.max_instances = 3;
    let stack = start(options).await;
    let event = json!({"do": "context"});
    let all = futures_util::future::join_all((0..12).map(|_| stack.invoke("probe", &event))).await;
    assert!(all.into_iter().all(|one| one.unwrap().result.is_ok()));
    let count = stack.host().instances("probe").unwrap();
    assert!((1..=3).contains(&count), "{count}");
    assert_eq!(stack.kill("probe").await.unwrap(), count);
    assert_eq!(stack.host().instances("probe").unwrap(), 0);
    wish(&stack, "echo").await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_worded_as_lambda_words_them() {
    let stack = start(options("failures").parameter("Timeout", "1")).await;
    for (wish, kind, message) in [
        ("fail", "", "told to fail"),
        ("panic", "", "told to panic"),
        (
            "exit",
            "Runtime.ExitError",
            "Runtime exited with error: exit status: 3",
        ),
        (
            "hang",
            "Sandbox.Timedout",
            "Task timed out after 1.00 seconds",
        ),
    ] {
        let invocation = stack.invoke("probe", &json!({"do": wish})).await.unwrap();
        let error = invocation.result.unwrap_err();
        assert!(error.kind.contains(kind), "{wish}: {error}");
        assert!(error.message.contains(message), "{wish}: {error}");
        // The next event finds a process again.
        crate::harness::wish(&stack, "echo").await;
    }
    stack
        .host()
        .set_environment("probe", "PROBE_BREAKS_AT_START", Some("1"))
        .await
        .unwrap();
    let invocation = stack.invoke("probe", &json!({"do": "echo"})).await.unwrap();
    assert_eq!(invocation.result.unwrap_err().kind, "Runtime.ExitError");
    assert!(
        stack
            .host()
            .log_text("probe")
            .unwrap()
            .contains("told to break at the start")
    );
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_fails_its_event_only() {
    let stack = stack("kill").await;
    let hang = json!({"do": "hang"});
    let (ended, ()) = tokio::join!(stack.invoke("probe", &hang), async {
        eventually("a process runs", BOUND, async || {
            Ok((stack.host().instances("probe")? == 1).then_some(()))
        })
        .await
        .unwrap();
        stack.kill("probe").await.unwrap();
    });
    // Killed before it took the event, the event fails with the init; after, with the run.
    assert_eq!(ended.unwrap().result.unwrap_err().kind, "Runtime.ExitError");
    wish(&stack, "echo").await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_answer_takes_little_more_than_the_function() {
    let stack = stack("warm").await;
    wish(&stack, "echo").await;
    let started = Instant::now();
    const ROUNDS: u32 = 200;
    for _ in 0..ROUNDS {
        wish(&stack, "echo").await;
    }
    let each = started.elapsed() / ROUNDS;
    println!("a warm invoke takes {each:?}");
    assert!(each.as_millis() < 20, "{each:?}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_fire_on_demand() {
    let stack = stack("schedule").await;
    let fired = stack.fire("probe").await.unwrap();
    assert_eq!(fired.len(), 1);
    assert_eq!(
        fired[0].json().unwrap(),
        json!({"do": "echo", "tick": true})
    );
    assert!(stack.fire("nothing").await.is_err());
    stack.stop().await.unwrap();
}
