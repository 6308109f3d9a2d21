//! Making and ending connections: the row, the account's holders, the flow, the event, together.

use domain::{AttemptId, ConnectionStatus, EventKind, Revocation, Timestamp, UserId};
use store::connections::{Confirmed, Ended};
use store::due::shard_of;
use store::{AccountHolders, Connection, PendingRevocation};

use crate::desk::{Desk, NOW, at, user};

/// Ends a connection that stands as `seen`, by the account's holders as of now.
pub(crate) async fn end(desk: &Desk, seen: &Connection, owed: Option<&PendingRevocation>) -> Ended {
    let holders = desk.accounts.get(&seen.account.key()).await.unwrap();
    end_by(desk, seen, &holders, owed, desk.attempt()).await
}

pub(crate) async fn end_by(
    desk: &Desk,
    seen: &Connection,
    holders: &AccountHolders,
    owed: Option<&PendingRevocation>,
    attempt: AttemptId,
) -> Ended {
    let event = desk.event(&seen.user_id, EventKind::ConnectionDisconnected);
    let ended = desk.connections.end(
        seen,
        holders,
        &desk.accounts,
        Revocation::Pending,
        owed.map(|owed| (&desk.revocations, owed)),
        (&desk.events, &event),
        attempt,
    );
    ended.await.unwrap()
}

async fn holders(desk: &Desk) -> Vec<UserId> {
    let holders = desk.accounts.get(&desk.account.key()).await.unwrap();
    holders
        .holders()
        .into_iter()
        .map(|(user, _)| user)
        .collect()
}

#[tokio::test]
async fn a_confirmation_stands_whole_or_not_at_all() {
    let desk = Desk::new("confirm");
    let flow = desk.granted(&desk.user).await;
    let other = desk.granted(&desk.user).await;
    let first = desk.attempt();
    // (flow, version seen, when, attempt, outcome, version then)
    for (name, flow, seen, secs, attempt, outcome, version) in [
        ("in time", &flow, 0, 0, first.clone(), Confirmed::Done, 1),
        ("repeated", &flow, 0, 0, first, Confirmed::Done, 1),
        ("used", &flow, 1, 0, desk.attempt(), Confirmed::FlowOver, 1),
        (
            "unseen row",
            &other,
            0,
            0,
            desk.attempt(),
            Confirmed::RowMoved,
            1,
        ),
        (
            "late",
            &other,
            1,
            600,
            desk.attempt(),
            Confirmed::FlowOver,
            1,
        ),
        (
            "made again",
            &other,
            1,
            599,
            desk.attempt(),
            Confirmed::Done,
            2,
        ),
    ] {
        let done = desk.confirm(flow, seen, at(secs), attempt).await;
        assert_eq!(done, outcome, "{name}");
        let row = desk.connection(&desk.user).await;
        assert_eq!(row.token_version, version, "{name}");
        assert_eq!(row.created_at, NOW, "{name}");
        let told = desk.told(&desk.user, EventKind::ConnectionConnected).await;
        assert_eq!(told as u64, version, "{name}: one event for each");
        assert_eq!(
            holders(&desk).await,
            std::slice::from_ref(&desk.user),
            "{name}"
        );
    }
    let flow = desk.flows.get(&flow.flow_id, NOW).await.unwrap().unwrap();
    assert_eq!(
        (flow.grant, flow.due_at),
        (None, None),
        "its tokens left it"
    );
    assert_eq!(flow.linked, Some(desk.account.clone()));
}

#[tokio::test]
async fn of_two_confirmations_of_one_flow_one_counts() {
    let desk = Desk::new("confirm-race");
    let flow = desk.granted(&desk.user).await;
    let confirm = || desk.confirm(&flow, 0, NOW, desk.attempt());
    let (one, two) = tokio::join!(confirm(), confirm());
    let done = [one, two];
    assert_eq!(
        done.iter().filter(|one| **one == Confirmed::Done).count(),
        1,
        "{done:?}"
    );
    assert_eq!(desk.connection(&desk.user).await.token_version, 1);
    assert_eq!(
        desk.told(&desk.user, EventKind::ConnectionConnected).await,
        1
    );
}

