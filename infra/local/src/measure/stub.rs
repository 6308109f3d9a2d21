//! AWS at its fastest: answers the two calls of `webhook` and the control at once, and notes them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

/// One call: its API and how long the stub had it.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub(super) target: String,
    pub(super) took: Duration,
}

/// A running stub.
#[derive(Debug)]
pub(super) struct Stub {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    secret: String,
    calls: Mutex<Vec<Noted>>,
}

impl Stub {
    /// Listens on a free port; every secret has this value.
    pub(super) async fn start(secret: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            secret: secret.to_owned(),
            calls: Mutex::default(),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            drop(stream.set_nodelay(true));
        });
        let serving = tokio::spawn(async move {
            // It serves until it is dropped.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self {
            url,
            shared,
            serving,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The calls since the last time this was asked.
    pub(super) fn take(&self) -> Vec<Noted> {
        let mut calls = self
            .shared
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut calls)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let began = Instant::now();
    let target = headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok());
    let target = target.unwrap_or_default().to_owned();
    let answered = match target.as_str() {
        "secretsmanager.GetSecretValue" => json!({
            "ARN": "arn", "Name": "platforms", "VersionId": "00000000-0000-0000-0000-000000000000",
            "SecretString": shared.secret, "VersionStages": ["AWSCURRENT"],
        }),
        "AmazonSQS.SendMessage" if !body.is_empty() => json!({
            "MessageId": "00000000-0000-0000-0000-000000000000",
            "MD5OfMessageBody": "00000000000000000000000000000000",
        }),
        _ => return StatusCode::BAD_REQUEST.into_response(),
    };
    let kind = [(CONTENT_TYPE, "application/x-amz-json-1.0")];
    let answered = (kind, answered.to_string()).into_response();
    let took = began.elapsed();
    let mut calls = shared.calls.lock().unwrap_or_else(PoisonError::into_inner);
    calls.push(Noted { target, took });
    answered
}
