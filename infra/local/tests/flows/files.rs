//! A product's own host of files, on this machine: gives ranges, and tells which were asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};

#[derive(Clone)]
enum Entry {
    File(Vec<u8>),
    Redirect(String),
}

#[derive(Default)]
struct Shelf {
    entries: HashMap<String, Entry>,
    /// The first byte of every range that was asked for.
    ranges: Vec<u64>,
}

/// The host; it ends with its runtime.
pub(crate) struct FileHost {
    url: String,
    shelf: Arc<Mutex<Shelf>>,
}

impl FileHost {
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

    pub(crate) fn serve(&self, path: &str, bytes: &[u8]) {
        self.put(path, Entry::File(bytes.to_vec()));
    }

    pub(crate) fn redirect(&self, path: &str, to: &str) {
        self.put(path, Entry::Redirect(to.to_owned()));
    }

    pub(crate) fn ranges(&self) -> Vec<u64> {
        self.shelf.lock().unwrap().ranges.clone()
    }

    fn put(&self, path: &str, entry: Entry) {
        let mut shelf = self.shelf.lock().unwrap();
        shelf.entries.insert(path.to_owned(), entry);
    }
}

async fn answer(
    State(shelf): State<Arc<Mutex<Shelf>>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let from: Option<u64> = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok())
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .split('-')
                .next()?
                .parse()
                .ok()
        });
    let entry = {
        let mut shelf = shelf.lock().unwrap();
        shelf.ranges.extend(from);
        shelf.entries.get(uri.path()).cloned()
    };
    let answer = Response::builder().header(header::ETAG, "\"one\"");
    match entry {
        None => answer.status(StatusCode::NOT_FOUND).body(Body::empty()),
        Some(Entry::Redirect(to)) => answer
            .status(StatusCode::FOUND)
            .header(header::LOCATION, to)
            .body(Body::empty()),
        Some(Entry::File(bytes)) => {
            let total = bytes.len() as u64;
            let Some(from) = from else {
                return answer.body(Body::from(bytes)).unwrap();
            };
            if from >= total {
                let range = format!("bytes */{total}");
                let answer = answer.status(416).header(header::CONTENT_RANGE, range);
                return answer.body(Body::empty()).unwrap();
            }
            let range = format!("bytes {from}-{}/{total}", total - 1);
            answer
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, range)
                .body(Body::from(bytes[usize::try_from(from).unwrap()..].to_vec()))
        }
    }
    .unwrap()
}
