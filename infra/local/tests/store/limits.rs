//! Items stay under DynamoDB's 400 KB. A larger one is `TooLarge`, whatever the write: `Unavailable`
//! would say that trying later may help.

use domain::{Platform, TargetStatus};
use store::flows::Grant;
use store::targets::Progress;
use store::{RawBody, SessionLink, StoreError};

use crate::desk::{Desk, NOW, at, sealed};
use crate::targets::{progress, queued, told};

const LIMIT: usize = 400 * 1_024;

fn too_large<T: std::fmt::Debug>(what: &str, written: Result<T, StoreError>) {
    assert!(
        matches!(written, Err(StoreError::TooLarge(_))),
        "{what}: {written:?}"
    );
}

#[tokio::test]
async fn whole_items_over_the_limit_are_refused() {
    let desk = Desk::new("whole-items");
    let raw = |size: usize| RawBody {
        environment: domain::Environment::Production,
        delivery_id: domain::DeliveryId::of(Platform::TikTok, desk.user.as_str()),
        platform: Platform::TikTok,
        body: Some("x".repeat(size)),
        object_key: None,
        headers: Vec::new(),
        received_at: NOW,
        raw_of: None,
    };
    too_large("a raw body", desk.deliveries.keep_raw(&raw(LIMIT)).await);
    let left = desk.deliveries.raw(&raw(0).delivery_id, NOW).await;
    assert_eq!(left.unwrap(), None);
    desk.deliveries.keep_raw(&raw(LIMIT - 1_024)).await.unwrap();

    let link = SessionLink {
        environment: None,
        hash: desk.user.to_string(),
        user_id: desk.user.clone(),
        user_label: "x".repeat(LIMIT),
        return_to: None,
        platform: Platform::TikTok,
        locale: None,
        expires_at: at(600),
        spent_at: None,
        spent_by: None,
    };
    too_large("a link", desk.sessions.put_link(&link).await);
    let mut post = crate::media::post(&desk, NOW, &[]);
    post.text = "x".repeat(LIMIT);
    too_large(
        "a post",
        crate::media::create(&desk, &post, &[], None).await,
    );
}

#[tokio::test]
async fn changes_over_the_limit_are_refused() {
    let desk = Desk::new("changes");
    let flow = desk.flow(&desk.user);
    desk.flows.put(&flow).await.unwrap();
    let consumed = desk
        .flows
        .consume(&flow.flow_id, NOW, &desk.attempt())
        .await;
    assert!(consumed.unwrap().is_some());
    let grant = Grant {
        sealed: sealed(&"x".repeat(LIMIT)),
        ..desk.grant()
    };
    let kept = desk
        .flows
        .granted(&flow.flow_id, &grant, at(600), &desk.attempt())
        .await;
    too_large("a grant", kept);

    let target = queued(&desk).await;
    let large = Progress {
        state: Some("x".repeat(LIMIT)),
        ..progress(TargetStatus::Publishing, Some(NOW))
    };
    let event = told(&desk, &target);
    for (what, event) in [
        ("a state", None),
        ("a state with its event", Some((&desk.events, &event))),
    ] {
        let written = desk
            .targets
            .advance(&target, None, &large, NOW, event, desk.attempt());
        too_large(what, written.await);
    }
}
