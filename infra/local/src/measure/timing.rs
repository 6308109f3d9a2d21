//! `webhook` beside the control: cold and warm answers, memory. Both run as release builds under the
//! same host and call the same stub, by turns, so that whatever slows the machine slows both.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::hmac;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::report::{Bar, Report};
use super::statistics::Samples;
use super::stub::Stub;
use crate::host::{Host, HostOptions};
use crate::proxy::Callers;
use crate::template::FunctionSpec;

const COLD: usize = 30;
const WARM: usize = 2_500;
const REFUSED: usize = 1_000;

/// Before samples count: files and connections are warm then.
const LEAD: usize = 100;

const NAMES: [&str; 2] = ["webhook", "control"];
const CLIENT_KEY: &str = "awbench0001";
const CLIENT_SECRET: &str = "bench-client-secret";

/// Both functions under one host.
struct Bench {
    host: Host,
    stub: Stub,
    count: usize,
}

/// One answer.
struct Answered {
    /// From asking for it, a start of the process included.
    whole: Duration,
    /// From handing the event over, without the time that the stub had the function's call.
    own: Duration,
}

/// Measures both and reports. `spec` is the template's `webhook`; the control gets the same.
pub(super) async fn measure(
    binaries: &Path,
    home: &Path,
    spec: &FunctionSpec,
    report: &mut Report,
) -> Result<()> {
    let secret =
        json!({"tiktok": {"client_key": CLIENT_KEY, "client_secret": CLIENT_SECRET}}).to_string();
    let stub = Stub::start(&secret).await?;
    let options = HostOptions {
        binaries: binaries.to_owned(),
        logs: home.join("logs/passerelle-measure-timing"),
        environment: BTreeMap::from([("AWS_ENDPOINT_URL".to_owned(), stub.url().to_owned())]),
        max_instances: 1,
    };
    let specs = NAMES.map(|name| FunctionSpec {
        name: name.to_owned(),
        ..spec.clone()
    });
    let host = Host::new(specs, &options, &Arc::new(Callers::default()))?;
    let mut bench = Bench {
        host,
        stub,
        count: 0,
    };
    let measured = bench.all(report).await;
    bench.host.stop().await;
    measured
}

impl Bench {
    async fn all(&mut self, report: &mut Report) -> Result<()> {
        report.heading(&format!(
            "cold: process start to the first answer ({COLD} each, by turns, against a stub)"
        ))?;
        let [webhook, control] = self.cold().await?;
        report.times("cold webhook", &webhook)?;
        report.times("cold control", &control)?;
        let ratio = webhook.median() / control.median();
        report.add("cold, ratio of medians", ratio, "×", Bar::Most(1.5))?;

        report.heading(&format!(
            "warm: event to answer ({WARM} each, by turns, against a stub)"
        ))?;
        let [(webhook, own), (control, control_own)] = self.warm().await?;
        ensure!(
            webhook.len() == WARM && control.len() == WARM,
            "samples are missing"
        );
        report.times("warm webhook", &webhook)?;
        report.times("warm control", &control)?;
        let ratio = webhook.median() / control.median();
        report.add("warm, ratio of medians", ratio, "×", Bar::None)?;
        let name = "warm webhook without its AWS call";
        report.add(&format!("{name}, median"), own.median(), "ms", Bar::None)?;
        report.add(&format!("{name}, p99"), own.p99(), "ms", Bar::Most(5.0))?;
        let name = "warm control without its AWS call";
        report.add(&format!("{name}, p99"), control_own.p99(), "ms", Bar::None)?;

        report.heading(&format!(
            "refused: a wrong signature to its 401, a warning and a line of metrics written ({REFUSED})"
        ))?;
        let refused = self.refused().await?;
        report.add("refused webhook, median", refused.median(), "ms", Bar::None)?;
        report.add("refused webhook, p99", refused.p99(), "ms", Bar::Most(5.0))?;

        report.heading("memory after that (VmHWM)")?;
        for (name, bar) in [("webhook", Bar::Most(32.0)), ("control", Bar::None)] {
            let peak = self.host.peak_memory(name)? as f64 / 1_024.0;
            report.add(&format!("peak of {name}"), peak, "MiB", bar)?;
        }
        Ok(())
    }

