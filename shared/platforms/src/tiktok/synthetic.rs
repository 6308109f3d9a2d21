//! Webhooks as TikTok would send them (tiktok.md §5.2, §5.3).

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use domain::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::TikTok;
use crate::{App, SignedWebhook, Synthetic, SyntheticWish, Violation};

const KINDS: &[&str] = &[
    "authorization.removed",
    "post.publish.complete",
    "post.publish.failed",
    "post.publish.inbox_delivered",
    "post.publish.publicly_available",
    // Misspelt in the documents.
    "post.publish.no_longer_publicaly_available",
    "video.publish.completed",
    "video.upload.failed",
];

/// In TikTok's own order of fields.
#[derive(Serialize)]
struct Body<'a> {
    client_key: &'a str,
    event: &'a str,
    create_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_openid: Option<&'a str>,
    /// A JSON text inside the JSON.
    content: String,
}

impl Synthetic for TikTok {
    fn kinds(&self) -> &'static [&'static str] {
        KINDS
    }

    fn webhook(
        &self,
        app: &App,
        wish: &SyntheticWish,
        now: Timestamp,
    ) -> Result<SignedWebhook, Violation> {
        if !KINDS.contains(&wish.kind.as_str()) {
            return Err(violation(
                "kind",
                "unknown",
                "TikTok sends no webhook of this name.",
            ));
        }
        let body = Body {
            client_key: &app.client_id,
            event: &wish.kind,
            create_time: now.secs(),
            user_openid: wish.account_id.as_deref(),
            content: content(wish)?.to_string(),
        };
        let unwritable = |_| violation("kind", "unknown", "The webhook cannot be written.");
        let body = serde_json::to_string(&body).map_err(unwritable)?;
        let stamp = now.secs().to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, app.client_secret.expose().as_bytes());
        let message = [stamp.as_bytes(), b".", body.as_bytes()].concat();
        let signature = HEXLOWER.encode(hmac::sign(&key, &message).as_ref());
        Ok(SignedWebhook {
            headers: vec![("tiktok-signature", format!("t={stamp},s={signature}"))],
            body,
        })
    }
}

fn content(wish: &SyntheticWish) -> Result<Value, Violation> {
    let mut content = Map::new();
    if wish.kind == "authorization.removed" {
        if wish.account_id.is_none() {
            let sentence = "Name the account (TikTok's open_id) whose authorization is gone.";
            return Err(violation("account_id", "missing", sentence));
        }
        let reason = wish.reason.as_deref().unwrap_or("0");
        let known: Option<u8> = reason.parse().ok().filter(|reason| *reason <= 5);
        let sentence = "Give TikTok's number for why, 0 to 5.";
        let reason = known.ok_or_else(|| violation("reason", "malformed", sentence))?;
        content.insert("reason".to_owned(), json!(reason));
        return Ok(content.into());
    }
    if wish.kind.starts_with("video.") {
        let share = wish.publish_id.as_deref().unwrap_or("synthetic");
        content.insert("share_id".to_owned(), json!(share));
        return Ok(content.into());
    }
    let Some(publish_id) = &wish.publish_id else {
        let sentence = "Name the publish (TikTok's publish_id) that this is news of.";
        return Err(violation("publish_id", "missing", sentence));
    };
    content.insert("publish_id".to_owned(), json!(publish_id));
    let inbox = wish.kind == "post.publish.inbox_delivered";
    let publish_type = if inbox {
        "INBOX_SHARE"
    } else {
        "DIRECT_PUBLISH"
    };
    content.insert("publish_type".to_owned(), json!(publish_type));
    if wish.kind == "post.publish.failed" {
        let reason = wish.reason.as_deref().unwrap_or("internal");
        content.insert("reason".to_owned(), json!(reason));
    }
    if let Some(post) = &wish.post_id {
        content.insert("post_id".to_owned(), json!(post));
    }
    Ok(content.into())
}

fn violation(field: &str, code: &'static str, sentence: &str) -> Violation {
    Violation {
        field: field.to_owned(),
        code,
        sentence: sentence.to_owned(),
    }
}
