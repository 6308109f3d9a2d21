//! Days, latest figures and sync logs: what was read later stays, what is missing stays missing, a
//! sync is run once, and a dashboard is few reads.

use domain::{
    ConnectionId, ConnectionStatus, Day, EventKind, Fault, FaultKind, Figures, MediaTotals,
    OwnFigure, Platform, Snapshot, UserId,
};
use store::connections::{DueStatistics, Ended, StatisticsEnd};
use store::{Connection, Transacted, Transaction};

use crate::accounts::end_by;
use crate::desk::{Desk, at, user};
use crate::ground;

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn followers(count: u64) -> Figures {
    Figures {
        followers: Some(count),
        ..Figures::default()
    }
}

fn both(count: u64, views: u64) -> Snapshot {
    let figures = Figures {
        views: Some(views),
        ..Figures::default()
    };
    Snapshot {
        account: Some(followers(count)),
        media: Some(MediaTotals {
            count: 1,
            whole: true,
            figures,
        }),
    }
}

async fn write(
    desk: &Desk,
    id: &ConnectionId,
    on: &str,
    read_at: i64,
    snapshot: &Snapshot,
) -> Transacted {
    let (user, at) = (&desk.user, at(read_at));
    let of = (id, Platform::TikTok);
    let transaction = Transaction::new(desk.attempt());
    let transaction = desk
        .snapshots
        .write(transaction, user, id, &day(on), at, snapshot)
        .unwrap();
    let transaction = desk
        .figures
        .write_latest(transaction, user, of, at, snapshot)
        .unwrap();
    transaction.run(&desk.client).await.unwrap()
}

pub(crate) fn connection_of(user: &UserId, number: u32) -> ConnectionId {
    ConnectionId::of(user, Platform::TikTok, &format!("account {number}"))
}

#[tokio::test]
async fn what_was_read_earlier_never_replaces_what_was_read_later() {
    let desk = Desk::new("later-wins");
    let id = connection_of(&desk.user, 1);
    let entry = async || {
        let first = day("2026-11-09");
        let months = desk.snapshots.months(&desk.user, &first, &first).await;
        months.unwrap()[0].days[&first].clone()
    };
    let done = write(&desk, &id, "2026-11-09", 100, &both(10, 1)).await;
    assert_eq!(done, Transacted::Done);
    // The same again is no newer one, an older one is none at all.
    for read_at in [100, 99] {
        let done = write(&desk, &id, "2026-11-09", read_at, &both(9, 9)).await;
        assert_eq!(done, Transacted::Refused(0), "{read_at}");
        assert_eq!(entry().await, both(10, 1));
    }
    // What a later reading does not have stays as it was read.
    let account_alone = Snapshot {
        account: Some(followers(12)),
        media: None,
    };
    let done = write(&desk, &id, "2026-11-09", 101, &account_alone).await;
    assert_eq!(done, Transacted::Done);
    assert_eq!(entry().await, both(12, 1));
    let latest = desk.figures.latest(&desk.user).await.unwrap().remove(0);
    assert_eq!(latest.connection_id, id);
    let (account, media) = (latest.account.unwrap(), latest.media.unwrap());
    assert_eq!((account.at, account.read), (at(101), followers(12)));
    assert_eq!((media.at, media.read.figures.views), (at(100), Some(1)));
    // A late reading of another day is refused for the latest figures, and so for the day.
    let done = write(&desk, &id, "2026-11-08", 50, &both(8, 1)).await;
    assert_eq!(done, Transacted::Refused(1));
}

