//! Readings of statistics: exact requests, pages, missing scopes, and what stays when a call fails.

use domain::{Account, Fault, FaultKind, MediaItemKind, Platform, Retry, Timestamp};
use platforms::tiktok::TikTok;
use platforms::{Extent, Reading, Statistics, StatisticsReading, Wanted};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Reply, bundle, reply};

const USER: &str = include_str!("../fixtures/tiktok/statistics_user.json");
const FIRST: &str = include_str!("../fixtures/tiktok/statistics_list_1.json");
const LAST: &str = include_str!("../fixtures/tiktok/statistics_list_2.json");
const ALL: &[&str] = &["user.info.basic", "user.info.stats", "video.list"];
const VIDEO: &str = "id,create_time,title,video_description,duration,share_url,view_count,like_count,comment_count,share_count";

fn start(scopes: &[&str], media: Option<&[String]>) -> Box<dyn StatisticsReading> {
    let account = Account {
        platform: Platform::TikTok,
        environment: Default::default(),
        id: "-000InventedOpenId".into(),
        display_name: "Mara".into(),
        username: None,
        profile_url: None,
        other_ids: Default::default(),
    };
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    TikTok.start(&Wanted {
        account: &account,
        scopes: &scopes,
        media,
    })
}

/// Method, path with query, and body of the next call.
fn next(reading: &dyn StatisticsReading) -> Option<(String, Value)> {
    let next = reading.next(&bundle(&[])).unwrap()?;
    let request = next.request;
    assert_eq!(request.headers()["authorization"], "Bearer act.old");
    let [limit] = next.limits[..] else {
        panic!("{:?}", next.limits);
    };
    assert_eq!(format!("tiktok.{}", limit.name), next.name);
    assert_eq!(request.uri().host(), Some("open.tiktokapis.com"));
    let shown = format!(
        "{} {}",
        request.method(),
        request.uri().path_and_query().unwrap()
    );
    let body = serde_json::from_slice(request.body()).unwrap_or_default();
    Some((shown, body))
}

fn ok(body: &str) -> Reply {
    reply(200, body)
}

fn refusal(status: u16, code: &str) -> Reply {
    reply(
        status,
        json!({ "data": {}, "error": { "code": code } }).to_string(),
    )
}

/// Answers the next call with a fault, which is then given up.
fn fails(reading: &mut dyn StatisticsReading, answer: &Reply) {
    let fault = reading.answered(answer.answer()).unwrap_err();
    reading.give_up(fault);
}

fn page(ids: std::ops::Range<u64>, cursor: i64, more: bool) -> Reply {
    let videos: Vec<Value> = ids
        .map(|id| json!({ "id": id.to_string(), "view_count": 1 }))
        .collect();
    let data = json!({ "videos": videos, "cursor": cursor, "has_more": more });
    reply(
        200,
        json!({ "data": data, "error": { "code": "ok" } }).to_string(),
    )
}

#[test]
fn a_full_reading_asks_for_counts_and_then_page_by_page() {
    let mut reading = start(ALL, None);
    let (call, _) = next(&*reading).unwrap();
    assert_eq!(
        call,
        "GET /v2/user/info/?fields=follower_count,following_count,likes_count,video_count"
    );
    reading.answered(ok(USER).answer()).unwrap();
    let (call, body) = next(&*reading).unwrap();
    assert_eq!(call, format!("POST /v2/video/list/?fields={VIDEO}"));
    assert_eq!(body, json!({ "max_count": 20 }));
    reading.answered(ok(FIRST).answer()).unwrap();
    let (_, body) = next(&*reading).unwrap();
    assert_eq!(
        body,
        json!({ "max_count": 20, "cursor": 1_767_139_200_000_i64 })
    );
    reading.answered(ok(LAST).answer()).unwrap();
    assert_eq!(next(&*reading), None);

    let read = reading.finish();
    let account = read.account.unwrap();
    assert_eq!(
        (account.followers, account.following, account.posts),
        (Some(1_203), Some(17), Some(3))
    );
    assert_eq!(
        account.likes,
        Some(9_007_199_254_740_993),
        "never by way of a float"
    );
    assert_eq!(account.views, None, "TikTok has no views of an account");
    assert_eq!((read.extent, read.fault), (Extent::Whole, None));
    // The third of the first page has no id; one of the second page was on the first.
    let ids: Vec<&str> = read.media.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "7600000000000000003",
            "7600000000000000002",
            "7600000000000000001"
        ]
    );
    let newest = &read.media[0];
    assert_eq!(
        newest.published_at,
        Some(Timestamp::from_secs(1_767_225_600))
    );
    assert_eq!(newest.title.as_deref(), Some("Soup night #soup"));
    assert_eq!(newest.kind, Some(MediaItemKind::Video));
    let figures = newest.figures.clone().unwrap();
    assert_eq!(figures.shares, Some(0));
    assert_eq!(figures.saves, None, "missing is missing, never zero");
    let odd = &read.media[1];
    let figures = odd.figures.clone().unwrap();
    assert_eq!((figures.views, figures.likes), (Some(90), None));
    assert_eq!((figures.shares, odd.permalink.as_deref()), (None, None));
}

