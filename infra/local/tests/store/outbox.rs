//! The tables of events on their way: which are unsent, lanes with their nudges and leases, messages and
//! dead letters, endpoints that rest.

use domain::{EndpointId, Event, EventId, EventKind, Timestamp};
use serde_json::json;
use store::endpoints::{DisabledFor, EndpointEdit, EndpointFailure, EndpointState};
use store::events::Taken;
use store::lanes::{LaneClosed, LaneTaken, LaneWait};
use store::messages::NewMessage;
use store::{Endpoint, Endpoints, Lane, LaneKey, Lanes, Messages, Outgoing, Transaction};

use crate::desk::{Desk, NOW, at, sealed};
use crate::ground::{Fault, Rule, fault, table};

/// Whose calls lose their answers; no other test calls as this one.
const LOSER: &str = "event-sender";

fn lanes(desk: &Desk) -> Lanes {
    Lanes::new(desk.client.clone(), table("eventLanes"))
}

fn messages(desk: &Desk) -> Messages {
    Messages::new(desk.client.clone(), table("eventMessages"))
}

fn endpoints(desk: &Desk) -> Endpoints {
    Endpoints::new(desk.client.clone(), table("webhookEndpoints"))
}

fn lane_of(desk: &Desk) -> LaneKey {
    let endpoint = EndpointId::new(NOW, &desk.entropy);
    LaneKey::of(&endpoint, Some("conn_a"), "user")
}

fn message(lane: &LaneKey, number: i64) -> Outgoing {
    Outgoing::new(&NewMessage {
        lane,
        event_id: &format!("evt_{number}"),
        kind: "stats.updated",
        user_id: "user",
        created_at: at(number),
        body: "{}",
        now: NOW,
    })
}

async fn taken(lanes: &Lanes, desk: &Desk, lane: &LaneKey, now: Timestamp) -> LaneTaken {
    let span = (now, now.plus_secs(60));
    let (holder, attempt) = (desk.holder(), desk.attempt());
    lanes.take(lane, &holder, span, &attempt).await.unwrap()
}

async fn ours(lanes: &Lanes, desk: &Desk, lane: &LaneKey, now: Timestamp) -> Lane {
    match taken(lanes, desk, lane, now).await {
        LaneTaken::Ours(lane) => *lane,
        other => panic!("{other:?}"),
    }
}

async fn nudge(lanes: &Lanes, desk: &Desk, lane: &LaneKey) -> Lane {
    let attempt = desk.attempt();
    lanes.nudge(lane, "user", NOW, &attempt).await.unwrap()
}

#[tokio::test]
async fn a_lane_is_closed_only_where_nothing_came() {
    let desk = Desk::new("lane-closed");
    let (lanes, lane) = (lanes(&desk), lane_of(&desk));
    assert_eq!(taken(&lanes, &desk, &lane, NOW).await, LaneTaken::Closed);
    assert!(nudge(&lanes, &desk, &lane).await.idle(NOW));
    let mut held = ours(&lanes, &desk, &lane, NOW).await;
    assert_eq!(taken(&lanes, &desk, &lane, NOW).await, LaneTaken::Held);
    let seen = nudge(&lanes, &desk, &lane).await;
    assert!(!seen.idle(NOW), "somebody sends");
    let closed = lanes.close(&held).await.unwrap();
    assert_eq!(closed, LaneClosed::Nudged(2));
    held.nudges = 2;
    assert_eq!(lanes.close(&held).await.unwrap(), LaneClosed::Yes);
    assert_eq!(lanes.get(&lane).await.unwrap(), None);
    // Who comes after their lease closes nothing of another's.
    nudge(&lanes, &desk, &lane).await;
    let late = ours(&lanes, &desk, &lane, NOW).await;
    ours(&lanes, &desk, &lane, at(61)).await;
    assert_eq!(lanes.close(&late).await.unwrap(), LaneClosed::Lost);
}

#[tokio::test]
async fn a_lane_that_waits_is_not_taken_before_its_time() {
    let desk = Desk::new("lane-waits");
    let (lanes, lane) = (lanes(&desk), lane_of(&desk));
    nudge(&lanes, &desk, &lane).await;
    let held = ours(&lanes, &desk, &lane, NOW).await;
    let wait = LaneWait {
        until: at(300),
        failed: Some(("0#evt_1", 3)),
    };
    assert!(lanes.wait(&held, &wait, &desk.attempt()).await.unwrap());
    assert!(!lanes.wait(&held, &wait, &desk.attempt()).await.unwrap());
    assert!(!nudge(&lanes, &desk, &lane).await.idle(at(299)));
    let early = taken(&lanes, &desk, &lane, at(299)).await;
    assert_eq!(early, LaneTaken::NotBefore(at(300)));
    let again = ours(&lanes, &desk, &lane, at(300)).await;
    assert_eq!((again.head.as_deref(), again.tries), (Some("0#evt_1"), 3));
    // Held, it is due again when its lease is over.
    let shard = store::due::shard_of(lane.as_str());
    let due = lanes.due(&shard, at(360), 1_000).await.unwrap();
    let mine = due.iter().find(|one| one.lane == lane).unwrap();
    assert_eq!(mine.due_at, at(360));
    let (next, attempt) = (at(900), desk.attempt());
    assert!(lanes.woken(mine, next, &attempt).await.unwrap());
    assert!(!lanes.woken(mine, next, &desk.attempt()).await.unwrap());
    let due = lanes.due(&shard, at(899), 1_000).await.unwrap();
    assert!(due.iter().all(|one| one.lane != lane));
}

