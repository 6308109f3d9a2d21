//! The JSON API as a product's backend calls it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// How many parts are sent at once.
const AT_ONCE: usize = 4;

/// The API with a token.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
    user: Option<String>,
}

impl Api {
    /// The API at `base`, called with this token.
    pub fn new(base: &str, token: &str) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self {
            http,
            base: base.to_owned(),
            token: token.to_owned(),
            user: None,
        })
    }

    /// The same for a user that a service token names.
    #[must_use]
    pub fn on_behalf_of(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// One call; the answer must have the expected status.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        expected: StatusCode,
    ) -> Result<Value> {
        self.call_with(method, path, body, &[], expected).await
    }

    /// One call with headers of its own.
    pub async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
        expected: StatusCode,
    ) -> Result<Value> {
        let url = format!("{}{path}", self.base);
        let mut request = self
            .http
            .request(method.clone(), url)
            .bearer_auth(&self.token);
        if let Some(user) = &self.user {
            request = request.header("passerelle-user", user);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if status != expected {
            bail!("{method} {path} answered {status} where {expected} was expected: {text}");
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("{method} {path} answered no JSON"))
    }

    /// Asks for a session link.
    pub async fn session(&self, body: Value) -> Result<String> {
        let made = self
            .call(
                Method::POST,
                "/v1/sessions",
                Some(body),
                StatusCode::CREATED,
            )
            .await?;
        Ok(made["link"]
            .as_str()
            .context("a session without a link")?
            .to_owned())
    }

    /// Uploads a file by parts, several at once, and completes it; gives the media id.
    pub async fn upload(&self, file: &Path) -> Result<String> {
        let size = tokio::fs::metadata(file).await?.len();
        let media = self
            .call(
                Method::POST,
                "/v1/media",
                Some(json!({ "size": size })),
                StatusCode::CREATED,
            )
            .await?;
        let id = media["id"]
            .as_str()
            .context("media without an id")?
            .to_owned();
        let part_size = media["part_size"]
            .as_u64()
            .context("media without a part size")?;
        let mut sent = Vec::new();
        let mut after = 0;
        loop {
            let path = format!("/v1/media/{id}/parts?after={after}");
            let page = self.call(Method::GET, &path, None, StatusCode::OK).await?;
            let parts = page["parts"].as_array().cloned().unwrap_or_default();
            for some in parts.chunks(AT_ONCE) {
                let puts = some.iter().map(|part| self.put_part(file, part, part_size));
                sent.extend(futures_util::future::try_join_all(puts).await?);
            }
            match page["next_after"].as_u64() {
                Some(next) => after = next,
                None => break,
            }
        }
        let path = format!("/v1/media/{id}/complete");
        let body = json!({ "parts": sent });
        self.call(Method::POST, &path, Some(body), StatusCode::OK)
            .await?;
        Ok(id)
    }

    async fn put_part(&self, file: &Path, part: &Value, part_size: u64) -> Result<Value> {
        let number = part["part_number"]
            .as_u64()
            .context("a part without a number")?;
        let size = part["size"].as_u64().context("a part without a size")?;
        let url = part["url"].as_str().context("a part without an address")?;
        let mut source = tokio::fs::File::open(file).await?;
        source
            .seek(std::io::SeekFrom::Start((number - 1) * part_size))
            .await?;
        let mut bytes = vec![0; usize::try_from(size)?];
        source.read_exact(&mut bytes).await?;
        let answer = self.http.put(url).body(bytes).send().await?;
        if !answer.status().is_success() {
            bail!("part {number} was answered {}", answer.status());
        }
        let etag = answer
            .headers()
            .get("etag")
            .context("a part without an ETag")?
            .to_str()?;
        Ok(json!({ "part_number": number, "etag": etag }))
    }
}
