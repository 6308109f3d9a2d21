//! Webhooks built for operators: what we build, we must take for TikTok's.

use std::time::Duration;

use domain::{Timestamp, WebhookEffect};
use http::HeaderMap;
use platforms::tiktok::TikTok;
use platforms::{Synthetic, SyntheticWish, Webhook};

use crate::support::app;

const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

fn wish(kind: &str) -> SyntheticWish {
    SyntheticWish {
        kind: kind.to_owned(),
        account_id: Some("-000InventedOpenId".to_owned()),
        publish_id: Some("v_pub_file~v2-1.7000000000000000001".to_owned()),
        ..SyntheticWish::default()
    }
}

#[test]
fn the_body_is_the_sheets() {
    let built = TikTok
        .webhook(&app(), &wish("post.publish.complete"), NOW)
        .unwrap();
    // tiktok.md §5.3, signed at its own create_time.
    assert_eq!(
        built.body,
        r#"{"client_key":"awexample0001","event":"post.publish.complete","create_time":1767225600,"user_openid":"-000InventedOpenId","content":"{\"publish_id\":\"v_pub_file~v2-1.7000000000000000001\",\"publish_type\":\"DIRECT_PUBLISH\"}"}"#
    );
    assert!(!format!("{built:?}").contains("tt-client-secret"));
}

#[test]
fn every_kind_passes_our_own_check_and_says_what_it_should() {
    for kind in TikTok.kinds() {
        let built = TikTok.webhook(&app(), &wish(kind), NOW).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in &built.headers {
            headers.insert(*name, value.parse().unwrap());
        }
        let raw = built.body.as_bytes();
        let tolerance = Some(Duration::from_secs(1));
        let verified = TikTok
            .verify(&app(), &headers, raw, NOW, tolerance)
            .unwrap();
        assert_eq!(verified.secret, 0, "{kind}");
        let read = TikTok.read(&headers, raw).unwrap();
        assert_eq!(read[0].kind, *kind);
        assert_eq!(read[0].account_id.as_deref(), Some("-000InventedOpenId"));
        let effect = match &read[0].effect {
            WebhookEffect::AuthorizationRemoved { .. } => "authorization.",
            WebhookEffect::Publish { .. } => "post.",
            WebhookEffect::Nothing => "video.",
        };
        assert!(kind.starts_with(effect), "{kind}: {effect}");
    }
}

#[test]
fn what_a_wish_lacks_is_named() {
    let complete = "post.publish.complete";
    for (wish, field) in [
        (
            SyntheticWish {
                kind: "post.exploded".to_owned(),
                ..wish(complete)
            },
            "kind",
        ),
        (
            SyntheticWish {
                publish_id: None,
                ..wish(complete)
            },
            "publish_id",
        ),
        (
            SyntheticWish {
                account_id: None,
                ..wish("authorization.removed")
            },
            "account_id",
        ),
        (
            SyntheticWish {
                reason: Some("6".to_owned()),
                ..wish("authorization.removed")
            },
            "reason",
        ),
    ] {
        let refused = TikTok.webhook(&app(), &wish, NOW).unwrap_err();
        assert_eq!(refused.field, field, "{wish:?}");
    }
}
