//! Queues and streams as event sources.

use local::{Stack, eventually};

use crate::harness::{BOUND, put, stack};

/// Waits until the probe's log has a line.
async fn logged(stack: &Stack, line: &str) {
    eventually(line, BOUND, async || {
        Ok(stack.host().log_text("probe")?.contains(line).then_some(()))
    })
    .await
    .unwrap();
}

async fn depth(stack: &Stack, queue: &str, expected: u64) {
    eventually(&format!("{queue} holds {expected}"), BOUND, async || {
        let (visible, flying, delayed) = stack.queue_depth(queue).await?;
        Ok((visible + flying + delayed == expected).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_failed_comes_again_and_then_is_a_dead_letter() {
    let stack = stack("partial").await;
    stack.pollers().set_enabled(false).await;
    for body in ["fine-1", "fail-1", "fine-2"] {
        stack.send("work", body).await.unwrap();
    }
    stack.pollers().set_enabled(true).await;
    logged(&stack, "got fail-1 for the \"2\". time").await;
    depth(&stack, "work", 0).await;
    depth(&stack, "WorkDeadLetters", 1).await;
    let log = stack.host().log_text("probe").unwrap();
    for fine in ["fine-1", "fine-2"] {
        assert_eq!(log.matches(&format!("got {fine} ")).count(), 1, "{log}");
    }
    assert!(stack.denied().is_empty(), "{:?}", stack.denied());
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_or_a_malformed_answer_fails_the_whole_batch() {
    let stack = stack("whole").await;
    for body in ["break", "odd"] {
        stack.pollers().set_enabled(false).await;
        stack.send("work", &format!("fine-{body}")).await.unwrap();
        stack.send("work", body).await.unwrap();
        stack.pollers().set_enabled(true).await;
        logged(&stack, &format!("got {body} for the \"2\". time")).await;
        depth(&stack, "work", 0).await;
    }
    depth(&stack, "WorkDeadLetters", 4).await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_brings_every_change_once() {
    let stack = stack("stream").await;
    for id in ["a", "b", "c"] {
        assert_eq!(put(&stack, id).await["put"], true);
    }
    eventually("three records", BOUND, async || {
        let log = stack.host().log_text("probe")?;
        Ok((log.matches("got  for the ").count() == 3).then_some(()))
    })
    .await
    .unwrap();
    stack.stop().await.unwrap();
}
