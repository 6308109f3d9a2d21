use std::sync::atomic::{AtomicUsize, Ordering};

use domain::FixedClock;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000);

fn batch(bodies: &[&str]) -> Vec<Message> {
    let records: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(index, body)| {
            json!({
                "messageId": format!("m{index}"),
                "body": body,
                "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "990000"},
                "messageAttributes": {
                    "kind": {"stringValue": "x", "dataType": "String"},
                    "raw": {"binaryValue": "AA==", "dataType": "Binary"},
                },
                "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:stack-Refresh",
            })
        })
        .collect();
    read(
        &json!({ "Records": records }).to_string(),
        NOW.plus_secs(60),
    )
    .unwrap()
}

async fn failures(options: Options, bodies: &[&str]) -> Vec<String> {
    let clock = FixedClock::at(NOW);
    let handler = |message: Message| async move {
        match message.body.as_str() {
            "panic" => panic!("hush"),
            "retry" => Ok(Outcome::Retry { why: "busy".into() }),
            "error" => Err("trouble".into()),
            _ => {
                let number: u8 = message.json()?;
                assert_eq!(number, 1);
                Ok(Outcome::Done)
            }
        }
    };
    let failures = run(options, &handler, &clock, batch(bodies)).await;
    let mut ids: Vec<_> = failures.ids().map(str::to_owned).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn records_fail_one_by_one() {
    let bodies = ["1", "panic", "1", "error", "retry", "{", "1"];
    for at_once in [0, 1, 10] {
        let options = Options {
            at_once,
            ..Options::default()
        };
        assert_eq!(failures(options, &bodies).await, ["m1", "m3", "m4", "m5"]);
    }
    assert!(failures(Options::default(), &["1", "1"]).await.is_empty());
}

#[tokio::test]
async fn no_record_is_begun_when_time_is_short() {
    let options = Options {
        at_once: 1,
        reserve: Duration::from_secs(60),
    };
    assert_eq!(failures(options, &["1", "1"]).await, ["m0", "m1"]);

    // The first record takes the time that the second would have needed.
    let clock = FixedClock::at(NOW);
    let handler = |_| {
        clock.advance(58);
        std::future::ready(Ok(Outcome::Done))
    };
    let options = Options {
        at_once: 1,
        ..Options::default()
    };
    let failures = run(options, &handler, &clock, batch(&["1", "1"])).await;
    assert_eq!(failures.ids().collect::<Vec<_>>(), ["m1"]);
}

#[tokio::test]
async fn so_many_records_run_at_once_and_no_more() {
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let handler = |_| async {
        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        running.fetch_sub(1, Ordering::SeqCst);
        Ok(Outcome::Done)
    };
    let options = Options {
        at_once: 3,
        ..Options::default()
    };
    let clock = FixedClock::at(NOW);
    run(options, &handler, &clock, batch(&["1"; 9])).await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn a_record_becomes_a_message_that_hides_its_body() {
    let message = batch(&["hush"]).remove(0);
    assert_eq!(message.queue, "stack-Refresh");
    assert_eq!(message.receive_count, 3);
    assert_eq!(message.sent_at, Timestamp::from_secs(990));
    assert_eq!(
        message.attributes,
        BTreeMap::from([("kind".into(), "x".into())])
    );
    assert!(!format!("{message:?}").contains("hush"));
    let malformed = message.json::<u8>().unwrap_err().to_string();
    assert!(!malformed.contains("hush"), "{malformed}");
}

#[test]
fn the_answer_has_the_event_sources_shape() {
    let failures = Failures {
        items: vec![Item { id: "m1".into() }],
    };
    let text = serde_json::to_string(&failures).unwrap();
    assert_eq!(text, r#"{"batchItemFailures":[{"itemIdentifier":"m1"}]}"#);
    assert!(read("{}", NOW).is_err());
}