#[tokio::test]
async fn messages_go_to_the_dead_letters_and_back() {
    let desk = Desk::new("messages");
    let (lanes, messages, lane) = (lanes(&desk), messages(&desk), lane_of(&desk));
    let endpoint = lane.endpoint().unwrap();
    for number in [3, 1, 2] {
        messages.put(&message(&lane, number)).await.unwrap();
    }
    // Put twice is put once.
    messages.put(&message(&lane, 3)).await.unwrap();
    let (page, more) = messages.oldest(&lane, 2).await.unwrap();
    let ids: Vec<_> = page.iter().map(|one| one.event_id.as_str()).collect();
    assert_eq!((ids, more), (vec!["evt_1", "evt_2"], true));
    let dead = page[0].dead(&endpoint, "http_500", 10, at(60));
    let attempt = desk.attempt();
    messages.shift(&page[0], &dead, &attempt).await.unwrap();
    messages.shift(&page[0], &dead, &attempt).await.unwrap();
    messages.delete(&page[1]).await.unwrap();
    let (left, _) = messages.oldest(&lane, 10).await.unwrap();
    assert_eq!(left.len(), 1);
    let (letters, next) = messages.dead(&endpoint, None, 10, at(60)).await.unwrap();
    assert_eq!(
        (letters.as_slice(), next),
        ([dead.clone()].as_slice(), None)
    );
    let gone = messages
        .dead(&endpoint, None, 10, at(40 * 24 * 3_600))
        .await;
    assert!(gone.unwrap().0.is_empty(), "it is past its time");

    let back = dead.revived(at(120));
    let attempt = desk.attempt();
    messages
        .revive(&dead, &back, &lanes, &attempt)
        .await
        .unwrap();
    let (left, _) = messages.oldest(&lane, 10).await.unwrap();
    assert_eq!(left[0], back);
    assert_eq!((back.tries, back.queued_at), (0, at(120)));
    assert!(
        lanes.get(&lane).await.unwrap().is_some(),
        "its lane is open"
    );
    let none = messages
        .dead_letter(&endpoint, &dead.message, at(120))
        .await;
    assert_eq!(none.unwrap(), None);
}

#[tokio::test]
async fn an_event_is_unsent_until_every_way_out_has_it() {
    let desk = Desk::new("unsent");
    let user = desk.user.clone();
    let mut ids = Vec::new();
    for (number, connection) in [(1, Some("conn_a")), (2, None), (3, Some("conn_a"))] {
        let event = Event {
            id: EventId::of(&["unsent", &number.to_string()]),
            kind: EventKind::StatsUpdated,
            user_id: user.clone(),
            at: at(number),
            detail: connection.map_or(json!({}), |id| json!({ "connection_id": id })),
        };
        let told = desk.events.tell(Transaction::new(desk.attempt()), &event);
        told.unwrap().run(&desk.client).await.unwrap();
        ids.push(event.id.to_string());
    }
    let unqueued = async |until: i64| {
        let rows = desk.events.unqueued(user.as_str(), NOW, at(until)).await;
        let rows: Vec<String> = rows.unwrap().into_iter().map(|row| row.event_id).collect();
        rows
    };
    assert_eq!(unqueued(2).await, ids[..2]);
    assert_eq!(unqueued(9).await, ids);
    let row = desk.events.get(&ids[0]).await.unwrap().unwrap();
    assert_eq!(row.connection_id.as_deref(), Some("conn_a"));
    let shard = row.unsent_shard.unwrap();
    let unsent = async || {
        let rows = desk.events.unsent(&shard, at(9), 1_000).await.unwrap();
        rows.iter().any(|row| row.event_id == ids[0])
    };
    let take = async |taken: Taken| {
        let attempt = desk.attempt();
        desk.events
            .taken(&ids[0], taken, NOW, &attempt)
            .await
            .unwrap();
    };
    let queued = Taken {
        queued: true,
        ..Taken::default()
    };
    take(queued).await;
    assert_eq!(unqueued(9).await, ids[1..]);
    assert!(unsent().await, "the bus has not taken it");
    take(Taken {
        queued: false,
        published: true,
        sent: true,
    })
    .await;
    assert!(!unsent().await);
    // One that is past its clean-up stays away.
    let attempt = desk.attempt();
    desk.events
        .taken("evt_none", queued, NOW, &attempt)
        .await
        .unwrap();
    assert_eq!(desk.events.get("evt_none").await.unwrap(), None);
}

