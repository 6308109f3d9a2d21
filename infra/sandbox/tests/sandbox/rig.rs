//! A running stand-in and a client whose methods take the expected status.

use std::time::{Duration, Instant};

use reqwest::{Client, Method, Response};
use sandbox::tiktok::{App, Config, User};
use sandbox::{Config as SandboxConfig, Sandbox};
use serde_json::{Value, json};

pub(crate) const KEY: &str = "awexample0001";
pub(crate) const AUDITED: &str = "awexample0002";
pub(crate) const SECRET: &str = "tt-client-secret-example";
pub(crate) const WEB: &str = "https://app.example.com/oauth/tiktok";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str =
    "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3";
pub(crate) const ALL: &str =
    "user.info.basic,user.info.profile,user.info.stats,video.list,video.upload,video.publish";

/// Parameters to replace, or (empty) to leave out.
pub(crate) type Pairs<'a> = &'a [(&'a str, &'a str)];

/// The stand-in with two apps (the second audited) and two people (`mara` private, `joris` public).
pub(crate) struct Rig {
    pub(crate) sandbox: Sandbox,
    pub(crate) http: Client,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let app = |key: &str| App {
            web_redirect_uris: vec![WEB.into()],
            desktop_redirect_uris: vec![
                "http://127.0.0.1:*/callback/".into(),
                "http://localhost:3455/callback/".into(),
            ],
            verified_url_prefixes: vec!["https://media.example.com/a/".into()],
            verified_domains: vec!["example.org".into()],
            ..App::new(key, SECRET)
        };
        let audited = App {
            audited: true,
            ..app(AUDITED)
        };
        let user = |name: &str, private| User {
            username: name.into(),
            private,
            follower_count: 1203,
            ..User::default()
        };
        let config = SandboxConfig {
            port: 0,
            tiktok: Config {
                apps: vec![app(KEY), audited],
                users: vec![user("mara", true), user("joris", false)],
                ..Config::default()
            },
        };
        let http = Client::builder()
            .no_proxy()
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            sandbox: Sandbox::start(config).await.unwrap(),
            http,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/tiktok{path}", self.sandbox.base_url())
    }

    /// A control call that must succeed; `body` null makes it a GET.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.sandbox.admin_url());
        let request = match body {
            Value::Null => self.http.get(url),
            body => self.http.post(url).body(body.to_string()),
        };
        read(request.send().await.unwrap(), 200).await
    }

    pub(crate) async fn settings(&self, patch: Value) {
        self.control("/settings", patch).await;
    }

    pub(crate) async fn fault(&self, fault: Value) {
        self.control("/faults", fault).await;
    }

    pub(crate) async fn advance(&self, seconds: i64) {
        self.control("/clock", json!({ "advance_seconds": seconds }))
            .await;
    }

    /// Tokens of a new grant.
    pub(crate) async fn grant(&self, key: &str, user: &str) -> Value {
        self.control("/grants", json!({ "client_key": key, "user": user }))
            .await
    }

    pub(crate) async fn access(&self, key: &str, user: &str) -> String {
        text(&self.grant(key, user).await["access_token"])
    }

    /// `POST` of a form below `/open`.
    pub(crate) async fn form(&self, path: &str, form: &[(&str, &str)], status: u16) -> Value {
        read(self.send_form(path, form).await.unwrap(), status).await
    }

    pub(crate) async fn send_form(
        &self,
        path: &str,
        form: &[(&str, &str)],
    ) -> reqwest::Result<Response> {
        self.http
            .post(self.url(&format!("/open{path}")))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(query(form))
            .send()
            .await
    }

    pub(crate) async fn refresh(&self, token: &str, status: u16) -> Value {
        let form = [
            ("client_key", KEY),
            ("client_secret", SECRET),
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
        ];
        self.form("/v2/oauth/token/", &form, status).await
    }

    /// `POST` of JSON below `/open/v2/post/publish`.
    pub(crate) async fn post(&self, token: &str, path: &str, body: &Value, status: u16) -> Value {
        self.api(token, &format!("/post/publish{path}"), body, status)
            .await
    }

    /// `POST` of JSON below `/open/v2`.
    pub(crate) async fn api(&self, token: &str, path: &str, body: &Value, status: u16) -> Value {
        let response = self
            .http
            .post(self.url(&format!("/open/v2{path}")))
            .header("Authorization", format!("Bearer {token}"))
            .header("Content-Type", "application/json; charset=UTF-8")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        read(response, status).await
    }

    /// Tokens for some scopes.
    pub(crate) async fn scoped(&self, key: &str, user: &str, scopes: &[&str]) -> String {
        let asked = json!({"client_key": key, "user": user, "scopes": scopes});
        text(&self.control("/grants", asked).await["access_token"])
    }

    /// The status of a control call that may be refused.
    pub(crate) async fn control_status(&self, path: &str, body: &Value) -> u16 {
        let url = format!("{}{path}", self.sandbox.admin_url());
        let answer = self.http.post(url).body(body.to_string()).send().await;
        answer.unwrap().status().as_u16()
    }

    /// `GET /v2/user/info/` with these fields.
    pub(crate) async fn user_info(&self, token: &str, fields: &str, status: u16) -> Value {
        let url = self.url(&format!("/open/v2/user/info/?fields={fields}"));
        let request = self.http.get(url);
        let request = request.header("Authorization", format!("Bearer {token}"));
        read(request.send().await.unwrap(), status).await
    }

    /// The status of a publish.
    pub(crate) async fn status(&self, token: &str, id: &str) -> Value {
        let body = json!({ "publish_id": id });
        self.post(token, "/status/fetch/", &body, 200).await["data"].clone()
    }

    /// Starts an inbox upload of one chunk size; publish id and upload URL.
    pub(crate) async fn inbox(&self, token: &str, size: u64, chunk: u64) -> (String, String) {
        let body = json!({"source_info": {"source": "FILE_UPLOAD", "video_size": size,
            "chunk_size": chunk, "total_chunk_count": size / chunk}});
        let answer = self.post(token, "/inbox/video/init/", &body, 200).await;
        let data = &answer["data"];
        (text(&data["publish_id"]), text(&data["upload_url"]))
    }

    pub(crate) async fn put(&self, url: &str, range: &str, bytes: Vec<u8>) -> Response {
        self.try_put(url, range, bytes).await.unwrap()
    }

    pub(crate) async fn try_put(
        &self,
        url: &str,
        range: &str,
        bytes: Vec<u8>,
    ) -> reqwest::Result<Response> {
        self.http
            .request(Method::PUT, url)
            .header("Content-Type", "video/mp4")
            .header("Content-Range", range)
            .body(bytes)
            .send()
            .await
    }

    /// Asks until the answer satisfies, for at most ten seconds.
    pub(crate) async fn until(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let seen = self.control(path, Value::Null).await;
            if holds(&seen) {
                return seen;
            }
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "{path} stays at {seen:#}"
            );
            tokio::task::yield_now().await;
        }
    }

    /// The publish in the state, once `holds`.
    pub(crate) async fn publish(&self, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let find = |state: &Value| {
            let all = state["publishes"].as_array().unwrap().clone();
            all.into_iter().find(|one| one["publish_id"] == id).unwrap()
        };
        find(&self.until("/state", |state| holds(&find(state))).await)
    }
}

/// Checks the status and reads JSON; an empty body is null.
pub(crate) async fn read(response: Response, status: u16) -> Value {
    let got = response.status().as_u16();
    let body = response.text().await.unwrap();
    assert_eq!(got, status, "{body}");
    serde_json::from_str(&body).unwrap_or(Value::String(body))
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(crate) fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name).map(|value| value.to_str());
    value.transpose().unwrap().unwrap_or_default().to_owned()
}

pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// `len` bytes that differ from place to place.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use aws_lc_rs::digest;
    data_encoding::HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The first bytes of an MP4, filled up to `len`, which is at least 8.
pub(crate) fn clip(len: usize) -> Vec<u8> {
    let mut clip = bytes(len);
    clip[..8].copy_from_slice(b"\0\0\0\x08ftyp");
    clip
}
