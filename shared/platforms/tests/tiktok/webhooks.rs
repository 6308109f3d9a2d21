//! Signatures and deliveries.

use std::time::Duration;

use domain::{MediaItem, PublishNews, PublishedPost, Record, Secret, Timestamp, WebhookEffect};
use http::HeaderMap;
use platforms::tiktok::TikTok;
use platforms::{Unverified, Verified, Webhook};
use serde_json::{Value, json};

use crate::support::{app, app_with};

const T: i64 = 1_767_225_605;
const RAW: &str = r#"{"client_key":"awexample0001","event":"post.publish.complete","create_time":1767225600,"user_openid":"-000InventedOpenId","content":"{\"publish_id\":\"v_pub_file~v2-1.7000000000000000001\",\"publish_type\":\"DIRECT_PUBLISH\"}"}"#;
const S: &str = "24b3acac177c60409eb4b6aab6ff0dea42fb2a22cf256fe26366bdd140bd00c5";

fn verify(
    app: &platforms::App,
    header: Option<&str>,
    raw: &str,
    now: i64,
    tolerance: Option<u64>,
) -> Result<Verified, Unverified> {
    let mut headers = HeaderMap::new();
    if let Some(header) = header {
        headers.insert("TikTok-Signature", header.parse().unwrap());
    }
    let tolerance = tolerance.map(Duration::from_secs);
    TikTok.verify(
        app,
        &headers,
        raw.as_bytes(),
        Timestamp::from_secs(now),
        tolerance,
    )
}

#[test]
fn the_vector_of_the_sheet() {
    let app = app();
    let header = format!("t={T},s={S}");
    let good = |age| {
        Ok(Verified {
            secret: 0,
            age: Some(Duration::from_secs(age)),
        })
    };
    for header in [
        header.clone(),
        format!("s={S},t={T}"),
        format!("t={T}, s={S}"),
        format!("t={T},s={}", S.to_uppercase()),
        format!("t={T},s={},s={S}", "00".repeat(32)),
        format!("t={T},v=1,s={S}"),
    ] {
        assert_eq!(
            verify(&app, Some(&header), RAW, T + 2, Some(300)),
            good(2),
            "{header}"
        );
    }
    for (now, tolerance, outcome) in [
        (T + 300, Some(300), good(300)),
        (T + 301, Some(300), Err(Unverified::Stale)),
        (T - 300, Some(300), good(0)),
        (T - 301, Some(300), Err(Unverified::Stale)),
        (T + 72 * 3_600, None, good(72 * 3_600)),
    ] {
        assert_eq!(
            verify(&app, Some(&header), RAW, now, tolerance),
            outcome,
            "{now}"
        );
    }
    // Another body, stamp or secret; staleness is told only of genuine ones.
    let wrong = Err(Unverified::Mismatch);
    assert_eq!(
        verify(
            &app,
            Some(&header),
            &RAW.replace("complete", "failed"),
            T,
            None
        ),
        wrong
    );
    assert_eq!(
        verify(&app, Some(&format!("t={},s={S}", T + 1)), RAW, T, None),
        wrong
    );
    assert_eq!(
        verify(&app, Some(&format!("t={T},s={}", &S[2..])), RAW, T, None),
        wrong
    );
    let other = app_with(json!({"client_secret": "another"}));
    assert_eq!(
        verify(&other, Some(&header), RAW, T + 9_999, Some(300)),
        wrong
    );
    for header in [
        None,
        Some(""),
        Some("t=1"),
        Some("t=,s=00"),
        Some("t=x,s=00"),
        Some("t=-5,s=00"),
        Some("t=1,s=zz"),
        Some("t=1,t=2,s=00"),
        Some("t=99999999999999999999999,s=00"),
        Some("nonsense"),
    ] {
        assert_eq!(
            verify(&app, header, RAW, T, None),
            Err(Unverified::Missing),
            "{header:?}"
        );
    }
}

