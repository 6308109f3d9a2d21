//! One call to the stand-in: noted, run through the faults, answered or cut.
//!
//! A call's effect runs in a task of its own, as on a real server: a caller that dies while it
//! waits does not undo or prevent the effect.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::World;
use super::errors::{Refusal, Shape};
use super::knobs::{Fault, HoldAt};
use crate::socket::Switch;

/// The endpoints, by the names that faults and the request log use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Endpoint {
    Authorize,
    TokenCode,
    TokenRefresh,
    /// The token endpoint without a known grant type.
    TokenOther,
    Revoke,
    UserInfo,
    VideoList,
    VideoQuery,
    CreatorInfo,
    Init,
    InboxInit,
    PhotoInit,
    Upload,
    Status,
    Cancel,
    /// A path that the stand-in does not serve.
    Unknown,
}

impl Endpoint {
    /// How this endpoint writes errors.
    pub(crate) fn shape(self) -> Shape {
        match self {
            Self::Authorize => Shape::Page,
            Self::TokenCode | Self::TokenRefresh | Self::TokenOther | Self::Revoke => Shape::OAuth,
            Self::Upload => Shape::Plain,
            _ => Shape::Envelope,
        }
    }

    /// The name in JSON.
    pub(crate) fn name(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|name| name.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// What is known of a call before its effect.
pub(crate) struct Call {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Key fields for the log; a fault may match on them.
    pub(crate) fields: Map<String, Value>,
    pub(crate) switch: Switch,
}

/// How the effect of a call is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As on a good day.
    Run,
    /// Take the body in, change nothing (uploads only: a fault answers instead).
    Drain,
    /// Cut the connection once this many body bytes came (uploads only).
    CutAfterBytes(u64),
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
    /// The error code, for the log.
    error: Option<String>,
    /// More fields for the log.
    notes: Map<String, Value>,
    /// The effect already cut the connection.
    cut: bool,
}

impl Answer {
    /// An answer with this status and no body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            error: None,
            notes: Map::new(),
            cut: false,
        }
    }

    /// A JSON answer.
    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::empty(status)
            .with_header(CONTENT_TYPE, "application/json; charset=utf-8")
            .with_body(body.to_string())
    }

    /// A plain text answer.
    pub(crate) fn text(status: StatusCode, body: &str) -> Self {
        Self::empty(status)
            .with_header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .with_body(body.to_owned())
    }

    /// No answer: the effect cut the connection.
    pub(crate) fn cut() -> Self {
        Self {
            cut: true,
            ..Self::empty(StatusCode::SERVICE_UNAVAILABLE)
        }
    }

    /// With this body.
    pub(crate) fn with_body(mut self, body: String) -> Self {
        self.body = body.into();
        self
    }

    /// With this header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With this error code in the log.
    pub(crate) fn with_error(mut self, code: &str) -> Self {
        self.error = Some(code.to_owned());
        self
    }

    /// With this field in the log.
    pub(crate) fn note(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.notes.insert(key.to_owned(), value.into());
        self
    }

    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// One line of the request log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Logged {
    pub(crate) seq: u64,
    pub(crate) at_ms: i64,
    pub(crate) endpoint: Endpoint,
    pub(crate) method: String,
    pub(crate) path: String,
    /// `pending`, `held`, `answered` or `cut`.
    pub(crate) outcome: &'static str,
    /// The status sent; none where the connection was cut.
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    /// Whether a fault was at work.
    pub(crate) fault: bool,
    pub(crate) fields: Map<String, Value>,
}

/// Takes a call through log, faults and effect. The effect always runs to its end once begun.
pub(crate) async fn serve<F, Fut>(world: Arc<World>, call: Call, effect: F) -> Response
where
    F: FnOnce(Arc<World>, Mode) -> Fut + Send + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    match tokio::spawn(run(world, call, effect)).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a call's task ended early");
            Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "the sandbox failed").into_response()
        }
    }
}

/// [`serve`] for a call whose effect is one step on the world.
pub(crate) async fn serve_now<F>(world: Arc<World>, call: Call, effect: F) -> Response
where
    F: FnOnce(&Arc<World>) -> Result<Answer, Refusal> + Send + 'static,
{
    let endpoint = call.endpoint;
    serve(world, call, move |world, _| async move {
        effect(&world).unwrap_or_else(|refusal| refusal.answer(endpoint, None))
    })
    .await
}

async fn run<F, Fut>(world: Arc<World>, call: Call, effect: F) -> Response
where
    F: FnOnce(Arc<World>, Mode) -> Fut + Send + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let endpoint = call.endpoint;
    let (seq, fault) = begin(&world, &call);
    if let Some(delay) = fault.delay_ms {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    if fault.hold == Some(HoldAt::Before) {
        world.hold(seq, endpoint, HoldAt::Before).await;
    }
    if fault.cut_before {
        return cut(&world, seq, &call.switch);
    }
    let replaced = fault.answer(endpoint);
    let answer = match (replaced, endpoint) {
        (Some(answer), _) if fault.effect => {
            let _ = effect(Arc::clone(&world), fault.mode()).await;
            answer
        }
        (Some(answer), Endpoint::Upload) => {
            let _ = effect(Arc::clone(&world), Mode::Drain).await;
            answer
        }
        (Some(answer), _) => answer,
        (None, _) => effect(Arc::clone(&world), fault.mode()).await,
    };
    let mut answer = answer;
    let http200 = fault.http200
        || (endpoint.shape() == Shape::OAuth && world.state().settings.oauth_errors_http200);
    if http200 && answer.error.is_some() {
        answer.status = StatusCode::OK;
    }
    world.state().log_notes(seq, &answer.notes);
    if fault.hold == Some(HoldAt::After) {
        world.hold(seq, endpoint, HoldAt::After).await;
    }
    if fault.cut_after || answer.cut {
        return cut(&world, seq, &call.switch);
    }
    let status = answer.status.as_u16();
    world
        .state()
        .log_end(seq, "answered", Some(status), answer.error.clone());
    answer.into_response()
}

fn begin(world: &World, call: &Call) -> (u64, Fault) {
    let at_ms = world.clock.now_ms();
    let mut state = world.state();
    let fault = state.take_fault(call.endpoint, &call.fields);
    let seq = state.log_begin(Logged {
        seq: 0,
        at_ms,
        endpoint: call.endpoint,
        method: call.method.to_string(),
        path: call.path.clone(),
        outcome: "pending",
        status: None,
        error: None,
        fault: fault.is_some(),
        fields: call.fields.clone(),
    });
    let fault = fault.unwrap_or_else(|| Fault::none(call.endpoint));
    (seq, fault)
}

/// The response is never written: the socket refuses it.
fn cut(world: &World, seq: u64, switch: &Switch) -> Response {
    world.state().log_end(seq, "cut", None, None);
    switch.cut();
    Answer::cut().into_response()
}
