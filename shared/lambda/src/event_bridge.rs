//! Puts events on a bus: EventBridge's `PutEvents`, as one signed request.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::signed::{Signed, SignedError};

/// One event for a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEvent<'a> {
    /// `Source`: who says it.
    pub source: &'a str,
    /// `DetailType`: what is said.
    pub detail_type: &'a str,
    /// `Detail`: a JSON object as text.
    pub detail: &'a str,
    /// `Time`, in seconds since 1970 UTC.
    pub time: i64,
}

/// Why a request failed as a whole. Trying later may help.
#[derive(Debug, thiserror::Error)]
pub enum EventBridgeError {
    /// The request could not be built or signed.
    #[error("the call cannot be signed: {0}")]
    Unsignable(String),
    /// EventBridge could not be reached, or did not answer in time.
    #[error("EventBridge did not answer")]
    NoAnswer,
    /// EventBridge refused; the HTTP status.
    #[error("EventBridge refused the call with {0}")]
    Refused(u16),
    /// The answer is not what `PutEvents` answers.
    #[error("EventBridge's answer cannot be read")]
    Unreadable,
}

/// One bus.
#[derive(Debug)]
pub struct EventBridge {
    signed: Signed,
    bus: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    entries: Vec<PutEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEntry {
    #[serde(default)]
    error_code: Option<String>,
}

impl EventBridge {
    /// The bus of this name or ARN. `timeout` bounds the wait for an answer.
    pub fn new(aws: &Aws, bus: impl Into<String>, timeout: Duration) -> Self {
        Self {
            signed: Signed::new(aws, "events", "events", "EVENTBRIDGE", timeout),
            bus: bus.into(),
        }
    }

    /// Puts at most ten events on the bus, together at most 256 KiB; for each, in the same order, the
    /// error code where the bus did not take it.
    pub async fn put(
        &self,
        events: &[BusEvent<'_>],
    ) -> Result<Vec<Option<String>>, EventBridgeError> {
        let entries: Vec<Value> = events
            .iter()
            .map(|event| {
                json!({
                    "EventBusName": self.bus,
                    "Source": event.source,
                    "DetailType": event.detail_type,
                    "Detail": event.detail,
                    "Time": event.time,
                })
            })
            .collect();
        let body = json!({ "Entries": entries }).to_string();
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "AWSEvents.PutEvents"),
        ];
        let answer = self.signed.post("/", &headers, &body).await?;
        if answer.status != 200 {
            return Err(EventBridgeError::Refused(answer.status));
        }
        let put: Put =
            serde_json::from_slice(&answer.body).map_err(|_| EventBridgeError::Unreadable)?;
        if put.entries.len() != events.len() {
            return Err(EventBridgeError::Unreadable);
        }
        let codes = put.entries.into_iter().map(|entry| entry.error_code);
        Ok(codes.collect())
    }
}

impl From<SignedError> for EventBridgeError {
    fn from(error: SignedError) -> Self {
        match error {
            SignedError::Unsignable(why) => Self::Unsignable(why),
            SignedError::NoAnswer => Self::NoAnswer,
        }
    }
}