fn endpoint(desk: &Desk) -> Endpoint {
    Endpoint {
        endpoint_id: EndpointId::new(NOW, &desk.entropy),
        url: "https://a.example/".to_owned(),
        description: None,
        types: vec!["post.failed".to_owned()],
        state: EndpointState::Enabled,
        disabled_for: None,
        disabled_at: None,
        sealed: sealed("secrets"),
        secret_version: 1,
        created_at: NOW,
        updated_at: NOW,
        failures: 0,
        failing_since: None,
        rest_until: None,
        last_failure: None,
        last_failure_at: None,
    }
}

#[tokio::test]
async fn endpoints_rest_are_probed_by_one_and_disabled_once() {
    let desk = Desk::new("endpoints");
    let (endpoints, made) = (endpoints(&desk), endpoint(&desk));
    let id = &made.endpoint_id;
    endpoints.put(&made).await.unwrap();
    assert!(endpoints.all().await.unwrap().contains(&made));
    assert!(made.wants("post.failed") && !made.wants("post.inbox"));
    for (number, rest) in [(1, None), (2, Some(at(30)))] {
        let failure = EndpointFailure {
            reason: "http_500",
            at: at(number),
            rest_until: rest,
        };
        let attempt = desk.attempt();
        endpoints.failed(id, &failure, &attempt).await.unwrap();
    }
    let seen = endpoints.get(id).await.unwrap().unwrap();
    assert_eq!((seen.failures, seen.failing_since), (2, Some(at(1))));
    let (one, other) = (desk.attempt(), desk.attempt());
    assert!(endpoints.probe(&seen, at(50), &one).await.unwrap());
    assert!(!endpoints.probe(&seen, at(50), &other).await.unwrap());
    endpoints.answered(id, &desk.attempt()).await.unwrap();
    let seen = endpoints.get(id).await.unwrap().unwrap();
    assert_eq!((seen.failures, seen.rest_until), (0, None));

    let again = sealed("others");
    let attempt = desk.attempt();
    let resealed = endpoints.reseal(&seen, &again, at(3), &attempt).await;
    assert_eq!(resealed.unwrap().unwrap().secret_version, 2);
    let late = endpoints
        .reseal(&seen, &again, at(3), &desk.attempt())
        .await;
    assert_eq!(late.unwrap(), None);

    let gone = DisabledFor::Gone;
    let attempt = desk.attempt();
    assert!(
        endpoints
            .disable(&seen, gone, at(4), &attempt)
            .await
            .unwrap()
    );
    let attempt = desk.attempt();
    assert!(
        !endpoints
            .disable(&seen, gone, at(4), &attempt)
            .await
            .unwrap()
    );
    let on = EndpointEdit {
        state: Some(EndpointState::Enabled),
        url: Some("https://b.example/".to_owned()),
        ..EndpointEdit::default()
    };
    let attempt = desk.attempt();
    let edited = endpoints.edit(id, &on, at(5), &attempt).await.unwrap();
    let edited = edited.unwrap();
    assert!(edited.enabled() && edited.disabled_for.is_none());
    // A try at the old address says nothing of the new one.
    let attempt = desk.attempt();
    assert!(
        !endpoints
            .disable(&seen, gone, at(6), &attempt)
            .await
            .unwrap()
    );
    endpoints.delete(id).await.unwrap();
    let edited = endpoints.edit(id, &on, at(7), &desk.attempt()).await;
    assert_eq!(edited.unwrap(), None, "what is deleted stays so");
}

#[tokio::test]
async fn a_lost_answer_is_no_lost_lane() {
    let (desk, loser) = (Desk::new("lane-lost"), Desk::of(LOSER, "lane-lost"));
    let (lanes, lane) = (lanes(&loser), lane_of(&desk));
    let lose = || fault(Rule::on("dynamodb:").by(LOSER), Fault::DropAfter);
    nudge(&lanes, &loser, &lane).await;
    let lost = lose();
    let held = ours(&lanes, &loser, &lane, NOW).await;
    assert_eq!(lost.fired(), 1);
    let wait = LaneWait {
        until: at(1),
        failed: None,
    };
    let lost = lose();
    assert!(lanes.wait(&held, &wait, &loser.attempt()).await.unwrap());
    assert_eq!(lost.fired(), 1);
    let held = ours(&lanes, &loser, &lane, at(1)).await;
    let lost = lose();
    assert_eq!(lanes.close(&held).await.unwrap(), LaneClosed::Yes);
    assert_eq!(lost.fired(), 1);
    assert_eq!(lanes.get(&lane).await.unwrap(), None);
}
