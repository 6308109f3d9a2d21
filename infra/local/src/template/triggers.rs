//! What starts functions besides HTTP: event-source mappings and schedules.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{FunctionSpec, Resolver};

/// What a mapping follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// An SQS queue.
    Queue,
    /// A DynamoDB stream.
    Stream,
}

/// One event-source mapping.
#[derive(Debug, Clone)]
pub struct EventSource {
    /// The logical id of the mapping.
    pub logical: String,
    /// Queue or stream.
    pub kind: SourceKind,
    /// The ARN of the queue or stream.
    pub arn: String,
    /// The function's short name.
    pub function: String,
    /// At most so many records an invocation.
    pub batch_size: usize,
    /// How long to gather a batch.
    pub window: Duration,
    /// Whether the answer names failed items.
    pub partial: bool,
    /// At most so many invocations at once.
    pub concurrency: usize,
    /// Streams: begin with what is there already, not with what comes.
    pub from_start: bool,
    /// Streams: the names of the changes that are of interest; empty: all.
    pub changes: Vec<String>,
    /// Streams: tries before a batch is given up (`None`: for ever).
    pub tries: Option<u32>,
    /// Streams: a batch at which the function fails is halved.
    pub bisect: bool,
    /// Streams: a record older than this is given up (`None`: none is).
    pub most_age: Option<Duration>,
    /// Streams: the ARN of the queue that is told of what is given up.
    pub on_failure: Option<String>,
}

/// One schedule of one function.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The logical id.
    pub logical: String,
    /// The function's short name.
    pub function: String,
    /// `rate(…)` or `cron(…)`.
    pub expression: String,
    /// The zone of a cron expression.
    pub zone: String,
    /// The fixed input, where the template gives one.
    pub input: Option<Value>,
    /// False where the template switches it off.
    pub enabled: bool,
}

/// What AWS starts an SQS mapping with, and enough for one machine.
const DEFAULT_CONCURRENCY: usize = 5;

pub(super) fn sources(
    resolver: &Resolver<'_>,
    functions: &BTreeMap<String, FunctionSpec>,
) -> Result<Vec<EventSource>> {
    let mut sources = Vec::new();
    for (logical, properties) in resolver.of_type("AWS::Lambda::EventSourceMapping")? {
        let p = resolver
            .value(properties)
            .with_context(|| format!("mapping {logical}"))?;
        if p["Enabled"] == Value::Bool(false) || p["Enabled"] == "false" {
            continue;
        }
        let arn = p["EventSourceArn"].as_str().unwrap_or_default().to_owned();
        let target = p["FunctionName"].as_str().unwrap_or_default();
        let Some(function) = functions
            .values()
            .find(|f| f.physical == target || f.arn == target)
        else {
            bail!("mapping {logical} names no function of this template: {target}");
        };
        let kind = match arn.split(':').nth(2) {
            Some("sqs") => SourceKind::Queue,
            Some("dynamodb") => SourceKind::Stream,
            _ => bail!("mapping {logical} follows {arn}, which is not served locally"),
        };
        let default_batch = if kind == SourceKind::Queue { 10 } else { 100 };
        // -1, as the absence of it: for ever.
        let retries = number(&p["MaximumRetryAttempts"]).and_then(|n| u32::try_from(n).ok());
        let tries = retries.map(|retries| retries.saturating_add(1));
        sources.push(EventSource {
            logical: logical.to_owned(),
            kind,
            arn,
            function: function.name.clone(),
            batch_size: number(&p["BatchSize"]).map_or(default_batch, |n| n.max(1) as usize),
            window: Duration::from_secs(
                number(&p["MaximumBatchingWindowInSeconds"])
                    .unwrap_or(0)
                    .unsigned_abs(),
            ),
            partial: p["FunctionResponseTypes"]
                .as_array()
                .is_some_and(|types| types.contains(&json!("ReportBatchItemFailures"))),
            concurrency: number(&p["ScalingConfig"]["MaximumConcurrency"])
                .map_or(DEFAULT_CONCURRENCY, |n| n.max(1) as usize)
                .min(function.concurrency.unwrap_or(usize::MAX).max(1)),
            changes: changes(&p["FilterCriteria"])
                .with_context(|| format!("filters of {logical}"))?,
            from_start: p["StartingPosition"] != "LATEST",
            tries,
            bisect: matches!(&p["BisectBatchOnFunctionError"], Value::Bool(true))
                || p["BisectBatchOnFunctionError"] == "true",
            // -1, as the absence of it: for ever.
            most_age: number(&p["MaximumRecordAgeInSeconds"])
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map(Duration::from_secs),
            on_failure: p["DestinationConfig"]["OnFailure"]["Destination"]
                .as_str()
                .map(str::to_owned),
        });
    }
    Ok(sources)
}

/// The one kind of filter that is served: `{"eventName":["INSERT"]}`.
fn changes(criteria: &Value) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for filter in criteria["Filters"].as_array().into_iter().flatten() {
        let pattern = filter["Pattern"].as_str().unwrap_or_default();
        let pattern: Value = serde_json::from_str(pattern).context("a pattern is no JSON")?;
        let known = pattern.as_object().is_some_and(|all| all.len() == 1);
        match serde_json::from_value::<Vec<String>>(pattern["eventName"].clone()) {
            Ok(wanted) if known => names.extend(wanted),
            _ => bail!("{pattern} is not served locally"),
        }
    }
    Ok(names)
}

pub(super) fn schedules(
    resolver: &Resolver<'_>,
    by_arn: &BTreeMap<String, String>,
) -> Result<Vec<Schedule>> {
    let mut schedules = Vec::new();
    let mut add = |logical: &str, p: &Value, target: &Value, zone: &str| -> Result<()> {
        let Some(function) = target["Arn"].as_str().and_then(|arn| by_arn.get(arn)) else {
            return Ok(());
        };
        schedules.push(Schedule {
            logical: logical.to_owned(),
            function: function.clone(),
            expression: p["ScheduleExpression"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            zone: zone.to_owned(),
            input: target["Input"]
                .as_str()
                .map(serde_json::from_str)
                .transpose()
                .with_context(|| format!("input of {logical}"))?,
            enabled: p["State"] != "DISABLED",
        });
        Ok(())
    };
    for (logical, properties) in resolver.of_type("AWS::Events::Rule")? {
        let p = resolver
            .value(properties)
            .with_context(|| format!("rule {logical}"))?;
        if p["ScheduleExpression"].is_string() {
            for target in p["Targets"].as_array().into_iter().flatten() {
                add(logical, &p, target, "UTC")?;
            }
        }
    }
    for (logical, properties) in resolver.of_type("AWS::Scheduler::Schedule")? {
        let p = resolver
            .value(properties)
            .with_context(|| format!("schedule {logical}"))?;
        let zone = p["ScheduleExpressionTimezone"]
            .as_str()
            .unwrap_or("UTC")
            .to_owned();
        add(logical, &p, &p["Target"], &zone)?;
    }
    Ok(schedules)
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
