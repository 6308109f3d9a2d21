//! What every call counts against.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Mode;
use platforms::tiktok::TikTok;
use platforms::{Cancel, Limit, LimitOf, Publish, Rule, State, Statistics, Wanted};
use serde_json::{Value, json};

use crate::support::{Post, T0, app_with, bundle, good};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn of_call(post: &Post, state: &State) -> Vec<Limit> {
    TikTok
        .call(&post.job(), state, &bundle(&[]))
        .unwrap()
        .limits
}

fn names(limits: &[Limit]) -> Vec<&'static str> {
    limits.iter().map(|limit| limit.name).collect()
}

#[test]
fn starts_count_together() {
    for (mode, settings, expected) in [
        (
            Mode::Direct,
            json!({}),
            &["publish.start", "publish.daily"][..],
        ),
        (Mode::Direct, json!({"daily_posts": 0}), &["publish.start"]),
        (
            Mode::Direct,
            json!({"audited": true}),
            &["publish.start", "publish.daily"],
        ),
        (
            Mode::Direct,
            json!({"audited": false}),
            &["publish.start", "publish.daily", "publish.accounts"],
        ),
        (
            Mode::Inbox,
            json!({"audited": false}),
            &["publish.start", "publish.pending"],
        ),
    ] {
        let upload = match mode {
            Mode::Direct => Post::direct(4_000_000),
            Mode::Inbox => Post::inbox(4_000_000),
        };
        for mut post in [upload, Post::pull(mode), Post::photos(mode)] {
            let start = post.start();
            post.app = app_with(settings.clone());
            assert_eq!(names(&of_call(&post, &start)), expected);
            let open = TikTok.open_limit(&post.options);
            assert_eq!(open.is_some(), mode == Mode::Inbox);
        }
    }
}

/// The sheet's numbers.
#[test]
fn rules_are_the_documented_ones() {
    let window = |calls, per| Rule::Window { calls, per };
    let mut post = Post::direct(4_000_000);
    post.app = app_with(json!({"audited": false}));
    let wish = match TikTok.cancel(&Post::pull(Mode::Direct).fetching(), T0) {
        Cancel::Ask(state) => state,
        other => panic!("{other:?}"),
    };
    let draft = Post::inbox(4_000_000);
    let all: Vec<Limit> = [
        of_call(&post, &post.fresh()),
        of_call(&post, &Post::direct(4_000_000).start()),
        of_call(&draft, &draft.start()),
        of_call(&post, &Post::direct(4_000_000).processing()),
        of_call(&Post::pull(Mode::Direct), &wish),
        statistics(None),
        statistics(Some(&["7600000000000000001".to_owned()])),
    ]
    .concat();
    let expected = [
        (
            "publish.creator",
            LimitOf::Account,
            window(20, MINUTE),
            "rate_limit_exceeded",
        ),
        (
            "publish.start",
            LimitOf::Account,
            window(6, MINUTE),
            "rate_limit_exceeded",
        ),
        (
            "publish.daily",
            LimitOf::Account,
            window(15, DAY),
            "spam_risk_too_many_posts",
        ),
        (
            "publish.accounts",
            LimitOf::App,
            Rule::Accounts { most: 5, per: DAY },
            "reached_active_user_cap",
        ),
        (
            "publish.pending",
            LimitOf::Account,
            Rule::Open { most: 5, per: DAY },
            "spam_risk_too_many_pending_share",
        ),
        (
            "publish.status",
            LimitOf::Account,
            window(30, MINUTE),
            "rate_limit_exceeded",
        ),
        (
            "publish.cancel",
            LimitOf::Account,
            window(6, MINUTE),
            "rate_limit_exceeded",
        ),
        (
            "user.info",
            LimitOf::App,
            window(600, MINUTE),
            "rate_limit_exceeded",
        ),
        (
            "video.list",
            LimitOf::App,
            window(600, MINUTE),
            "rate_limit_exceeded",
        ),
        (
            "video.query",
            LimitOf::App,
            window(600, MINUTE),
            "rate_limit_exceeded",
        ),
    ];
    let mut seen = BTreeMap::new();
    for limit in all {
        // One name, one limit.
        assert_eq!(*seen.entry(limit.name).or_insert(limit), limit);
    }
    assert_eq!(seen.len(), expected.len());
    for (name, of, rule, code) in expected {
        let limit = seen[name];
        assert_eq!((limit.of, limit.rule, limit.codes), (of, rule, &[code][..]));
    }
}

#[test]
fn the_daily_number_is_a_setting() {
    for (setting, calls) in [
        (json!({}), 15),
        (json!({"daily_posts": 25}), 25),
        (json!({"daily_posts": "many"}), 15),
        (json!({"daily_posts": u64::MAX}), u32::MAX),
    ] {
        let mut post = Post::direct(4_000_000);
        post.app = app_with(setting);
        let limits = of_call(&post, &post.start());
        let daily = limits.iter().find(|limit| limit.name == "publish.daily");
        let per = DAY;
        assert_eq!(daily.unwrap().rule, Rule::Window { calls, per });
    }
}

/// Who an account is, is asked within a limit too.
#[test]
fn user_info_counts() {
    use platforms::{Authorize, CodeGrant, Step};
    let grant = CodeGrant {
        code: domain::Secret::new("c"),
        redirect_uri: "https://app.example.com/cb".into(),
        verifier: None,
        scopes: Vec::new(),
    };
    let app = app_with(Value::Object(Default::default()));
    let mut connect = TikTok.connect(&app, grant);
    connect.next(None);
    let tokens = crate::support::reply(
        200,
        r#"{"open_id":"o","access_token":"a","scope":"user.info.basic"}"#,
    );
    let Step::Send(call) = connect.next(Some(tokens.answer())) else {
        panic!("no question");
    };
    assert_eq!(names(&call.limits), ["user.info"]);
    assert_eq!(
        call.limits[0].rule,
        Rule::Window {
            calls: 600,
            per: MINUTE,
        }
    );
}

/// The limits of every call of a reading of statistics.
fn statistics(media: Option<&[String]>) -> Vec<Limit> {
    let post = Post::direct(1);
    let scopes = ["user.info.stats", "video.list"].map(str::to_owned);
    let mut reading = Statistics::start(
        &TikTok,
        &Wanted {
            account: &post.account,
            scopes: &scopes,
            media,
        },
    );
    let mut limits = Vec::new();
    while let Some(call) = reading.next(&bundle(&[])).unwrap() {
        limits.extend(call.limits);
        let data = json!({"user": {}, "videos": [], "has_more": false});
        reading.answered(good(data).answer()).unwrap();
    }
    limits
}
