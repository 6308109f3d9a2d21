//! OAuth attempts, and the revocations that they and connections leave behind.

use domain::{AttemptId, Revocation, Timestamp};
use store::due::shard_of;
use store::{Flow, PendingRevocation};

use crate::desk::{Desk, NOW, at};

#[tokio::test]
async fn a_flow_is_consumed_once_and_in_time() {
    let desk = Desk::new("consume");
    let flow = desk.flow(&desk.user);
    let first = desk.attempt();
    let consume = async |secs, attempt: AttemptId| {
        let done = desk.flows.consume(&flow.flow_id, at(secs), &attempt).await;
        done.unwrap().map(|flow| flow.consumed_at)
    };
    assert_eq!(consume(0, first.clone()).await, None, "unknown");
    desk.flows.put(&flow).await.unwrap();
    for (name, secs, attempt, taken) in [
        ("at its end", 600, desk.attempt(), None),
        ("in time", 599, first.clone(), Some(Some(at(599)))),
        ("again", 599, desk.attempt(), None),
        ("the first try, repeated", 599, first, Some(Some(at(599)))),
    ] {
        assert_eq!(consume(secs, attempt).await, taken, "{name}");
    }
    for (secs, there) in [(599, true), (600, false)] {
        let found = desk.flows.get(&flow.flow_id, at(secs)).await.unwrap();
        assert_eq!(found.is_some(), there, "after {secs} s");
    }
    let kept = desk.flows.get_expired(&flow.flow_id).await.unwrap();
    assert!(kept.is_some(), "the sweeper still finds it");
}

#[tokio::test]
async fn a_grant_is_kept_once_by_the_callback_that_consumed() {
    let desk = Desk::new("granted");
    let flow = desk.flow(&desk.user);
    desk.flows.put(&flow).await.unwrap();
    let (id, grant) = (&flow.flow_id, desk.grant());
    let first = desk.attempt();
    let keep = async |attempt: AttemptId| {
        let kept = desk.flows.granted(id, &grant, at(900), &attempt).await;
        kept.unwrap()
    };
    assert!(!keep(desk.attempt()).await, "not consumed yet");
    let consumed = desk.flows.consume(id, NOW, &desk.attempt()).await;
    assert!(consumed.unwrap().is_some());
    assert!(keep(first.clone()).await);
    assert!(!keep(desk.attempt()).await, "another one");
    assert!(keep(first.clone()).await, "the first try, repeated");
    let stands = desk.flows.get(id, at(899)).await.unwrap().unwrap();
    assert_eq!(stands.grant, Some(grant));
    assert_eq!(stands.sealed_verifier, None, "it has done its work");
    assert_eq!((stands.expires_at, stands.due_at), (at(900), Some(at(900))));
}

#[tokio::test]
async fn an_unconfirmed_flow_comes_due_and_leaves_the_index_with_its_end() {
    let desk = Desk::new("abandon");
    let flow = desk.granted(&desk.user).await;
    let shard = shard_of(flow.flow_id.as_str());
    let due = async |now: Timestamp| {
        let due = desk.flows.due(&shard, now, 100).await.unwrap();
        due.contains(&flow.flow_id)
    };
    assert!(!due(at(599)).await);
    assert!(due(at(600)).await);
    let owed = [desk.pending(None), desk.pending(None)];
    let attempt = desk.attempt();
    let abandon = async |attempt| {
        let ended = desk
            .flows
            .abandon(&flow, &owed, &desk.revocations, at(601), attempt);
        ended.await.unwrap()
    };
    assert!(abandon(attempt.clone()).await);
    assert!(abandon(attempt).await, "the first try, repeated");
    assert!(
        !abandon(desk.attempt()).await,
        "what was seen no longer stands"
    );
    assert!(!due(at(10_000)).await);
    let stands = desk
        .flows
        .get_expired(&flow.flow_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stands.grant, None);
    assert_eq!(desk.flows.get(&flow.flow_id, at(601)).await.unwrap(), None);
    for pending in &owed {
        let row = desk.revocations.get(&pending.revocation_id).await.unwrap();
        assert_eq!(row.as_ref(), Some(pending));
    }
}

#[tokio::test]
async fn what_was_confirmed_is_not_abandoned() {
    let desk = Desk::new("confirmed-flow");
    let seen: Flow = desk.granted(&desk.user).await;
    desk.confirm(&seen, 0, NOW, desk.attempt()).await;
    let owed = [desk.pending(None)];
    let ended = desk
        .flows
        .abandon(&seen, &owed, &desk.revocations, at(601), desk.attempt());
    assert!(!ended.await.unwrap());
    let row = desk.revocations.get(&owed[0].revocation_id).await.unwrap();
    assert_eq!(row, None, "the living tokens are not revoked");
    let shard = shard_of(seen.flow_id.as_str());
    let due = desk.flows.due(&shard, at(10_000), 100).await.unwrap();
    assert!(!due.contains(&seen.flow_id));
}

#[tokio::test]
async fn a_revocation_is_one_tries_at_a_time() {
    let desk = Desk::new("take-revocation");
    let row = desk.pending(None);
    desk.revocations.put(&row).await.unwrap();
    let due = async |now: Timestamp| {
        let due = desk
            .revocations
            .due(&row.due_shard, now, 100)
            .await
            .unwrap();
        due.contains(&row.revocation_id)
    };
    assert!(!due(at(59)).await);
    assert!(due(at(60)).await);
    let first = desk.attempt();
    for (name, attempt, taken) in [
        ("due", first.clone(), Some(1)),
        ("seen before it was taken", desk.attempt(), None),
        ("the first try, repeated", first, Some(1)),
    ] {
        let took = desk
            .revocations
            .take(&row, at(120), &attempt)
            .await
            .unwrap();
        assert_eq!(took.map(|row| row.tries), taken, "{name}");
    }
    assert!(!due(at(119)).await, "nobody else tries meanwhile");
    assert!(due(at(120)).await);
}

#[tokio::test]
async fn a_settled_revocation_is_noted_where_the_connection_ended() {
    // (the connection's state, what is noted)
    for (name, ended, noted) in [
        ("ended", true, Some(Revocation::Done)),
        ("connected again", false, None),
    ] {
        let desk = Desk::new(&format!("settle-{}", name.replace(' ', "-")));
        let connection = desk.connected(&desk.user).await;
        let row: PendingRevocation = desk.pending(Some(&connection));
        desk.revocations.put(&row).await.unwrap();
        if ended {
            crate::accounts::end(&desk, &connection, None).await;
        }
        let (revocations, connections) = (&desk.revocations, &desk.connections);
        let attempt = desk.attempt();
        for _ in 0..2 {
            // Settling it again changes nothing.
            let settled = revocations.settle(&row, Revocation::Done, connections, attempt.clone());
            settled.await.unwrap();
            assert_eq!(revocations.get(&row.revocation_id).await.unwrap(), None);
            let stands = desk.connection(&desk.user).await;
            assert_eq!(stands.revocation, noted, "{name}");
        }
    }
}
