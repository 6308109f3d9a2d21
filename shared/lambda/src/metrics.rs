//! Figures for CloudWatch, as log lines in its embedded metric format: no call is made. The table of
//! all metrics is [`ALL`].
//!
//! The format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//! Lambda takes a line without a level for one of level INFO, which its default filter lets pass.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use domain::{Clock, Timestamp};

pub use domain::metric::*;

use crate::clock::SystemClock;
use crate::config::Env;
use crate::variables::{AWS_LAMBDA_FUNCTION_NAME, ENVIRONMENT};

/// The namespace of every metric.
pub const NAMESPACE: &str = "Passerelle";

/// The dimension that every metric has: stacks live side by side in one account.
pub const STACK: &str = "stack";

/// Writes figures to standard output, one line for each call.
#[derive(Clone)]
pub struct Metrics {
    /// The members that every line has, as JSON: the stack, and the function for queries of logs.
    common: Arc<str>,
    clock: Arc<dyn Clock>,
}

impl Metrics {
    /// For the function that runs.
    pub fn new(env: &Env) -> Self {
        let stack = env.text(&ENVIRONMENT);
        let function = env.optional(&AWS_LAMBDA_FUNCTION_NAME).unwrap_or_default();
        Self::of(&stack, &function, Arc::new(SystemClock))
    }

    fn of(stack: &str, function: &str, clock: Arc<dyn Clock>) -> Self {
        let mut common = format!("\"{STACK}\":");
        text(&mut common, stack);
        common.push_str(",\"function\":");
        text(&mut common, function);
        Self {
            common: common.into(),
            clock,
        }
    }

    /// The line of these values; `None` where none of them can be told.
    fn line(
        &self,
        now: Timestamp,
        values: &[(&'static Metric, f64)],
        labels: Labels<'_>,
    ) -> Option<String> {
        let mut directives = String::new();
        let mut members = String::new();
        for (metric, value) in values.iter().filter(|(_, value)| value.is_finite()) {
            if let Some(directive) = directive(metric, labels) {
                directives.push_str(if directives.is_empty() { "" } else { "," });
                directives.push_str(&directive);
                // Writing to a text does not fail.
                let _done = write!(members, ",\"{}\":{value}", metric.name);
            }
        }
        if directives.is_empty() {
            return None;
        }
        for dimension in [Dimension::Platform, Dimension::Outcome, Dimension::Limit] {
            if let Some(label) = labels.of(dimension) {
                let _done = write!(members, ",\"{}\":", dimension.as_str());
                text(&mut members, label);
            }
        }
        let (millis, common) = (now.millis(), &self.common);
        Some(format!(
            "{{\"_aws\":{{\"Timestamp\":{millis},\"CloudWatchMetrics\":[{directives}]}},{common}{members}}}\n"
        ))
    }
}

impl Meter for Metrics {
    fn put(&self, values: &[(&'static Metric, f64)], labels: Labels<'_>) {
        if let Some(line) = self.line(self.clock.now(), values, labels) {
            // In one piece, so that no log line comes between. A lost figure must not fail a request.
            let _unwritten = std::io::stdout().lock().write_all(line.as_bytes());
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Metrics").field(&self.common).finish()
    }
}

/// What tells CloudWatch to keep this metric, under each set of dimensions that there are labels for.
fn directive(metric: &Metric, labels: Labels<'_>) -> Option<String> {
    let told = |set: &&&[Dimension]| set.iter().all(|by| labels.of(*by).is_some());
    let mut sets = String::new();
    for set in metric.sets.iter().filter(told) {
        sets.push_str(if sets.is_empty() { "" } else { "," });
        let _done = write!(sets, "[\"{STACK}\"");
        for by in *set {
            let _done = write!(sets, ",\"{}\"", by.as_str());
        }
        sets.push(']');
    }
    let (name, unit) = (metric.name, metric.unit.as_str());
    (!sets.is_empty()).then(|| {
        format!(
            "{{\"Namespace\":\"{NAMESPACE}\",\"Dimensions\":[{sets}],\"Metrics\":[{{\"Name\":\"{name}\",\"Unit\":\"{unit}\"}}]}}"
        )
    })
}

/// A JSON text.
fn text(into: &mut String, text: &str) {
    into.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use domain::{FixedClock, Platform};
    use serde_json::{Value, json};

    use super::*;

    fn metrics() -> Metrics {
        let clock = FixedClock::at(Timestamp::from_secs(1));
        Metrics::of("a \"stack\"", "webhook", Arc::new(clock))
    }

    fn line(values: &[(&'static Metric, f64)], labels: Labels<'_>) -> Option<Value> {
        let line = metrics().line(Timestamp::from_secs(1), values, labels)?;
        assert_eq!(line.find('\n'), Some(line.len() - 1), "one line");
        Some(serde_json::from_str(&line).unwrap())
    }

    #[test]
    fn values_that_belong_together_are_one_line() {
        let values = [(&PUBLISHES, 1.0), (&PUBLISH_MILLISECONDS, 1234.5)];
        let labels = Labels::from(Platform::TikTok).outcome("published");
        let directive = |name: &str, unit: &str, sets: Value| {
            json!({
                "Namespace": "Passerelle",
                "Dimensions": sets,
                "Metrics": [{"Name": name, "Unit": unit}],
            })
        };
        let narrow = ["stack", "platform", "outcome"];
        let expected = json!({
            "_aws": {
                "Timestamp": 1000,
                "CloudWatchMetrics": [
                    directive("Publishes", "Count", json!([["stack", "outcome"], narrow])),
                    directive("PublishMilliseconds", "Milliseconds", json!([["stack"], narrow])),
                ],
            },
            "stack": "a \"stack\"",
            "function": "webhook",
            "Publishes": 1,
            "PublishMilliseconds": 1234.5,
            "platform": "tiktok",
            "outcome": "published",
        });
        assert_eq!(line(&values, labels), Some(expected));
    }

    #[test]
    fn only_sets_with_all_their_labels_are_told() {
        let told = line(&[(&WEBHOOKS_REFUSED, 1.0)], Labels::NONE).unwrap();
        let sets = &told["_aws"]["CloudWatchMetrics"][0]["Dimensions"];
        assert_eq!(*sets, json!([["stack"]]));
        assert_eq!(line(&[(&FLOWS, 1.0)], Platform::TikTok.into()), None);
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        assert_eq!(line(&[(&REFRESHED, f64::NAN)], Labels::NONE), None);
        let values = [(&REFRESHED, f64::INFINITY), (&RESCUED, 2.0)];
        let told = line(&values, Labels::NONE).unwrap();
        assert_eq!(told["Rescued"], 2);
        assert!(told.get("Refreshed").is_none());
    }

    /// A ceiling far above what it takes (a few microseconds), so that a busy machine does not fail it
    /// and a change that makes a line expensive does.
    #[test]
    fn a_line_is_cheap() {
        let metrics = metrics();
        let began = Instant::now();
        let mut bytes = 0;
        for _ in 0..1_000 {
            let line = metrics.line(
                Timestamp::default(),
                &[(&WEBHOOKS_REFUSED, 1.0)],
                Platform::TikTok.into(),
            );
            bytes += line.map_or(0, |line| line.len());
        }
        let each = began.elapsed() / 1_000;
        assert!(bytes > 0 && each.as_micros() < 500, "{each:?} each");
    }
}
