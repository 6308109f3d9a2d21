//! Stands between a function and a stand-in platform and notes when it passed each answer on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

/// A running relay.
#[derive(Debug)]
pub(super) struct Relay {
    url: Url,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    upstream: Url,
    answered: Mutex<Vec<Instant>>,
}

impl Relay {
    /// A relay to the stand-in at `upstream`; its own address keeps the path.
    pub(super) async fn start(upstream: &str) -> Result<Self> {
        let upstream = Url::parse(upstream)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut url = upstream.clone();
        let port = listener.local_addr()?.port();
        url.set_host(Some("127.0.0.1"))?;
        url.set_port(Some(port)).ok().context("a port")?;
        let shared = Arc::new(Shared {
            http: reqwest::Client::builder().no_proxy().build()?,
            upstream,
            answered: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
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

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// When each answer since the last time this was asked was passed on.
    pub(super) fn take(&self) -> Vec<Instant> {
        let answered = &self.shared.answered;
        std::mem::take(&mut answered.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match shared.forward(request).await {
        Ok(answer) => {
            let now = Instant::now();
            let answered = &shared.answered;
            answered
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(now);
            answer
        }
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

impl Shared {
    async fn forward(&self, request: Request) -> Result<Response> {
        let (parts, body) = request.into_parts();
        let mut url = self.upstream.clone();
        url.set_path(parts.uri.path());
        url.set_query(parts.uri.query());
        let body: Bytes = axum::body::to_bytes(body, 1 << 20).await?;
        let mut headers = parts.headers;
        for name in ["host", "content-length", "connection"] {
            headers.remove(name);
        }
        let sent = self.http.request(parts.method, url).headers(headers);
        let answer = sent.body(body).send().await?;
        let mut passed = Response::new(axum::body::Body::empty());
        *passed.status_mut() = answer.status();
        *passed.headers_mut() = answer.headers().clone();
        passed.headers_mut().remove("transfer-encoding");
        *passed.body_mut() = answer.bytes().await?.into();
        Ok(passed)
    }
}
