//! The product's own host of webhooks, on this machine: answers as a test wants, and keeps what came.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri, header};
use local::eventually;
use serde_json::Value;

use crate::world::SOON;

/// The host under which it is found.
pub(crate) const HOST: &str = "hooks.product.example";

/// One answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    /// With `Retry-After`, in seconds.
    Later(u16, u64),
    /// To another path of the same host.
    Redirect,
    Hangs,
}

/// A request as it came, with the answer that it got.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) raw: String,
    pub(crate) body: Value,
    pub(crate) status: u16,
    pub(crate) at: Instant,
}

impl Hit {
    pub(crate) fn id(&self) -> &str {
        self.headers["webhook-id"].to_str().unwrap()
    }

    pub(crate) fn accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

#[derive(Default)]
struct Shelf {
    /// Answers by path; without one, 204.
    replies: Vec<(String, VecDeque<Reply>)>,
    hits: Vec<Hit>,
}

/// The host; it ends with its runtime.
pub(crate) struct Receiver {
    url: String,
    shelf: Arc<Mutex<Shelf>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let app = Router::new().fallback(answer).with_state(shelf.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, shelf }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next answers at a path; after them, 204.
    pub(crate) fn reply(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut shelf = self.shelf.lock().unwrap();
        shelf.replies.retain(|(known, _)| known != path);
        shelf
            .replies
            .push((path.to_owned(), replies.into_iter().collect()));
    }

    pub(crate) fn hits(&self, path: &str) -> Vec<Hit> {
        let shelf = self.shelf.lock().unwrap();
        let here = shelf.hits.iter().filter(|hit| hit.path == path);
        here.cloned().collect()
    }

    /// What was accepted at a path, each webhook once, in the order of its first acceptance.
    pub(crate) fn accepted(&self, path: &str) -> Vec<Hit> {
        let mut first: Vec<Hit> = Vec::new();
        for hit in self.hits(path) {
            if hit.accepted() && !first.iter().any(|one| one.id() == hit.id()) {
                first.push(hit);
            }
        }
        first
    }

    /// Waits until so many webhooks were accepted at a path.
    pub(crate) async fn until(&self, path: &str, count: usize) -> Vec<Hit> {
        let found = eventually("webhooks accepted", SOON, || async {
            let accepted = self.accepted(path);
            Ok((accepted.len() >= count).then_some(accepted))
        });
        match found.await {
            Ok(hits) => hits,
            Err(error) => panic!("{error}: {:#?}", self.hits(path)),
        }
    }
}

async fn answer(
    State(shelf): State<Arc<Mutex<Shelf>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let reply = {
        let mut shelf = shelf.lock().unwrap();
        let path = uri.path().to_owned();
        let replies = shelf.replies.iter_mut().find(|(known, _)| *known == path);
        let reply = replies.and_then(|(_, replies)| replies.pop_front());
        let reply = reply.unwrap_or(Reply::Status(204));
        shelf.hits.push(Hit {
            path,
            headers,
            raw: String::from_utf8_lossy(&body).into_owned(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
            status: match reply {
                Reply::Status(status) | Reply::Later(status, _) => status,
                Reply::Redirect => 302,
                Reply::Hangs => 0,
            },
            at: Instant::now(),
        });
        reply
    };
    let response = Response::builder();
    match reply {
        Reply::Status(status) => response.status(status),
        Reply::Later(status, seconds) => response
            .status(status)
            .header(header::RETRY_AFTER, seconds.to_string()),
        Reply::Redirect => response.status(302).header(header::LOCATION, "/elsewhere"),
        // The caller gives up first.
        Reply::Hangs => std::future::pending().await,
    }
    .body(Body::empty())
    .unwrap()
}
