//! A TikTok that is not the sandbox: every host on one port, without path prefixes; upload addresses
//! on that port; webhooks where it was told to send them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Form, Path, State};
use axum::http::header::CONTENT_RANGE;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::pages::{self, Asked, Asking};

pub(crate) const CLIENT_KEY: &str = "foreign-key";
pub(crate) const CLIENT_SECRET: &str = "foreign-secret";
const OPEN_ID: &str = "-000foreign";

/// The platform's whole memory.
pub(crate) struct Platform {
    pub(crate) asking: Asking,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) requests: Mutex<Vec<Asked>>,
    /// What webhooks are signed with.
    webhook_secret: String,
    webhook_url: String,
    own_url: String,
    /// Codes given out, with their redirect URI.
    codes: Mutex<HashMap<String, String>>,
    /// Bytes received by publish.
    received: Mutex<HashMap<String, u64>>,
    count: Mutex<u64>,
}

impl Platform {
    /// Serves it on any free port.
    pub(crate) async fn start(
        asking: Asking,
        redirect_uris: &[String],
        webhook_url: &str,
        webhook_secret: &str,
    ) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let platform = Arc::new(Self {
            asking,
            redirect_uris: redirect_uris.to_vec(),
            requests: Mutex::default(),
            webhook_secret: webhook_secret.to_owned(),
            webhook_url: webhook_url.to_owned(),
            own_url: format!("http://{}", listener.local_addr().unwrap()),
            codes: Mutex::default(),
            received: Mutex::default(),
            count: Mutex::default(),
        });
        let router = Router::new()
            .route("/v2/auth/authorize/", get(pages::authorize))
            .route("/login", get(pages::login_page).post(pages::login))
            .route("/consent", get(pages::consent_page).post(pages::consent))
            .route("/v2/oauth/token/", post(token))
            .route("/v2/oauth/revoke/", post(async || Json(json!({}))))
            .route("/v2/user/info/", get(user))
            .route("/v2/post/publish/video/init/", post(init))
            .route("/v2/post/publish/status/fetch/", post(status))
            .route("/take/{id}", put(take))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&platform));
        tokio::spawn(async move { axum::serve(listener, router).await });
        platform
    }

    /// Where it is found.
    pub(crate) fn url(&self) -> &str {
        &self.own_url
    }

    pub(crate) fn new_code(&self, redirect_uri: &str) -> String {
        let code = self.next("code");
        let mut codes = self.codes.lock().unwrap();
        codes.insert(code.clone(), redirect_uri.to_owned());
        code
    }

    fn next(&self, what: &str) -> String {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        format!("{what}-{count}")
    }

    async fn tell(&self, publish_id: &str) {
        let content = json!({ "publish_id": publish_id, "publish_type": "DIRECT_PUBLISH" });
        let body = json!({
            "client_key": CLIENT_KEY, "event": "post.publish.complete", "create_time": 1_767_225_600,
            "user_openid": OPEN_ID, "content": content.to_string(),
        });
        let signed = format!("1767225600.{body}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.webhook_secret.as_bytes());
        let signature = HEXLOWER.encode(hmac::sign(&key, signed.as_bytes()).as_ref());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let sent = http
            .post(&self.webhook_url)
            .header("tiktok-signature", format!("t=1767225600,s={signature}"))
            .body(body.to_string());
        // Nobody here waits for the answer, as on the real platform.
        drop(sent.send().await);
    }
}

fn good(data: Value) -> Json<Value> {
    Json(json!({ "data": data, "error": { "code": "ok", "message": "", "log_id": "1" } }))
}

async fn token(
    State(platform): State<Arc<Platform>>,
    Form(form): Form<HashMap<String, String>>,
) -> Json<Value> {
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let app = field("client_key") == CLIENT_KEY && field("client_secret") == CLIENT_SECRET;
    let granted = match field("grant_type") {
        "authorization_code" => {
            let known = platform.codes.lock().unwrap().remove(field("code"));
            known.is_some_and(|uri| uri == field("redirect_uri"))
        }
        kind => kind == "refresh_token" && field("refresh_token").starts_with("refresh-"),
    };
    if !app || !granted {
        return Json(json!({ "error": "invalid_grant", "error_description": "no" }));
    }
    Json(json!({
        "access_token": platform.next("access"), "refresh_token": platform.next("refresh"),
        "expires_in": 86_400, "refresh_expires_in": 31_536_000, "open_id": OPEN_ID,
        "scope": "user.info.basic,video.publish,video.upload", "token_type": "Bearer",
    }))
}

async fn user() -> Json<Value> {
    good(json!({ "user": { "open_id": OPEN_ID, "display_name": "Mara" } }))
}

async fn init(State(platform): State<Arc<Platform>>) -> Json<Value> {
    let id = platform.next("v_pub_file~v2");
    let url = format!("{}/take/{id}", platform.own_url);
    good(json!({ "publish_id": id, "upload_url": url }))
}

async fn take(
    State(platform): State<Arc<Platform>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let range = headers
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    let size = range
        .and_then(|range| range.rsplit_once('/'))
        .map(|(_, size)| size);
    let size: u64 = size.and_then(|size| size.parse().ok()).unwrap();
    let all = {
        let mut received = platform.received.lock().unwrap();
        let so_far = received.entry(id.clone()).or_default();
        *so_far += body.len() as u64;
        *so_far == size
    };
    if !all {
        return StatusCode::PARTIAL_CONTENT;
    }
    tokio::spawn(async move { platform.tell(&id).await });
    StatusCode::CREATED
}

async fn status(State(platform): State<Arc<Platform>>, Json(body): Json<Value>) -> Json<Value> {
    let id = body["publish_id"].as_str().unwrap_or_default();
    match platform.received.lock().unwrap().contains_key(id) {
        true => good(json!({ "status": "PUBLISH_COMPLETE" })),
        false => good(json!({ "status": "PROCESSING_UPLOAD" })),
    }
}
