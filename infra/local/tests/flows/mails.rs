//! The weekly report and the notices: on their hour, once, and never to who does not want them.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use local::eventually;
use local::mailbox::{Captured, Knob};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::admin;
use crate::statistics::{film, now_millis};
use crate::world::{Item, SOON, USER, World, number, text};

pub(crate) const EMAIL: &str = "mara@creator.example";
pub(crate) const FROM: &str = "mail@soup.example";
const ZONE: &str = "Europe/Paris";
/// 1 January 2026, in seconds: what `film` counts from.
const THEN: i64 = 1_767_225_600;

/// A world that sends mails.
pub(crate) async fn world() -> World {
    World::with(|options| {
        options
            .parameter("MailFromAddress", FROM)
            .parameter("ProductName", "Soup Kitchen")
            .parameter("MailProductUrl", "https://app.soup.example/accounts")
            .parameter("MailSupportUrl", "mailto:help@soup.example")
            .parameter("MailVisibility", "1")
            .parameter("StatisticsOff", "")
    })
    .await
}

/// The same with a creator who has an account, an address, and figures of two weeks.
pub(crate) async fn connected() -> World {
    let world = world().await;
    film(&world, now_millis() / 1_000 - THEN - 3_600, 84_210).await;
    world.connect(USER).await;
    crate::statistics::until_synced(&world, "the first sync", |row| {
        number(row, "stats_read_at") > 0
    })
    .await;
    // Sundays: that before the week, then the ends of it and of those after it.
    for (week, count) in [
        (-1, 47_900),
        (0, 48_210),
        (1, 48_220),
        (2, 48_230),
        (3, 48_240),
        (4, 48_250),
    ] {
        let sunday = monday()
            .checked_add(jiff::Span::new().days(7 * week - 1))
            .unwrap();
        followers(&world, sunday, count).await;
    }
    tell(
        &world,
        json!({ "label": "Mara", "email": EMAIL, "time_zone": ZONE }),
    )
    .await;
    world
}