#[test]
fn pages_are_bounded_and_a_list_that_goes_in_circles_ends() {
    let mut reading = start(&["video.list"], None);
    for number in 0..4 {
        assert!(next(&*reading).is_some(), "page {number}");
        let ids = number * 20..number * 20 + 20;
        let cursor = 1_000 - number as i64;
        reading.answered(page(ids, cursor, true).answer()).unwrap();
    }
    assert_eq!(next(&*reading), None);
    let read = reading.finish();
    assert_eq!((read.media.len(), read.extent), (80, Extent::Newest));

    let mut reading = start(&["video.list"], None);
    for _ in 0..2 {
        reading.answered(page(0..20, 1_000, true).answer()).unwrap();
    }
    assert_eq!(next(&*reading), None, "the cursor did not go back");
    assert_eq!(reading.finish().media.len(), 20);
}

#[test]
fn what_was_read_stays_when_a_later_page_fails() {
    let mut reading = start(ALL, None);
    reading.answered(ok(USER).answer()).unwrap();
    reading.answered(ok(FIRST).answer()).unwrap();
    // A refusal leaves the reading where it was: the same page can be asked for again.
    let again = next(&*reading);
    let busy = refusal(429, "rate_limit_exceeded");
    assert!(reading.answered(busy.answer()).is_err());
    assert_eq!(next(&*reading), again);
    fails(&mut *reading, &busy);
    assert_eq!(next(&*reading), None);
    let read = reading.finish();
    assert!(read.account.is_some());
    assert_eq!((read.media.len(), read.extent), (2, Extent::Unfinished));
    assert_eq!(read.fault.unwrap().kind, FaultKind::RateLimited);
}

#[test]
fn a_missing_scope_switches_its_part_off_and_is_told() {
    type Part = (&'static str, &'static str);
    let stats: Part = ("account", "user.info.stats");
    let list: Part = ("media", "video.list");
    for (scopes, calls, off, fault) in [
        (vec!["user.info.stats"], 1, vec![list], false),
        (vec!["video.list"], 1, vec![stats], false),
        (vec!["user.info.basic"], 0, vec![stats, list], true),
    ] {
        let mut reading = start(&scopes, None);
        for _ in 0..calls {
            let (call, _) = next(&*reading).unwrap();
            let body = if call.starts_with("GET") { USER } else { LAST };
            reading.answered(ok(body).answer()).unwrap();
        }
        assert_eq!(next(&*reading), None, "{scopes:?}");
        let read = reading.finish();
        let told: Vec<Part> = read.off.iter().map(|off| (off.part, off.scope)).collect();
        assert_eq!(told, off, "{scopes:?}");
        assert_eq!(read.fault.is_some(), fault, "{scopes:?}");
    }
}

#[test]
fn a_scope_that_was_taken_back_costs_its_part_alone() {
    let lost = refusal(401, "scope_not_authorized");
    let mut reading = start(ALL, None);
    fails(&mut *reading, &lost);
    reading.answered(ok(LAST).answer()).unwrap();
    let read = reading.finish();
    assert_eq!((read.account, read.media.len()), (None, 2));
    assert_eq!((read.off[0].part, read.fault), ("account", None));

    let mut reading = start(ALL, None);
    reading.answered(ok(USER).answer()).unwrap();
    fails(&mut *reading, &lost);
    let read = reading.finish();
    assert_eq!((read.off[0].part, read.fault), ("media", None));
    assert!(read.account.is_some());

    let mut reading = start(ALL, None);
    fails(&mut *reading, &lost);
    fails(&mut *reading, &lost);
    assert_eq!(next(&*reading), None);
    let read: Reading = reading.finish();
    assert_eq!(read.off.len(), 2);
    assert_eq!(
        read.fault.map(|fault| fault.kind),
        Some(FaultKind::ScopeMissing)
    );
}

