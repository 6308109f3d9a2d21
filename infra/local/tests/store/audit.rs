//! The audit trail: lists by day and by user, and rows that stand and fall with their change.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Act, AuditId, Event, EventId, EventKind, Outcome, Role, Timestamp, Who};
use serde_json::json;
use store::audit::date;
use store::{AuditEntry, Transacted, Transaction};

use crate::desk::{Desk, NOW, at};
use crate::ground::table;
use crate::targets::{progress, queued};

const DAY: i64 = 86_400;

fn entry(desk: &Desk, at: Timestamp, object: &str) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(at, &desk.entropy).to_string(),
        at,
        who: Who::subject(Role::Operator, "op"),
        act: Act::AdminScheduleRun,
        user_id: Some(desk.user.clone()),
        object: Some(object.to_owned()),
        outcome: Outcome::Done,
        note: None,
    }
}

fn objects(entries: &[AuditEntry]) -> Vec<&str> {
    entries
        .iter()
        .filter_map(|entry| entry.object.as_deref())
        .collect()
}

#[tokio::test]
async fn a_day_and_a_user_are_listed_newest_first_page_by_page() {
    let desk = Desk::new("audit-lists");
    // A day that no other test writes to.
    let noon = at(-400 * DAY);
    let names: Vec<String> = (0..25).map(|n| format!("n{n:02}")).collect();
    for (place, name) in names.iter().enumerate() {
        let when = noon.plus_secs(i64::try_from(place).unwrap());
        desk.audit.put(&entry(&desk, when, name)).await.unwrap();
    }
    let other = Desk::new("audit-lists-other");
    let late = noon.plus_secs(60);
    desk.audit.put(&entry(&other, late, "other")).await.unwrap();
    let newest: Vec<&str> = names.iter().rev().map(String::as_str).collect();

    for by_user in [false, true] {
        let mut found = Vec::new();
        let mut before = None;
        loop {
            let before_now = before.as_deref();
            let page = if by_user {
                desk.audit.of_user(&desk.user, before_now, 10, noon).await
            } else {
                desk.audit.of_day(&date(noon), before_now, 10, noon).await
            };
            let page = page.unwrap();
            assert!(page.rows.len() <= 10);
            found.extend(page.rows);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        let mut expected = newest.clone();
        if !by_user {
            expected.insert(0, "other");
        }
        assert_eq!(objects(&found), expected, "by user: {by_user}");
    }
    let over = desk
        .audit
        .of_user(&desk.user, None, 10, noon.plus_secs(91 * DAY));
    assert_eq!(over.await.unwrap().rows, []);
}

#[tokio::test]
async fn a_row_is_completed_in_place() {
    let desk = Desk::new("audit-completed");
    let begun = AuditEntry {
        outcome: Outcome::Begun,
        ..entry(&desk, NOW, "sweeper")
    };
    desk.audit.put(&begun).await.unwrap();
    let done = AuditEntry {
        outcome: Outcome::Done,
        note: Some("3".to_owned()),
        ..begun
    };
    desk.audit.put(&done).await.unwrap();
    let rows = desk.audit.of_user(&desk.user, None, 10, NOW).await.unwrap();
    assert_eq!(rows.rows, [done]);
}

/// The event of a published target, told of `desk`'s user.
fn published(desk: &Desk, cause: &str) -> Event {
    Event {
        id: EventId::of(&[desk.user.as_str(), cause]),
        detail: json!({ "target_id": cause }),
        ..desk.event(&desk.user, EventKind::PostPublished)
    }
}

#[tokio::test]
async fn a_change_its_event_and_its_row_stand_together() {
    let desk = Desk::new("audit-together");
    let events = desk.events.clone().audited(desk.audit.clone());
    let target = queued(&desk).await;
    let tell = async |seen: &store::Target| {
        let made = Transaction::new(desk.attempt());
        let step = progress(domain::TargetStatus::Published, None);
        let made = desk.targets.tell(made, seen, &step, at(1)).unwrap();
        let made = events.tell(made, &published(&desk, "t")).unwrap();
        made.run(desk.deliveries.client()).await.unwrap()
    };
    let rows = async || {
        let rows = desk.audit.of_user(&desk.user, None, 10, NOW).await.unwrap();
        rows.rows
    };
    let ahead = store::Target {
        step: 7,
        ..target.clone()
    };
    assert_eq!(tell(&ahead).await, Transacted::Refused(0));
    assert_eq!(rows().await, [], "nothing was changed");
    assert_eq!(tell(&target).await, Transacted::Done);
    let found = rows().await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].act, found[0].outcome),
        (Act::PostPublished, Outcome::Done)
    );
    assert_eq!((&found[0].who, objects(&found)), (&Who::SYSTEM, vec!["t"]));
}

#[tokio::test]
async fn an_event_that_was_sent_stays_sent() {
    let desk = Desk::new("event-once");
    let events = desk.events.clone().audited(desk.audit.clone());
    let event = published(&desk, "once");
    let target = queued(&desk).await;
    let first = events
        .tell(Transaction::new(desk.attempt()), &event)
        .unwrap();
    let client = desk.deliveries.client();
    assert_eq!(first.run(client).await.unwrap(), Transacted::Done);
    // What the relay does once the product has it.
    client
        .update_item()
        .table_name(table("events"))
        .key("event_id", AttributeValue::S(event.id.to_string()))
        .update_expression("REMOVE unsent_shard")
        .send()
        .await
        .unwrap();
    // The same cause again, with another change: the change stands, the event stays as it is.
    let again = Transaction::new(desk.attempt());
    let step = progress(domain::TargetStatus::Published, None);
    let again = desk.targets.tell(again, &target, &step, at(1)).unwrap();
    let later = Event {
        at: at(9),
        ..event.clone()
    };
    let again = events.tell(again, &later).unwrap();
    assert_eq!(again.run(client).await.unwrap(), Transacted::Done);
    let stands = desk.targets.get(&target.post_id, &target.target_id).await;
    assert_eq!(stands.unwrap().unwrap().step, 1);
    let row = desk
        .item("events", [("event_id", event.id.as_str())])
        .await
        .unwrap();
    assert!(!row.contains_key("unsent_shard"), "it was sent");
    assert_eq!(
        row["created_at"],
        AttributeValue::N(NOW.millis().to_string())
    );
    // And a refusal is told in the places of the whole.
    let refused = Transaction::new(desk.attempt());
    let refused = events.tell(refused, &event).unwrap();
    let refused = desk.targets.tell(refused, &target, &step, at(1)).unwrap();
    // The event and its row are at 0 and 1, and are there; what refuses is the step that was seen.
    assert_eq!(refused.run(client).await.unwrap(), Transacted::Refused(2));

    let listed = desk
        .events
        .newest(Some(&desk.user), None, 10, NOW)
        .await
        .unwrap();
    assert_eq!(listed.rows.len(), 1);
    let all = desk.events.newest(None, None, 1_000, NOW).await.unwrap();
    let ours = all
        .rows
        .iter()
        .filter(|row| row.event_id == event.id.as_str());
    assert_eq!(ours.count(), 1);
}
