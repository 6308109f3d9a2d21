//! Connecting, and every way in which it must not work.

use aws_sdk_dynamodb::types::AttributeValue;
use local::demo::form::Form;
use local::{Fault, Rule};
use reqwest::{Method, StatusCode};
use serde_json::json;
use url::Url;

use crate::world::{USER, World, text};

#[tokio::test(flavor = "multi_thread")]
async fn both_redirect_flows_connect_and_connecting_again_makes_no_second_connection() {
    let world = World::new().await;
    let first = world.connect(USER).await;
    world
        .configure(json!({ "redirect_uri": "https://passerelle.test/oauth/tiktok/callback" }))
        .await;
    let mut browser = world.browser();
    let mut link = Url::parse(&world.link(USER).await).unwrap();
    link.set_scheme("https").unwrap();
    link.set_host(Some("passerelle.test")).unwrap();
    link.set_port(None).unwrap();
    let result = local::demo::connect(&mut browser, link.as_str())
        .await
        .unwrap();
    assert!(
        result.text.contains("TikTok is connected"),
        "{}",
        result.text
    );
    let all = world.connections(USER).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["id"], first.as_str());
    assert_eq!(world.status_of(USER, &first).await["token"]["version"], 2);
    assert_eq!(
        world.events(USER).await,
        ["connection.connected", "connection.connected"]
    );
    world.end().await;
}

/// A way back from the platform with a code, not yet opened.
async fn way_back(world: &World) -> (local::demo::browser::Browser, Url) {
    let (mut browser, consent) = world.at_consent(USER).await;
    let form = Form::agreeing(&consent.text).unwrap();
    let answer = browser.submit(&consent, &form).await.unwrap();
    let back = answer.redirect().unwrap().unwrap();
    (browser, back)
}

