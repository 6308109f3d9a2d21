//! What is of a user, table by table; and nothing of somebody whose id only looks like theirs.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ConnectionId;
use store::accounts::Forgotten;
use store::erasure::{Cursor, Met, Names, RULES, Rule, Subject, Tables, Whose};

use crate::desk::{Desk, Item, at, user};
use crate::ground::table;

const WHO: &str = "er1";
/// Whose ids hold the user's, or begin or end with it, or with what stands before it in keys.
const OTHERS: &[&str] = &["er11", "1er1", "user#er1", "window#er1", "er1#er1", "ER1"];

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// The logical name of a rule's table.
fn noun(rule: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    rule.split('_').map(capital).collect()
}

fn tables(desk: &Desk) -> Tables {
    Tables::new(&desk.client, |rule| table(&noun(rule)).to_owned())
}

fn connection(who: &str) -> ConnectionId {
    ConnectionId::of(&user(who), domain::Platform::TikTok, "a")
}

fn account(who: &str) -> String {
    format!("tiktok#{who}")
}

fn subject() -> Subject {
    Subject {
        user: user(WHO),
        connections: BTreeSet::from([connection(WHO)]),
        accounts: BTreeSet::from([account(WHO)]),
    }
}

/// Sets the value at a path.
fn set(item: &mut Item, path: &[&str], value: AttributeValue) {
    let nested = match path {
        [_, "0"] => AttributeValue::L(vec![value]),
        [_, name] => AttributeValue::M(Item::from([((*name).to_owned(), value)])),
        _ => value,
    };
    item.insert(path[0].to_owned(), nested);
}

/// A row that is somebody's by one of the rule's ways.
fn row(rule: &Rule, way: usize, who: &str) -> Item {
    let mut item = Item::new();
    for key in rule.keys {
        item.insert((*key).to_owned(), text(format!("erasure-{way}-{who}")));
    }
    match rule.met {
        Met::Key(hash, whose) | Met::Index(_, hash, whose) => {
            let value = match whose {
                Whose::User(before) => format!("{before}{who}"),
                Whose::Account => account(who),
                Whose::AccountLimits => format!("tiktok#account#{who}"),
            };
            item.insert(hash.to_owned(), text(value));
        }
        Met::Walk => {
            let (path, value) = match rule.names[way] {
                Names::User(path) => (path, who.to_owned()),
                Names::UserAfter(before, path) => (path, format!("{before}{who}")),
                Names::Connection(path) => (path, connection(who).to_string()),
                Names::Account(path) => (path, account(who)),
            };
            set(&mut item, path, text(value));
        }
    }
    if rule.noun == "events" {
        item.insert("listed".to_owned(), text("0000000000001#x"));
    }
    item
}

async fn put(desk: &Desk, rule: &str, item: Item) {
    let put = desk.client.put_item().table_name(table(&noun(rule)));
    put.set_item(Some(item)).send().await.unwrap();
}

async fn is_there(desk: &Desk, rule: &Rule, item: &Item) -> bool {
    let mut get = desk.client.get_item().table_name(table(&noun(rule.noun)));
    for key in rule.keys {
        get = get.key(*key, item[*key].clone());
    }
    let got = get.consistent_read(true).send().await.unwrap();
    got.item.is_some()
}

/// Deletes all that the walk over one table finds, a few rows at a time; how many there were.
async fn erase(tables: &Tables, rule: &'static str) -> usize {
    let mut cursor = Cursor::default();
    let mut found = 0;
    loop {
        let page = tables.page_of(rule, &subject(), &cursor, 3).await.unwrap();
        found += page.rows.len();
        tables.delete(rule, &page.rows).await.unwrap();
        match page.next {
            Some(next) => cursor = next,
            None => return found,
        }
    }
}

#[tokio::test]
async fn each_rule_finds_the_users_rows_and_nobody_elses() {
    let desk = Desk::new("erasure-rules");
    let tables = tables(&desk);
    for rule in RULES {
        let ways = rule.names.len().max(1);
        let mut theirs = Vec::new();
        let mut others = Vec::new();
        for way in 0..ways {
            theirs.push(row(rule, way, WHO));
            others.extend(OTHERS.iter().map(|who| row(rule, way, who)));
        }
        for item in theirs.iter().chain(&others) {
            put(&desk, rule.noun, item.clone()).await;
        }
        assert_eq!(erase(&tables, rule.noun).await, ways, "{}", rule.noun);
        assert_eq!(erase(&tables, rule.noun).await, 0, "{}", rule.noun);
        for item in &theirs {
            assert!(!is_there(&desk, rule, item).await, "{}", rule.noun);
        }
        for item in &others {
            assert!(is_there(&desk, rule, item).await, "{} {item:?}", rule.noun);
        }
    }
}

