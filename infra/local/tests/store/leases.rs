//! The refresh lease, its fence and the rescue; uses, pages and the due index of connections.

use domain::{ConnectionStatus, EventKind, Holder, ReauthReason, Timestamp};
use store::connections::{Commit, Lease, LeaseAsk, Lifetime, Release};
use store::due::shard_of;
use store::{Connection, Transacted, Written};

use crate::accounts::end;
use crate::desk::{Desk, NOW, account, at, sealed, trouble};

/// How long a lease that was never given back is left alone.
const SETTLE: i64 = 120;

/// Asks at `secs` for a lease of 30 seconds; `due`: only if the connection is due.
async fn ask(desk: &Desk, seen: u64, secs: i64, due: bool, holder: &Holder) -> Lease {
    let connection = desk.id_of(&desk.user);
    let ask = LeaseAsk {
        user: &desk.user,
        connection: &connection,
        seen,
        if_due: due,
        holder,
        now: at(secs),
        until: at(secs + 30),
        settled_before: at(secs - SETTLE),
    };
    let lease = desk.connections.lease(&ask, &desk.attempt()).await;
    lease.unwrap()
}

async fn taken(desk: &Desk, seen: u64, secs: i64) -> (Connection, Holder) {
    let holder = desk.holder();
    match ask(desk, seen, secs, false, &holder).await {
        Lease::Taken(at) => (*at, holder),
        other => panic!("not taken: {other:?}"),
    }
}

fn commit_of(seen: u64, due: Option<Timestamp>) -> Commit {
    Commit {
        sealed: sealed(&format!("version {}", seen + 1)),
        seen,
        scopes: vec!["video.publish".to_owned()],
        lifetime: Lifetime {
            issued_at: at(5),
            expires_at: Some(at(9_000)),
            due_at: due,
            ..Lifetime::default()
        },
    }
}

fn done(written: &Written<Connection, Option<Connection>>) -> bool {
    matches!(written, Written::Done(_))
}

async fn is_due(desk: &Desk, now: Timestamp) -> bool {
    let id = desk.id_of(&desk.user);
    let shard = shard_of(id.as_str());
    let due = desk
        .connections
        .due(&shard, now, 1_000, |_| true)
        .await
        .unwrap();
    due.iter().any(|due| due.connection_id == id)
}

#[tokio::test]
async fn a_lease_is_taken_held_settling_or_moved() {
    let desk = Desk::new("lease");
    let holder = desk.holder();
    assert_eq!(ask(&desk, 1, 0, false, &holder).await, Lease::Absent);
    desk.connected(&desk.user).await;
    // It is due at 3,600; the first lease ends at 3,630 and is never given back.
    for (name, seen, secs, due, outcome) in [
        ("another version", 2, 0, false, "moved"),
        ("not due yet", 1, 3_599, true, "moved"),
        ("due", 1, 3_600, true, "taken"),
        ("held", 1, 3_629, false, "held"),
        ("held, by the schedule", 1, 3_629, true, "held"),
        ("over, and settling", 1, 3_630 + SETTLE, false, "held"),
        ("settled", 1, 3_631 + SETTLE, false, "taken"),
    ] {
        let lease = ask(&desk, seen, secs, due, &desk.holder()).await;
        let found = match &lease {
            Lease::Taken(_) => "taken",
            Lease::Held(_) => "held",
            Lease::Moved(_) => "moved",
            Lease::Absent => "absent",
        };
        assert_eq!(found, outcome, "{name}: {lease:?}");
        if let Lease::Taken(row) = lease {
            let abandoned = (name == "settled").then_some(at(3_630));
            assert_eq!(row.lease_abandoned_at, abandoned, "{name}");
            assert_eq!(row.may_be_spent(), abandoned.is_some(), "{name}");
        }
    }
}

#[tokio::test]
async fn of_ten_that_ask_one_gets_the_lease() {
    let desk = Desk::new("lease-race");
    desk.connected(&desk.user).await;
    let holders: Vec<_> = (0..10).map(|_| desk.holder()).collect();
    let asks = holders.iter().map(|holder| ask(&desk, 1, 0, false, holder));
    let leases = futures_util::future::join_all(asks).await;
    let taken = leases.iter().filter(|one| matches!(one, Lease::Taken(_)));
    let held = leases.iter().filter(|one| matches!(one, Lease::Held(_)));
    assert_eq!((taken.count(), held.count()), (1, 9));
}

