//! Refreshes as the schedule finds them due: their AWS calls, and the window during which a rotated
//! token is nowhere but in memory.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::flows::{USER, answering};
use super::relay::Relay;
use super::report::{Bar, Report};
use super::statistics::Samples;
use crate::demo::api::Api;
use crate::proxy::Call;
use crate::{Dev, eventually};

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: usize = 30;

/// So many of them are the first of their process.
const FIRST: usize = 5;

/// Measures on the connection that [`USER`] has by now.
pub(super) async fn refresh(dev: &Dev, report: &mut Report) -> Result<()> {
    report.heading(&format!(
        "one refresh ({ROUNDS}, found due by the schedule, {FIRST} in a new process)"
    ))?;
    let relay = relay(dev).await?;
    let connection = Connection::of_user(dev).await?;
    let [mut first, mut warm] = [0, 0];
    let [mut received, mut answered] = [Samples::default(), Samples::default()];
    for round in 0..ROUNDS {
        let most = if round < FIRST {
            dev.stack.kill("refresh-worker").await?;
            &mut first
        } else {
            &mut warm
        };
        relay.take();
        let calls = connection.refresh(dev).await?;
        if round == 0 || round == FIRST {
            let told: Vec<&str> = calls.iter().map(|call| call.action.as_str()).collect();
            report.note(&told.join(", "))?;
        }
        *most = calls.len().max(*most);
        let from = relay.take();
        ensure!(from.len() == 1, "{} calls to the platform", from.len());
        let commit = calls.iter().rfind(|call| call.started >= from[0]);
        let commit = commit.context("nothing was written after the platform's answer")?;
        let until = commit.started.saturating_duration_since(from[0]);
        received.add(until);
        answered.add(until + commit.elapsed);
    }
    for (name, most) in [
        ("refresh, the first of a process", first),
        ("refresh, the most of the others", warm),
    ] {
        report.add(name, most as f64, "calls", Bar::MostCalls(4.0))?;
    }
    report.note("the window, from the platform's answer (its commit goes to a local database):")?;
    report.times("window, commit received", &received)?;
    report.times("window, commit answered", &answered)?;
    let peak = dev.stack.host().peak_memory("refresh-worker")? as f64 / 1_024.0;
    report.add("peak of refresh-worker", peak, "MiB", Bar::Most(32.0))
}

/// Puts a relay between the worker and the platform's token endpoint.
async fn relay(dev: &Dev) -> Result<Relay> {
    let mut overrides = dev.platforms.host_overrides.clone();
    let base = overrides
        .iter_mut()
        .find(|(host, _)| host.starts_with("open."));
    let (_, base) = base.context("no stand-in for the token endpoint")?;
    let relay = Relay::start(base).await?;
    *base = relay.url().to_owned();
    let overrides = json!(overrides).to_string();
    let host = dev.stack.host();
    host.set_environment("refresh-worker", "HOST_OVERRIDES", Some(&overrides))
        .await?;
    Ok(relay)
}

/// The connection that is refreshed again and again.
struct Connection {
    api: Api,
    id: String,
}

impl Connection {
    async fn of_user(dev: &Dev) -> Result<Self> {
        let token = dev.stack.mint_jwt(USER, &["connections"])?;
        let api = Api::new(dev.stack.api_url(), &token)?;
        let list = api
            .call(Method::GET, "/v1/connections", None, StatusCode::OK)
            .await?;
        let id = list["connections"][0]["id"].as_str();
        let id = id.context("no connection")?.to_owned();
        Ok(Self { api, id })
    }

    /// One refresh from the schedule to the deleted message; the worker's calls.
    async fn refresh(&self, dev: &Dev) -> Result<Vec<Call>> {
        let before = self.version().await?;
        self.make_due(dev).await?;
        dev.stack.record().clear();
        dev.stack.fire("token-refresh").await?;
        eventually("the refresh", PATIENCE, async || {
            let over = dev.stack.queue_depth("RefreshQueue").await? == (0, 0, 0);
            Ok((over && self.version().await? > before).then_some(()))
        })
        .await?;
        Ok(answering(dev, "refresh-worker"))
    }

    async fn version(&self) -> Result<u64> {
        let path = format!("/v1/connections/{}/status", self.id);
        let status = self
            .api
            .call(Method::GET, &path, None, StatusCode::OK)
            .await?;
        Ok(status["token"]["version"].as_u64().unwrap_or(0))
    }

    /// Sets the connection's times as the passing of time would.
    async fn make_due(&self, dev: &Dev) -> Result<()> {
        let client = dev.stack.clients().dynamodb;
        client
            .update_item()
            .table_name(dev.stack.table("connections")?)
            .key("user_id", AttributeValue::S(USER.to_owned()))
            .key("connection_id", AttributeValue::S(self.id.clone()))
            .update_expression("SET expires_at = :long_ago, due_at = :long_ago")
            .expression_attribute_values(":long_ago", AttributeValue::N("1".to_owned()))
            .send()
            .await?;
        Ok(())
    }
}
