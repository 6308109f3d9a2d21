//! Webhooks received: each is one worker's at a time, and applied once.

use domain::{DeliveryId, EventKind, Platform, Timestamp};
use store::deliveries::{DeliveryAsk, DeliveryState, Taken};
use store::{Mark, RawBody, Transacted, Transaction};

use crate::desk::{Desk, NOW, at};

/// A worker's wish for the desk's delivery, with a lease of 45 seconds from `secs`.
fn wish(desk: &Desk, secs: i64) -> Mark {
    Mark {
        delivery_id: DeliveryId::of(Platform::TikTok, desk.user.as_str()),
        platform: Platform::TikTok,
        kind: "post.publish.complete".to_owned(),
        state: DeliveryState::Processing,
        holder: Some(desk.holder()),
        lease_until: at(secs + 45),
        received_at: NOW,
        processed_at: None,
        tries: 0,
        external_id: Some(desk.user.to_string()),
        account_key: Some(desk.account.key()),
        fault: None,
    }
}

async fn take(desk: &Desk, secs: i64) -> Taken {
    let taken = desk
        .deliveries
        .take(&wish(desk, secs), at(secs), &desk.attempt())
        .await;
    taken.unwrap()
}

async fn taken(desk: &Desk, secs: i64) -> Mark {
    match take(desk, secs).await {
        Taken::Yes(mark) => mark,
        other => panic!("not taken: {other:?}"),
    }
}

async fn settle(desk: &Desk, mark: &Mark, state: DeliveryState, secs: i64) -> bool {
    let settled = desk
        .deliveries
        .settle_alone(mark, state, at(secs), &desk.attempt())
        .await;
    settled.unwrap()
}

async fn clear(desk: &Desk, secs: i64) -> bool {
    let id = wish(desk, 0).delivery_id;
    let cleared = desk.deliveries.clear(&id, at(secs), &desk.attempt()).await;
    cleared.unwrap()
}

#[tokio::test]
async fn a_delivery_is_taken_held_taken_over_and_settled() {
    let desk = Desk::new("delivery");
    let id = wish(&desk, 0).delivery_id;
    assert_eq!(desk.deliveries.mark(&id).await.unwrap(), None);
    assert!(
        !clear(&desk, 0).await,
        "what was never seen is not replayed"
    );
    let first = taken(&desk, 0).await;
    assert_eq!((first.tries, first.received_at), (1, NOW));
    assert_eq!(take(&desk, 44).await, Taken::Held);
    assert!(!clear(&desk, 44).await, "a worker has it");
    let second = taken(&desk, 45).await;
    assert_eq!(second.tries, 2);
    assert!(
        !settle(&desk, &first, DeliveryState::Applied, 46).await,
        "it is another's"
    );
    assert!(settle(&desk, &second, DeliveryState::Applied, 46).await);
    for secs in [47, 100_000] {
        assert_eq!(
            take(&desk, secs).await,
            Taken::Settled(DeliveryState::Applied)
        );
    }
    let mark = desk.deliveries.mark(&id).await.unwrap().unwrap();
    assert_eq!(
        (mark.state, mark.processed_at),
        (DeliveryState::Applied, Some(at(46)))
    );
    assert_eq!(mark.holder, None);
}

#[tokio::test]
async fn of_ten_workers_one_gets_a_delivery() {
    let desk = Desk::new("delivery-race");
    let all = futures_util::future::join_all((0..10).map(|_| take(&desk, 0))).await;
    let got = all
        .iter()
        .filter(|one| matches!(one, Taken::Yes(_)))
        .count();
    let held = all.iter().filter(|one| matches!(one, Taken::Held)).count();
    assert_eq!((got, held), (1, 9), "{all:?}");
}