#[tokio::test]
async fn what_an_operator_did_stays_without_the_user() {
    let desk = Desk::new("erasure-operator");
    let tables = tables(&desk);
    let subject = Subject {
        user: user("er-operated"),
        connections: BTreeSet::new(),
        accounts: BTreeSet::new(),
    };
    let row = |listed: &str, subject: &str| {
        let who = Item::from([
            ("role".to_owned(), text("operator")),
            ("subject".to_owned(), text(subject)),
        ]);
        Item::from([
            ("day".to_owned(), text("2020-01-01#s0")),
            ("listed".to_owned(), text(listed)),
            ("who".to_owned(), AttributeValue::M(who)),
            ("user_id".to_owned(), text("er-operated")),
            ("object".to_owned(), text("er-operated")),
            ("act".to_owned(), text("admin.refresh_forced")),
        ])
    };
    put(&desk, "audit", row("0000000000001#a", "an-operator")).await;
    // An operator who is the user.
    put(&desk, "audit", row("0000000000001#b", "er-operated")).await;
    let mut cursor = Cursor::default();
    loop {
        let page = tables.page_of("audit", &subject, &cursor, 100).await;
        let page = page.unwrap();
        tables.delete("audit", &page.rows).await.unwrap();
        match page.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    let key = |listed| [("day", "2020-01-01#s0"), ("listed", listed)];
    let kept = desk.item("audit", key("0000000000001#a")).await.unwrap();
    assert_eq!(kept["act"], text("admin.refresh_forced"));
    assert!(!format!("{kept:?}").contains("er-operated"), "{kept:?}");
    assert_eq!(desk.item("audit", key("0000000000001#b")).await, None);
}

#[tokio::test]
async fn a_walk_goes_on_where_it_was_written_down_and_meets_every_table() {
    let desk = Desk::new("erasure-walk");
    let tables = tables(&desk);
    let subject = Subject {
        user: user("er-walks"),
        connections: BTreeSet::new(),
        accounts: BTreeSet::from(["tiktok#er-w1".to_owned(), "tiktok#er-w2".to_owned()]),
    };
    for account in &subject.accounts {
        for id in ["a", "b", "c"] {
            let item = Item::from([
                ("account".to_owned(), text(account)),
                ("record_id".to_owned(), text(id)),
            ]);
            put(&desk, "fans", item).await;
        }
    }
    let mut met = Vec::new();
    let mut fans = 0;
    let mut cursor = Cursor::default();
    while let Some(page) = tables.page(&subject, &cursor, 2).await.unwrap() {
        if met.last() != Some(&page.noun) {
            met.push(page.noun);
        }
        fans += usize::from(page.noun == "fans") * page.rows.len();
        // As a job keeps it.
        let kept = serde_json::to_string(&page.next).unwrap();
        match serde_json::from_str::<Option<Cursor>>(&kept).unwrap() {
            Some(next) => cursor = next,
            None => break,
        }
    }
    let all: Vec<&str> = RULES.iter().map(|rule| rule.noun).collect();
    assert_eq!(met, all);
    assert_eq!(fans, 6);
}

#[tokio::test]
async fn an_account_forgets_who_leaves_and_goes_with_the_last() {
    let desk = Desk::new("erasure-accounts");
    let one = desk.user.clone();
    let two = user(&format!("{one}1"));
    let key = desk.account.key();
    let held = async |who| {
        let mut after: Option<String> = None;
        let mut held = Vec::new();
        loop {
            let page = desk.accounts.of_user(who, after.as_deref(), 50).await;
            let page = page.unwrap();
            held.extend(page.held.into_iter().map(|(account, _)| account));
            after = page.next;
            if after.is_none() {
                return held;
            }
        }
    };
    desk.connected(&one).await;
    desk.connected(&two).await;
    assert_eq!(held(&one).await, [key.as_str()]);
    let forget = async |who| {
        let attempt = desk.attempt();
        desk.accounts.forget(&key, who, &attempt).await.unwrap()
    };
    assert_eq!(forget(&one).await, Forgotten::Left);
    assert_eq!(forget(&one).await, Forgotten::Nothing);
    let row = desk
        .item("accounts", [("account_key", &key)])
        .await
        .unwrap();
    let AttributeValue::Ss(holders) = &row["holders"] else {
        panic!("{row:?}");
    };
    assert_eq!(holders.len(), 1, "the other stays");
    assert_eq!(forget(&two).await, Forgotten::Gone);
    assert_eq!(forget(&two).await, Forgotten::Nothing);
    assert_eq!(desk.item("accounts", [("account_key", &key)]).await, None);
    // What only says when access ended goes too.
    let attempt = desk.attempt();
    desk.accounts.revoked(&key, at(5), &attempt).await.unwrap();
    assert_eq!(forget(&one).await, Forgotten::Gone);
}