fn with(url: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(known, old)| {
            let new = if known == name {
                value.to_owned()
            } else {
                old.into_owned()
            };
            (known.into_owned(), new)
        })
        .collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_that_is_not_this_browsers_exchanges_nothing() {
    let world = World::new().await;
    let (mut browser, back) = way_back(&world).await;
    let refused = async |browser: &mut local::demo::browser::Browser, url: &Url, why: &str| {
        let page = browser.open(url.as_str()).await.unwrap();
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{why}");
        assert!(
            page.text.contains("attempt_invalid"),
            "{why}: {}",
            page.text
        );
    };
    // Another browser, without and with a session of its own, of another user and of the same.
    let mut bare = world.browser();
    refused(&mut bare, &back, "no session").await;
    for user in ["user_other", USER] {
        let (mut other, _) = world.at_consent(user).await;
        refused(&mut other, &back, user).await;
    }
    // A wrong state, a state of nobody, none, and one that comes twice.
    let state = back
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let forged = format!("{}x", &state[..state.len() - 1]);
    refused(
        &mut browser,
        &with(&back, "state", &forged),
        "forged secret",
    )
    .await;
    refused(&mut browser, &with(&back, "state", "nonsense"), "nonsense").await;
    refused(&mut browser, &with(&back, "state", ""), "empty").await;
    for twice in ["state", "code"] {
        let mut url = back.clone();
        url.query_pairs_mut().append_pair(twice, "again");
        refused(&mut browser, &url, twice).await;
    }
    assert_eq!(world.calls("token_code").await, 0);
    // Untouched by all that, the right one still works, once.
    let confirm = browser.open(back.as_str()).await.unwrap();
    assert_eq!(confirm.status, StatusCode::OK);
    refused(&mut browser, &back, "replayed").await;
    assert_eq!(world.calls("token_code").await, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_costs_nothing() {
    let world = World::new().await;
    let mut browser = world.browser();
    let button = browser.open(&world.link(USER).await).await.unwrap();
    let form = Form::agreeing(&button.text).unwrap();
    // The first answer is lost with its cookie; the second one opens the session.
    let mut impatient = world.browser();
    let page = impatient.open(button.url.as_str()).await.unwrap();
    impatient.submit(&page, &form).await.unwrap();
    let second = impatient.submit(&page, &form).await.unwrap();
    assert_eq!(second.status, StatusCode::SEE_OTHER);
    assert_eq!(
        browser.submit(&button, &form).await.unwrap().status,
        StatusCode::GONE
    );
    let consent = impatient.follow(second).await.unwrap();
    let confirm = impatient.agree(&consent).await.unwrap();
    let form = Form::agreeing(&confirm.text).unwrap();
    for _ in 0..2 {
        let done = impatient.submit(&confirm, &form).await.unwrap();
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    }
    assert_eq!(world.connections(USER).await.len(), 1);
    assert_eq!(world.events(USER).await, ["connection.connected"]);
    world.end().await;
}

/// A revoke ends every grant of the account, also one that waits on the confirm page: confirming it
/// would store a dead connection.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_a_revoke_ended_cannot_be_confirmed() {
    let world = World::new().await;
    let (mut first, back) = way_back(&world).await;
    let cancelled = first.open(back.as_str()).await.unwrap();
    let (mut second, back) = way_back(&world).await;
    let waiting = second.open(back.as_str()).await.unwrap();
    first.decline(&cancelled).await.unwrap();
    world.stack.fire("sweeper").await.unwrap();
    assert_eq!(world.calls("revoke").await, 1);
    let late = second.agree(&waiting).await.unwrap();
    assert!(late.text.contains("attempt_invalid"), "{}", late.text);
    assert!(world.connections(USER).await.is_empty());
    world.connect(USER).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_cannot_be_kept_are_ended_at_the_platform() {
    let world = World::new().await;
    let (mut browser, back) = way_back(&world).await;
    let down = world.stack.fault(
        Rule::on("dynamodb:UpdateItem")
            .by("oauth-callback")
            .touching("Flows")
            .nth(2)
            .times(3),
        Fault::error(500, "InternalServerError"),
    );
    let page = browser.open(back.as_str()).await.unwrap();
    assert_eq!(
        (page.status, down.fired()),
        (StatusCode::SERVICE_UNAVAILABLE, 3)
    );
    assert_eq!(world.calls("revoke").await, 1);
    assert!(world.connections(USER).await.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_flow_is_over() {
    let world = World::new().await;
    let (mut browser, back) = way_back(&world).await;
    let flow = world.items("flows").await.remove(0);
    let client = world.stack.clients().dynamodb;
    client
        .update_item()
        .table_name(world.stack.table("flows").unwrap())
        .key("flow_id", flow["flow_id"].clone())
        .update_expression("SET expires_at = :past")
        .expression_attribute_values(":past", AttributeValue::N("1".into()))
        .send()
        .await
        .unwrap();
    let page = browser.open(back.as_str()).await.unwrap();
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(world.calls("token_code").await, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_plain_page_and_echoes_nothing() {
    let world = World::new().await;
    let (mut browser, consent) = world.at_consent(USER).await;
    let page = browser.decline(&consent).await.unwrap();
    assert!(page.text.contains("refused_by_creator"), "{}", page.text);
    assert!(world.connections(USER).await.is_empty());

    let (mut browser, back) = way_back(&world).await;
    let state = back
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let mut url = back.clone();
    url.query_pairs_mut()
        .clear()
        .append_pair("state", &state)
        .append_pair("error", "server_error")
        .append_pair("error_description", "<b>planted words</b>");
    let page = browser.open(url.as_str()).await.unwrap();
    assert!(!page.text.contains("planted words"), "{}", page.text);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_scopes_are_stored_shown_and_what_needs_them_is_off() {
    let world = World::new().await;
    let (mut browser, consent) = world.at_consent(USER).await;
    let form = Form::agreeing(&consent.text)
        .unwrap()
        .set("scope", "user.info.profile");
    let back = browser.submit(&consent, &form).await.unwrap();
    let confirm = browser.follow(back).await.unwrap();
    assert!(
        confirm.text.contains("publish videos for you"),
        "{}",
        confirm.text
    );
    browser.agree(&confirm).await.unwrap();
    let connection = world.connections(USER).await.remove(0);
    let missing = connection["missing_scopes"].to_string();
    assert!(
        missing.contains("video.publish") && missing.contains("video.upload"),
        "{missing}"
    );

    let media = world.user.upload(&world.file(40_000)).await.unwrap();
    let body = json!({
        "text": "x", "media": [media],
        "targets": [{ "connection_id": connection["id"], "options": { "privacy": "SELF_ONLY" } }],
    });
    let refused = world
        .user
        .call(
            Method::POST,
            "/v1/posts",
            Some(body),
            StatusCode::UNPROCESSABLE_ENTITY,
        )
        .await
        .unwrap();
    assert!(refused.to_string().contains("scope_missing"), "{refused}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_uri_that_the_platform_does_not_know_is_the_operators_fault() {
    let world = World::new().await;
    // At the consent page: the platform shows an error page of its own and sends nobody back.
    world
        .configure(json!({ "redirect_uri": "https://unknown.test/oauth/tiktok/callback" }))
        .await;
    let (_, page) = world.at_consent(USER).await;
    assert!(page.status.is_client_error(), "{}", page.status);
    world.configure(json!({})).await;
    // At the exchange: what the platform says becomes a page that names the operator.
    let (mut browser, back) = way_back(&world).await;
    world
        .fault(json!({
            "endpoint": "token_code", "status": 400,
            "body": { "error": "invalid_request", "error_description": "Redirect_uri is not matched with the uri when requesting code.", "log_id": "1" },
        }))
        .await;
    let page = browser.open(back.as_str()).await.unwrap();
    assert!(page.text.contains("app_refused"), "{}", page.text);
    assert!(
        world
            .stack
            .all_logs()
            .unwrap()
            .contains("the platform refuses our app")
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_connected_before_the_creator_confirms() {
    let world = World::new().await;
    let (mut browser, back) = way_back(&world).await;
    let confirm = browser.open(back.as_str()).await.unwrap();
    assert!(
        confirm.url.query().unwrap().starts_with("flow="),
        "no code in the address"
    );
    assert!(world.connections(USER).await.is_empty());
    let reload = browser.open(confirm.url.as_str()).await.unwrap();
    assert_eq!(reload.status, StatusCode::OK, "it survives a reload");

    // A form without its token, and one from another browser.
    let form = Form::agreeing(&confirm.text).unwrap();
    let forged = browser
        .submit(&confirm, &form.clone().set("csrf", "forged"))
        .await
        .unwrap();
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let (mut other, _) = world.at_consent("user_other").await;
    let foreign = other.submit(&confirm, &form).await.unwrap();
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    assert!(world.connections(USER).await.is_empty());

    // Cancelled: the tokens leave the table and are revoked by the sweeper.
    let cancelled = browser.decline(&confirm).await.unwrap();
    assert!(cancelled.text.contains("cancelled"), "{}", cancelled.text);
    assert!(
        !world
            .items("flows")
            .await
            .iter()
            .any(|flow| flow.contains_key("grant"))
    );
    world.stack.fire("sweeper").await.unwrap();
    assert_eq!(world.calls("revoke").await, 1);
    assert!(world.items("revocations").await.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_nobody_confirms_is_swept_and_revoked() {
    let world = World::new().await;
    let (mut browser, back) = way_back(&world).await;
    let confirm = browser.open(back.as_str()).await.unwrap();
    let flow = world.items("flows").await.remove(0);
    assert!(flow.contains_key("grant"));
    let client = world.stack.clients().dynamodb;
    client
        .update_item()
        .table_name(world.stack.table("flows").unwrap())
        .key("flow_id", flow["flow_id"].clone())
        .update_expression("SET expires_at = :past, due_at = :past")
        .expression_attribute_values(":past", AttributeValue::N("1".into()))
        .send()
        .await
        .unwrap();
    world.stack.fire("sweeper").await.unwrap();
    world.stack.fire("sweeper").await.unwrap();
    let flow = world.items("flows").await.remove(0);
    assert!(!flow.contains_key("grant"), "{:?}", text(&flow, "flow_id"));
    assert_eq!(world.calls("revoke").await, 1);
    let late = browser.agree(&confirm).await.unwrap();
    assert_eq!(late.status, StatusCode::FORBIDDEN);
    assert!(world.connections(USER).await.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_returns_to_the_product_with_the_result() {
    let world = World::new().await;
    let ask = json!({
        "user_id": USER, "user_label": "Flow", "platform": "tiktok",
        "return_to": "https://product.example/done?tab=1",
        "email": "flow@example.com", "locale": "fr", "time_zone": "Europe/Paris",
    });
    let link = world.backend.session(ask).await.unwrap();
    let mut browser = world.browser();
    let button = browser.open(&link).await.unwrap();
    assert!(
        button.text.contains("lang=\"fr\""),
        "the session's language"
    );
    let consent = browser.agree(&button).await.unwrap();
    let back = browser
        .submit(&consent, &Form::agreeing(&consent.text).unwrap())
        .await
        .unwrap();
    let confirm = browser.follow(back).await.unwrap();
    let policy = &confirm.headers["content-security-policy"];
    assert!(
        policy.contains("form-action 'self' https://product.example"),
        "{policy}"
    );
    let form = Form::agreeing(&confirm.text).unwrap();
    let away = browser.submit(&confirm, &form).await.unwrap();
    assert_eq!(away.status, StatusCode::SEE_OTHER);
    let to = away.redirect().unwrap().unwrap();
    assert!(
        to.as_str()
            .starts_with("https://product.example/done?tab=1&status=connected&connection_id=conn_"),
        "{to}"
    );
    let user = world.items("users").await.remove(0);
    assert_eq!(text(&user, "email"), "flow@example.com");
    assert_eq!(text(&user, "time_zone"), "Europe/Paris");
    world.end().await;
}
