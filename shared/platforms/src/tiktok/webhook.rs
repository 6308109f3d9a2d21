//! Webhooks (tiktok.md §5).

use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use domain::{
    Delivery, Fact, Fault, FaultKind, MediaItem, PublishNews, PublishedPost, Record, Timestamp,
    WebhookEffect,
};
use http::HeaderMap;
use serde_json::Value;

use super::{TikTok, wire};
use crate::{App, Handshake, Unverified, Verified, Webhook};

const SIGNATURE: &str = "tiktok-signature";

impl Webhook for TikTok {
    fn max_body(&self) -> usize {
        1024 * 1024
    }

    fn kept_headers(&self) -> &'static [&'static str] {
        &[]
    }

    fn handshake(&self, _app: &App, _query: &[(String, String)]) -> Option<Handshake> {
        None
    }

    /// The key is the client secret as it stands; `webhook_secrets` are tried after it. The time stamp
    /// is judged last, so that only genuine deliveries are called stale. Whether TikTok signs retries
    /// afresh is not confirmed (§5.3): hence the choice of no tolerance at all.
    fn verify(
        &self,
        app: &App,
        headers: &HeaderMap,
        raw: &[u8],
        now: Timestamp,
        tolerance: Option<Duration>,
    ) -> Result<Verified, Unverified> {
        let header = headers.get(SIGNATURE).ok_or(Unverified::Missing)?;
        let header = header.to_str().map_err(|_| Unverified::Missing)?;
        let (stamp, signatures) = parts(header).ok_or(Unverified::Missing)?;
        let signed = Timestamp::from_secs(stamp.parse().map_err(|_| Unverified::Missing)?);
        let message = [stamp.as_bytes(), b".", raw].concat();

        let secrets = std::iter::once(&app.client_secret).chain(&app.webhook_secrets);
        let mut secrets = secrets.filter(|secret| !secret.is_empty());
        let secret = secrets.position(|secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
            let ours = |theirs: &Vec<u8>| hmac::verify(&key, &message, theirs).is_ok();
            signatures.iter().any(ours)
        });
        let secret = secret.ok_or(Unverified::Mismatch)?;
        let age = now.since(signed);
        let off = age.max(signed.since(now));
        if tolerance.is_some_and(|tolerance| off > tolerance) {
            return Err(Unverified::Stale);
        }
        Ok(Verified {
            secret,
            age: Some(age),
        })
    }

    fn read(&self, _headers: &HeaderMap, raw: &[u8]) -> Result<Vec<Delivery>, Fault> {
        let unreadable = || Fault::new(FaultKind::OurBug);
        let body: Value = serde_json::from_slice(raw).map_err(|_| unreadable())?;
        let event = body.get("event").and_then(Value::as_str);
        let event = event.ok_or_else(unreadable)?;
        let account = body.get("user_openid").and_then(wire::id);
        let created = body.get("create_time").and_then(wire::whole);
        let written = body.get("content").unwrap_or(&Value::Null);
        // A JSON text inside the JSON, as documented; an object where a sender forgot to wrap it. What
        // is no JSON says nothing, and the event decides whether that matters.
        let (content, text) = match written {
            Value::String(text) if text.is_empty() => (Value::Null, String::new()),
            Value::String(text) => {
                let content = serde_json::from_str(text).unwrap_or_default();
                (content, text.clone())
            }
            other => (other.clone(), other.to_string()),
        };
        let occurred_at = created.and_then(|secs| i64::try_from(secs).ok());
        let occurred_at = occurred_at.map(Timestamp::from_secs);
        let effect = effect(event, &content).ok_or_else(unreadable)?;
        let delivery = Delivery {
            dedup_key: dedup_key(event, account.as_deref(), created, &text),
            facts: occurred_at.map_or_else(Vec::new, |at| facts(&effect, at)),
            effect,
            account_id: account,
            kind: kind(event),
            occurred_at,
        };
        Ok(vec![delivery])
    }
}