#[tokio::test]
async fn what_was_settled_is_applied_again_only_by_a_replay() {
    for state in [DeliveryState::Applied, DeliveryState::Orphan] {
        let desk = Desk::new(&format!("replay-{state:?}"));
        let mark = taken(&desk, 0).await;
        assert!(settle(&desk, &mark, state, 1).await);
        assert_eq!(take(&desk, 2).await, Taken::Settled(state));
        assert!(clear(&desk, 3).await);
        let again = taken(&desk, 3).await;
        assert_eq!(
            (again.tries, again.received_at),
            (2, NOW),
            "the same delivery"
        );
        assert_eq!(take(&desk, 4).await, Taken::Held);
    }
}

#[tokio::test]
async fn who_lets_go_need_not_be_waited_for() {
    let desk = Desk::new("let-go");
    let first = taken(&desk, 0).await;
    desk.deliveries
        .let_go(&first, "busy", at(1), &desk.attempt())
        .await
        .unwrap();
    let second = taken(&desk, 1).await;
    // Let go again by the one that no longer has it: the second keeps it.
    desk.deliveries
        .let_go(&first, "busy", at(2), &desk.attempt())
        .await
        .unwrap();
    assert_eq!(take(&desk, 2).await, Taken::Held);
    assert!(settle(&desk, &second, DeliveryState::Applied, 3).await);
}

#[tokio::test]
async fn the_effect_and_the_mark_stand_together() {
    let desk = Desk::new("effect");
    let old = taken(&desk, 0).await;
    let mark = taken(&desk, 45).await;
    let attempt = desk.attempt();
    let apply = async |mark: &Mark, attempt| {
        let event = desk.event(&desk.user, EventKind::PostPublished);
        let event = domain::Event {
            id: domain::EventId::of(&[desk.user.as_str()]),
            ..event
        };
        let effect = desk.events.tell(Transaction::new(attempt), &event).unwrap();
        let whole = desk
            .deliveries
            .settle(effect, mark, DeliveryState::Applied, at(46));
        whole.unwrap().run(desk.deliveries.client()).await.unwrap()
    };
    let told = async || desk.told(&desk.user, EventKind::PostPublished).await;
    assert_eq!(apply(&old, desk.attempt()).await, Transacted::Refused(1));
    assert_eq!(told().await, 0, "who lost the delivery has no effect");
    for name in ["first", "repeated"] {
        assert_eq!(
            apply(&mark, attempt.clone()).await,
            Transacted::Done,
            "{name}"
        );
        assert_eq!(told().await, 1, "{name}");
    }
    assert_eq!(apply(&mark, desk.attempt()).await, Transacted::Refused(1));
}

#[tokio::test]
async fn a_raw_body_is_kept_for_fourteen_days() {
    let desk = Desk::new("raw");
    let raw = RawBody {
        environment: domain::Environment::Production,
        delivery_id: wish(&desk, 0).delivery_id,
        platform: Platform::TikTok,
        body: Some("e30=".to_owned()),
        object_key: None,
        headers: vec![("tiktok-signature".to_owned(), "t=1".to_owned())],
        received_at: NOW,
        raw_of: Some(desk.account.key()),
    };
    desk.deliveries.keep_raw(&raw).await.unwrap();
    let end: Timestamp = at(14 * 24 * 3_600);
    for (when, kept) in [(NOW, true), (end.plus_secs(-1), true), (end, false)] {
        let found = desk.deliveries.raw(&raw.delivery_id, when).await.unwrap();
        assert_eq!(found, kept.then(|| raw.clone()), "{when}");
    }
    let mark = desk.deliveries.mark(&raw.delivery_id).await.unwrap();
    assert_eq!(mark, None, "the two parts are two items");
}