#[tokio::test]
async fn a_commit_needs_the_holder_and_the_version() {
    let desk = Desk::new("commit");
    desk.connected(&desk.user).await;
    let (_, old) = taken(&desk, 1, 0).await;
    let (row, mine) = taken(&desk, 1, 1_000).await;
    assert_eq!(row.lease_abandoned_at, Some(at(30)));
    let first = desk.attempt();
    for (name, holder, seen, attempt, stands) in [
        ("an old holder", &old, 1, desk.attempt(), false),
        ("an old version", &mine, 0, desk.attempt(), false),
        ("holder and version", &mine, 1, first.clone(), true),
        ("the first try, repeated", &mine, 1, first, true),
        ("another try", &mine, 1, desk.attempt(), false),
    ] {
        let commit = commit_of(seen, Some(at(8_000)));
        let written = desk.connections.commit(&row, holder, &commit, &attempt);
        let written = written.await.unwrap();
        assert_eq!(done(&written), stands, "{name}: {written:?}");
    }
    let row = desk.connection(&desk.user).await;
    assert_eq!(
        (row.token_version, row.sealed),
        (2, Some(sealed("version 2")))
    );
    assert_eq!((row.lease_holder, row.lease_until), (None, None));
    assert_eq!(row.lease_abandoned_at, None);
    assert_eq!(
        row.refresh_expires_at, None,
        "what the platform does not say goes"
    );
    assert!(is_due(&desk, at(8_000)).await && !is_due(&desk, at(7_999)).await);
}

#[tokio::test]
async fn a_lease_goes_back_with_its_marks() {
    let desk = Desk::new("release");
    desk.connected(&desk.user).await;
    // (spent since, counts, failures then, mark then): a mark stays until there is a new token.
    for (spent, counts, failures, marked) in [
        (None, true, 1, None),
        (None, false, 1, None),
        (Some(at(7)), true, 2, Some(at(7))),
        (None, true, 3, Some(at(7))),
    ] {
        let (row, holder) = taken(&desk, 1, 0).await;
        let release = Release {
            due_at: at(500),
            fault: trouble(),
            spent_since: spent,
            counts,
        };
        let stranger = desk.holder();
        for (who, given) in [(&stranger, false), (&holder, true)] {
            let released = desk
                .connections
                .release(&row, who, &release, &desk.attempt())
                .await;
            released.unwrap();
            let stands = desk.connection(&desk.user).await;
            assert_eq!(stands.lease_holder.is_none(), given);
        }
        let stands = desk.connection(&desk.user).await;
        assert_eq!((stands.failures, stands.spent_since), (failures, marked));
        assert_eq!(stands.last_fault, Some(trouble()));
        assert!(is_due(&desk, at(500)).await && !is_due(&desk, at(499)).await);
    }
    let (row, holder) = taken(&desk, 1, 0).await;
    assert_eq!(row.lease_abandoned_at, None, "each was given back");
    let commit = commit_of(1, None);
    let written = desk
        .connections
        .commit(&row, &holder, &commit, &desk.attempt())
        .await;
    assert!(done(&written.unwrap()));
    let stands = desk.connection(&desk.user).await;
    assert_eq!(
        (stands.failures, stands.spent_since, stands.last_fault),
        (0, None, None)
    );
    assert!(
        !is_due(&desk, at(99_999)).await,
        "nothing due, nothing in the index"
    );
}

#[tokio::test]
async fn giving_up_is_told_once_and_a_rescue_takes_it_back() {
    let desk = Desk::new("give-up");
    desk.connected(&desk.user).await;
    let (_, old) = taken(&desk, 1, 0).await;
    let (row, mine) = taken(&desk, 1, 1_000).await;
    let gone = desk.event(&desk.user, EventKind::ConnectionNeedsReauth);
    let first = desk.attempt();
    for (name, holder, attempt, outcome) in [
        (
            "an old holder",
            &old,
            desk.attempt(),
            Transacted::Refused(0),
        ),
        ("the holder", &mine, first.clone(), Transacted::Done),
        ("the first try, repeated", &mine, first, Transacted::Done),
        ("again", &mine, desk.attempt(), Transacted::Refused(0)),
    ] {
        let (reason, fault) = (ReauthReason::RotationLost, trouble());
        let given =
            desk.connections
                .give_up(&row, holder, reason, &fault, &desk.events, &gone, attempt);
        assert_eq!(given.await.unwrap(), outcome, "{name}");
    }
    let told = async |kind| desk.told(&desk.user, kind).await;
    assert_eq!(told(EventKind::ConnectionNeedsReauth).await, 1);
    let lost = desk.connection(&desk.user).await;
    assert_eq!(lost.status, ConnectionStatus::NeedsReauth);
    assert_eq!(lost.reason, Some(ReauthReason::RotationLost));
    assert!(!is_due(&desk, at(99_999)).await);
    let lease = ask(&desk, 1, 5_000, false, &desk.holder()).await;
    assert!(matches!(lease, Lease::Moved(_)), "nobody refreshes it");

    let back = desk.event(&desk.user, EventKind::ConnectionRecovered);
    let first = desk.attempt();
    for (name, seen, attempt, outcome) in [
        ("another version", 0, desk.attempt(), Transacted::Refused(0)),
        ("the version", 1, first.clone(), Transacted::Done),
        ("the first try, repeated", 1, first, Transacted::Done),
        ("again", 1, desk.attempt(), Transacted::Refused(0)),
    ] {
        let commit = commit_of(seen, Some(at(8_000)));
        let saved = desk
            .connections
            .rescue_lost(&lost, &commit, &desk.events, &back, attempt);
        assert_eq!(saved.await.unwrap(), outcome, "{name}");
    }
    assert_eq!(told(EventKind::ConnectionRecovered).await, 1);
    let row = desk.connection(&desk.user).await;
    assert_eq!(
        (row.status, row.token_version),
        (ConnectionStatus::Active, 2)
    );
    assert_eq!((row.reason, row.last_fault), (None, None));
    assert!(is_due(&desk, at(8_000)).await);
}

