//! Webhooks about the walk's own post: taken, and applied.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_dynamodb::types::AttributeValue;
use data_encoding::BASE64;
use serde_json::Value;

use super::walk::Walk;
use crate::eventually;

/// Platforms tell of a post soon after its end, or never.
const PATIENCE: Duration = Duration::from_secs(90);

type Item = HashMap<String, AttributeValue>;

/// Deliveries so far.
#[derive(Debug, Default)]
struct Heard {
    /// Kinds of those about the post that were applied.
    applied: Vec<String>,
    /// Kind and state of all.
    all: Vec<String>,
}

impl Walk<'_> {
    /// A signed webhook about this very post was taken and applied.
    pub(super) async fn webhooks(&self, post: &str) -> Result<String> {
        let key = self.publish_key(post).await?;
        let id = key.split_once('#').map_or(key.as_str(), |(_, id)| id);
        let mut heard = Heard::default();
        let patience = self.patience.min(PATIENCE);
        let waited = eventually("a webhook about the post", patience, async || {
            let rows = self.rows("Deliveries").await?;
            heard = Heard::of(&rows, id);
            Ok((!heard.applied.is_empty()).then(|| heard.applied.join(", ")))
        });
        let kinds = waited.await;
        let kinds = kinds.with_context(|| self.unheard(&heard))?;
        Ok(format!("applied to {post}: {kinds}"))
    }

    /// `<platform>#<publish id>`, under which webhooks find the post.
    async fn publish_key(&self, post: &str) -> Result<String> {
        let rows = self.rows("Targets").await?;
        let mut keys = rows.iter().filter(|row| text(row, "post_id") == post);
        let key = keys.find_map(|row| row.get("publish_key")?.as_s().ok());
        Ok(key.context("the post has no publish id")?.clone())
    }

    async fn rows(&self, table: &str) -> Result<Vec<Item>> {
        let scan = self.dev.stack.clients().dynamodb.scan();
        let scan = scan.table_name(self.dev.stack.table(table)?);
        let mut items = scan.into_paginator().items().send();
        let mut rows = Vec::new();
        while let Some(item) = items.next().await {
            rows.push(item?);
        }
        Ok(rows)
    }

    /// What a person needs to find out why none came.
    fn unheard(&self, heard: &Heard) -> String {
        let stack = &self.dev.stack;
        let log = stack.host().log_text("webhook").unwrap_or_default();
        format!(
            "none came to {}/webhooks/{}; {}; {}; logs: {}",
            stack.api_url(),
            self.platform,
            heard.told(),
            refused(&log),
            stack.logs().display(),
        )
    }
}

impl Heard {
    /// Reads the table: a delivery is a row `mark`, its body a row `raw`.
    fn of(rows: &[Item], publish_id: &str) -> Self {
        let parts = |part: &'static str| rows.iter().filter(move |row| text(row, "part") == part);
        let names_it = |mark: &&Item| {
            let id = text(mark, "delivery_id");
            parts("raw").any(|raw| text(raw, "delivery_id") == id && holds(raw, publish_id))
        };
        let applied = parts("mark").filter(|mark| text(mark, "state") == "applied");
        Self {
            applied: applied
                .filter(names_it)
                .map(|mark| text(mark, "kind").to_owned())
                .collect(),
            all: parts("mark")
                .map(|mark| format!("{} ({})", text(mark, "kind"), text(mark, "state")))
                .collect(),
        }
    }

    fn told(&self) -> String {
        match self.all.as_slice() {
            [] => "no delivery was taken".to_owned(),
            all => format!("deliveries taken: {}: {}", all.len(), all.join(", ")),
        }
    }
}

/// Whether a kept body names the publish, in JSON within JSON too.
fn holds(raw: &Item, publish_id: &str) -> bool {
    let body = BASE64.decode(text(raw, "body").as_bytes());
    let body = String::from_utf8_lossy(&body.unwrap_or_default()).replace(r"\/", "/");
    body.contains(publish_id)
}

/// How many POSTs the webhook function answered with a refusal, and what it said of the last.
fn refused(log: &str) -> String {
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let refusal = |line: &&Value| line["status"].as_u64().is_some_and(|status| status >= 400);
    let count = lines.iter().filter(refusal).count();
    let last = lines.iter().rev().find_map(|line| line["why"].as_str());
    match last {
        Some(why) => format!("POSTs refused: {count}, the last because: {why}"),
        None => format!("POSTs refused: {count}"),
    }
}

fn text<'a>(row: &'a Item, name: &str) -> &'a str {
    let value = row.get(name).and_then(|value| value.as_s().ok());
    value.map(String::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pairs: &[(&str, &str)]) -> Item {
        let value = |text: &str| AttributeValue::S(text.to_owned());
        let pairs = pairs.iter();
        pairs
            .map(|(name, text)| ((*name).to_owned(), value(text)))
            .collect()
    }

    fn mark(id: &str, state: &str) -> Item {
        let kind = "post.publish.complete";
        row(&[
            ("delivery_id", id),
            ("part", "mark"),
            ("kind", kind),
            ("state", state),
        ])
    }

    fn raw(id: &str, body: &str) -> Item {
        let body = BASE64.encode(body.as_bytes());
        row(&[("delivery_id", id), ("part", "raw"), ("body", &body)])
    }

    #[test]
    fn only_a_delivery_about_the_post_counts() {
        let own = r#"{"content":"{\"publish_id\":\"v_pub~v2.1\"}"}"#;
        let other = r#"{"content":"{\"publish_id\":\"v_pub~v2.2\"}"}"#;
        for (rows, applied) in [
            (vec![mark("a", "applied"), raw("a", own)], 1),
            (vec![mark("a", "processing"), raw("a", own)], 0),
            (
                vec![mark("a", "applied"), raw("a", other), raw("b", own)],
                0,
            ),
            (vec![], 0),
        ] {
            let heard = Heard::of(&rows, "v_pub~v2.1");
            assert_eq!(heard.applied.len(), applied, "{rows:?}");
        }
        let heard = Heard::of(&[mark("a", "orphan")], "v_pub~v2.1");
        let told = "deliveries taken: 1: post.publish.complete (orphan)";
        assert_eq!(heard.told(), told);
    }

    #[test]
    fn refusals_are_counted_from_the_log() {
        let log = r#"{"message":"a webhook was refused","why":"the signature does not match"}
{"message":"answered","status":401}
not JSON
{"message":"answered","status":404}
{"message":"answered","status":200}"#;
        let told = "POSTs refused: 2, the last because: the signature does not match";
        assert_eq!(refused(log), told);
        assert_eq!(refused(""), "POSTs refused: 0");
    }
}