#[tokio::test]
async fn deliveries_are_listed_by_state_and_kind_newest_first() {
    let desk = Desk::new("delivery-list");
    // Kinds of this test alone: all tests share the platform's lists.
    let kinds = ["list.one", "list.two"];
    let mut ids = Vec::new();
    for place in 0..6_i64 {
        let kind = kinds[usize::from(place % 2 == 1)];
        let wanted = Mark {
            delivery_id: DeliveryId::of(Platform::TikTok, &format!("list-{place}")),
            kind: kind.to_owned(),
            received_at: at(place),
            ..wish(&desk, 0)
        };
        let taken = desk.deliveries.take(&wanted, NOW, &desk.attempt()).await;
        let Taken::Yes(mark) = taken.unwrap() else {
            panic!("not taken");
        };
        match place {
            0 | 1 => assert!(settle(&desk, &mark, DeliveryState::Applied, 7).await),
            2 | 3 => assert!(settle(&desk, &mark, DeliveryState::Orphan, 7).await),
            4 => {
                let attempt = desk.attempt();
                let gone = desk.deliveries.let_go(&mark, "busy", at(7), &attempt);
                gone.await.unwrap();
            }
            _ => {}
        }
        ids.push(mark.delivery_id);
    }
    let list = async |states: &[DeliveryState], kind: &str, before: Option<&str>, limit| {
        let ask = DeliveryAsk {
            platforms: Platform::ALL,
            states,
            kind: Some(kind),
            before,
            limit,
        };
        desk.deliveries.newest(&ask).await.unwrap()
    };
    let places = |rows: &[Mark]| -> Vec<usize> {
        let place = |mark: &Mark| ids.iter().position(|id| *id == mark.delivery_id);
        rows.iter().filter_map(place).collect()
    };
    use DeliveryState::{Applied, Orphan, Processing};
    for (states, kind, expected) in [
        (&DeliveryState::ALL[..], "list.one", vec![4, 2, 0]),
        (&DeliveryState::ALL[..], "list.two", vec![5, 3, 1]),
        (&[Applied], "list.one", vec![0]),
        (&[Orphan], "list.two", vec![3]),
        (&[Processing], "list.one", vec![4]),
    ] {
        let page = list(states, kind, None, 10).await;
        assert_eq!(places(&page.rows), expected, "{states:?} {kind}");
    }
    let busy = list(&[Processing], "list.one", None, 10)
        .await
        .rows
        .remove(0);
    assert_eq!(busy.fault.as_deref(), Some("busy"));
    assert_eq!(busy.external_id.as_deref(), Some(desk.user.as_str()));
    // Page by page.
    let first = list(&DeliveryState::ALL, "list.one", None, 2).await;
    assert_eq!(places(&first.rows), [4, 2]);
    let next = list(&DeliveryState::ALL, "list.one", first.next.as_deref(), 2).await;
    assert_eq!(places(&next.rows), [0]);
    // A replay moves it to another list, at the same place in time.
    let cleared = desk.deliveries.clear(&ids[0], at(8), &desk.attempt()).await;
    assert!(cleared.unwrap());
    let replayed = list(&[DeliveryState::Replay], "list.one", None, 10).await;
    assert_eq!(places(&replayed.rows), [0]);
    assert_eq!(list(&[Applied], "list.one", None, 10).await.rows, []);
}

#[tokio::test]
async fn raw_bodies_are_found_by_account_and_deleted() {
    let desk = Desk::new("raw-of");
    let ids: Vec<DeliveryId> = (0..3)
        .map(|place| DeliveryId::of(Platform::TikTok, &format!("raw-of-{place}")))
        .collect();
    for (place, id) in ids.iter().enumerate() {
        let raw = RawBody {
            environment: domain::Environment::Production,
            delivery_id: id.clone(),
            platform: Platform::TikTok,
            body: Some("e30=".to_owned()),
            object_key: None,
            headers: Vec::new(),
            received_at: NOW,
            raw_of: (place < 2).then(|| desk.account.key()),
        };
        desk.deliveries.keep_raw(&raw).await.unwrap();
    }
    let mut found = desk.deliveries.raw_of(&desk.account.key()).await.unwrap();
    found.sort();
    let mut expected = ids[..2].to_vec();
    expected.sort();
    assert_eq!(found, expected);
    for id in &found {
        desk.deliveries.delete_raw(id).await.unwrap();
    }
    assert_eq!(
        desk.deliveries.raw_of(&desk.account.key()).await.unwrap(),
        []
    );
    assert!(desk.deliveries.raw(&ids[2], NOW).await.unwrap().is_some());
}
