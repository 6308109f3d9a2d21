//! Session links, and the browser's session behind them.

use aws_sdk_dynamodb::types::AttributeValue;
use local::demo::form::Form;
use reqwest::{Method, StatusCode};
use url::Url;

use crate::world::{USER, World, text};

/// Browsers hold the whole way after a form, redirects included, to the policy of the form's page: a
/// session page that does not name the platform is a dead button (seen in Chromium).
#[tokio::test(flavor = "multi_thread")]
async fn the_session_page_lets_its_form_lead_to_the_platform() {
    let world = World::new().await;
    let mut browser = world.browser();
    let button = browser.open(&world.link(USER).await).await.unwrap();
    let consent = browser.agree(&button).await.unwrap();
    let policy = &button.headers["content-security-policy"];
    let forms = policy
        .split(';')
        .find(|part| part.trim().starts_with("form-action"))
        .unwrap();
    let origin = consent.url.origin().ascii_serialization();
    assert!(
        forms.split_whitespace().any(|named| named == origin),
        "{origin} is not in {forms}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_is_told_so() {
    let world = World::new().await;
    let (mut browser, _) = world.at_consent(USER).await;
    let rows = world.items("sessions").await;
    let row = rows
        .iter()
        .find(|row| text(row, "id").starts_with("browser#"))
        .unwrap();
    let client = world.stack.clients().dynamodb;
    client
        .update_item()
        .table_name(world.stack.table("sessions").unwrap())
        .key("id", row["id"].clone())
        .update_expression("SET expires_at = :past")
        .expression_attribute_values(":past", AttributeValue::N("1".into()))
        .send()
        .await
        .unwrap();
    let start = format!("{}/oauth/tiktok/start", world.stack.api_url());
    let page = browser.open(&start).await.unwrap();
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.text.contains("session_ended"), "{}", page.text);
    let unknown = format!("{}/oauth/myspace/start", world.stack.api_url());
    assert_eq!(
        browser.open(&unknown).await.unwrap().status,
        StatusCode::NOT_FOUND
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_preview_spends_nothing_and_a_link_works_once() {
    let world = World::new().await;
    let link = world.link(USER).await;
    let mut first = world.browser();
    for _ in 0..3 {
        assert_eq!(first.open(&link).await.unwrap().status, StatusCode::OK);
    }
    let button = first.open(&link).await.unwrap();
    let spent = first
        .submit(&button, &Form::agreeing(&button.text).unwrap())
        .await
        .unwrap();
    assert_eq!(spent.status, StatusCode::SEE_OTHER);
    let mut second = world.browser();
    let gone = second.open(&link).await.unwrap();
    assert_eq!(gone.status, StatusCode::GONE);
    let again = second
        .submit(&button, &Form::agreeing(&button.text).unwrap())
        .await
        .unwrap();
    assert_eq!(again.status, StatusCode::GONE);
    assert!(again.text.contains("link_spent"));
    world.end().await;
}

/// A form on somebody else's site cannot open a session in this browser: it sends no cookie of ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_cannot_be_forced_on_a_browser() {
    let world = World::new().await;
    let link = world.link("user_attacker").await;
    let mut victim = world.browser();
    let page = victim
        .fetch(
            Method::POST,
            Url::parse(&link).unwrap(),
            Some(String::new()),
        )
        .await;
    let page = page.unwrap();
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(
        victim
            .cookie(world.stack.api_url(), "__Host-session")
            .is_none()
    );
    world.end().await;
}
