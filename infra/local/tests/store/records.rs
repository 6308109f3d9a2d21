//! Records: merged in whatever order they come, kept only for accounts that somebody holds, told of
//! once, listed by time.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{
    AnalyticsEvent, AnalyticsKind, Comment, Direction, Entropy, EventKind, Fact, Fan, FixedClock,
    Kept, MediaItem, Message, Money, Record, RecordKind, SeededEntropy, Subscription, Telling,
};
use futures_util::future::try_join_all;
use ledger::{Ledger, Of, Outcome, Tables, Tally, Through};
use store::{RecordAsk, RecordRow, RecordTable};

use crate::desk::{Desk, NOW, at};
use crate::ground::{self, Fault, Rule, table};

fn tables(desk: &Desk) -> Tables {
    let noun = |kind| match kind {
        RecordKind::MediaItem => "MediaItems",
        RecordKind::Comment => "comments",
        RecordKind::Fan => "fans",
        RecordKind::Message => "messages",
        RecordKind::AnalyticsEvent => "AnalyticsEvents",
    };
    Tables::new(
        RecordKind::ALL.map(|kind| RecordTable::new(desk.client.clone(), table(noun(kind)), kind)),
    )
}

fn ledger(desk: &Desk, seed: u64) -> Ledger {
    Ledger {
        tables: tables(desk),
        accounts: desk.accounts.clone(),
        connections: desk.connections.clone(),
        events: desk.events.clone(),
        clock: Arc::new(FixedClock::at(NOW)),
        entropy: Arc::new(SeededEntropy::new(seed)),
    }
}

fn of(desk: &Desk) -> Of<'_> {
    Of {
        app: desk.account.app(),
        account_id: &desk.account.id,
    }
}

fn comment(id: &str, as_of: i64, text: &str) -> Fact {
    let comment = Comment {
        id: id.to_owned(),
        text: Some(text.to_owned()),
        written_at: Some(at(as_of)),
        ..Comment::default()
    };
    comment.fact(at(as_of))
}

async fn row(desk: &Desk, kind: RecordKind, id: &str) -> Option<RecordRow> {
    let tables = tables(desk);
    let table = tables.of(kind).unwrap();
    table.get(&desk.account.key(), id).await.unwrap()
}

/// Whose calls lose their answers; no other test calls as this one.
const LOSER: &str = "webhook-worker";

const EVERYTHING: Telling = Telling::Everything;

#[tokio::test]
async fn a_record_is_written_once_told_once_and_never_goes_back() {
    let desk = Desk::new("records-once");
    desk.connected(&desk.user).await;
    let ledger = ledger(&desk, 1);
    let keep = async |facts: &[Fact]| {
        ledger
            .keep(of(&desk), Through::Account, facts, EVERYTHING)
            .await
            .unwrap()
    };
    let kept = |written, told| Outcome::Kept(Tally { written, told });
    for (fact, expected, text, revision) in [
        (comment("c", 10, "first"), kept(1, 1), "first", 1),
        (comment("c", 10, "first"), kept(0, 0), "first", 1),
        (comment("c", 5, "older"), kept(1, 0), "first", 2),
        (comment("c", 20, "newer"), kept(1, 0), "newer", 3),
    ] {
        assert_eq!(keep(&[fact]).await, expected, "{text} {revision}");
        let row = row(&desk, RecordKind::Comment, "c").await.unwrap();
        assert_eq!(row.kept.read::<Comment>().text.as_deref(), Some(text));
        assert_eq!(row.revision, revision);
    }
    assert_eq!(desk.told(&desk.user, EventKind::CommentReceived).await, 1);
}

#[tokio::test]
async fn a_delivery_reaches_every_holder() {
    let desk = Desk::new("records-holders");
    let other = "user-records-holders-2".parse().unwrap();
    desk.connected(&desk.user).await;
    let flow = desk.granted(&other).await;
    desk.confirm(&flow, 0, NOW, desk.attempt()).await;
    let ledger = ledger(&desk, 2);
    let facts = [comment("c", 1, "hello")];
    let kept = ledger.keep(of(&desk), Through::Account, &facts, EVERYTHING);
    let told = Tally {
        written: 1,
        told: 2,
    };
    assert_eq!(kept.await.unwrap(), Outcome::Kept(told));
    for user in [&desk.user, &other] {
        assert_eq!(desk.told(user, EventKind::CommentReceived).await, 1);
    }
}

