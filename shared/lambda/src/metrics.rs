//! Figures for CloudWatch, as log lines in its embedded metric format: no call is made.

use std::io::Write;
use std::sync::Arc;

use domain::{Clock, Platform, Timestamp};
use serde_json::{Value, json};

use crate::clock::SystemClock;
use crate::config::Env;
use crate::variables::AWS_LAMBDA_FUNCTION_NAME;

/// The namespace of every figure.
const NAMESPACE: &str = "Passerelle";

/// What a figure counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
            Self::Bytes => "Bytes",
        }
    }
}

/// Where a function's figures go. Dimensions are the function, and the platform where there is one:
/// few, since every combination is a metric that is paid for.
#[derive(Clone)]
pub struct Metrics {
    function: Arc<str>,
    clock: Arc<dyn Clock>,
}

impl Metrics {
    /// For the function that runs.
    pub fn new(env: &Env) -> Self {
        let function = env.optional(&AWS_LAMBDA_FUNCTION_NAME).unwrap_or_default();
        Self {
            function: function.into(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Writes one figure. Names are `CamelCase` and never vary: dashboards and alarms hold them.
    pub fn put(&self, name: &'static str, unit: Unit, value: f64, platform: Option<Platform>) {
        let line = line(
            &self.function,
            self.clock.now(),
            name,
            unit,
            value,
            platform,
        );
        // A lost figure must not fail a request.
        let _unwritten = writeln!(std::io::stdout().lock(), "{line}");
    }

    /// One more of something.
    pub fn count(&self, name: &'static str, platform: Option<Platform>) {
        self.put(name, Unit::Count, 1.0, platform);
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Metrics").field(&self.function).finish()
    }
}

fn line(
    function: &str,
    now: Timestamp,
    name: &str,
    unit: Unit,
    value: f64,
    platform: Option<Platform>,
) -> Value {
    let mut dimensions = vec!["function"];
    let mut line = json!({ "function": function, name: value });
    if let Some(platform) = platform {
        dimensions.push("platform");
        line["platform"] = platform.as_str().into();
    }
    line["_aws"] = json!({
        "Timestamp": now.millis(),
        "CloudWatchMetrics": [{
            "Namespace": NAMESPACE,
            "Dimensions": [dimensions],
            "Metrics": [{ "Name": name, "Unit": unit.as_str() }],
        }],
    });
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_one_line_of_the_embedded_format() {
        let now = Timestamp::from_secs(1);
        let line = line(
            "webhook",
            now,
            "SecretIsOld",
            Unit::Count,
            1.0,
            Some(Platform::TikTok),
        );
        insta::assert_snapshot!(line.to_string(), @r#"{"SecretIsOld":1.0,"_aws":{"CloudWatchMetrics":[{"Dimensions":[["function","platform"]],"Metrics":[{"Name":"SecretIsOld","Unit":"Count"}],"Namespace":"Passerelle"}],"Timestamp":1000},"function":"webhook","platform":"tiktok"}"#);
    }
}
