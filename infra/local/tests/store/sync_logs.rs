//! Syncs: each is run once, by one worker; a user may ask for so many.

use std::collections::BTreeMap;

use domain::{Fault, FaultKind, Platform, SyncId, SyncKind};
use store::sync_logs::{Asked, SyncEnd, SyncRequest, SyncState, SyncTake, SyncTaken};
use store::{StoreError, SyncLog, Transacted, Transaction};

use crate::desk::{Desk, NOW, at};
use crate::statistics::connection_of;

/// Takes the sync for a new holder.
async fn take(desk: &Desk, sync: &SyncId, now: i64) -> SyncTaken {
    let id = connection_of(&desk.user, 1);
    let holder = desk.holder();
    let take = SyncTake {
        sync,
        connection: &id,
        user: &desk.user,
        platform: Platform::TikTok,
        kind: SyncKind::Daily,
        holder: &holder,
        now: at(now),
        until: at(now + 90),
    };
    desk.logs.take(&take, &desk.attempt()).await.unwrap()
}

fn log(taken: SyncTaken) -> SyncLog {
    match taken {
        SyncTaken::Yes(log) => *log,
        other => panic!("{other:?}"),
    }
}

fn over(state: SyncState, ended_at: i64) -> SyncEnd {
    SyncEnd {
        state,
        at: at(ended_at),
        rows: 3,
        fault: (state == SyncState::Failed).then(|| Fault::new(FaultKind::RateLimited)),
        off: BTreeMap::from([("account".to_owned(), "a.scope".to_owned())]),
    }
}

#[tokio::test]
async fn a_sync_is_one_workers_and_ends_once() {
    let desk = Desk::new("sync-once");
    let sync = SyncId::of(&["once", desk.user.as_str()]);
    let first = log(take(&desk, &sync, 0).await);
    assert_eq!((first.tries, first.started_at), (1, NOW));
    assert_eq!(take(&desk, &sync, 89).await, SyncTaken::Held(at(90)));
    // Its worker died: another one takes it, and the first is too late.
    let second = log(take(&desk, &sync, 90).await);
    assert_eq!((second.tries, second.started_at), (2, NOW));
    let done = over(SyncState::Done, 100);
    assert!(
        !desk
            .logs
            .end_alone(&first, &done, &desk.attempt())
            .await
            .unwrap()
    );
    let late = desk
        .logs
        .end(Transaction::new(desk.attempt()), &first, &done);
    let late = late.unwrap().run(&desk.client).await.unwrap();
    assert_eq!(late, Transacted::Refused(0));
    // Given back, it need not wait for the lease.
    desk.logs.let_go(&second, &desk.attempt()).await.unwrap();
    let third = log(take(&desk, &sync, 91).await);
    assert!(
        desk.logs
            .end_alone(&third, &done, &desk.attempt())
            .await
            .unwrap()
    );
    assert_eq!(take(&desk, &sync, 1_000_000).await, SyncTaken::Ended);
    let logs = desk.logs.logs(&sync).await.unwrap();
    assert_eq!(
        (logs.len(), logs[0].state, logs[0].rows),
        (1, SyncState::Done, 3)
    );
    assert_eq!(
        (logs[0].ended_at, logs[0].holder.clone()),
        (Some(at(100)), None)
    );
    assert_eq!(logs[0].off["account"], "a.scope");
    let item = desk
        .item(
            "SyncLogs",
            [
                ("sync_id", sync.as_str()),
                ("part", third.connection_id.as_str()),
            ],
        )
        .await
        .unwrap();
    let ttl = (NOW.secs() + 91 + 90 * 86_400).to_string();
    assert_eq!(item["ttl"].as_n().unwrap(), &ttl);
}

#[tokio::test]
async fn logs_are_found_by_connection_and_failed_ones_of_all() {
    let desk = Desk::new("sync-lists");
    let mut failed = Vec::new();
    for (number, state) in [
        SyncState::Done,
        SyncState::Failed,
        SyncState::Superseded,
        SyncState::Failed,
    ]
    .into_iter()
    .enumerate()
    {
        let sync = SyncId::of(&["lists", desk.user.as_str(), &number.to_string()]);
        let now = 10_000 + 100 * number as i64;
        let taken = log(take(&desk, &sync, now).await);
        let end = over(state, now + 1);
        assert!(
            desk.logs
                .end_alone(&taken, &end, &desk.attempt())
                .await
                .unwrap()
        );
        if state == SyncState::Failed {
            failed.push(sync);
        }
    }
    let id = connection_of(&desk.user, 1);
    let starts = |logs: Vec<SyncLog>| -> Vec<i64> {
        logs.iter()
            .map(|log| log.started_at.since(NOW).as_secs() as i64)
            .collect()
    };
    let all = desk.logs.of_connection(&id, 3).await.unwrap();
    assert_eq!(starts(all), [10_300, 10_200, 10_100]);
    // Other tests fail syncs too.
    let mine = async |since| {
        let mut logs = desk.logs.failed(at(since), 50).await.unwrap();
        logs.retain(|log| log.user_id == desk.user);
        logs
    };
    let logs = mine(0).await;
    assert_eq!(logs[0].fault, Some(Fault::new(FaultKind::RateLimited)));
    let ids: Vec<SyncId> = logs.into_iter().map(|log| log.sync_id).collect();
    failed.reverse();
    assert_eq!(ids, failed);
    assert_eq!(starts(mine(10_200).await), [10_300]);
}

async fn ask(desk: &Desk, now: i64) -> Result<Asked, StoreError> {
    let id = connection_of(&desk.user, 1);
    let request = SyncRequest {
        sync_id: SyncId::new(at(now), &desk.entropy),
        user_id: desk.user.clone(),
        asked_at: at(now),
        connections: BTreeMap::from([(id, Platform::TikTok)]),
    };
    let asked = desk.logs.ask(&request, 5, 60, || desk.attempt()).await;
    let kept = desk.logs.request(&request.sync_id).await.unwrap();
    let expected = (asked == Ok(Asked::Yes)).then_some(request);
    assert_eq!(kept, expected);
    asked
}

#[tokio::test]
async fn a_user_may_ask_five_times_in_any_minute() {
    let desk = Desk::new("five-asks");
    for now in [0, 10, 20, 30, 40] {
        assert_eq!(ask(&desk, now).await, Ok(Asked::Yes));
    }
    assert_eq!(ask(&desk, 41).await, Ok(Asked::Wait(at(60))));
    assert_eq!(ask(&desk, 59).await, Ok(Asked::Wait(at(60))));
    // A window that slides: no five at its end and five more at the next one's beginning.
    assert_eq!(ask(&desk, 60).await, Ok(Asked::Yes));
    assert_eq!(ask(&desk, 61).await, Ok(Asked::Wait(at(70))));
    let other = Desk::new("five-asks-of-another");
    assert_eq!(ask(&other, 61).await, Ok(Asked::Yes));
}

#[tokio::test]
async fn asking_at_once_is_counted_all_the_same() {
    let desk = Desk::new("asks-at-once");
    let asks = (0..4).map(|_| ask(&desk, 0));
    let done: Vec<_> = futures_util::future::join_all(asks).await;
    let yes = done
        .iter()
        .filter(|asked| **asked == Ok(Asked::Yes))
        .count();
    let mut more = 0;
    while ask(&desk, 1).await == Ok(Asked::Yes) {
        more += 1;
    }
    assert_eq!(yes + more, 5, "{done:?}");
}