#[tokio::test]
async fn nothing_is_kept_of_an_account_that_nobody_holds() {
    let desk = Desk::new("records-nobody");
    let ledger = ledger(&desk, 3);
    let facts = [comment("c", 1, "hello")];
    let user = desk.user.clone();
    let connection = desk.id_of(&user);
    for through in [Through::Account, Through::Connection(&user, &connection)] {
        let kept = ledger.keep(of(&desk), through, &facts, EVERYTHING).await;
        assert_eq!(kept.unwrap(), Outcome::Gone);
    }
    assert_eq!(row(&desk, RecordKind::Comment, "c").await, None);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_not_a_second_one() {
    // The setting is made by another desk, whose answers arrive.
    let (desk, loser) = (Desk::new("records-lost"), Desk::of(LOSER, "records-lost"));
    desk.connected(&desk.user).await;
    let ledger = ledger(&loser, 4);
    let action = "dynamodb:TransactWriteItems";
    let lost = ground::fault(Rule::on(action).by(LOSER), Fault::DropAfter);
    let facts = [comment("c", 1, "hello")];
    let kept = ledger.keep(of(&desk), Through::Account, &facts, EVERYTHING);
    kept.await.unwrap();
    assert_eq!(lost.fired(), 1);
    let row = row(&desk, RecordKind::Comment, "c").await.unwrap();
    assert_eq!(row.revision, 1);
    assert_eq!(desk.told(&desk.user, EventKind::CommentReceived).await, 1);
}

#[tokio::test]
async fn lists_are_by_time_state_and_account() {
    let desk = Desk::new("records-lists");
    desk.connected(&desk.user).await;
    let ledger = ledger(&desk, 5);
    let hidden = |id: &str, written: i64, hidden| {
        let comment = Comment {
            id: id.to_owned(),
            written_at: Some(at(written)),
            hidden: Some(hidden),
            ..Comment::default()
        };
        comment.fact(at(1_000))
    };
    let facts = [
        hidden("a", 10, false),
        hidden("b", 20, true),
        hidden("c", 30, false),
        hidden("d#e", 40, false),
    ];
    let kept = ledger.keep(of(&desk), Through::Account, &facts, Telling::Nothing);
    kept.await.unwrap();
    let accounts = [desk.account.key(), "tiktok#of nobody".to_owned()];
    let all = RecordAsk {
        accounts: &accounts,
        limit: 10,
        ..RecordAsk::default()
    };
    let comments = tables(&desk).of(RecordKind::Comment).unwrap().clone();
    let ids = async |ask: RecordAsk<'_>| {
        let page = comments.newest(&ask, |_| true).await.unwrap();
        let rows: Vec<String> = page.rows.into_iter().map(|row| row.kept.id).collect();
        (rows, page.next)
    };
    let table: [(RecordAsk<'_>, &[&str]); 7] = [
        (all, &["d#e", "c", "b", "a"]),
        (
            RecordAsk {
                state: Some("hidden"),
                ..all
            },
            &["b"],
        ),
        (
            RecordAsk {
                from: Some(at(20)),
                ..all
            },
            &["d#e", "c", "b"],
        ),
        (
            RecordAsk {
                to: Some(at(30)),
                ..all
            },
            &["b", "a"],
        ),
        (
            RecordAsk {
                from: Some(at(20)),
                to: Some(at(40)),
                ..all
            },
            &["c", "b"],
        ),
        (
            RecordAsk {
                from: Some(at(40)),
                to: Some(at(20)),
                ..all
            },
            &[],
        ),
        (
            RecordAsk {
                accounts: &accounts[1..],
                ..all
            },
            &[],
        ),
    ];
    for (ask, expected) in table {
        assert_eq!(ids(ask).await.0, expected, "{ask:?}");
    }
    // Page by page, from the middle of a span too.
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let ask = RecordAsk {
            from: Some(at(20)),
            before: cursor.as_deref(),
            limit: 1,
            ..all
        };
        let (rows, next) = ids(ask).await;
        found.extend(rows);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, ["d#e", "c", "b"]);
}