#[tokio::test]
async fn figures_come_back_as_they_were_and_missing_ones_stay_missing() {
    let desk = Desk::new("exact");
    let id = connection_of(&desk.user, 1);
    let exact = Figures {
        likes: Some(9_007_199_254_740_993),
        views: Some(0),
        earnings: Some(domain::Money {
            minor: -1_050,
            currency: "EUR".to_owned(),
        }),
        ..Figures::default()
    }
    .with_own("duration", Some(OwnFigure::Number(-9_007_199_254_740_993)))
    .with_own("kind", Some(OwnFigure::Text("17".to_owned())));
    let snapshot = Snapshot {
        account: Some(exact.clone()),
        media: None,
    };
    write(&desk, &id, "2026-11-30", 1, &snapshot).await;
    let (first, last) = (day("2026-11-01"), day("2026-11-30"));
    let months = desk.snapshots.months(&desk.user, &first, &last).await;
    assert_eq!(months.unwrap()[0].days[&last], snapshot);
    let latest = desk.figures.latest(&desk.user).await.unwrap().remove(0);
    assert_eq!((latest.account.unwrap().read, latest.media), (exact, None));
}

#[tokio::test]
async fn a_dashboard_of_eight_connections_and_ninety_days_is_three_queries() {
    let desk = Desk::of("session", "dashboard");
    let long = both(1, 2);
    for number in 0..8 {
        let id = connection_of(&desk.user, number);
        for (time, on) in [
            "2026-08-23",
            "2026-08-31",
            "2026-09-01",
            "2026-10-15",
            "2026-11-20",
        ]
        .into_iter()
        .enumerate()
        {
            write(&desk, &id, on, time as i64, &long).await;
        }
    }
    let before = ground::all_calls("session");
    let (first, last) = (day("2026-08-23"), day("2026-11-20"));
    let months = desk.snapshots.months(&desk.user, &first, &last).await;
    let latest = desk.figures.latest(&desk.user).await.unwrap();
    desk.connections.list(&desk.user, None, 100).await.unwrap();
    assert_eq!(ground::all_calls("session") - before, 3);
    let months = months.unwrap();
    assert_eq!((months.len(), latest.len()), (32, 8));
    let days: usize = months.iter().map(|month| month.days.len()).sum();
    assert_eq!(days, 40);
    // The first and last months hold whole months; other months are left out.
    let (first, last) = (day("2026-09-30"), day("2026-10-01"));
    let narrow = desk.snapshots.months(&desk.user, &first, &last);
    let narrow = narrow.await.unwrap();
    assert_eq!(narrow.len(), 16);
    assert!(narrow.iter().all(|month| month.month != "2026-11"));
}

fn end<'a>(read_at: Option<i64>, ended_at: i64, fault: Option<&'a Fault>) -> StatisticsEnd<'a> {
    StatisticsEnd {
        read_at: read_at.map(at),
        ended_at: at(ended_at),
        fault,
        off: None,
        due_at: at(90_000),
    }
}

async fn synced(desk: &Desk, end: &StatisticsEnd<'_>) -> Transacted {
    let id = desk.id_of(&desk.user);
    let transaction = Transaction::new(desk.attempt());
    let transaction = desk.connections.synced(transaction, &desk.user, &id, end);
    transaction.unwrap().run(&desk.client).await.unwrap()
}