/// What the product says of the user; gives the record.
pub(crate) async fn tell(world: &World, user: Value) -> Value {
    let path = format!("/v1/users/{USER}");
    let known = world
        .items("users")
        .await
        .iter()
        .any(|row| text(row, "user_id") == USER);
    let expected = if known {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let said = world.backend.call(Method::PUT, &path, Some(user), expected);
    said.await.unwrap()
}

pub(crate) async fn record(world: &World) -> Value {
    let path = format!("/v1/users/{USER}");
    let got = world.backend.call(Method::GET, &path, None, StatusCode::OK);
    got.await.unwrap()
}

/// The Monday after the next one, in the user's zone: far enough that nothing else is due by then.
pub(crate) fn monday() -> Date {
    let zone = TimeZone::get(ZONE).unwrap();
    let now = jiff::Timestamp::from_millisecond(now_millis()).unwrap();
    let mut day = now.to_zoned(zone).date().tomorrow().unwrap();
    while day.weekday() != Weekday::Monday {
        day = day.tomorrow().unwrap();
    }
    day.checked_add(jiff::Span::new().days(7)).unwrap()
}

/// An instant in the user's zone, so many days after that Monday, in milliseconds.
pub(crate) fn at(days: i64, hour: i8, minute: i8) -> i64 {
    let day = monday().checked_add(jiff::Span::new().days(days)).unwrap();
    let local = day.at(hour, minute, 0, 0);
    let zoned = local.to_zoned(TimeZone::get(ZONE).unwrap()).unwrap();
    zoned.timestamp().as_millisecond()
}

/// A day's entry of the connection.
async fn followers(world: &World, day: Date, count: u64) {
    let connection = text(&world.connection_item(USER).await, "connection_id");
    let day = day.to_string();
    let number = |number: String| AttributeValue::N(number);
    let map = |name: &str, value: AttributeValue| {
        AttributeValue::M([(name.to_owned(), value)].into_iter().collect())
    };
    let mut entry = map("read", map("followers", number(count.to_string())));
    if let AttributeValue::M(map) = &mut entry {
        map.insert("at".to_owned(), number("1".to_owned()));
    }
    world
        .stack
        .clients()
        .dynamodb
        .update_item()
        .table_name(world.stack.table("snapshots").unwrap())
        .key("user_id", AttributeValue::S(USER.to_owned()))
        .key(
            "slot",
            AttributeValue::S(format!("{}#{connection}", &day[..7])),
        )
        .update_expression(format!("SET a{} = :entry", &day[8..]))
        .expression_attribute_values(":entry", entry)
        .send()
        .await
        .unwrap();
}

/// Fires the schedule as of an instant, and waits until the user's next mail is due after that day.
pub(crate) async fn run(world: &World, at: i64) {
    fire(world, at).await;
    until_user(world, "the user's next day", |row| {
        !row.contains_key("mail_due_at") || number(row, "mail_due_at") > at + 2 * 3_600_000
    })
    .await;
}

pub(crate) async fn fire(world: &World, at: i64) {
    let run = world
        .stack
        .invoke("mails", &json!({ "at": at }))
        .await
        .unwrap();
    assert!(run.result.is_ok(), "the schedule's run failed");
}

pub(crate) async fn until_user(world: &World, what: &str, test: impl Fn(&Item) -> bool) -> Item {
    let found = eventually(what, SOON, || async {
        let rows = world.items("users").await;
        let row = rows.into_iter().find(|row| text(row, "user_id") == USER);
        Ok(row.filter(&test))
    });
    found.await.unwrap()
}

pub(crate) fn subjects(world: &World) -> Vec<String> {
    let mails = world.stack.mailbox().mails();
    mails.into_iter().map(|mail| mail.subject).collect()
}

/// Where the rows of mails stand, by their keys.
pub(crate) async fn rows(world: &World) -> Vec<(String, String)> {
    let rows = world.items("mails").await;
    let mut rows: Vec<_> = rows
        .iter()
        .map(|row| (text(row, "mail_key"), text(row, "state")))
        .collect();
    rows.sort();
    rows
}

/// Queues the user's mail once more by hand, and waits until the queue is empty.
pub(crate) async fn again(world: &World, at: i64) {
    let message = json!({ "user_id": USER, "at": at }).to_string();
    world.stack.send("mails", &message).await.unwrap();
    drained(world).await;
}

pub(crate) async fn drained(world: &World) {
    eventually("an empty queue of mails", SOON, || async {
        let depth = world.stack.queue_depth("mails").await?;
        Ok((depth == (0, 0, 0)).then_some(()))
    })
    .await
    .unwrap();
}

/// Sets texts of the connection, as a refresh that found its grant dead would.
pub(crate) async fn set_status(world: &World, status: &str, version: u64) {
    let row = world.connection_item(USER).await;
    world
        .stack
        .clients()
        .dynamodb
        .update_item()
        .table_name(world.stack.table("connections").unwrap())
        .key("user_id", row["user_id"].clone())
        .key("connection_id", row["connection_id"].clone())
        .update_expression("SET #s = :s, reason = :r, token_version = :v")
        .expression_attribute_names("#s", "status")
        .expression_attribute_values(":s", AttributeValue::S(status.to_owned()))
        .expression_attribute_values(":r", AttributeValue::S("grant_revoked".to_owned()))
        .expression_attribute_values(":v", AttributeValue::N(version.to_string()))
        .send()
        .await
        .unwrap();
}

/// Every call that mails need, of a user who is connected; leaves the connection as it is.
pub(crate) async fn touch_everything(world: &World) {
    tell(world, json!({ "email": EMAIL, "time_zone": ZONE })).await;
    record(world).await;
    let version = number(&world.connection_item(USER).await, "token_version");
    let version = u64::try_from(version).unwrap();
    // A notice that bounces; then a week with media to look at.
    world.stack.mailbox().turn(Knob::Bounce, 1);
    set_status(world, "needs_reauth", version).await;
    run(world, at(1, 9, 0)).await;
    set_status(world, "active", version).await;
    eventually("the bounce written down", SOON, || async {
        let stopped = record(world).await["mail"]["stopped"].clone();
        Ok((stopped == "bounce").then_some(()))
    })
    .await
    .unwrap();
    for email in ["joris@creator.example", EMAIL] {
        tell(world, json!({ "email": email, "time_zone": ZONE })).await;
    }
    again(world, at(7, 9, 0)).await;
    let link = link(&world.stack.mailbox().mails()[0]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let stopped = http.post(link).send().await.unwrap();
    assert_eq!(stopped.status(), StatusCode::OK);
    // What operators do with what could not be dealt with.
    for (queue, letters, letter) in [
        (
            "mails",
            "MailsDeadLetters",
            json!({ "user_id": "nobody", "at": 1 }),
        ),
        (
            "mail_feedback",
            "MailFeedbackDeadLetters",
            json!({ "detail": {} }),
        ),
    ] {
        world
            .stack
            .send(letters, &letter.to_string())
            .await
            .unwrap();
        let path = format!("queues/{queue}/dead-letters");
        let listed = admin::get(world, &path).await;
        assert_eq!(listed["dead_letters"].as_array().unwrap().len(), 1);
        let all = json!({ "all": true });
        let replayed = admin::post(world, &format!("{path}/replay"), all, 200).await;
        assert_eq!(replayed["replayed"], 1);
    }
    admin::post(world, "schedules/mails/run", json!({}), 202).await;
}

/// Ends the world: no address is in any log line.
pub(crate) async fn end(world: World) {
    let logs = world.stack.all_logs().unwrap();
    assert!(
        !logs.contains("creator.example"),
        "a log line shows an address"
    );
    world.end().await;
}

/// The opt-out link of a mail, as its header has it.
pub(crate) fn link(mail: &Captured) -> String {
    let header = &mail.headers["List-Unsubscribe"];
    header.trim_matches(['<', '>']).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_comes_once_on_monday_at_nine() {
    let world = connected().await;
    // Everything before: a Sunday at noon, and Monday a minute too early.
    run(&world, at(-1, 12, 0)).await;
    fire(&world, at(0, 8, 59)).await;
    drained(&world).await;
    assert_eq!(subjects(&world), Vec::<String>::new());
    run(&world, at(0, 9, 0)).await;
    assert_eq!(subjects(&world), ["Your week: +310 followers"]);
    let mail = world.stack.mailbox().mails().remove(0);
    assert_eq!(mail.to, EMAIL);
    assert_eq!(mail.from, format!("\"Soup Kitchen\" <{FROM}>"));
    assert_eq!(
        mail.headers["List-Unsubscribe-Post"],
        "List-Unsubscribe=One-Click"
    );
    for part in [
        "48,210",
        "+310",
        "84,210 views",
        "@joris.bikes",
        "Hello Mara,",
    ] {
        assert!(
            mail.html.contains(part) && mail.text.contains(part),
            "{part}: {}",
            mail.text
        );
    }
    let base = format!("{}/unsubscribe/", world.stack.api_url());
    assert!(link(&mail).starts_with(&base) && mail.html.contains(&link(&mail)));

    // The schedule twice, the message twice, the same day later: all of it means nothing.
    run(&world, at(0, 9, 0)).await;
    again(&world, at(0, 9, 0)).await;
    again(&world, at(0, 17, 0)).await;
    run(&world, at(1, 9, 0)).await;
    assert_eq!(subjects(&world).len(), 1);
    assert_eq!(rows(&world).await.len(), 1);
    // A week later there is another one.
    again(&world, at(7, 9, 0)).await;
    assert_eq!(subjects(&world).len(), 2);
    let states: Vec<_> = rows(&world).await.into_iter().map(|row| row.1).collect();
    assert_eq!(states, ["sent", "sent"]);
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_message_is_made_up_for_within_the_hour() {
    let world = connected().await;
    world.stack.pollers().set_enabled(false).await;
    fire(&world, at(0, 9, 0)).await;
    let client = world.stack.clients().sqs;
    let url = world.stack.queue("mails").unwrap();
    client.purge_queue().queue_url(url).send().await.unwrap();
    world.stack.pollers().set_enabled(true).await;
    fire(&world, at(0, 9, 15)).await;
    drained(&world).await;
    assert!(subjects(&world).is_empty(), "not yet due again");
    run(&world, at(0, 10, 0)).await;
    assert_eq!(subjects(&world).len(), 1);
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_in_the_users_language_and_zone() {
    let world = connected().await;
    let user = json!({ "email": EMAIL, "locale": "fr-CA", "time_zone": "America/Montreal" });
    tell(&world, user).await;
    // 09:00 in Paris is 03:00 in Montreal.
    fire(&world, at(0, 9, 0)).await;
    drained(&world).await;
    assert!(subjects(&world).is_empty());
    run(&world, at(0, 15, 0)).await;
    assert_eq!(subjects(&world), ["Votre semaine\u{a0}: +310 abonnés"]);
    let mail = world.stack.mailbox().mails().remove(0);
    assert!(mail.html.contains("<html lang=\"fr\">") && mail.text.contains("84\u{202f}210 vues"));
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_comes_once_for_each_cause_and_never_for_what_we_refresh() {
    let world = connected().await;
    // The refresh token ends tomorrow, and a refresh of ours is due before: no word of it.
    let soon = at(0, 9, 0) + 86_400_000;
    world
        .set_connection(
            USER,
            &[("refresh_expires_at", soon), ("due_at", at(0, 9, 0))],
        )
        .await;
    run(&world, at(1, 9, 0)).await;
    assert!(subjects(&world).is_empty());
    set_status(&world, "needs_reauth", 7).await;
    run(&world, at(2, 9, 0)).await;
    assert_eq!(subjects(&world), ["Connect your TikTok account again"]);
    let mail = world.stack.mailbox().mails().remove(0);
    assert!(
        mail.text.contains("@joris.bikes") && mail.text.contains("withdrawn"),
        "{}",
        mail.text
    );
    assert!(mail.html.contains("https://app.soup.example/accounts"));
    for day in 3..6 {
        run(&world, at(day, 9, 0)).await;
    }
    assert_eq!(subjects(&world).len(), 1, "the same cause");
    // Connected again, and dead again: another cause.
    set_status(&world, "needs_reauth", 8).await;
    run(&world, at(6, 9, 0)).await;
    assert_eq!(subjects(&world).len(), 2);
    end(world).await;
}