#[tokio::test]
async fn an_end_leaves_a_tombstone_and_what_is_owed() {
    let desk = Desk::new("end");
    let seen = desk.connected(&desk.user).await;
    let owed = desk.pending(Some(&seen));
    let before = desk.accounts.get(&desk.account.key()).await.unwrap();
    let attempt = desk.attempt();
    let event = desk.event(&desk.user, EventKind::ConnectionDisconnected);
    for name in ["first", "repeated"] {
        let ended = desk.connections.end(
            &seen,
            &before,
            &desk.accounts,
            Revocation::Pending,
            Some((&desk.revocations, &owed)),
            (&desk.events, &event),
            attempt.clone(),
        );
        assert_eq!(ended.await.unwrap(), Ended::Done, "{name}");
    }
    let again = end_by(&desk, &seen, &before, None, desk.attempt()).await;
    assert_eq!(again, Ended::Moved);
    let row = desk.connection(&desk.user).await;
    assert_eq!(row.status, ConnectionStatus::Disconnected);
    assert_eq!(
        (&row.sealed, row.due_at, row.expires_at),
        (&None, None, None)
    );
    assert_eq!(row.token_version, 1, "it never goes back");
    assert!(holders(&desk).await.is_empty());
    let pending = desk.revocations.get(&owed.revocation_id).await.unwrap();
    assert_eq!(pending, Some(owed));
    assert_eq!(
        desk.told(&desk.user, EventKind::ConnectionDisconnected)
            .await,
        1
    );
    let shard = shard_of(row.connection_id.as_str());
    let due = desk
        .connections
        .due(&shard, at(86_400), 1_000, |_| true)
        .await
        .unwrap();
    assert!(!due.iter().any(|due| due.connection_id == row.connection_id));
    let [user, id] = row.keys();
    let key = [("user_id", user), ("connection_id", id)];
    let item = desk.item("connections", key).await.unwrap();
    assert!(item.contains_key("ttl") && !item.contains_key("due_shard"));

    // Connected again: the same row, the next version, no trace of the end.
    let flow = desk.granted(&desk.user).await;
    assert_eq!(
        desk.confirm(&flow, 1, NOW, desk.attempt()).await,
        Confirmed::Done
    );
    let row = desk.connection(&desk.user).await;
    assert_eq!(
        (row.status, row.token_version),
        (ConnectionStatus::Active, 2)
    );
    assert_eq!(row.revocation, None);
    let item = desk.item("connections", key).await.unwrap();
    assert!(
        !item.contains_key("ttl"),
        "or DynamoDB would delete a living row"
    );
}

#[tokio::test]
async fn only_one_of_two_leavers_is_the_last() {
    let desk = Desk::new("leave-race");
    let other = user("user-leave-race-other");
    let first = desk.connected(&desk.user).await;
    let second = desk.connected(&other).await;
    let seen = desk.accounts.get(&desk.account.key()).await.unwrap();
    assert_eq!(seen.holders().len(), 2);
    // Both saw two holders, so neither would revoke; the later one must look again.
    let leave = |connection| end_by(&desk, connection, &seen, None, desk.attempt());
    let (one, two) = tokio::join!(leave(&first), leave(&second));
    let mut ends = [one, two];
    ends.sort_by_key(|end| *end == Ended::Moved);
    assert_eq!(ends, [Ended::Done, Ended::Moved]);
    let left = holders(&desk).await;
    assert_eq!(left.len(), 1);
    let last = if left[0] == other { &second } else { &first };
    assert_eq!(end(&desk, last, None).await, Ended::Done);
    assert!(holders(&desk).await.is_empty());
}

#[tokio::test]
async fn who_joins_in_between_is_seen_before_a_revoke() {
    let desk = Desk::new("join-race");
    let first = desk.connected(&desk.user).await;
    let seen = desk.accounts.get(&desk.account.key()).await.unwrap();
    desk.connected(&user("user-join-race-other")).await;
    let ended = end_by(&desk, &first, &seen, None, desk.attempt()).await;
    assert_eq!(ended, Ended::Moved, "it is no longer the last");
    let (now, until) = (NOW, at(45));
    let barred = desk.accounts.bar(&seen, now, until, &desk.attempt()).await;
    assert!(!barred.unwrap(), "nor may it bar the account");
    assert_eq!(holders(&desk).await.len(), 2);
}

