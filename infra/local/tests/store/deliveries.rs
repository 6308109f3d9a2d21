//! Webhooks received: each is one worker's at a time, and applied once.

use domain::{DeliveryId, EventKind, Platform, Timestamp};
use store::deliveries::{DeliveryState, Taken};
use store::{Mark, RawBody, Transacted, Transaction};

use crate::ground::{Desk, NOW, at};

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