#[test]
fn older_secrets_still_count() {
    let header = format!("t={T},s={S}");
    let mut app = app_with(json!({"client_secret": "new"}));
    app.webhook_secrets = vec![
        Secret::new("older"),
        Secret::new("tt-client-secret-example"),
    ];
    let verified = verify(&app, Some(&header), RAW, T, Some(300)).unwrap();
    assert_eq!(verified.secret, 2);
}

fn body(event: &str, content: &Value) -> Value {
    json!({"client_key": "awexample0001", "event": event, "create_time": 1_767_225_600,
        "user_openid": "-000InventedOpenId", "content": content})
}

fn read(body: &Value) -> domain::Delivery {
    let mut read = TikTok
        .read(&HeaderMap::new(), body.to_string().as_bytes())
        .unwrap();
    assert_eq!(read.len(), 1);
    read.remove(0)
}

fn ids(ids: &[&str]) -> PublishedPost {
    PublishedPost {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        url: None,
    }
}

#[test]
fn every_event_has_its_effect() {
    let id = "v_pub_file~v2-1.7000000000000000001";
    let publish = |news| WebhookEffect::Publish {
        publish_id: id.to_owned(),
        news,
    };
    let removed = |reason: &str| WebhookEffect::AuthorizationRemoved {
        reason: reason.to_owned(),
    };
    for (event, content, effect) in [
        (
            "authorization.removed",
            json!({"reason": 0}),
            removed("TikTok ended the connection without saying why."),
        ),
        (
            "authorization.removed",
            json!({"reason": 1}),
            removed("The creator disconnected the app on TikTok."),
        ),
        (
            "authorization.removed",
            json!({"reason": 2}),
            removed("The creator's TikTok account was deleted."),
        ),
        (
            "authorization.removed",
            json!({"reason": 3}),
            removed("The creator's age on TikTok changed."),
        ),
        (
            "authorization.removed",
            json!({"reason": 4}),
            removed("TikTok banned the creator's account."),
        ),
        (
            "authorization.removed",
            json!({"reason": "5"}),
            removed("The app ended the connection itself."),
        ),
        (
            "authorization.removed",
            json!({"reason": 77}),
            removed("TikTok ended the connection without saying why."),
        ),
        (
            "authorization.removed",
            json!({}),
            removed("TikTok ended the connection without saying why."),
        ),
        (
            "post.publish.complete",
            json!({"publish_id": id, "publish_type": "DIRECT_PUBLISH"}),
            publish(PublishNews::Published(ids(&[]))),
        ),
        (
            "post.publish.inbox_delivered",
            json!({"publish_id": id, "publish_type": "INBOX_SHARE"}),
            publish(PublishNews::InInbox),
        ),
        (
            "post.publish.publicly_available",
            json!({"publish_id": id, "post_id": "7600000000000000001"}),
            publish(PublishNews::Public(ids(&["7600000000000000001"]))),
        ),
        (
            "post.publish.publicly_available",
            json!({"publish_id": id, "post_id": 7_600_000_000_000_000_001_u64}),
            publish(PublishNews::Public(ids(&["7600000000000000001"]))),
        ),
        (
            "post.publish.no_longer_publicaly_available",
            json!({"publish_id": id, "post_id": "76"}),
            publish(PublishNews::NoLongerPublic(ids(&["76"]))),
        ),
        (
            "post.publish.no_longer_publicly_available",
            json!({"publish_id": id, "post_id": "76"}),
            publish(PublishNews::NoLongerPublic(ids(&["76"]))),
        ),
        (
            "post.publish.failed",
            json!({"publish_id": id, "reason": "spam_risk"}),
            publish(PublishNews::Failed {
                reason: "spam_risk".into(),
            }),
        ),
        (
            "post.publish.failed",
            json!({"publish_id": id, "fail_reason": "internal"}),
            publish(PublishNews::Failed {
                reason: "internal".into(),
            }),
        ),
        (
            "post.publish.failed",
            json!({"publish_id": id}),
            publish(PublishNews::Failed {
                reason: "unknown".into(),
            }),
        ),
        (
            "post.publish.failed",
            json!({"publish_id": id, "reason": "<b>"}),
            publish(PublishNews::Failed {
                reason: "unreadable_name".into(),
            }),
        ),
        (
            "video.upload.failed",
            json!({"share_id": "s"}),
            WebhookEffect::Nothing,
        ),
        (
            "video.publish.completed",
            json!({"share_id": "s"}),
            WebhookEffect::Nothing,
        ),
        (
            "portability.download.ready",
            json!({"request_id": 9_007_199_254_740_993_u64}),
            WebhookEffect::Nothing,
        ),
        ("something.new", json!(null), WebhookEffect::Nothing),
    ] {
        // As a text inside the JSON, as documented, and as an object.
        for content in [json!(content.to_string()), content.clone()] {
            let delivery = read(&body(event, &content));
            assert_eq!(delivery.effect, effect, "{event} {content}");
            assert_eq!(delivery.kind, event);
            assert_eq!(delivery.account_id.as_deref(), Some("-000InventedOpenId"));
            assert_eq!(
                delivery.occurred_at,
                Some(Timestamp::from_secs(1_767_225_600))
            );
        }
    }
}