/// `t=<unix seconds>,s=<hex>`, in any order; further signatures are further chances.
fn parts(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let mut stamp = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=')? {
            ("t", value) if stamp.is_none() => stamp = Some(value),
            ("t", _) => return None,
            ("s", value) => signatures.push(HEXLOWER_PERMISSIVE.decode(value.as_bytes()).ok()?),
            _ => {}
        }
    }
    let stamp = stamp.filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()))?;
    (1..=4)
        .contains(&signatures.len())
        .then_some((stamp, signatures))
}

/// Deliveries carry no id (§5.1): the fact itself is the key. Parts are length-prefixed, so that no
/// two facts run together.
fn dedup_key(event: &str, account: Option<&str>, created: Option<u64>, content: &str) -> String {
    let created = created.map(|secs| secs.to_string()).unwrap_or_default();
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [event, account.unwrap_or(""), &created, content] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    HEXLOWER.encode(context.finish().as_ref())
}

/// Whether everyone can see a post is a fact of that post, also where nobody here made it. TikTok tells
/// whole seconds: the fact is of the second's end, since a list that was read within it and still had
/// the post was read before.
fn facts(effect: &WebhookEffect, at: Timestamp) -> Vec<Fact> {
    let WebhookEffect::Publish { news, .. } = effect else {
        return Vec::new();
    };
    let (post, removed) = match news {
        PublishNews::Public(post) => (post, false),
        PublishNews::NoLongerPublic(post) => (post, true),
        PublishNews::Published(_) | PublishNews::InInbox | PublishNews::Failed { .. } => {
            return Vec::new();
        }
    };
    let items = post.ids.iter().map(|id| MediaItem {
        id: id.clone(),
        removed: Some(removed),
        ..MediaItem::default()
    });
    items.map(|item| item.fact(at.plus_secs(1))).collect()
}

/// `None` where an event that matters does not say what it is about.
fn effect(event: &str, content: &Value) -> Option<WebhookEffect> {
    let news = match event {
        "authorization.removed" => {
            let reason = removal(content.get("reason").and_then(wire::whole)).to_owned();
            return Some(WebhookEffect::AuthorizationRemoved { reason });
        }
        "post.publish.complete" => PublishNews::Published(post(content)),
        "post.publish.inbox_delivered" => PublishNews::InInbox,
        "post.publish.publicly_available" => PublishNews::Public(post(content)),
        // Misspelt in the documents (§5.2).
        "post.publish.no_longer_publicaly_available"
        | "post.publish.no_longer_publicly_available" => PublishNews::NoLongerPublic(post(content)),
        "post.publish.failed" => {
            let reason = ["reason", "fail_reason"].map(|name| content.get(name));
            let reason = reason.into_iter().flatten().find_map(Value::as_str);
            PublishNews::Failed {
                reason: kind(reason.unwrap_or("unknown")),
            }
        }
        // `video.upload.failed`, `video.publish.completed` (Share Kit), `portability.download.ready`
        // and what TikTok may add.
        _ => return Some(WebhookEffect::Nothing),
    };
    let publish_id = content.get("publish_id").and_then(wire::id)?;
    Some(WebhookEffect::Publish { publish_id, news })
}

fn post(content: &Value) -> PublishedPost {
    PublishedPost {
        ids: content
            .get("post_id")
            .and_then(wire::id)
            .into_iter()
            .collect(),
        url: None,
    }
}

fn removal(reason: Option<u64>) -> &'static str {
    match reason {
        Some(1) => "The creator disconnected the app on TikTok.",
        Some(2) => "The creator's TikTok account was deleted.",
        Some(3) => "The creator's age on TikTok changed.",
        Some(4) => "TikTok banned the creator's account.",
        Some(5) => "The app ended the connection itself.",
        _ => "TikTok ended the connection without saying why.",
    }
}

/// Names go into tables and metrics: one that does not look like a name is not repeated.
fn kind(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        name.to_owned()
    } else {
        "unreadable_name".to_owned()
    }
}
