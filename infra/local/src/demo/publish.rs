//! The post: asked for, waited for, compared.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::media;
use super::walk::Walk;
use crate::eventually;

impl Walk<'_> {
    pub(super) async fn post(&self, connection: &str, media: &str) -> Result<String> {
        let body = json!({
            "text": "Soup night #soup",
            "media": [media],
            "targets": [{
                "connection_id": connection,
                "options": { "mode": "direct", "privacy": "SELF_ONLY" },
            }],
        });
        let key = [("idempotency-key", media)];
        let post = self
            .user
            .call_with(
                Method::POST,
                "/v1/posts",
                Some(body),
                &key,
                StatusCode::CREATED,
            )
            .await?;
        Ok(post["id"]
            .as_str()
            .context("a post without an id")?
            .to_owned())
    }

    /// Waits for the post's end, unless its fault says that this walk would end first.
    pub(super) async fn published(&self, post: &str) -> Result<Value> {
        let path = format!("/v1/posts/{post}");
        let until = Timestamp::now() + self.patience;
        let mut last = Value::Null;
        let settled = eventually("the post to be published", self.patience, async || {
            let post = self
                .user
                .call(Method::GET, &path, None, StatusCode::OK)
                .await?;
            last = post["targets"][0].clone();
            goes_on(&last, until)
        });
        let target = settled.await;
        let target = target.with_context(|| format!("{post} {}", told(&last)))?;
        ensure!(target["status"] == "published", "{post} {}", told(&target));
        Ok(target)
    }

    /// The stand-in's received bytes are the file's, where the stand-in is ours and can be asked.
    pub(super) async fn bytes_arrived(&self, file: &Path) -> Result<String> {
        let Some(state) = self.dev.stand_in_state().await? else {
            let told = "left out: the bytes that the stand-in received are not known here";
            return Ok(told.to_owned());
        };
        let whole = media::sha256(file)?;
        let publishes = state["publishes"].as_array().cloned().unwrap_or_default();
        let same: Vec<&Value> = publishes
            .iter()
            .filter(|publish| publish["upload"]["sha256"] == whole.as_str())
            .collect();
        ensure!(
            same.len() == 1,
            "{} publishes hold the file's bytes",
            same.len()
        );
        let chunks = same[0]["upload"]["chunks"].as_array().map_or(0, Vec::len);
        Ok(format!("SHA-256 {}… in {chunks} chunk(s)", &whole[..16]))
    }
}

/// The target once it is at its end, nothing while it may still come to it; an error where it says
/// itself that it rests until after `end`.
fn goes_on(target: &Value, end: Timestamp) -> Result<Option<Value>> {
    let status = target["status"].as_str();
    if !matches!(status, Some("queued" | "publishing") | None) {
        return Ok(Some(target.clone()));
    }
    let until = target["fault"]["until"].as_str();
    let until = until.and_then(|text| text.parse::<Timestamp>().ok());
    if until.is_some_and(|until| until > end) {
        bail!("it rests for longer than the demo waits");
    }
    Ok(None)
}

/// Where a target stands, and what its fault says.
fn told(target: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let status = text(&target["status"]).unwrap_or_else(|| "without a status".to_owned());
    let fault = &target["fault"];
    let Some(sentence) = text(&fault["sentence"]) else {
        return format!("is {status}, without a fault");
    };
    let mut told = format!("is {status}: {sentence}");
    if let Some(code) = text(&fault["platform_code"]) {
        told.push_str(&format!(" (the platform's code: {code})"));
    }
    if let Some(until) = text(&fault["until"]) {
        told.push_str(&format!(" (until {until})"));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_with_what_the_target_says() {
        let end: Timestamp = "2026-11-20T11:05:00Z".parse().unwrap();
        let resting = |until: &str| {
            json!({
                "status": "publishing",
                "fault": { "sentence": "Wait.", "platform_code": "rate_limit_exceeded", "until": until },
            })
        };
        for (target, ends, says) in [
            (
                json!({ "status": "queued" }),
                Some(false),
                "is queued, without a fault",
            ),
            (
                json!({ "status": "published" }),
                Some(true),
                "is published, without a fault",
            ),
            (
                json!({ "status": "failed", "fault": { "sentence": "Too long." } }),
                Some(true),
                "is failed: Too long.",
            ),
            (
                resting("2026-11-20T11:04:59Z"),
                Some(false),
                "is publishing: Wait. (the platform's code: rate_limit_exceeded) (until 2026-11-20T11:04:59Z)",
            ),
            (
                resting("2026-11-21T00:00:00Z"),
                None,
                "is publishing: Wait. (the platform's code: rate_limit_exceeded) (until 2026-11-21T00:00:00Z)",
            ),
        ] {
            let found = goes_on(&target, end).ok().map(|found| found.is_some());
            assert_eq!(found, ends, "{target}");
            assert_eq!(told(&target), says);
        }
    }
}