#[tokio::test]
async fn all_of_an_account_is_deleted_and_nothing_else() {
    let desk = Desk::new("records-clear");
    desk.connected(&desk.user).await;
    let ledger = ledger(&desk, 6);
    let facts: Vec<Fact> = (0..130)
        .map(|n| comment(&format!("c{n:03}"), n, "text"))
        .collect();
    let kept = ledger.keep(of(&desk), Through::Account, &facts, Telling::Nothing);
    kept.await.unwrap();
    let comments = tables(&desk).of(RecordKind::Comment).unwrap().clone();
    let ids: Vec<String> = (0..130).map(|n| format!("c{n:03}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let key = desk.account.key();
    assert_eq!(comments.read(&key, &ids).await.unwrap().len(), 130);
    let mut rounds = Vec::new();
    loop {
        match comments.clear(&key).await.unwrap() {
            0 => break,
            cleared => rounds.push(cleared),
        }
    }
    assert_eq!(rounds, [25, 25, 25, 25, 25, 5]);
    assert!(comments.read(&key, &ids).await.unwrap().is_empty());
}

/// What webhooks, syncs and imports tell of one record: parts, contradictions, deletions.
fn told(number: u64, entropy: &SeededEntropy) -> Vec<Fact> {
    let as_of = || at(i64::try_from(entropy.below(50)).unwrap());
    let id = format!("r{number}");
    let maybe = |yes: bool| (entropy.below(3) > 0).then_some(yes);
    let text = || (entropy.below(3) > 0).then(|| format!("text {}", entropy.below(4)));
    let one = |_| match number % 5 {
        0 => MediaItem {
            id: id.clone(),
            caption: text(),
            published_at: Some(at(7)),
            removed: maybe(entropy.below(4) == 0),
            ..MediaItem::default()
        }
        .fact(as_of()),
        1 => Comment {
            id: id.clone(),
            text: text(),
            hidden: maybe(entropy.below(2) == 0),
            deleted: maybe(entropy.below(4) == 0),
            ..Comment::default()
        }
        .fact(as_of()),
        2 => Fan {
            id: id.clone(),
            handle: text(),
            following: maybe(entropy.below(2) == 0),
            subscription: maybe(true).map(|_| match entropy.below(2) {
                0 => Subscription::Active,
                _ => Subscription::Expired,
            }),
            ..Fan::default()
        }
        .fact(as_of()),
        3 => Message {
            id: id.clone(),
            text: text(),
            direction: Some(Direction::In),
            read: maybe(entropy.below(2) == 0),
            deleted: maybe(entropy.below(5) == 0),
            ..Message::default()
        }
        .fact(as_of()),
        _ => AnalyticsEvent {
            id: id.clone(),
            kind: Some(AnalyticsKind::Tip),
            amount: Some(Money {
                minor: i64::try_from(entropy.below(500)).unwrap(),
                currency: "USD".to_owned(),
            }),
            reversed: maybe(entropy.below(4) == 0),
            ..AnalyticsEvent::default()
        }
        .fact(as_of()),
    };
    (0..3).map(one).collect()
}

fn shuffled<T>(mut list: Vec<T>, entropy: &SeededEntropy) -> Vec<T> {
    for last in (1..list.len()).rev() {
        let other = usize::try_from(entropy.below(last as u64 + 1)).unwrap();
        list.swap(last, other);
    }
    list
}

/// Three writers at once tell of the same records, in orders of their own, many of them twice. In the
/// end each record is what its facts come to in any order.
pub(crate) async fn race(desk: &Desk, seed: u64, records: u64) {
    desk.connected(&desk.user).await;
    let entropy = SeededEntropy::new(seed);
    let facts: Vec<Fact> = (0..records).flat_map(|one| told(one, &entropy)).collect();
    let mut expected: BTreeMap<(RecordKind, String), Kept> = BTreeMap::new();
    for fact in &facts {
        let of = (fact.kind, fact.id.clone());
        let kept = match expected.remove(&of) {
            Some(kept) => kept.with(fact),
            None => Kept::of(fact),
        };
        expected.insert(of, kept);
    }
    let connection = desk.id_of(&desk.user);
    let writers = (0..3).map(|writer| {
        let entropy = SeededEntropy::new(seed * 10 + writer);
        let ledger = ledger(desk, seed * 100 + writer);
        // Everything comes by one of them at least, and a third by two.
        let mine = facts
            .iter()
            .enumerate()
            .filter(|(n, _)| *n as u64 % 3 == writer || entropy.below(6) == 0);
        let mine = shuffled(mine.map(|(_, fact)| fact.clone()).collect(), &entropy);
        let connection = &connection;
        async move {
            let (through, telling) = match writer {
                0 => (Through::Account, EVERYTHING),
                1 => (
                    Through::Connection(&desk.user, connection),
                    Telling::Since {
                        at: at(25),
                        timeless: true,
                    },
                ),
                _ => (Through::Account, Telling::Nothing),
            };
            let mut rest = mine.as_slice();
            while !rest.is_empty() {
                let most = usize::try_from(entropy.below(120) + 1).unwrap();
                let (now, later) = rest.split_at(most.min(rest.len()));
                ledger.keep(of(desk), through, now, telling).await?;
                rest = later;
            }
            Ok::<(), store::StoreError>(())
        }
    });
    try_join_all(writers).await.unwrap();
    let tables = tables(desk);
    let key = desk.account.key();
    let mut seen = 0;
    for kind in RecordKind::ALL {
        let of_kind: Vec<&Kept> = expected.values().filter(|kept| kept.kind == kind).collect();
        let ids: Vec<&str> = of_kind.iter().map(|kept| kept.id.as_str()).collect();
        let rows = tables.of(kind).unwrap().read(&key, &ids).await.unwrap();
        for kept in of_kind {
            assert_eq!(
                rows.get(&kept.id).map(|row| &row.kept),
                Some(kept),
                "seed {seed}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, records);
}

#[tokio::test]
async fn webhooks_syncs_and_imports_race_to_one_state() {
    for seed in 1..=4 {
        race(&Desk::new(&format!("records-race-{seed}")), seed, 150).await;
    }
}
