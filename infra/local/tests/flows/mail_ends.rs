//! How mails end: killed, refused, unanswered, bounced, complained of, and opted out of.

use local::mailbox::Knob;
use local::{Fault, Rule, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::mails::{
    EMAIL, again, at, connected, drained, end, link, record, rows, run, set_status, subjects, tell,
    until_user,
};
use crate::world::{SOON, World, text};

/// Where a process may die, and what is left of its mail. A mail is never there twice.
#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_mail_goes_out_at_most_once() {
    let claim = || {
        Rule::on("dynamodb:UpdateItem")
            .by("mail-worker")
            .touching("MailsTable")
    };
    let send = || Rule::on("ses:SendEmail").by("mail-worker");
    for (what, rule, fault, sent, state) in [
        ("before its row", claim(), Fault::KillBefore, 1, "sent"),
        ("after its row", claim(), Fault::KillAfter, 0, "claimed"),
        (
            "before it is handed over",
            send(),
            Fault::KillBefore,
            0,
            "claimed",
        ),
        (
            "after it is handed over",
            send(),
            Fault::KillAfter,
            1,
            "claimed",
        ),
        ("the request lost", send(), Fault::DropBefore, 0, "claimed"),
        ("the answer lost", send(), Fault::DropAfter, 1, "claimed"),
        (
            "before it is settled",
            claim().nth(2),
            Fault::KillBefore,
            1,
            "claimed",
        ),
        (
            "SES fails",
            send(),
            Fault::error(500, "InternalServiceErrorException"),
            0,
            "claimed",
        ),
    ] {
        let world = connected().await;
        world.stack.fault(rule, fault);
        run(&world, at(0, 9, 0)).await;
        drained(&world).await;
        again(&world, at(0, 11, 0)).await;
        assert_eq!(subjects(&world).len(), sent, "{what}");
        let rows = rows(&world).await;
        let states: Vec<_> = rows.iter().map(|row| row.1.as_str()).collect();
        assert_eq!(states, [state], "{what}");
        end(world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again_and_what_does_not_is_given_up() {
    let world = connected().await;
    world.stack.mailbox().turn(Knob::Throttle, 2);
    run(&world, at(0, 9, 0)).await;
    assert_eq!(subjects(&world).len(), 1, "after two refusals");
    assert_eq!(rows(&world).await[0].1, "sent");
    world.stack.mailbox().turn(Knob::Reject, 1);
    run(&world, at(7, 9, 0)).await;
    again(&world, at(7, 11, 0)).await;
    assert_eq!(subjects(&world).len(), 1, "refused for good");
    assert_eq!(rows(&world).await[1].1, "refused");
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opt_out_needs_a_press_or_a_mail_programs_click() {
    let world = connected().await;
    run(&world, at(0, 9, 0)).await;
    set_status(&world, "needs_reauth", 7).await;
    run(&world, at(1, 9, 0)).await;
    let mails = world.stack.mailbox().mails();
    let (report, notice) = (link(&mails[0]), link(&mails[1]));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    // Scanners and previews look at it, as often as they like.
    for _ in 0..2 {
        let page = http
            .get(&report)
            .header("accept-language", "fr")
            .send()
            .await
            .unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        let page = page.text().await.unwrap();
        assert!(
            page.contains("Ne plus recevoir ce rapport") && page.contains("<form method=\"post\""),
            "{page}"
        );
    }
    let wishes = async || record(&world).await["preferences"].clone();
    assert_eq!(wishes().await, json!({ "reports": true, "notices": true }));
    let post = async |url: &str, body: &'static str| {
        let request = http
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        request.send().await.unwrap().status()
    };
    // RFC 8058: no cookie, no page before. Doing it twice is the same.
    for _ in 0..2 {
        assert_eq!(
            post(&report, "List-Unsubscribe=One-Click").await,
            StatusCode::OK
        );
        assert_eq!(wishes().await, json!({ "reports": false, "notices": true }));
    }
    again(&world, at(7, 9, 0)).await;
    assert_eq!(subjects(&world).len(), 2, "no report any more");
    // A forged link, and one of another kind, do nothing.
    let forged = report.replace(".r.", ".n.");
    assert_eq!(post(&forged, "").await, StatusCode::NOT_FOUND);
    assert_eq!(wishes().await["notices"], true);
    assert_eq!(post(&notice, "stop=all").await, StatusCode::OK);
    assert_eq!(
        wishes().await,
        json!({ "reports": false, "notices": false })
    );
    let row = until_user(&world, "nothing due", |row| {
        !row.contains_key("mail_due_at")
    })
    .await;
    assert!(!row.contains_key("mail_shard"), "the index is sparse");
    // What the product writes of other things does not turn them on again; saying so does.
    let user = tell(&world, json!({ "email": EMAIL, "label": "Mara S." })).await;
    assert_eq!(
        user["preferences"],
        json!({ "reports": false, "notices": false })
    );
    let user = tell(
        &world,
        json!({ "email": EMAIL, "preferences": { "reports": true } }),
    )
    .await;
    assert_eq!(
        user["preferences"],
        json!({ "reports": true, "notices": false })
    );
    assert!(user["mail"]["next_at"].is_string());
    let who: Vec<_> = world
        .items("audit")
        .await
        .iter()
        .map(|row| text(row, "act"))
        .collect();
    assert!(who.iter().any(|act| act == "user.opted_out"), "{who:?}");
    end(world).await;
}

/// Sends the report of a week and waits until its feedback is worked on.
async fn told(world: &World, week: i64, knob: Knob, stopped: Value) {
    world.stack.mailbox().turn(knob, 1);
    again(world, at(7 * week, 9, 0)).await;
    eventually("what came back", SOON, || async {
        let depth = world.stack.queue_depth("MailFeedback").await?;
        let now = record(world).await["mail"]["stopped"].clone();
        Ok((depth == (0, 0, 0) && now == stopped).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounce_or_a_complaint_stops_mail_to_that_address() {
    let world = connected().await;
    told(&world, 0, Knob::TransientBounce, Value::Null).await;
    told(&world, 1, Knob::Bounce, json!("bounce")).await;
    assert_eq!(subjects(&world).len(), 2);
    again(&world, at(14, 9, 0)).await;
    assert_eq!(subjects(&world).len(), 2, "stopped");
    let row = until_user(&world, "nothing due", |row| {
        !row.contains_key("mail_due_at")
    })
    .await;
    assert_eq!(text(&row, "email"), EMAIL);
    // The same address, written otherwise, is not freed; another one gets mail, and so does the first
    // when it is given anew.
    let zone = "Europe/Paris";
    let user = tell(
        &world,
        json!({ "email": EMAIL.to_uppercase(), "time_zone": zone }),
    )
    .await;
    assert_eq!(
        user["mail"],
        json!({ "stopped": "bounce", "next_at": null })
    );
    tell(
        &world,
        json!({ "email": "joris@creator.example", "time_zone": zone }),
    )
    .await;
    again(&world, at(14, 9, 0)).await;
    assert_eq!(world.stack.mailbox().mails()[2].to, "joris@creator.example");
    let user = tell(&world, json!({ "email": EMAIL, "time_zone": zone })).await;
    assert_eq!(user["mail"]["stopped"], Value::Null);
    told(&world, 3, Knob::Complaint, json!("complaint")).await;
    // Who complained is left alone, whatever the product says.
    tell(
        &world,
        json!({ "email": "joris@creator.example", "time_zone": zone }),
    )
    .await;
    let user = tell(&world, json!({ "email": EMAIL, "time_zone": zone })).await;
    assert_eq!(user["mail"]["stopped"], "complaint");
    again(&world, at(28, 9, 0)).await;
    assert_eq!(subjects(&world).len(), 4);
    let kept = world.items("MailSuppressions").await;
    assert!(
        !format!("{kept:?}").contains("creator.example"),
        "hashes alone"
    );
    end(world).await;
}

/// Captured mails are listed, shown and turned by control routes, as a person at `cargo dev` does.
#[tokio::test(flavor = "multi_thread")]
async fn captured_mails_have_control_routes() {
    let world = connected().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = world.stack.mails_url();
    let knob = http
        .post(format!("{base}/knobs"))
        .body(json!({ "knob": "throttle" }).to_string());
    assert_eq!(knob.send().await.unwrap().status(), StatusCode::OK);
    run(&world, at(0, 9, 0)).await;
    let ask = async |path: &str| {
        let answer = http
            .request(Method::GET, format!("{base}{path}"))
            .send()
            .await
            .unwrap();
        answer.text().await.unwrap()
    };
    let list: Value = serde_json::from_str(&ask("").await).unwrap();
    assert_eq!(list["mails"][0]["to"], EMAIL);
    assert!(ask("/1").await.starts_with("<!doctype html>"));
    assert!(ask("/2").await.contains("no such mail"));
    end(world).await;
}