#[test]
fn whether_everyone_can_see_a_post_is_a_fact_of_it() {
    for (event, removed) in [
        ("post.publish.publicly_available", Some(false)),
        ("post.publish.no_longer_publicaly_available", Some(true)),
        ("post.publish.complete", None),
        ("post.publish.inbox_delivered", None),
    ] {
        let content = json!({"publish_id": "p", "post_id": 7600000000000000001_u64});
        let facts = read(&body(event, &content)).facts;
        let expected = removed.map(|removed| {
            let item = MediaItem {
                id: "7600000000000000001".into(),
                removed: Some(removed),
                ..MediaItem::default()
            };
            item.fact(Timestamp::from_secs(1_767_225_601))
        });
        assert_eq!(facts, Vec::from_iter(expected), "{event}");
    }
}

#[test]
fn what_cannot_be_read_is_a_fault() {
    for raw in [
        "",
        "[]",
        r#"{"event":1}"#,
        r#"{"event":"post.publish.complete","content":"{broken"}"#,
        r#"{"event":"post.publish.complete","content":"{}"}"#,
        r#"{"event":"post.publish.complete"}"#,
    ] {
        assert!(
            TikTok.read(&HeaderMap::new(), raw.as_bytes()).is_err(),
            "{raw}"
        );
    }
}

/// An event that we have no use for, or that says all by its name, needs no readable content.
#[test]
fn content_that_is_no_json_matters_only_where_it_is_needed() {
    let removed = WebhookEffect::AuthorizationRemoved {
        reason: "TikTok ended the connection without saying why.".to_owned(),
    };
    for (event, effect) in [
        ("something.new", WebhookEffect::Nothing),
        ("video.upload.failed", WebhookEffect::Nothing),
        ("authorization.removed", removed),
    ] {
        let broken = read(&body(event, &json!("{broken")));
        assert_eq!(broken.effect, effect, "{event}");
        let other = read(&body(event, &json!("plain words")));
        assert_ne!(broken.dedup_key, other.dedup_key, "{event}");
    }
}

#[test]
fn the_fact_is_the_key() {
    let content = json!(r#"{"publish_id":"p"}"#);
    let base = body("post.publish.complete", &content);
    let key = |change: fn(&mut Value)| {
        let mut body = base.clone();
        change(&mut body);
        read(&body).dedup_key
    };
    let same = key(|_| {});
    assert_eq!(same.len(), 64);
    assert_eq!(same, key(|body| body["client_key"] = json!("other")));
    for change in [
        (|body| body["event"] = json!("post.publish.inbox_delivered")) as fn(&mut Value),
        |body| body["user_openid"] = json!("other"),
        |body| body["create_time"] = json!(1),
        |body| body["content"] = json!(r#"{"publish_id":"q"}"#),
    ] {
        assert_ne!(same, key(change));
    }
}

#[test]
fn there_is_no_handshake_and_a_mebibyte_at_most() {
    assert_eq!(TikTok.handshake(&app(), &[]), None);
    assert_eq!(TikTok.max_body(), 1_048_576);
    assert!(TikTok.kept_headers().is_empty());
}