#[test]
fn some_media_are_asked_for_twenty_at_a_time_and_nothing_else_is() {
    let ids: Vec<String> = (0..45).map(|id| (7_600 + id).to_string()).collect();
    let mut reading = start(ALL, Some(&ids));
    for (from, to) in [(0, 20), (20, 40), (40, 45)] {
        let (call, body) = next(&*reading).unwrap();
        assert_eq!(call, format!("POST /v2/video/query/?fields={VIDEO}"));
        assert_eq!(body, json!({ "filters": { "video_ids": &ids[from..to] } }));
        let known = 7_600 + from as u64..7_600 + to as u64 - 1;
        reading.answered(page(known, 0, false).answer()).unwrap();
    }
    assert_eq!(next(&*reading), None);
    let read = reading.finish();
    // One of each twenty is gone from TikTok.
    assert_eq!((read.media.len(), read.account), (42, None));
    assert_eq!(read.extent, Extent::Unfinished, "no sum is made of some");

    let many: Vec<String> = (0..500).map(|id| id.to_string()).collect();
    let mut reading = start(ALL, Some(&many));
    let mut calls = 0;
    while next(&*reading).is_some() {
        reading.answered(page(0..0, 0, false).answer()).unwrap();
        calls += 1;
    }
    assert_eq!(calls, 5);
    let reading = start(&["user.info.stats"], Some(&ids));
    assert_eq!(next(&*reading), None);
    assert_eq!(reading.finish().off[0].scope, "video.list");
}

#[derive(Deserialize)]
struct Row {
    status: u16,
    body: Value,
    kind: String,
    code: String,
    retry: String,
    says: String,
}

#[test]
fn every_error_row_has_its_fault() {
    let rows: Vec<Row> =
        serde_json::from_str(include_str!("../fixtures/tiktok/statistics_errors.json")).unwrap();
    assert_eq!(rows.len(), 9);
    for row in rows {
        let what = format!("{} {}", row.status, row.code);
        let mut reading = start(ALL, None);
        let answer = reply(row.status, row.body.to_string());
        let fault: Fault = reading.answered(answer.answer()).unwrap_err();
        assert_eq!(fault.kind.code(), row.kind, "{what}");
        assert_eq!(fault.platform_code.as_deref(), Some(row.code.as_str()));
        let retry = match fault.retry() {
            Retry::Never => "never",
            Retry::BackOff => "back_off",
            Retry::AfterRefresh => "after_refresh",
            Retry::At(_) => "at",
        };
        assert_eq!(retry, row.retry, "{what}");
        assert!(fault.explain().contains(&row.says), "{what}");
        assert!(!fault.explain().contains("words of TikTok"), "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is answered, a reading ends, and within its bounds.
    #[test]
    fn every_reading_ends(
        bodies in proptest::collection::vec(
            prop_oneof![
                any::<String>(),
                (any::<bool>(), any::<Option<i64>>(), any::<u64>()).prop_map(|(more, cursor, id)| json!({
                    "data": {
                        "user": { "follower_count": id },
                        "videos": [{ "id": id, "view_count": cursor, "create_time": cursor }],
                        "has_more": more, "cursor": cursor,
                    },
                    "error": { "code": "ok" },
                }).to_string()),
            ],
            1..6,
        ),
        status in 200u16..600,
        ids in proptest::option::of(proptest::collection::vec("[0-9]{1,20}", 0..200)),
    ) {
        let mut reading = start(ALL, ids.as_deref());
        let mut calls = 0;
        while next(&*reading).is_some() {
            let body = &bodies[calls % bodies.len()];
            let answer = reply(if calls % 3 == 0 { 200 } else { status }, body.clone());
            if let Err(fault) = reading.answered(answer.answer()) {
                reading.give_up(fault);
            }
            calls += 1;
            prop_assert!(calls <= 10);
        }
        prop_assert!(reading.finish().media.len() <= 100);
    }
}
