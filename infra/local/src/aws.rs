//! A plain client for the JSON, query and S3 protocols of the local AWS process.
//!
//! It signs nothing: the process behind it takes every caller at its word, and only this crate
//! (never a function) talks to it directly.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::Value;

pub use model::{ACCOUNT, REGION};

/// An error answer of an AWS API.
#[derive(Debug, thiserror::Error)]
#[error("{code} ({status}): {message}")]
pub struct AwsError {
    /// HTTP status.
    pub status: u16,
    /// The short error code, such as `ResourceNotFoundException`.
    pub code: String,
    /// The sentence that came with it.
    pub message: String,
}

/// A client bound to one local AWS process. Cheap to clone within one tokio runtime; make a new
/// one per runtime, since pooled connections die with the runtime that opened them.
#[derive(Clone, Debug)]
pub struct Aws {
    base: String,
    http: reqwest::Client,
}

impl Aws {
    /// A client for the process at `base` (such as `http://127.0.0.1:4566`).
    pub fn new(base: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()
            .context("building the HTTP client")?;
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            http,
        })
    }

    /// Where the process listens.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// One call of a JSON-protocol service, by its full target (`AmazonSQS.SendMessage`).
    pub async fn json(&self, service: &str, target: &str, body: &Value) -> Result<Value> {
        let answer = self
            .http
            .post(format!("{}/", self.base))
            .header("authorization", credential(service))
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.0")
            .body(serde_json::to_vec(body)?)
            .send()
            .await
            .with_context(|| format!("calling {target}"))?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await?;
        if status >= 300 {
            return Err(json_error(status, &bytes)).with_context(|| format!("calling {target}"));
        }
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).with_context(|| format!("reading the answer of {target}"))
    }

    /// One call of a query-protocol service (CloudFormation): the answer is XML.
    pub async fn query(&self, service: &str, fields: &[(&str, &str)]) -> Result<String> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let answer = self
            .http
            .post(format!("{}/", self.base))
            .header("authorization", credential(service))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        if status >= 300 {
            return Err(AwsError {
                status,
                code: tag(&text, "Code").unwrap_or_default().to_owned(),
                message: tag(&text, "Message").unwrap_or(&text).to_owned(),
            }
            .into());
        }
        Ok(text)
    }

    /// The bytes of one object in a bucket.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<Bytes> {
        let answer = self
            .http
            .get(format!("{}/{bucket}/{key}", self.base))
            .header("authorization", credential("s3"))
            .send()
            .await?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await?;
        if status >= 300 {
            let text = String::from_utf8_lossy(&bytes);
            return Err(AwsError {
                status,
                code: tag(&text, "Code").unwrap_or_default().to_owned(),
                message: tag(&text, "Message").unwrap_or_default().to_owned(),
            }
            .into());
        }
        Ok(bytes)
    }
}

/// The `Authorization` header by which the local process learns region and service.
pub fn credential(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20200101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}

/// The text of the first `<name>` element.
pub fn tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let open = format!("<{name}>");
    let start = xml.find(&open)? + open.len();
    let end = xml[start..].find(&format!("</{name}>"))? + start;
    Some(&xml[start..end])
}

fn json_error(status: u16, body: &[u8]) -> AwsError {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let code = text("__type").or_else(|| text("code")).unwrap_or_default();
    AwsError {
        status,
        code: code.rsplit('#').next().unwrap_or_default().to_owned(),
        message: text("message")
            .or_else(|| text("Message"))
            .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
    }
}