#[tokio::test]
async fn a_connection_is_due_until_it_was_read_and_ends_with_its_due_time() {
    let desk = Desk::new("stats-due");
    let connected = desk.connected(&desk.user).await;
    assert_eq!(connected.stats_due_at, Some(at(300)));
    let shard = store::due::shard_of(connected.connection_id.as_str());
    let due = async |now: i64| {
        let mine = |row: &DueStatistics| row.user_id == desk.user;
        let rows = desk.connections.due_statistics(&shard, at(now), 50, mine);
        rows.await.unwrap()
    };
    assert_eq!(due(299).await, []);
    let row = due(300).await.remove(0);
    assert_eq!(
        (row.platform, row.status),
        (Platform::TikTok, ConnectionStatus::Active)
    );
    // Two runs at once: who moves the row acts on it.
    let attempt = desk.attempt();
    let moved = desk.connections.move_statistics(&row, at(3_900), &attempt);
    assert!(moved.await.unwrap());
    let attempt = desk.attempt();
    let moved = desk.connections.move_statistics(&row, at(3_900), &attempt);
    assert!(!moved.await.unwrap());
    assert_eq!(due(3_899).await, []);

    let fault = Fault::new(FaultKind::PlatformDown);
    let failed = end(None, 400, Some(&fault));
    let (user, id) = (&desk.user, &connected.connection_id);
    for _ in 0..2 {
        // The second one ended no later: it is noted once.
        let attempt = desk.attempt();
        let noted = desk.connections.sync_failed(user, id, &failed, &attempt);
        noted.await.unwrap();
    }
    let row = desk.connection(user).await;
    assert_eq!((row.stats_failures, row.stats_fault), (1, Some(fault)));
    assert_eq!(
        (row.stats_read_at, row.stats_ended_at),
        (None, Some(at(400)))
    );

    assert_eq!(
        synced(&desk, &end(Some(500), 501, None)).await,
        Transacted::Done
    );
    let row = desk.connection(user).await;
    assert_eq!((row.stats_failures, row.stats_fault.clone()), (0, None));
    assert_eq!(
        (row.stats_read_at, row.stats_due_at),
        (Some(at(500)), Some(at(90_000)))
    );
    // A reading that was begun earlier does not stand over it.
    assert_eq!(
        synced(&desk, &end(Some(499), 502, None)).await,
        Transacted::Refused(0)
    );

    let holders = desk.accounts.get(&desk.account.key()).await.unwrap();
    let ended = end_by(&desk, &row, &holders, None, desk.attempt()).await;
    assert_eq!(ended, Ended::Done);
    let over: Connection = desk.connection(user).await;
    assert_eq!(over.stats_due_at, None);
    assert_eq!(due(1_000_000).await, []);
    assert_eq!(
        synced(&desk, &end(Some(600), 601, None)).await,
        Transacted::Refused(0)
    );
    let fault = Fault::new(FaultKind::PlatformDown);
    let failed = end(None, 700, Some(&fault));
    let attempt = desk.attempt();
    let noted = desk.connections.sync_failed(user, id, &failed, &attempt);
    noted.await.unwrap();
    assert_eq!(
        desk.connection(user).await,
        over,
        "an ended connection is left alone"
    );
    let check = desk
        .connections
        .still_active(Transaction::new(desk.attempt()), user, id);
    let check = check.unwrap().run(&desk.client).await;
    assert_eq!(check.unwrap(), Transacted::Refused(0));
}

#[tokio::test]
async fn a_platforms_statistics_cost_no_more_than_its_cap_in_a_day() {
    let desk = Desk::new("cap");
    let spend = async |on: &str, micros, cap| {
        let (attempt, on) = (desk.attempt(), day(on));
        let spent = desk
            .platforms
            .spend(Platform::TikTok, &on, micros, cap, &attempt);
        spent.await.unwrap()
    };
    assert!(spend("2026-11-20", 400, 1_000).await);
    assert!(spend("2026-11-20", 400, 1_000).await);
    assert!(!spend("2026-11-20", 400, 1_000).await);
    assert!(spend("2026-11-20", 200, 1_000).await, "to the last of it");
    assert!(!spend("2026-11-20", 1, 1_000).await);
    assert!(spend("2026-11-21", 400, 1_000).await, "a new day");
    assert!(!spend("2026-11-20", 1, 1_000).await, "a day that is over");
    assert!(
        !spend("2026-11-22", 1_001, 1_000).await,
        "more than all of it"
    );
}

#[tokio::test]
async fn an_event_of_statistics_has_its_name() {
    let desk = Desk::new("stats-event");
    let event = desk.event(&user("stats-event"), EventKind::StatsUpdated);
    let transaction = desk.events.tell(Transaction::new(desk.attempt()), &event);
    transaction.unwrap().run(&desk.client).await.unwrap();
    let item = desk.item("events", [("event_id", event.id.as_str())]).await;
    assert_eq!(item.unwrap()["kind"].as_s().unwrap(), "stats.updated");
}
