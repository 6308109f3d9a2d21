//! Webhooks, syncs and imports tell of the same records, in any order and more than once, while the
//! projection follows and its function is killed: DynamoDB ends as the facts merged one by one, and
//! PostgreSQL as DynamoDB.
//!
//! `CRM_RACE_RECORDS` says how many records there are, `CRM_RACE_SEED` in which order.

use std::collections::BTreeMap;
use std::sync::Arc;

use crm::tables;
use domain::{
    AnalyticsEvent, AnalyticsKind, Comment, ConnectionId, Entropy, Fact, Fan, FixedClock, Kept,
    MediaItem, Message, Money, Platform, Record, RecordKind, SeededEntropy, Telling, Timestamp,
    UserId,
};
use ledger::{Ledger, Of, Outcome, Tables, Through};
use local::crm::until_equal;
use local::eventually;
use store::{Accounts, Connections, Events, RecordTable};

use crate::crm::{Projection, end};
use crate::world::{SOON, USER, World, cloud, number, text};

const RECORDS: u64 = 10_000;
/// Facts that one webhook, one page of a sync and one page of an import tell.
const AT_ONCE: [usize; 3] = [3, 40, 120];

fn of_environment(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + millis as i64)
}

/// One fact of record `n`; `version` says of when and what.
fn fact(n: u64, version: u64) -> Fact {
    let (id, of) = (format!("r{n:06}"), at(n * 10 + version));
    let words = Some(format!("version {version} of {n}"));
    let money = Some(Money {
        minor: (n * version) as i64,
        currency: "USD".into(),
    });
    match n % 5 {
        0 => MediaItem {
            id,
            caption: words,
            removed: (version == 2).then_some(n.is_multiple_of(7)),
            ..MediaItem::default()
        }
        .fact(of),
        1 => Comment {
            id,
            text: words,
            written_at: Some(at(n)),
            deleted: (version == 1).then_some(n.is_multiple_of(11)),
            ..Comment::default()
        }
        .fact(of),
        2 => Fan {
            id,
            handle: words,
            following: Some(version != 1),
            spent: money,
            ..Fan::default()
        }
        .fact(of),
        3 => Message {
            id,
            text: words,
            read: (version == 2).then_some(true),
            sent_at: Some(at(n)),
            ..Message::default()
        }
        .fact(of),
        _ => AnalyticsEvent {
            id,
            kind: Some(AnalyticsKind::Tip),
            amount: money,
            reversed: (version == 2).then_some(n.is_multiple_of(13)),
            ..AnalyticsEvent::default()
        }
        .fact(of),
    }
}

fn shuffled<T>(mut all: Vec<T>, dice: &SeededEntropy) -> Vec<T> {
    for last in (1..all.len()).rev() {
        all.swap(last, dice.below(last as u64 + 1) as usize);
    }
    all
}

fn ledger(world: &World, seed: u64) -> Ledger {
    let client = world.stack.clients().dynamodb;
    let table = |noun: &str| world.stack.table(noun).unwrap().to_owned();
    let records = RecordKind::ALL.map(|kind| {
        let noun = match kind {
            RecordKind::MediaItem => "mediaItems",
            RecordKind::Comment => "comments",
            RecordKind::Fan => "fans",
            RecordKind::Message => "messages",
            RecordKind::AnalyticsEvent => "analyticsEvents",
        };
        RecordTable::new(client.clone(), table(noun), kind)
    });
    Ledger {
        tables: Tables::new(records),
        accounts: Accounts::new(client.clone(), table("accounts")),
        connections: Connections::new(client.clone(), table("connections")),
        events: Events::new(client, table("events")),
        clock: Arc::new(FixedClock::at(at(0))),
        entropy: Arc::new(SeededEntropy::new(seed)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_order_of_all_sources_comes_to_the_same_in_both() {
    let records = of_environment("CRM_RACE_RECORDS", RECORDS);
    let seed = of_environment("CRM_RACE_SEED", 1);
    let projection = Projection::new(&*cloud().await).await;
    let world = World::with(|options| projection.of(options)).await;
    let (_front, reader) = projection.reader().await;
    world.connect(USER).await;
    let item = world.connection_item(USER).await;
    let account = text(item["account"].as_m().unwrap(), "id");
    let user: UserId = USER.parse().unwrap();
    let connection: ConnectionId = text(&item, "connection_id").parse().unwrap();
    let of = Of {
        app: Platform::TikTok.into(),
        account_id: &account,
    };

    // Each source knows two of the three versions of each record, and tells some of them twice.
    let dice = SeededEntropy::new(seed);
    let (mut expected, mut told) = (BTreeMap::new(), Vec::new());
    for n in 0..records {
        let facts = [0, 1, 2].map(|version| fact(n, version));
        let [first, rest @ ..] = &facts;
        let kept = rest.iter().fold(Kept::of(first), Kept::with);
        expected.insert((kept.kind, kept.id.clone()), kept);
    }
    for source in 0..3 {
        let known = (0..records).flat_map(|n| {
            let other = (source + 1) % 3;
            let twice = (n % 9 == source).then_some(source);
            [Some(source), Some(other), twice]
                .into_iter()
                .flatten()
                .map(move |version| fact(n, version))
        });
        told.push(shuffled(known.collect::<Vec<Fact>>(), &dice));
    }
    let work = told
        .iter()
        .zip(AT_ONCE)
        .enumerate()
        .map(|(source, (facts, at_once))| {
            let ledger = ledger(&world, seed * 10 + source as u64);
            let (user, connection) = (&user, &connection);
            async move {
                let through = match source {
                    0 => Through::Account,
                    _ => Through::Connection(user, connection),
                };
                for facts in facts.chunks(at_once) {
                    let kept = ledger.keep(of, through, facts, Telling::Nothing).await;
                    assert!(matches!(kept.unwrap(), Outcome::Kept(_)));
                }
            }
        });
    let killing = async {
        for share in 1..=3 {
            eventually("some rows", SOON * 5, || async {
                let rows = reader.count(&tables::FANS).await.unwrap_or(0) as u64;
                Ok((rows >= records / 5 * share / 5).then_some(()))
            })
            .await
            .unwrap();
            world.stack.kill("crm-sync").await.unwrap();
        }
    };
    tokio::join!(futures_util::future::join_all(work), killing);

    let ledger = ledger(&world, seed);
    let key = format!("tiktok#{account}");
    for kind in RecordKind::ALL {
        let of_kind = expected.iter().filter(|((of, _), _)| *of == kind);
        let of_kind: BTreeMap<&str, &Kept> =
            of_kind.map(|((_, id), kept)| (id.as_str(), kept)).collect();
        let ids: Vec<&str> = of_kind.keys().copied().collect();
        let table = ledger.tables.of(kind).unwrap();
        let rows = table.read(&key, &ids).await.unwrap();
        assert_eq!(rows.len(), ids.len(), "{kind:?}");
        for (id, row) in rows {
            assert_eq!(&row.kept, of_kind[id.as_str()], "{id}");
        }
    }
    until_equal(&world.stack, &reader, SOON * 3).await.unwrap();
    for table in [&tables::MEDIA_ITEMS, &tables::COMMENTS, &tables::FANS] {
        assert_eq!(reader.count(table).await.unwrap() as u64, records / 5);
    }
    assert!(number(&item, "token_version") > 0);
    end(world, &projection).await;
}