#[tokio::test]
async fn a_rescue_asks_for_the_version_and_not_for_the_holder() {
    // (what happened since, whether the rescued bundle is kept)
    for (name, kept) in [
        ("the lease stands", true),
        ("somebody else took over", true),
        ("a newer token stands", false),
        ("disconnected", false),
    ] {
        let desk = Desk::new(&format!("rescue-{}", name.replace(' ', "-")));
        desk.connected(&desk.user).await;
        let (row, holder) = taken(&desk, 1, 0).await;
        match name {
            "somebody else took over" => drop(taken(&desk, 1, 1_000).await),
            "a newer token stands" => {
                let commit = commit_of(1, None);
                let newer = desk
                    .connections
                    .commit(&row, &holder, &commit, &desk.attempt())
                    .await;
                assert!(done(&newer.unwrap()));
            }
            "disconnected" => drop(end(&desk, &row, None).await),
            _ => {}
        }
        let before = desk.connection(&desk.user).await;
        let commit = Commit {
            sealed: sealed("rescued"),
            ..commit_of(1, Some(at(8_000)))
        };
        let written = desk
            .connections
            .rescue(&row, &commit, &desk.attempt())
            .await;
        let written = written.unwrap();
        assert_eq!(done(&written), kept, "{name}: {written:?}");
        let stands = desk.connection(&desk.user).await;
        if kept {
            assert_eq!(
                (stands.token_version, stands.sealed),
                (2, Some(sealed("rescued")))
            );
            assert_eq!(
                stands.lease_holder, None,
                "{name}: who holds it has lost its fence"
            );
        } else {
            assert_eq!(stands, before, "{name}");
        }
    }
}

#[tokio::test]
async fn a_use_is_noted_at_the_version_that_was_used() {
    let desk = Desk::new("used");
    let seen = desk.connected(&desk.user).await;
    let other = Connection {
        token_version: 9,
        ..seen.clone()
    };
    for (seen, due, noted) in [(&other, None, NOW), (&seen, Some(at(50)), at(40))] {
        let used = desk
            .connections
            .used(seen, at(40), due, &desk.attempt())
            .await;
        used.unwrap();
        assert_eq!(desk.connection(&desk.user).await.used_at, noted);
    }
    assert!(is_due(&desk, at(50)).await);
    let used = desk
        .connections
        .used(&seen, at(41), None, &desk.attempt())
        .await;
    used.unwrap();
    assert!(!is_due(&desk, at(99_999)).await);
}

#[tokio::test]
async fn a_users_connections_come_page_by_page() {
    let mut desk = Desk::new("pages");
    let mut ids = Vec::new();
    for n in 0..5 {
        desk.account = account(&format!("pages-{n}"));
        ids.push(desk.connected(&desk.user).await.connection_id);
    }
    ids.sort();
    for limit in [1, 2, 5, 100] {
        let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = desk
                .connections
                .list(&desk.user, after.as_deref(), limit)
                .await;
            let (rows, next) = page.unwrap();
            assert!(rows.len() <= usize::try_from(limit).unwrap());
            found.extend(rows.into_iter().map(|row| row.connection_id));
            pages += 1;
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, ids, "pages of {limit}");
        assert!(pages <= 6, "{pages} pages of {limit}");
    }
}
