//! Users who go: nothing of them is left anywhere, and nothing of others is touched. Users who ask
//! what is kept of them, and those who consent to be shown.

mod plant;
mod search;

use std::time::Duration;

use local::crm::until_equal;
use local::{Fault, Rule, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::crm::Projection;
use crate::world::{SOON, USER, World, cloud, number, text};

pub(crate) use plant::Plant;
use search::{found, rows_naming};

const GOES: &str = "user_goes_4711";
const STAYS: &str = "user_stays";
/// Where work dies again and again, each time its lease has to run out.
const LATE: Duration = Duration::from_secs(240);
const PLANTED: &str = "xyzzy-planted-4711";

/// Tables whose rows do not change by themselves.
const KEPT: &[&str] = &[
    "MediaItemsTable",
    "CommentsTable",
    "FansTable",
    "MessagesTable",
    "AnalyticsEventsTable",
    "DeliveriesTable",
    "SnapshotsTable",
    "FiguresTable",
    "PostsTable",
    "MediaTable",
    "UsersTable",
    "SessionsTable",
];

async fn world() -> World {
    World::with(|options| options.parameter("StatisticsOff", "")).await
}

async fn call(world: &World, method: Method, path: &str, status: StatusCode) -> Value {
    world
        .backend
        .call(method, path, None, status)
        .await
        .unwrap()
}

async fn ask_erasure(world: &World, user: &str) -> String {
    let path = format!("/v1/users/{user}");
    let asked = call(world, Method::DELETE, &path, StatusCode::ACCEPTED).await;
    asked["id"].as_str().unwrap().to_owned()
}

async fn receipt(world: &World, id: &str) -> Value {
    let path = format!("/v1/erasures/{id}");
    call(world, Method::GET, &path, StatusCode::OK).await
}

/// Asks for the erasure of a user, and waits for its end while time passes.
pub(crate) async fn erased(world: &World, user: &str) -> Value {
    let id = ask_erasure(world, user).await;
    until_done(world, &id).await
}

async fn until_done(world: &World, id: &str) -> Value {
    let done = eventually("the end of the erasure", LATE, || async {
        let receipt = receipt(world, id).await;
        if receipt["state"] != "running" {
            return Ok(Some(receipt));
        }
        if receipt["waiting_for"] == "revocations" {
            plant::revocations_due(world).await;
            world.stack.fire("sweeper").await?;
        }
        Ok(None)
    });
    let Ok(done) = done.await else {
        let log = world.stack.host().log_text("data-request-worker").unwrap();
        let last: Vec<&str> = log.lines().rev().take(30).collect();
        let rows = world.items("revocations").await;
        let log = world.stack.host().log_text("sweeper").unwrap();
        let told: Vec<&str> = log.lines().filter(|line| line.contains("revo")).collect();
        panic!(
            "{}\n{}\n{rows:#?}\n{}",
            receipt(world, id).await,
            last.join("\n"),
            told.join("\n")
        );
    };
    assert_eq!(done["state"], "done", "{done}");
    done
}

/// Exports a user; the archive's text.
pub(crate) async fn export(world: &World, user: &str) -> String {
    let path = format!("/v1/users/{user}/exports");
    let asked = call(world, Method::POST, &path, StatusCode::ACCEPTED).await;
    let path = format!("/v1/exports/{}", asked["id"].as_str().unwrap());
    let done = eventually("the end of the export", LATE, || async {
        let view = call(world, Method::GET, &path, StatusCode::OK).await;
        Ok((view["state"] != "running").then_some(view))
    });
    let done = done.await.unwrap();
    assert_eq!(done["state"], "done", "{done}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let got = http
        .get(done["url"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(got.status(), StatusCode::OK);
    let archive = got.text().await.unwrap();
    assert_eq!(done["bytes"], archive.len());
    archive
}

async fn until_synced(world: &World, user: &str) {
    eventually("the first sync", SOON, || async {
        let row = world.connection_item(user).await;
        Ok((number(&row, "stats_ended_at") > 0).then_some(()))
    })
    .await
    .unwrap();
}

/// Connects a user and plants their text wherever there is room for it; the connection's and the
/// account's ids.
async fn planted(world: &World, user: &str, words: &str) -> (String, String) {
    world.connect(user).await;
    until_synced(world, user).await;
    let row = world.connection_item(user).await;
    let connection = text(&row, "connection_id");
    let account = row["account"].as_m().unwrap()["id"].as_s().unwrap().clone();
    let plant = Plant {
        text: words,
        user,
        connection: &connection,
        account: &account,
    };
    plant.user_row(world).await;
    plant.records(world).await;
    plant.deliveries(world).await;
    let post = plant.post(world).await;
    plant
        .letters(world, post["id"].as_str().unwrap(), &post)
        .await;
    plant.operators_act(world).await;
    plant.limits(world).await;
    plant.told(world).await;
    eventually("the post's end", SOON, || async {
        world.stack.fire("sweeper").await?;
        let targets = world.items("targets").await;
        let over = targets.iter().all(|row| text(row, "status") == "published");
        Ok(over.then_some(()))
    })
    .await
    .unwrap();
    (connection, account)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_user_leaves_nothing_wherever_the_work_dies() {
    let world = world().await;
    let (connection, account) = planted(&world, GOES, PLANTED).await;
    let needles = [GOES, PLANTED, &connection, &account];
    for needle in needles {
        let places = found(&world, &[needle]).await;
        assert!(places.len() > 3, "{needle} is found: {places:?}");
    }
    // Killed before and after calls of every kind.
    for (action, nth) in [
        ("dynamodb:BatchWriteItem", 2),
        ("dynamodb:BatchWriteItem", 9),
        ("dynamodb:Scan", 4),
        ("dynamodb:DeleteItem", 1),
        ("dynamodb:TransactWriteItems", 1),
        ("s3:DeleteObject", 1),
        ("sqs:DeleteMessage", 2),
        ("sqs:SendMessage", 1),
    ] {
        let rule = Rule::on(action).by("data-request-worker").nth(nth);
        let fault = match nth % 2 {
            0 => Fault::KillAfter,
            _ => Fault::KillBefore,
        };
        world.stack.fault(rule, fault);
    }
    let id = ask_erasure(&world, GOES).await;
    assert_eq!(ask_erasure(&world, GOES).await, id, "the same one");
    let done = until_done(&world, &id).await;
    assert!(done["walk"].as_u64() >= Some(2), "{done}");
    assert!(done["counts"]["connections"].as_u64() >= Some(1), "{done}");
    assert_eq!(found(&world, &needles).await, Vec::<String>::new());
    assert!(world.calls("revoke").await >= 1, "the platform was told");
    // What names others stays.
    let (others, ..) = world
        .stack
        .queue_depth("InsightsDeadLetters")
        .await
        .unwrap();
    assert_eq!(others, 1);
    // Gone is gone: the next one finds nothing, and is another.
    let again = erased(&world, GOES).await;
    assert_ne!(again["id"], id.as_str());
    assert_eq!((&again["walk"], &again["counts"]), (&json!(1), &json!({})));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_user_leaves_postgresql_too() {
    let projection = Projection::new(&*cloud().await).await;
    let world = World::with(|options| projection.of(options).parameter("StatisticsOff", "")).await;
    let (_front, reader) = projection.reader().await;
    let (connection, account) = planted(&world, GOES, PLANTED).await;
    until_equal(&world.stack, &reader, SOON).await.unwrap();
    let needles = [GOES, PLANTED, &connection, &account];
    let dump = projection.dump().await;
    for needle in needles {
        assert!(dump.matches(needle).count() > 3, "{needle}");
    }
    erased(&world, GOES).await;
    // The streams bring it there.
    let gone = eventually("nothing left of them", SOON, || async {
        let dump = projection.dump().await;
        Ok((!needles.iter().any(|needle| dump.contains(needle))).then_some(()))
    });
    gone.await.unwrap();
    assert_eq!(found(&world, &needles).await, Vec::<String>::new());
    crate::crm::end(world, &projection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_who_hold_the_account_keep_all_of_theirs() {
    let world = world().await;
    let (_, account) = planted(&world, STAYS, "what-stays").await;
    world.connect(GOES).await;
    until_synced(&world, GOES).await;
    let connection = text(&world.connection_item(GOES).await, "connection_id");
    // An id that looks like the other's.
    let twin = format!("{GOES}1");
    world.link(&twin).await;
    let kept = async || {
        let mut rows = rows_naming(&world, &[STAYS, &account, "what-stays", &twin]).await;
        rows.retain(|(table, row)| KEPT.contains(&table.as_str()) && !row.contains(&connection));
        rows
    };
    let before = kept().await;
    assert!(before.len() > 10, "{}", before.len());
    erased(&world, GOES).await;
    let mut places = found(&world, &[&connection]).await;
    // Of who stays, there is one.
    places.retain(|place| !place.contains("an unfinished upload"));
    assert_eq!(places, Vec::<String>::new());
    let mut left = rows_naming(&world, &[GOES]).await;
    left.retain(|(_, row)| !row.contains(&twin));
    assert_eq!(left, Vec::new());
    let after = kept().await;
    for row in &before {
        assert!(after.contains(row), "{row:?}");
    }
    for queue in ["Refresh", "Rescue", "Publish", "Webhook"] {
        let noun = format!("{queue}DeadLetters");
        let letters = world.stack.queue_depth(&noun);
        assert!(letters.await.unwrap().0 >= 1, "{queue}");
    }
    assert_eq!(world.calls("revoke").await, 0, "the account is still used");
    assert_eq!(world.connections(STAYS).await[0]["status"], "active");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_waits_until_the_platform_was_told() {
    let world = world().await;
    world.connect(GOES).await;
    until_synced(&world, GOES).await;
    world
        .fault(json!({ "endpoint": "revoke", "error": "server_error", "times": 100 }))
        .await;
    let id = ask_erasure(&world, GOES).await;
    eventually("it waits", LATE, || async {
        let receipt = receipt(&world, &id).await;
        Ok((receipt["waiting_for"] == "revocations").then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(world.items("revocations").await.len(), 1);
    world.control(Method::DELETE, "/faults", json!({})).await;
    until_done(&world, &id).await;
    assert!(world.calls("revoke").await >= 2);
    assert_eq!(found(&world, &[GOES]).await, Vec::<String>::new());
    given_up(&world, "user_gives_up").await;
    // A receipt is the product's, and names nobody.
    let shown = receipt(&world, &id).await;
    assert!(!shown.to_string().contains(GOES), "{shown}");
    let user = world.stack.mint_jwt(GOES, &["connections"]).unwrap();
    let user = local::demo::api::Api::new(world.stack.api_url(), &user).unwrap();
    let path = format!("/v1/erasures/{id}");
    user.call(Method::GET, &path, None, StatusCode::FORBIDDEN)
        .await
        .unwrap();
    world.end().await;
}

/// A user whose platform cannot be told for a day is erased all the same, tokens and all.
pub(crate) async fn given_up(world: &World, user: &str) {
    world.connect(user).await;
    until_synced(world, user).await;
    world
        .fault(json!({ "endpoint": "revoke", "error": "server_error", "times": 100 }))
        .await;
    let id = ask_erasure(world, user).await;
    let waits = |receipt: &Value| receipt["waiting_for"] == "revocations";
    eventually("it waits", LATE, || async {
        Ok(waits(&receipt(world, &id).await).then_some(()))
    })
    .await
    .unwrap();
    plant::begun_long_ago(world, &id).await;
    until_done(world, &id).await;
    world.control(Method::DELETE, "/faults", json!({})).await;
    assert_eq!(world.items("revocations").await.len(), 0);
    assert_eq!(found(world, &[user]).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_everything_and_no_token() {
    let world = world().await;
    let (connection, account) = planted(&world, USER, PLANTED).await;
    let plant = Plant {
        text: PLANTED,
        user: USER,
        connection: &connection,
        account: &account,
    };
    // More than one part.
    plant.many_comments(&world, 6_000).await;
    let killed = Rule::on("s3:UploadPart").by("data-request-worker").nth(2);
    world.stack.fault(killed, Fault::KillAfter);
    let archive = export(&world, USER).await;
    assert!(archive.len() > 5 * 1_024 * 1_024, "{}", archive.len());
    let read: Value = serde_json::from_str(&archive).unwrap();
    assert_eq!(read["comments"].as_array().unwrap().len(), 6_001);
    for section in [
        "users",
        "connections",
        "posts",
        "media",
        "snapshots",
        "figures",
        "sync_logs",
        "events",
        "audit",
        "media_items",
        "fans",
        "messages",
        "analytics_events",
    ] {
        let rows = read[section].as_array().unwrap();
        assert!(!rows.is_empty(), "{section}");
    }
    assert_eq!(read["posts"][0]["text"], PLANTED);
    assert_eq!(read["posts"][0]["targets"][0]["connection_id"], connection);
    assert_eq!(read["connections"][0]["account"]["id"], account);
    let secrets = world.control(Method::GET, "/secrets", json!({})).await;
    let secrets = secrets["secrets"].as_array().cloned().unwrap();
    assert!(!secrets.is_empty());
    for secret in secrets {
        let secret = secret
            .as_str()
            .or_else(|| secret["value"].as_str())
            .unwrap();
        assert!(!archive.contains(secret), "a token is in the archive");
    }
    for word in ["sealed", "lease_holder", "attempt"] {
        assert!(!archive.contains(&format!("\"{word}\"")), "{word}");
    }
    erased(&world, USER).await;
    assert_eq!(
        found(&world, &[USER, PLANTED, &connection, &account]).await,
        Vec::<String>::new(),
        "the archive goes too"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merchants_see_who_consents_alone() {
    let world = world().await;
    crate::statistics::film(&world, 0, 90).await;
    world.connect(USER).await;
    until_synced(&world, USER).await;
    let path = format!("/v1/profiles/{USER}");
    call(&world, Method::GET, &path, StatusCode::NOT_FOUND).await;
    let row = world.connection_item(USER).await;
    let account = row["account"].as_m().unwrap()["id"].as_s().unwrap().clone();
    let plant = Plant {
        text: PLANTED,
        user: USER,
        connection: "none",
        account: &account,
    };
    plant.consent(&world).await;
    let shown = call(&world, Method::GET, &path, StatusCode::OK).await;
    let one = &shown["accounts"][0];
    assert_eq!(one["platform"], "tiktok");
    assert_eq!(one["followers"], 48_210);
    assert!(one["as_of"].is_string(), "{shown}");
    // The only film is older than 30 days, so there is nothing to tell of.
    assert!(one.get("engagement_rate").is_none(), "{shown}");
    plant.fresh_item(&world, 200, 3).await;
    let shown = call(&world, Method::GET, &path, StatusCode::OK).await;
    assert_eq!(shown["accounts"][0]["engagement_rate"], 150);
    let path = format!("/v1/connections/{}", text(&row, "connection_id"));
    let api = world.backend.clone().on_behalf_of(USER);
    api.call(Method::DELETE, &path, None, StatusCode::OK)
        .await
        .unwrap();
    let path = format!("/v1/profiles/{USER}");
    let shown = call(&world, Method::GET, &path, StatusCode::OK).await;
    assert_eq!(shown["accounts"], json!([]));
    world.end().await;
}
