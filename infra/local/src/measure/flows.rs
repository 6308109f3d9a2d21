//! The real flows through the gateway, the queues and the stand-in platform: AWS calls of each, and
//! the memory of a large file.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::refresh::refresh;
use super::report::{Bar, Report};
use crate::Dev;
use crate::demo::{self, api::Api, browser::Browser, media};
use crate::proxy::Call;

const WEBHOOKS: usize = 20;
const LARGE: u64 = 200_000_000;

/// Whose connection is refreshed afterwards.
pub(super) const USER: &str = "user_bench";

/// Functions that a connect goes through.
const CONNECT: [&str; 4] = ["connections", "session", "oauth-start", "oauth-callback"];

/// The one that a start needs, which no request pays for.
const AT_START: &str = "secretsmanager:GetSecretValue";

/// Drives every flow and reports.
pub(super) async fn measure(dev: &Dev, report: &mut Report) -> Result<()> {
    large_file(dev, report).await?;
    connect(dev, report).await?;
    webhook(dev, report).await?;
    refresh(dev, report).await
}

/// The main job with a large file: what `publish-worker` holds of it at once.
async fn large_file(dev: &Dev, report: &mut Report) -> Result<()> {
    report.heading("the main job with a file of 200 MB")?;
    let file = dev.stack.logs().join("large.mp4");
    media::write_mp4(&file, LARGE)?;
    let walked = demo::run(dev, "tiktok", &file, say_nothing).await;
    std::fs::remove_file(&file)?;
    walked?;
    let peak = dev.stack.host().peak_memory("publish-worker")? as f64 / 1_024.0;
    report.add("peak of publish-worker", peak, "MiB", Bar::Most(160.0))
}

/// Calls by service of one connect, every function warm.
async fn connect(dev: &Dev, report: &mut Report) -> Result<()> {
    report.heading("AWS calls of one connect (session link to confirmed)")?;
    // The redirect URI that the main job left behind is not where a plain browser looks.
    let secret = json!(dev.platforms.platforms);
    dev.stack.put_secret("PlatformsSecret", &secret).await?;
    for function in CONNECT {
        dev.stack.kill(function).await?;
    }
    connect_once(dev, "user_first").await?;
    dev.stack.record().clear();
    connect_once(dev, USER).await?;
    let mut services: BTreeMap<String, usize> = BTreeMap::new();
    let mut all = 0;
    for function in CONNECT {
        let calls = answering(dev, function);
        all += calls.len();
        for call in &calls {
            let service = call.action.split(':').next().unwrap_or_default();
            *services.entry(service.to_owned()).or_default() += 1;
        }
        let told: Vec<&str> = calls.iter().map(|call| call.action.as_str()).collect();
        report.note(&format!("{function}: {}", told.join(", ")))?;
    }
    for (service, count) in services {
        let name = format!("connect, {service}");
        report.add(&name, count as f64, "calls", Bar::None)?;
    }
    report.add("connect, all", all as f64, "calls", Bar::None)
}

async fn connect_once(dev: &Dev, user: &str) -> Result<()> {
    let backend = dev.stack.mint_jwt("backend", &["service"])?;
    let api = Api::new(dev.stack.api_url(), &backend)?;
    let wish = json!({"user_id": user, "user_label": "Bench", "platform": "tiktok"});
    let link = api.session(wish).await?;
    let mut browser = Browser::new(&dev.platforms.served_at)?;
    demo::connect(&mut browser, &link).await?;
    Ok(())
}

/// Calls of a webhook, from the signed request of the stand-in to its 200.
async fn webhook(dev: &Dev, report: &mut Report) -> Result<()> {
    report.heading(&format!(
        "AWS calls of one webhook (the most of {WEBHOOKS})"
    ))?;
    let sandbox = dev.sandbox.as_ref().context("no stand-in")?;
    let url = format!("{}/webhooks/raw", sandbox.admin_url());
    let app = &dev.platforms.platforms["tiktok"]["client_key"];
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut most = 0;
    for number in 0..=WEBHOOKS {
        dev.stack.record().clear();
        let body = json!({
            "client_key": app, "event": "bench.event", "create_time": 1_767_225_600 + number,
            "user_openid": "nobody", "content": "{}",
        });
        let wish = json!({"client_key": app, "body": body.to_string()});
        let sent = http.post(&url).body(wish.to_string()).send().await?;
        let answer: Value = serde_json::from_slice(&sent.bytes().await?)?;
        ensure!(answer["status"] == 200, "a webhook was answered {answer}");
        let calls = answering(dev, "webhook");
        let wrong = calls.iter().find(|call| call.action != "sqs:SendMessage");
        ensure!(wrong.is_none(), "webhook called {wrong:?}");
        ensure!(!calls.is_empty(), "webhook called nothing");
        most = most.max(calls.len());
    }
    report.add("webhook", most as f64, "calls", Bar::Calls(1.0))
}

/// The calls of a function's own code, those of its start left out.
pub(super) fn answering(dev: &Dev, function: &str) -> Vec<Call> {
    let mut calls = dev.stack.record().of(function);
    calls.retain(|call| call.action != AT_START);
    calls
}

fn say_nothing(_: &str) -> Result<()> {
    Ok(())
}
