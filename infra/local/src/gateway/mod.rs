//! The HTTP API's front door: routes, JWT authorizers and payload format 2.0, as API Gateway has
//! them, so that a function cannot tell the difference.

mod answer;
mod authorize;
mod cors;
mod event;
mod matching;

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use axum::{Router, body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, request::Parts};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpListener, sync::mpsc, task::JoinHandle};

use crate::{host::Host, template::Routes};
use authorize::{Authorizers, Denial};
use cors::Cors;
use matching::Matcher;

/// API Gateway's limits.
const PAYLOAD_LIMIT: usize = 10 << 20;
const INVOKE_LIMIT: usize = 6 << 20;
const INTEGRATION_LIMIT: Duration = Duration::from_secs(30);

/// A listener whose address is known before it serves: the address goes into the functions'
/// environment.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
}

impl Door {
    /// Takes a port of the loopback address (0: any free one).
    pub async fn bind(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("port {port} is not free"))?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The API's base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts to serve. Each request leaves a line (without its query) in `log`.
    pub async fn serve(self, routes: Routes, host: Host, log: &Path) -> Result<Gateway> {
        let url = self.url();
        let (lines, written) = mpsc::unbounded_channel();
        let file = tokio::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .await?;
        tokio::spawn(write_lines(file, written));
        let shared = Arc::new(Shared {
            cors: routes.cors.clone().map(Cors::new),
            matcher: Matcher::new(routes.routes),
            authorizers: Authorizers::new(routes.authorizers)?,
            host,
            address: self.address,
            lines,
        });
        let router = Router::new().fallback(serve).with_state(shared);
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        let listener = axum::serve::ListenerExt::tap_io(self.listener, |stream| {
            drop(stream.set_nodelay(true));
        });
        let serving = tokio::spawn(async move {
            // It serves until it is aborted.
            drop(axum::serve(listener, router).await);
        });
        Ok(Gateway { url, serving })
    }
}

/// The running front door.
#[derive(Debug)]
pub struct Gateway {
    url: String,
    serving: JoinHandle<()>,
}

impl Gateway {
    /// The API's base URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Debug)]
struct Shared {
    matcher: Matcher,
    authorizers: Authorizers,
    cors: Option<Cors>,
    host: Host,
    address: SocketAddr,
    lines: mpsc::UnboundedSender<String>,
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let started = Instant::now();
    let request_id = crate::kms::uuid();
    let (parts, body) = request.into_parts();
    let (route, mut response) = shared.handle(&parts, body, &request_id).await;
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("apigw-requestid", value);
    }
    if let Some(cors) = &shared.cors {
        cors.decorate(&parts, &mut response);
    }
    let line = json!({
        "request_id": request_id, "method": parts.method.as_str(), "route": route,
        "status": response.status().as_u16(), "elapsed_ms": started.elapsed().as_secs_f64() * 1e3,
    });
    // The writer ends only with the process.
    drop(shared.lines.send(format!("{line}\n")));
    response
}

impl Shared {
    async fn handle(&self, parts: &Parts, body: Body, request_id: &str) -> (String, Response) {
        if let Some(preflight) = self.cors.as_ref().and_then(|cors| cors.preflight(parts)) {
            return ("OPTIONS".to_owned(), preflight);
        }
        let path = crate::proxy::decode(parts.uri.path());
        let Some(found) = self.matcher.find(parts.method.as_str(), &path) else {
            return (
                String::new(),
                answer::message(StatusCode::NOT_FOUND, "Not Found"),
            );
        };
        let route_key = found.route_key();
        let response = self.integrate(parts, body, request_id, &path, &found).await;
        (route_key, response)
    }

    async fn integrate(
        &self,
        parts: &Parts,
        body: Body,
        request_id: &str,
        path: &str,
        found: &matching::Match<'_>,
    ) -> Response {
        let authorizer = match &found.route.authorizer {
            None => None,
            Some((name, scopes)) => match self.authorizers.check(name, scopes, parts).await {
                Ok(claims) => Some(claims),
                Err(denial) => return denied(&denial),
            },
        };
        let too_large =
            || answer::message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
        let body = match axum::body::to_bytes(body, PAYLOAD_LIMIT).await {
            Ok(body) => body,
            Err(_) => return too_large(),
        };
        let event = event::build(&event::Incoming {
            parts,
            body: &body,
            path,
            found,
            authorizer,
            request_id,
            address: self.address,
        });
        let payload = Bytes::from(event.to_string());
        if payload.len() > INVOKE_LIMIT {
            return too_large();
        }
        let invoked = self.host.invoke(&found.route.function, payload);
        let unavailable =
            || answer::message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
        match tokio::time::timeout(INTEGRATION_LIMIT, invoked).await {
            Ok(Ok(invocation)) => match invocation.result {
                Ok(body) => answer::read(&body),
                Err(_) => answer::internal(),
            },
            Ok(Err(_)) | Err(_) => unavailable(),
        }
    }
}

fn denied(denial: &Denial) -> Response {
    let (status, text) = match denial {
        Denial::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        Denial::Forbidden(_) => (StatusCode::FORBIDDEN, "Forbidden"),
    };
    let mut response = answer::message(status, text);
    if let Ok(value) = HeaderValue::from_str(&denial.challenge()) {
        response.headers_mut().insert("www-authenticate", value);
    }
    response
}

async fn write_lines(mut file: tokio::fs::File, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(line) = lines.recv().await {
        // A full disk must not stop the gateway; the log is for reading only.
        drop(file.write_all(line.as_bytes()).await);
        drop(file.flush().await);
    }
}
