//! Answers and refusals, before they are HTTP.

use bytes::Bytes;
use serde_json::{Value, json};

/// A refusal in AWS's words.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The exception's name, such as `ConditionalCheckFailedException`.
    pub code: String,
    /// The sentence.
    pub message: String,
    /// Further fields of the body: an item, reasons.
    pub fields: serde_json::Map<String, Value>,
}

impl Refusal {
    /// A refusal with this status.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            fields: serde_json::Map::new(),
        }
    }

    /// What services say to a request that they do not take.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationException", message)
    }

    /// What this model says to a request that it does not know, though the service may.
    pub(crate) fn unknown(what: impl std::fmt::Display) -> Self {
        Self::new(
            501,
            "NotModelled",
            format!("the model of AWS does not know {what}"),
        )
    }

    /// With a further field in the body.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }
}

/// An answer on its way to an SDK client.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(body: &Value) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/x-amz-json-1.0".to_owned())],
            body: body.to_string().into(),
        }
    }

    pub(crate) fn xml(status: u16, body: String) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/xml".to_owned())],
            body: format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{body}").into(),
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// A refusal as `service` writes it.
    pub(crate) fn refusal(service: &str, refusal: &Refusal) -> Self {
        if service == "s3" {
            let (code, message) = (&refusal.code, &refusal.message);
            let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
            return Self::xml(refusal.status, body);
        }
        let prefix = match service {
            "dynamodb" => "com.amazonaws.dynamodb.v20120810#",
            "sqs" => "com.amazonaws.sqs#",
            _ => "",
        };
        let mut body = json!({ "__type": format!("{prefix}{}", refusal.code) });
        if !refusal.message.is_empty() {
            body["message"] = json!(refusal.message);
        }
        for (name, value) in &refusal.fields {
            body[name] = value.clone();
        }
        Self {
            status: refusal.status,
            ..Self::json(&body)
        }
    }
}
