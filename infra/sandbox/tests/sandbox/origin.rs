//! A server of media on loopback, and small media to serve.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use serde_json::json;

use crate::rig::Rig;

/// Status, `Location` (or nothing) and body.
type Page = (u16, &'static str, Vec<u8>);

/// Pages by path and query, and the paths asked for.
#[derive(Clone, Default)]
pub(crate) struct Origin {
    pages: Arc<Mutex<BTreeMap<String, Page>>>,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    /// Serves `https://media.example.org` to the stand-in, below a path of its own.
    pub(crate) async fn start(rig: &Rig) -> Self {
        let origin = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/bucket", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(origin.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        rig.settings(json!({"pull_origins": {"https://media.example.org": base}}))
            .await;
        origin
    }

    /// Serves `body` with 200; the URL for it.
    pub(crate) fn serve(&self, path: &str, body: Vec<u8>) -> String {
        self.page(path, (200, "", body))
    }

    pub(crate) fn page(&self, path: &str, page: Page) -> String {
        let served = format!("/bucket{path}");
        self.pages.lock().unwrap().insert(served, page);
        format!("https://media.example.org{path}")
    }
}

async fn answer(State(origin): State<Origin>, request: Request) -> Response<Body> {
    let path = request.uri().path_and_query().unwrap().to_string();
    let page = origin.pages.lock().unwrap().get(&path).cloned();
    origin.asked.lock().unwrap().push(path);
    let (status, location, body) = page.unwrap_or((404, "", Vec::new()));
    let mut response = Response::builder().status(status);
    if !location.is_empty() {
        response = response.header("Location", location);
    }
    response.body(Body::from(body)).unwrap()
}

fn boxed(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes(), name.as_slice(), body].concat()
}

/// An MP4 (brand `isom`) or MOV (brand `qt  `) that says how long and how large its picture is.
pub(crate) fn movie(brand: &[u8; 4], seconds: u32, width: u32, height: u32) -> Vec<u8> {
    let head = boxed(b"ftyp", &[brand.as_slice(), &[0; 4]].concat());
    let numbers = |list: &[u32]| -> Vec<u8> { list.iter().flat_map(|n| n.to_be_bytes()).collect() };
    // Version, two times, time scale, length, then more of no interest.
    let movie = boxed(
        b"mvhd",
        &[numbers(&[0, 1, 1, 600, seconds * 600]), vec![0; 80]].concat(),
    );
    let sizes = numbers(&[width << 16, height << 16]);
    let picture = boxed(b"trak", &boxed(b"tkhd", &[vec![0; 76], sizes].concat()));
    let sound = boxed(b"trak", &boxed(b"tkhd", &[0; 84]));
    let moov = boxed(b"moov", &[movie, picture, sound].concat());
    // A large box before it, as in files that were not made for streaming.
    [head, boxed(b"mdat", &crate::rig::bytes(100_000)), moov].concat()
}

/// The headers of a JPEG of this size, behind a segment of `before` bytes.
pub(crate) fn jpeg(width: u16, height: u16, before: u16) -> Vec<u8> {
    let mut out = vec![0xFF, 0xD8, 0xFF, 0xE1];
    out.extend((before + 2).to_be_bytes());
    out.extend(vec![7; usize::from(before)]);
    out.extend([0xFF, 0xC2, 0, 17, 8]);
    out.extend(height.to_be_bytes());
    out.extend(width.to_be_bytes());
    out.extend([3; 40]);
    out
}

/// The headers of a WebP of this size, of the extended kind.
pub(crate) fn webp(width: u32, height: u32) -> Vec<u8> {
    let mut out = b"RIFF\x40\0\0\0WEBPVP8X\x0A\0\0\0\0\0\0\0".to_vec();
    out.extend(&(width - 1).to_le_bytes()[..3]);
    out.extend(&(height - 1).to_le_bytes()[..3]);
    out.extend([0; 30]);
    out
}
