//! Moving everything that is sealed to another KMS key, by the real worker and its queue.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::Blob;
use domain::{FixedClock, Platform, SeededEntropy, Timestamp};
use futures_util::future::join_all;
use local::{Fault, Rule, eventually};
use rewrap::{Desk, Message, Pace, Sliced, Worker};
use serde_json::json;
use store::jobs::JobState;
use store::{Jobs, SealedTexts};
use vault::{Place, Sealed, Vault};

use crate::sealed::{text_of_stack, vault, vault_under};
use crate::world::{Item, SOON, USER, World, bytes, cloud, number, text};

/// A stack that seals under its own key and still opens what is under a former one; with that.
async fn after_a_change_of_keys() -> (World, String) {
    let (_, former) = cloud().await.kms().create_key("former");
    let world = World::with(|options| {
        options
            .parameter("FormerTokenKeyArns", &former)
            .parameter("RewrapTimeout", "6")
    })
    .await;
    (world, former)
}

fn place<'a>(keys: &'a [&'a str; 2], version: u64) -> Place<'a> {
    Place {
        table: "connections",
        keys,
        platform: Platform::TikTok,
        field: "tokens",
        version,
    }
}

fn words(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// The id and the user of planted connection `n`.
fn names(n: usize) -> (String, String) {
    (format!("planted-{n}"), format!("conn_planted{n:08}"))
}

/// Puts connections into the table, each sealed by `vault` under a data key of its own.
async fn plant(world: &World, vault: &Vault, range: Range<usize>) {
    let client = world.stack.clients().dynamodb;
    let table = world.stack.table("connections").unwrap();
    let one = |n: usize| {
        let client = client.clone();
        async move {
            let (user, id) = names(n);
            let key = vault.new_key(&id).await.unwrap();
            let text = format!("tokens of {user}");
            let keys = [user.as_str(), id.as_str()];
            let sealed = vault.seal(&key, &place(&keys, 1), text.as_bytes()).unwrap();
            let item = HashMap::from([
                ("user_id".to_owned(), words(&user)),
                ("connection_id".to_owned(), words(&id)),
                (
                    "token_version".to_owned(),
                    AttributeValue::N("1".to_owned()),
                ),
                (
                    "sealed".to_owned(),
                    AttributeValue::B(Blob::new(sealed.as_bytes())),
                ),
            ]);
            let put = client.put_item().table_name(table).set_item(Some(item));
            put.send().await.unwrap();
        }
    };
    for n in range.step_by(20) {
        join_all((n..n + 20).map(one)).await;
    }
}

/// Opens every planted row, as a function of this deployment would. How many are under `key`.
async fn open_all(world: &World, key: &str) -> usize {
    let vault = vault(world, &text_of_stack(world));
    let mut rows = world.items("connections").await;
    rows.retain(|row| text(row, "user_id").starts_with("planted-"));
    assert_eq!(rows.len(), 200);
    let mut moved = 0;
    for row in rows {
        let (user, id) = (text(&row, "user_id"), text(&row, "connection_id"));
        let sealed = Sealed::from_bytes(bytes(&row, "sealed").unwrap());
        let keys = [user.as_str(), id.as_str()];
        let opened = vault.open(&id, &place(&keys, 1), &sealed).await.unwrap();
        assert_eq!(&opened[..], format!("tokens of {user}").as_bytes());
        assert_eq!(number(&row, "token_version"), 1);
        moved += usize::from(is_under(&row, key));
    }
    moved
}

fn is_under(row: &Item, key: &str) -> bool {
    String::from_utf8_lossy(&bytes(row, "sealed").unwrap()).contains(key)
}

async fn start(world: &World) {
    let start = json!({ "kind": "start" });
    world
        .stack
        .send("rewrap", &start.to_string())
        .await
        .unwrap();
}

async fn until_over(world: &World) -> Item {
    let over = eventually("the end of the move", SOON, || async {
        let job = world.items("jobs").await.pop();
        Ok(job.filter(|job| text(job, "state") != "open"))
    });
    over.await.unwrap()
}

fn count(job: &Item, name: &str) -> i64 {
    number(job["counts"].as_m().unwrap(), name)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_opens_before_during_and_after_a_move_that_is_killed() {
    let (world, former) = after_a_change_of_keys().await;
    world.connect(USER).await;
    let own = world.stack.reference("TokenKey").unwrap().to_owned();
    let environment = text_of_stack(&world);
    plant(&world, &vault_under(&world, &environment, &former), 0..200).await;
    assert_eq!(open_all(&world, &own).await, 0);

    let moves = Rule::on("kms:ReEncrypt").by("rewrap-worker").nth(80);
    let killed = world.stack.fault(moves, Fault::KillAfter);
    // What comes after the kill waits until everything was opened.
    let held = world.stack.fault(
        Rule::on("kms:ReEncrypt")
            .by("rewrap-worker")
            .nth(120)
            .times(9),
        Fault::HoldBefore,
    );
    start(&world).await;
    eventually("the kill", SOON, || async {
        Ok((killed.fired() == 1 && held.fired() >= 1).then_some(()))
    })
    .await
    .unwrap();
    let moved = open_all(&world, &own).await;
    assert!((1..200).contains(&moved), "half-way: {moved}");
    // A function of the former deployment that was still warm writes a row behind the cursor.
    plant(&world, &vault_under(&world, &environment, &former), 0..20).await;
    let job = world.items("jobs").await.pop().unwrap();
    assert_eq!(text(&job, "state"), "open");
    held.release();
    let job = until_over(&world).await;
    assert_eq!(text(&job, "state"), "done", "{job:?}");
    assert_eq!(count(&job, "refused"), 0);
    assert!(
        count(&job, "walk") >= 2,
        "the last walk finds nothing to do"
    );
    assert_eq!(open_all(&world, &own).await, 200);
    // Nothing needs the former key any more.
    let disable = json!({ "KeyId": former }).to_string();
    let kms = cloud().await.kms().clone();
    kms.handle("TrentService.DisableKey", disable.as_bytes())
        .unwrap();
    assert_eq!(open_all(&world, &own).await, 200);
    world.stack.record().clear();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_in_flight_loses_nothing_by_the_move() {
    let (world, former) = after_a_change_of_keys().await;
    let id = world.connect(USER).await;
    let own = world.stack.reference("TokenKey").unwrap().to_owned();
    let environment = text_of_stack(&world);
    // The connection as the former deployment would have sealed it.
    let keys = [USER, id.as_str()];
    let ours = vault(&world, &environment);
    let theirs = vault_under(&world, &environment, &former);
    let item = world.connection_item(USER).await;
    let sealed = Sealed::from_bytes(bytes(&item, "sealed").unwrap());
    let tokens = ours.open(&id, &place(&keys, 1), &sealed).await.unwrap();
    let key = theirs.new_key(&id).await.unwrap();
    let sealed = theirs.seal(&key, &place(&keys, 1), &tokens).unwrap();
    let client = world.stack.clients().dynamodb;
    let update = client
        .update_item()
        .table_name(world.stack.table("connections").unwrap())
        .key("user_id", words(USER))
        .key("connection_id", words(&id))
        .update_expression("SET sealed = :sealed")
        .expression_attribute_values(":sealed", AttributeValue::B(Blob::new(sealed.as_bytes())));
    update.send().await.unwrap();
    assert!(!is_under(&world.connection_item(USER).await, &own));

    // The platform has rotated; its answer is on the way while the row is moved.
    world
        .control(
            reqwest::Method::POST,
            "/faults",
            json!({ "endpoint": "token_refresh", "hold": "after" }),
        )
        .await;
    let wish = json!({ "user_id": USER, "connection_id": id });
    world
        .stack
        .send("refresh", &wish.to_string())
        .await
        .unwrap();
    world.held("token_refresh").await;
    let before = world.connection_item(USER).await;
    start(&world).await;
    let job = until_over(&world).await;
    assert_eq!(text(&job, "state"), "done");
    let during = world.connection_item(USER).await;
    assert!(is_under(&during, &own));
    for untouched in [
        "token_version",
        "lease_until",
        "lease_holder",
        "attempt",
        "due_at",
    ] {
        assert_eq!(before.get(untouched), during.get(untouched), "{untouched}");
    }
    world.release().await;
    eventually("the refresh", SOON, || async {
        Ok((number(&world.connection_item(USER).await, "token_version") == 2).then_some(()))
    })
    .await
    .unwrap();
    let after = world.connection_item(USER).await;
    assert_eq!(text(&after, "status"), "active");
    assert!(is_under(&after, &own), "new texts are under the new key");
    let sealed = Sealed::from_bytes(bytes(&after, "sealed").unwrap());
    let renewed = ours.open(&id, &place(&keys, 2), &sealed).await.unwrap();
    assert_ne!(&renewed[..], &tokens[..]);
    assert_eq!(world.calls("token_refresh").await, 1);
    world.stack.record().clear();
    world.end().await;
}

/// A worker in this process, as the Lambda builds it, over `vault`.
fn worker(world: &World, vault: Vault, kms_key: &str) -> Worker {
    let clients = world.stack.clients();
    let table = |noun: &str| world.stack.table(noun).unwrap().to_owned();
    Worker {
        desk: Desk {
            jobs: Jobs::new(clients.dynamodb.clone(), table("jobs")),
            sqs: clients.sqs,
            // Nobody listens here: the test deals the messages.
            queue: world.stack.queue("ScheduleDeadLetters").unwrap().to_owned(),
            kms_key: kms_key.to_owned(),
            clock: Arc::new(FixedClock::at(Timestamp::from_secs(1_767_225_600))),
            entropy: Arc::new(SeededEntropy::new(11)),
        },
        texts: SealedTexts::new(
            &clients.dynamodb,
            table("connections"),
            table("targets"),
            table("revocations"),
            table("flows"),
            table("webhookEndpoints"),
        ),
        vault,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_follow_one_another_whatever_comes_twice_or_late() {
    let world = World::new().await;
    world.connect(USER).await;
    let (_, other) = cloud().await.kms().create_key("the next one");
    let environment = text_of_stack(&world);
    plant(&world, &vault(&world, &environment), 0..200).await;
    let worker = worker(&world, vault_under(&world, &environment, &other), &other);
    let now = worker.desk.clock.now();
    let pace = Pace {
        stop_at: now.plus_secs(1),
        lease_until: now.plus_secs(60),
        page: 15,
        pages: 3,
    };
    assert_eq!(
        worker.handle(&Message::Start, &pace).await,
        Ok(Sliced::Over)
    );
    let view = worker.desk.status().await.unwrap().unwrap();
    // Begun again while it is open: the same job.
    assert_eq!(worker.desk.start().await.unwrap().id, view.id);
    let slice = |slice: u64| Message::GoOn {
        job_id: view.id.clone(),
        slice,
    };
    // One that comes before its turn waits, and of two at once one does it.
    assert_eq!(worker.handle(&slice(1), &pace).await, Ok(Sliced::NotYet));
    let (zero, again) = (slice(0), slice(0));
    let both = tokio::join!(worker.handle(&zero, &pace), worker.handle(&again, &pace));
    let ends = [both.0.unwrap(), both.1.unwrap()];
    let went = ends.iter().filter(|end| **end == Sliced::GoesOn).count();
    assert_eq!(went, 1, "{ends:?}");
    let job = worker.desk.status().await.unwrap().unwrap();
    assert!((1..=45).contains(&job.counts.moved), "{:?}", job.counts);
    assert_eq!(worker.handle(&slice(0), &pace).await, Ok(Sliced::Over));

    // KMS is throttled: what was done stays, the slice is done again.
    let throttled = Rule::on("kms:ReEncrypt").nth(3).times(40);
    let throttled = world.stack.fault(throttled, Fault::Throttle);
    assert_eq!(worker.handle(&slice(1), &pace).await, Ok(Sliced::Later));
    assert!(throttled.fired() > 0);
    let job = worker.desk.status().await.unwrap().unwrap();
    assert!(job.trouble.is_some());
    world.stack.clear_faults();

    let mut last = 0;
    for number in 1..60 {
        match worker.handle(&slice(number), &pace).await.unwrap() {
            Sliced::GoesOn => last = number,
            end => {
                assert_eq!(end, Sliced::Over, "slice {number}");
                break;
            }
        }
    }
    let job = worker.desk.status().await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Done, "{job:?}");
    assert!(last > 5, "in slices: {last}");
    assert_eq!(
        (job.counts.walk, job.counts.refused, job.trouble),
        (2, 0, None)
    );
    assert_eq!(open_all(&world, &other).await, 200);

    // One text that no key opens leaves the job incomplete, and holds nothing else up.
    let client = world.stack.clients().dynamodb;
    let broken = client
        .put_item()
        .table_name(world.stack.table("revocations").unwrap())
        .item("revocation_id", words("broken"))
        .item("sealed", AttributeValue::B(Blob::new([9, 9])));
    broken.send().await.unwrap();
    let anew = worker.desk.start().await.unwrap();
    assert_ne!(anew.id, view.id);
    let whole = Pace {
        pages: 1_000,
        ..pace
    };
    let first = Message::GoOn {
        job_id: anew.id,
        slice: 0,
    };
    assert_eq!(worker.handle(&first, &whole).await, Ok(Sliced::Over));
    let job = worker.desk.status().await.unwrap().unwrap();
    assert_eq!(
        (job.state, job.counts.refused, job.counts.moved),
        (JobState::Incomplete, 1, 0)
    );
    world.stack.record().clear();
    world.end().await;
}