#[tokio::test]
async fn nobody_connects_an_account_that_is_being_revoked() {
    let desk = Desk::new("bar");
    let flow = desk.granted(&desk.user).await;
    let key = desk.account.key();
    let seen = desk.accounts.get(&key).await.unwrap();
    assert!(
        seen.holders().is_empty(),
        "an account that nobody holds has no row"
    );
    let first = desk.attempt();
    for (name, secs, attempt, barred) in [
        ("free", 0, first.clone(), true),
        ("barred", 44, desk.attempt(), false),
        ("the first try, repeated", 0, first, true),
        ("the bar ran out", 45, desk.attempt(), true),
    ] {
        let bar = desk.accounts.bar(&seen, at(secs), at(secs + 45), &attempt);
        assert_eq!(bar.await.unwrap(), barred, "{name}");
    }
    let confirm = async |secs| desk.confirm(&flow, 0, at(secs), desk.attempt()).await;
    assert_eq!(confirm(89).await, Confirmed::AccountBarred);
    // Whose bar ran out takes nobody else's away.
    let before = NOW.plus_secs(-1);
    let unbar = async |until| {
        let attempt = desk.attempt();
        desk.accounts
            .unbar(&key, at(until), before, None, &attempt)
            .await
            .unwrap();
    };
    unbar(45).await;
    assert_eq!(confirm(89).await, Confirmed::AccountBarred);
    unbar(90).await;
    assert_eq!(
        confirm(60).await,
        Confirmed::Done,
        "its tokens are younger than the revoke"
    );
}

#[tokio::test]
async fn tokens_older_than_the_accounts_end_are_not_confirmed() {
    // Tokens are issued at `NOW`.
    for (name, ended, outcome) in [
        ("ended before", -1, Confirmed::Done),
        ("ended at once", 0, Confirmed::AccountBarred),
        ("ended since", 1, Confirmed::AccountBarred),
    ] {
        let desk = Desk::new(&name.replace(' ', "-"));
        let flow = desk.granted(&desk.user).await;
        let key = desk.account.key();
        desk.accounts
            .revoked(&key, at(ended), &desk.attempt())
            .await
            .unwrap();
        // Older news changes nothing.
        desk.accounts
            .revoked(&key, at(-100), &desk.attempt())
            .await
            .unwrap();
        let done = desk.confirm(&flow, 0, at(2), desk.attempt()).await;
        assert_eq!(done, outcome, "{name}");
        let noted = desk.accounts.get(&key).await.unwrap().revoked_at;
        assert!(noted > Timestamp::default(), "{name}");
    }
}

#[tokio::test]
async fn connections_that_end_are_listed_over_all_shards_page_by_page() {
    let desk = Desk::new("ending");
    // A stretch of time that no other test's connections are due in.
    let from = at(9_000_000);
    let mut expected = Vec::new();
    for place in 0..7_i64 {
        let user = crate::desk::user(&format!("ending-{place}"));
        let connection = desk.connected(&user).await;
        // Two are due in the same millisecond.
        let due = from.plus_secs(place / 2 * 10);
        let attempt = desk.attempt();
        desk.connections
            .used(&connection, NOW, Some(due), &attempt)
            .await
            .unwrap();
        expected.push((due, connection.connection_id.to_string()));
    }
    expected.sort();
    let until = from.plus_secs(20);
    expected.retain(|(due, _)| *due <= until);
    assert_eq!(expected.len(), 6, "the last is due later");
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let ours = |row: &store::connections::DueConnection| row.due_at >= from;
        let page = desk
            .connections
            .ending(until, after.as_ref(), 4, ours)
            .await;
        let (rows, next) = page.unwrap();
        let row =
            |row: store::connections::DueConnection| (row.due_at, row.connection_id.to_string());
        found.extend(rows.into_iter().map(row));
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);
}
