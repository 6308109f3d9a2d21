//! The Lambda runtime API, one listener for each function process.
//!
//! A listener of its own tells the processes apart and keeps `AWS_LAMBDA_RUNTIME_API` in the
//! form that Lambda gives it: host and port, no path.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

/// One invocation on its way to a process.
#[derive(Debug, Clone)]
pub struct Event {
    /// The request id.
    pub request_id: String,
    /// The event as JSON.
    pub payload: Bytes,
    /// When the function must have answered, in milliseconds since the epoch.
    pub deadline_ms: u64,
    /// The function's ARN.
    pub function_arn: String,
}

/// What a process says to its runtime API.
pub trait Runtime: Send + Sync + 'static {
    /// The next event; waits as long as there is none, and gives none when the process must end.
    fn next(&self) -> impl Future<Output = Option<Event>> + Send;
    /// The answer to an invocation.
    fn succeeded(&self, request_id: &str, body: Bytes);
    /// An invocation ended in an error, given as `{"errorType", "errorMessage"}`.
    fn failed(&self, request_id: &str, error: Value);
    /// The process failed before it could take events.
    fn init_failed(&self, error: Value);
}

/// Lambda takes answers of up to 6 MB; a bit more lets the host say so itself.
const BODY_LIMIT: usize = 8 << 20;

/// Serves the API for one process; gives its `host:port`.
pub async fn serve<R: Runtime>(runtime: Arc<R>) -> Result<(String, JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next::<R>))
        .route(
            "/2018-06-01/runtime/invocation/{id}/response",
            post(succeeded::<R>),
        )
        .route(
            "/2018-06-01/runtime/invocation/{id}/error",
            post(failed::<R>),
        )
        .route("/2018-06-01/runtime/init/error", post(init_failed::<R>))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(runtime);
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        drop(stream.set_nodelay(true));
    });
    let serving = tokio::spawn(async move {
        // It serves until it is aborted, together with the process that it is for.
        drop(axum::serve(listener, router).await);
    });
    Ok((address, serving))
}

async fn next<R: Runtime>(State(runtime): State<Arc<R>>) -> Response {
    let Some(event) = runtime.next().await else {
        return StatusCode::GONE.into_response();
    };
    let trace = trace_id(&event.request_id);
    let answer = Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .header("lambda-runtime-aws-request-id", event.request_id)
        .header("lambda-runtime-deadline-ms", event.deadline_ms)
        .header("lambda-runtime-invoked-function-arn", event.function_arn)
        .header("lambda-runtime-trace-id", trace)
        .body(Body::from(event.payload));
    answer.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn succeeded<R: Runtime>(
    State(runtime): State<Arc<R>>,
    Path(id): Path<String>,
    body: Bytes,
) -> StatusCode {
    runtime.succeeded(&id, body);
    StatusCode::ACCEPTED
}

async fn failed<R: Runtime>(
    State(runtime): State<Arc<R>>,
    Path(id): Path<String>,
    body: Bytes,
) -> StatusCode {
    runtime.failed(&id, error_of(&body));
    StatusCode::ACCEPTED
}

async fn init_failed<R: Runtime>(State(runtime): State<Arc<R>>, body: Bytes) -> StatusCode {
    runtime.init_failed(error_of(&body));
    StatusCode::ACCEPTED
}

fn error_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into())
}

fn trace_id(request_id: &str) -> String {
    let hex: String = request_id.chars().filter(char::is_ascii_hexdigit).collect();
    let seconds = now_ms() / 1000;
    format!(
        "Root=1-{seconds:08x}-{:0>24.24};Parent={:0>16.16};Sampled=0",
        hex, hex
    )
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(Duration::ZERO, |elapsed| elapsed).as_millis() as u64
}
