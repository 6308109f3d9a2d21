//! Statistics: read once a day and on demand, kept once, never for a connection that has ended.

use local::demo::api::Api;
use local::demo::form::Form;
use local::{Fault, Rule, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Item, SOON, USER, World, number, text};

/// 1 January 2026, in seconds.
const THEN: i64 = 1_767_225_600;

/// A world that reads statistics.
pub(crate) async fn world() -> World {
    World::with(|options| options.parameter("StatisticsOff", "")).await
}

/// The same, with a creator of two videos whose first sync is over.
pub(crate) async fn connected() -> (World, String) {
    let world = world().await;
    film(&world, 100, 4_210).await;
    film(&world, 0, 90).await;
    let id = world.connect(USER).await;
    until_synced(&world, "the first sync", |row| {
        number(row, "stats_read_at") > 0
    })
    .await;
    (world, id)
}

/// One more video of the stand-in's creator; gives its id.
pub(crate) async fn film(world: &World, after: i64, views: i64) -> String {
    let video = json!({
        "user": "joris.bikes", "create_time": THEN + after, "title": "Soup night",
        "view_count": views, "like_count": 12, "comment_count": 3, "share_count": 0, "duration": 31,
    });
    let made = world.control(Method::POST, "/videos", video).await;
    made["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn followers(world: &World, count: u64) {
    let change = json!({ "follower_count": count });
    world
        .control(Method::POST, "/users/joris.bikes", change)
        .await;
}

/// Waits until the connection's row says so.
pub(crate) async fn until_synced(world: &World, what: &str, test: impl Fn(&Item) -> bool) -> Item {
    let found = eventually(what, SOON, || async {
        let row = world.connection_item(USER).await;
        Ok(test(&row).then_some(row))
    });
    found.await.unwrap()
}

/// The day's entry has the account's figures and its media's sums; gives the followers of it.
pub(crate) async fn followers_of_the_day(world: &World) -> i64 {
    let items = world.items("snapshots").await;
    assert_eq!(items.len(), 1, "one month of one connection");
    let entry = items[0].iter().find(|(name, _)| name.starts_with('a'));
    let entry = entry.expect("a day").1.as_m().unwrap();
    number(entry["read"].as_m().unwrap(), "followers")
}

/// Items of figures: those of connections, and those of media items that were read.
pub(crate) async fn figures(world: &World) -> (Vec<Item>, Vec<Item>) {
    let mut media = world.items("MediaItems").await;
    media.retain(|item| item["fields"].as_m().unwrap().contains_key("figures"));
    (world.items("figures").await, media)
}

/// Kinds and states of the syncs, oldest first.
pub(crate) async fn syncs(world: &World) -> Vec<(String, String)> {
    let mut logs = world.items("SyncLogs").await;
    logs.retain(|log| log.contains_key("started_at"));
    logs.sort_by_key(|log| number(log, "started_at"));
    logs.iter()
        .map(|log| (text(log, "sync_kind"), text(log, "state")))
        .collect()
}

pub(crate) fn named(kind: &str, state: &str) -> (String, String) {
    (kind.to_owned(), state.to_owned())
}

pub(crate) async fn told(world: &World) -> usize {
    let events = world.events(USER).await;
    events
        .iter()
        .filter(|kind| *kind == "stats.updated")
        .count()
}

/// Yesterday the connection was read, and now its turn has come.
pub(crate) async fn due_again(world: &World) {
    let yesterday = now_millis() - 86_400_000;
    world
        .set_connection(USER, &[("stats_due_at", 1), ("stats_read_at", yesterday)])
        .await;
}

pub(crate) fn now_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

/// Asks for a sync of all connections; gives the handle.
pub(crate) async fn ask(world: &World) -> String {
    let api = world.backend.clone().on_behalf_of(USER);
    let asked = api.call(
        Method::POST,
        "/v1/sync",
        Some(json!({})),
        StatusCode::ACCEPTED,
    );
    asked.await.unwrap()["id"].as_str().unwrap().to_owned()
}

/// Polls a handle to its end.
pub(crate) async fn outcome(world: &World, handle: &str) -> Value {
    let api = world.backend.clone().on_behalf_of(USER);
    let path = format!("/v1/syncs/{handle}");
    let ended = eventually("the sync's end", SOON, || async {
        let state = api.call(Method::GET, &path, None, StatusCode::OK).await?;
        let over = matches!(state["state"].as_str(), Some("done" | "failed"));
        Ok(over.then_some(state))
    });
    ended.await.unwrap()
}

pub(crate) async fn sync(world: &World) -> Value {
    outcome(world, &ask(world).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_is_read_at_once() {
    let (world, id) = connected().await;
    assert_eq!(followers_of_the_day(&world).await, 48_210);
    let (latest, media) = figures(&world).await;
    assert_eq!((latest.len(), media.len()), (1, 2));
    let totals = latest[0]["media"].as_m().unwrap()["read"].as_m().unwrap();
    assert_eq!(number(totals, "count"), 2);
    let sums = totals["figures"].as_m().unwrap();
    assert_eq!(number(sums, "views"), 4_300);
    assert!(
        !sums.contains_key("saves"),
        "missing is missing, never zero"
    );
    assert_eq!(syncs(&world).await, [named("first", "done")]);
    assert_eq!(told(&world).await, 1);

    let shown = &world.status_of(USER, &id).await["statistics"];
    assert!(shown["last_read_at"].is_string(), "{shown}");
    assert!(shown["next_sync_at"].is_string(), "{shown}");
    assert_eq!(
        (&shown["last_fault"], &shown["failures"]),
        (&Value::Null, &json!(0))
    );
    // Reading by ourselves is no use of the connection: it is kept alive, not fresh.
    let row = world.connection_item(USER).await;
    assert_eq!(number(&row, "used_at"), number(&row, "created_at"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_reads_each_connection_once_a_day() {
    let (world, _) = connected().await;
    // Not due: nothing happens.
    world.stack.fire("insights").await.unwrap();
    followers(&world, 1_300).await;
    due_again(&world).await;
    world.stack.fire("insights").await.unwrap();
    let row = until_synced(&world, "the daily sync", |row| {
        number(row, "stats_due_at") > now_millis()
            && number(row, "stats_read_at") > now_millis() - 60_000
    })
    .await;
    assert_eq!(followers_of_the_day(&world).await, 1_300);
    assert!(number(&row, "stats_due_at") < now_millis() + 3 * 86_400_000);
    assert_eq!(
        syncs(&world).await,
        [named("first", "done"), named("daily", "done")]
    );

    // Due once more on the same day, by a message that was queued twice: what was read stands.
    let hours: i64 = (now_millis() / 3_600_000) % 24;
    if hours >= 8 {
        let calls = world.calls("user_info").await;
        world.set_connection(USER, &[("stats_due_at", 1)]).await;
        world.stack.fire("insights").await.unwrap();
        until_synced(&world, "its next turn", |row| {
            number(row, "stats_due_at") > now_millis() + 3_600_000
        })
        .await;
        assert_eq!(world.calls("user_info").await, calls);
        assert_eq!(syncs(&world).await.len(), 2);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_makes_up_for_a_lost_first_message() {
    let world = world().await;
    let lost = Rule::on("sqs:SendMessage").by("oauth-callback").always();
    world
        .stack
        .fault(lost, Fault::error(500, "InternalFailure"));
    world.connect(USER).await;
    assert!(syncs(&world).await.is_empty());
    world.set_connection(USER, &[("stats_due_at", 1)]).await;
    world.stack.fire("insights").await.unwrap();
    until_synced(&world, "the first sync", |row| {
        number(row, "stats_read_at") > 0
    })
    .await;
    assert_eq!(syncs(&world).await, [named("first", "done")]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_asks_and_polls_and_is_told_when_it_is_too_often() {
    let (world, id) = connected().await;
    followers(&world, 1_400).await;
    let ended = sync(&world).await;
    assert_eq!(ended["state"], "done", "{ended}");
    let one = &ended["connections"][0];
    assert_eq!(
        (&one["connection_id"], &one["rows"]),
        (&json!(id), &json!(3))
    );
    assert_eq!(followers_of_the_day(&world).await, 1_400);

    let api = |user: &str, scopes: &[&str]| {
        Api::new(
            world.stack.api_url(),
            &world.stack.mint_jwt(user, scopes).unwrap(),
        )
        .unwrap()
    };
    let own = api(USER, &["stats"]);
    let one = format!("/v1/connections/{id}/sync");
    let asked = own
        .call(Method::POST, &one, None, StatusCode::ACCEPTED)
        .await;
    let asked = asked.unwrap();
    assert_eq!(asked["connections"], json!([id]));
    let trail = world.items("audit").await;
    let noted = |row: &&Item| {
        text(row, "act") == "connection.sync_requested" && text(row, "object") == asked["id"]
    };
    assert_eq!(trail.iter().filter(noted).count(), 1);
    let handle = format!("/v1/syncs/{}", asked["id"].as_str().unwrap());
    assert_eq!(
        outcome(&world, asked["id"].as_str().unwrap()).await["state"],
        "done"
    );

    let platforms = |names: Value| Some(json!({ "platforms": names }));
    for (who, path, body, status, says) in [
        (
            &api("user_other", &["stats"]),
            handle.as_str(),
            None,
            404,
            "not_found",
        ),
        (
            &api("user_other", &["stats"]),
            one.as_str(),
            None,
            404,
            "not_found",
        ),
        (
            &own,
            "/v1/syncs/sync_00000000000000000000000000",
            None,
            404,
            "not_found",
        ),
        (
            &own,
            "/v1/sync",
            platforms(json!(["mars"])),
            422,
            "platforms[0]",
        ),
        (
            &own,
            "/v1/sync",
            platforms(json!("tiktok")),
            422,
            "wrong_type",
        ),
        (
            &own,
            "/v1/sync",
            Some(json!({ "platform": "tiktok" })),
            422,
            "platform",
        ),
        (
            &api("user_other", &["stats"]),
            "/v1/sync",
            Some(json!({})),
            409,
            "conflict",
        ),
        (
            &api(USER, &["connections"]),
            "/v1/sync",
            Some(json!({})),
            403,
            "",
        ),
    ] {
        let method = if path.starts_with("/v1/syncs/") {
            Method::GET
        } else {
            Method::POST
        };
        let status = StatusCode::from_u16(status).unwrap();
        let refused = who.call(method, path, body, status).await.unwrap();
        assert!(refused.to_string().contains(says), "{path}: {refused}");
    }

    // Two of five were asked for; what was refused does not count.
    for _ in 0..3 {
        let asked = own.call(
            Method::POST,
            "/v1/sync",
            platforms(json!(["tiktok"])),
            StatusCode::ACCEPTED,
        );
        asked.await.unwrap();
    }
    let refused = own
        .call(Method::POST, &one, None, StatusCode::TOO_MANY_REQUESTS)
        .await
        .unwrap();
    assert_eq!(refused["code"], "rate_limited");
    assert!(refused["until"].is_string(), "{refused}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_switches_its_part_off_and_says_so() {
    let world = world().await;
    film(&world, 0, 90).await;
    let (mut browser, consent) = world.at_consent(USER).await;
    let form = Form::agreeing(&consent.text)
        .unwrap()
        .set("scope", "video.list");
    let back = browser.submit(&consent, &form).await.unwrap();
    let confirm = browser.follow(back).await.unwrap();
    browser.agree(&confirm).await.unwrap();
    until_synced(&world, "the first sync", |row| {
        number(row, "stats_read_at") > 0
    })
    .await;
    let id = text(&world.connection_item(USER).await, "connection_id");
    let shown = &world.status_of(USER, &id).await["statistics"];
    assert_eq!(
        shown["off"],
        json!({ "account": "user.info.stats" }),
        "{shown}"
    );
    assert_eq!(shown["last_fault"], Value::Null);
    let (latest, media) = figures(&world).await;
    assert!(!latest[0].contains_key("account"), "{latest:?}");
    assert_eq!(media.len(), 1);

    // Connected again with everything, it is on again.
    world.connect(USER).await;
    until_synced(&world, "the next sync", |row| {
        row.get("stats_off")
            .is_none_or(|off| off.as_m().unwrap().is_empty())
            && number(row, "stats_read_at") > number(row, "issued_at")
    })
    .await;
    assert_eq!(followers_of_the_day(&world).await, 48_210);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn news_of_a_post_has_its_figures_read() {
    let world = World::with(|options| {
        options
            .parameter("StatisticsOff", "")
            .parameter("TargetedSyncSeconds", "0")
    })
    .await;
    let id = world.connect(USER).await;
    until_synced(&world, "the first sync", |row| {
        number(row, "stats_read_at") > 0
    })
    .await;
    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let options = json!({ "mode": "direct", "privacy": "PUBLIC_TO_EVERYONE" });
    let post = world.post(&id, &media, options).await;
    world
        .until_target(post["id"].as_str().unwrap(), "published")
        .await;
    eventually("the post's figures", SOON, || async {
        let (_, media) = figures(&world).await;
        Ok((media.len() == 1).then_some(()))
    })
    .await
    .unwrap();
    let row = world.connection_item(USER).await;
    assert!(syncs(&world).await.contains(&named("targeted", "done")));
    assert_eq!(world.calls("video_query").await, 1);
    assert_eq!(number(&row, "stats_failures"), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_switched_off_is_not_asked() {
    let world = World::new().await;
    let id = world.connect(USER).await;
    // Connecting asks once who the account is.
    let calls = world.calls("user_info").await;
    until_synced(&world, "the first message", |row| {
        number(row, "stats_ended_at") > 0
    })
    .await;
    world.set_connection(USER, &[("stats_due_at", 1)]).await;
    world.stack.fire("insights").await.unwrap();
    until_synced(&world, "its next turn", |row| {
        number(row, "stats_due_at") > now_millis()
    })
    .await;
    let api = world.backend.clone().on_behalf_of(USER);
    let path = format!("/v1/connections/{id}/sync");
    let refused = api.call(Method::POST, &path, None, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.await.unwrap().to_string().contains("switched off"));
    assert_eq!(world.calls("user_info").await, calls);
    assert!(world.items("snapshots").await.is_empty());
    world.end().await;
}