    async fn cold(&mut self) -> Result<[Samples; 2]> {
        let mut samples = [Samples::default(), Samples::default()];
        for round in 0..=COLD {
            for (samples, name) in samples.iter_mut().zip(NAMES) {
                self.host.kill(name).await?;
                let expected = ["secretsmanager.GetSecretValue", "AmazonSQS.SendMessage"];
                let answered = self.ask(name, &expected).await?;
                // The first round reads the binaries from the disk.
                if round > 0 {
                    samples.add(answered.whole);
                }
            }
        }
        Ok(samples)
    }

    async fn warm(&mut self) -> Result<[(Samples, Samples); 2]> {
        let mut samples: [(Samples, Samples); 2] = Default::default();
        for round in 0..LEAD + WARM {
            for ((whole, own), name) in samples.iter_mut().zip(NAMES) {
                let answered = self.ask(name, &["AmazonSQS.SendMessage"]).await?;
                if round >= LEAD {
                    whole.add(answered.whole);
                    own.add(answered.own);
                }
            }
        }
        Ok(samples)
    }

    /// Deliveries with a wrong signature. Once in a while the function reads its secret anew for one of
    /// them; such a one does not count.
    async fn refused(&mut self) -> Result<Samples> {
        let mut samples = Samples::default();
        for round in 0..LEAD + REFUSED {
            self.count += 1;
            let mut event = delivery(self.count);
            let wrong = format!("t=1767225600,s={}", "0".repeat(64));
            event["headers"]["tiktok-signature"] = wrong.into();
            let event = Bytes::from(event.to_string());
            let invocation = self.host.invoke("webhook", event).await?;
            let status = invocation.json()?["statusCode"].clone();
            ensure!(status == 401, "a wrong signature was answered {status}");
            let calls = self.stub.take();
            let more = calls
                .iter()
                .find(|call| call.target != "secretsmanager.GetSecretValue");
            ensure!(more.is_none(), "a refused webhook called {more:?}");
            if round >= LEAD && calls.is_empty() {
                samples.add(invocation.elapsed);
            }
        }
        Ok(samples)
    }

    /// One signed delivery, answered 200 after exactly the expected calls.
    async fn ask(&mut self, name: &str, expected: &[&str]) -> Result<Answered> {
        self.count += 1;
        let event = Bytes::from(delivery(self.count).to_string());
        let began = Instant::now();
        let invocation = self.host.invoke(name, event).await?;
        let whole = began.elapsed();
        let status = invocation.json()?["statusCode"].clone();
        ensure!(status == 200, "{name} answered {status}");
        let calls = self.stub.take();
        let targets: Vec<&str> = calls.iter().map(|call| call.target.as_str()).collect();
        ensure!(targets == expected, "{name} called {targets:?}");
        let sent = calls.last().context("no call was made")?;
        Ok(Answered {
            whole,
            own: invocation.elapsed.saturating_sub(sent.took),
        })
    }
}

/// A delivery of TikTok's as API Gateway hands it over: payload 2.0, JSON bodies as text.
fn delivery(number: usize) -> Value {
    let content =
        json!({"publish_id": format!("v_pub_file~v2.{number}"), "publish_type": "DIRECT_POST"});
    let body = json!({
        "client_key": CLIENT_KEY, "event": "post.publish.complete", "create_time": 1_767_225_600,
        "user_openid": "act.bench", "content": content.to_string(),
    })
    .to_string();
    let stamp = "1767225600";
    let key = hmac::Key::new(hmac::HMAC_SHA256, CLIENT_SECRET.as_bytes());
    let signature = hmac::sign(&key, format!("{stamp}.{body}").as_bytes());
    let signature = HEXLOWER.encode(signature.as_ref());
    json!({
        "version": "2.0", "routeKey": "POST /webhooks/{platform}", "rawPath": "/webhooks/tiktok",
        "rawQueryString": "", "pathParameters": {"platform": "tiktok"},
        "headers": {
            "content-type": "application/json", "host": "api.example.com",
            "content-length": body.len().to_string(), "user-agent": "bench",
            "tiktok-signature": format!("t={stamp},s={signature}"),
            "x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https", "x-forwarded-port": "443",
        },
        "requestContext": {
            "accountId": "000000000000", "apiId": "bench", "stage": "$default",
            "domainName": "api.example.com", "domainPrefix": "api", "requestId": format!("bench-{number}"),
            "routeKey": "POST /webhooks/{platform}", "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_u64,
            "http": {"method": "POST", "path": "/webhooks/tiktok", "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1", "userAgent": "bench"},
        },
        "body": body, "isBase64Encoded": false,
    })
}
