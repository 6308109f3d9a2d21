//! Sends a checked request on to the AWS process, streaming both ways.

use std::time::Duration;

use anyhow::{Context, Result};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, request::Parts};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::{Answer, Body, refuse, sigv4::unsigned_query};
use crate::aws::credential;

/// Hop-by-hop headers, and those whose meaning ended with the check of the signature.
const DROPPED: [&str; 9] = [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "expect",
    "host",
    "authorization",
    "x-amz-security-token",
    "te",
];

/// The process behind, with a pool of connections.
#[derive(Debug)]
pub(super) struct Upstream {
    authority: String,
    client: Client<HttpConnector, Body>,
}

impl Upstream {
    pub(super) fn new(base: &str) -> Result<Self> {
        let authority = base
            .strip_prefix("http://")
            .context("the AWS process speaks http")?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            // Well under the server's keep-alive time, so that no pooled connection is stale.
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        Ok(Self {
            authority: authority.trim_end_matches('/').to_owned(),
            client,
        })
    }

    pub(super) async fn send(&self, parts: Parts, body: Body, service: &str) -> Answer {
        let sent = async {
            let query = unsigned_query(parts.uri.query().unwrap_or_default());
            let mut path = parts.uri.path().to_owned();
            if !query.is_empty() {
                path = format!("{path}?{query}");
            }
            let uri = Uri::builder()
                .scheme("http")
                .authority(self.authority.as_str())
                .path_and_query(path)
                .build()?;
            let mut request = Request::builder()
                .method(parts.method)
                .uri(uri)
                .body(body)?;
            *request.headers_mut() = without(parts.headers);
            let authorization = HeaderValue::from_str(&credential(service))?;
            request.headers_mut().insert("authorization", authorization);
            anyhow::Ok(self.client.request(request).await?)
        };
        match sent.await {
            Ok(answer) => {
                let (mut parts, body) = answer.into_parts();
                parts.headers = without(parts.headers);
                Answer::from_parts(parts, body.map_err(Into::into).boxed_unsync())
            }
            Err(error) => refuse(service, 500, "InternalError", &format!("{error:#}")),
        }
    }
}

fn without(headers: HeaderMap) -> HeaderMap {
    let mut last: Option<HeaderName> = None;
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        // A repeated header comes without its name.
        let Some(name) = name.or_else(|| last.clone()) else {
            continue;
        };
        last = Some(name.clone());
        if !DROPPED.contains(&name.as_str()) {
            kept.append(name, value);
        }
    }
    kept
}
