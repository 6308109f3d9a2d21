//! The main job, walked from outside as a creator and a product's backend do it: connect → seal →
//! upload by parts → publish in chunks → webhook → published → refresh → disconnect. Every step is
//! checked; the first that fails ends the walk.

pub mod api;
pub mod browser;
pub mod form;
pub mod media;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use crate::{Dev, eventually};
use api::Api;
use browser::{Browser, Page};

const USER: &str = "user_walk";
const PATIENCE: Duration = Duration::from_secs(300);

/// Prints steps with their times.
struct Steps {
    began: Instant,
    say: fn(&str) -> Result<()>,
}

/// What the walk carries from step to step.
struct Walk<'a> {
    dev: &'a Dev,
    platform: &'a str,
    backend: Api,
    user: Api,
}

/// Walks the main job on `file` against whatever stand-ins `dev` runs with.
pub async fn run(
    dev: &Dev,
    platform: &str,
    file: &Path,
    say: fn(&str) -> Result<()>,
) -> Result<()> {
    let api = dev.stack.api_url();
    let walk = Walk {
        dev,
        platform,
        backend: Api::new(api, &dev.stack.mint_jwt("backend", &["service"])?)?,
        user: Api::new(api, &dev.stack.mint_jwt(USER, &["connections", "posts"])?)?,
    };
    let mut steps = Steps {
        began: Instant::now(),
        say,
    };
    let began = Instant::now();
    let mut connection = String::new();
    for redirect in dev.platforms.redirect_uris(platform, api) {
        walk.use_redirect(&redirect).await?;
        connection = walk.connect(&redirect).await?;
        steps.done(
            "connect",
            &format!("{connection} by way of {}", origin(&redirect)?),
        )?;
    }
    steps.done("seal", &walk.sealed(&connection).await?)?;
    let size = std::fs::metadata(file)?.len();
    let media = walk.user.upload(file).await?;
    steps.done("upload", &format!("{media}, {size} bytes"))?;
    let post = walk.post(&connection, &media).await?;
    let target = walk.published(&post).await?;
    let peak = dev.stack.host().peak_memory("publish-worker")?;
    let status = target["status"].as_str().unwrap_or("?");
    steps.done(
        "publish",
        &format!("{post}: {status}; worker's peak memory {} MB", peak / 1_024),
    )?;
    if let Some(told) = walk.bytes_arrived(file).await? {
        steps.done("compare", &told)?;
    }
    steps.done("webhook", &walk.webhooks().await?)?;
    steps.done("refresh", &walk.refresh(&connection).await?)?;
    steps.done("disconnect", &walk.disconnect(&connection).await?)?;
    say(&format!(
        "\n  all of it    {:.2} s\n\n",
        began.elapsed().as_secs_f64()
    ))
}

/// A browser's way from a session link to the result page, through the platform's consent page.
pub async fn connect(browser: &mut Browser, link: &str) -> Result<Page> {
    let button = browser.open(link).await?.good("the session page")?;
    let consent = browser.agree(&button).await?.good("the consent page")?;
    // A stand-in may approve by itself and send the browser straight back.
    let confirm = if consent.url.path().ends_with("/confirm") {
        consent
    } else {
        browser.agree(&consent).await?
    };
    let confirm = confirm.good("the confirm page")?;
    ensure!(
        confirm.url.path().ends_with("/confirm"),
        "no confirm page, but {}",
        confirm.url.path()
    );
    browser.agree(&confirm).await?.good("the result page")
}

impl Walk<'_> {
    /// Configures the redirect URI as an operator would, in the secret. Running functions hold the
    /// old secret for five minutes, so they are started anew.
    async fn use_redirect(&self, redirect: &str) -> Result<()> {
        let mut platforms = json!(self.dev.platforms.platforms);
        platforms[self.platform]["redirect_uri"] = json!(redirect);
        self.dev
            .stack
            .put_secret("PlatformsSecret", &platforms)
            .await?;
        for function in ["oauth-start", "oauth-callback"] {
            self.dev.stack.kill(function).await?;
        }
        Ok(())
    }

    async fn connect(&self, redirect: &str) -> Result<String> {
        let link = self
            .backend
            .session(json!({
                "user_id": USER, "user_label": "Walker", "platform": self.platform,
            }))
            .await?;
        // The product's pages and the callback share one origin: the redirect URI's.
        let mut link = Url::parse(&link)?;
        let at = Url::parse(redirect)?;
        link.set_scheme(at.scheme()).ok().context("scheme")?;
        link.set_host(at.host_str())?;
        link.set_port(at.port()).ok().context("port")?;
        let mut served_at = self.dev.platforms.served_at.clone();
        served_at.insert(origin(redirect)?, self.dev.stack.api_url().to_owned());
        connect(&mut Browser::new(&served_at)?, link.as_str()).await?;
        let path = format!("/v1/connections?platform={}&status=active", self.platform);
        let list = self
            .user
            .call(Method::GET, &path, None, StatusCode::OK)
            .await?;
        let id = list["connections"][0]["id"]
            .as_str()
            .context("no connection after connecting")?;
        Ok(id.to_owned())
    }

    /// The item holds no token text.
    async fn sealed(&self, connection: &str) -> Result<String> {
        let clients = self.dev.stack.clients();
        let item = clients
            .dynamodb
            .get_item()
            .table_name(self.dev.stack.table("Connections")?)
            .key("user_id", AttributeValue::S(USER.to_owned()))
            .key("connection_id", AttributeValue::S(connection.to_owned()))
            .send()
            .await?
            .item
            .context("no item of the connection")?;
        let Some(AttributeValue::B(sealed)) = item.get("sealed") else {
            bail!("no sealed tokens")
        };
        let shown = format!("{item:?}");
        for secret in self.dev.stand_in_secrets().await? {
            ensure!(!shown.contains(&secret), "the item shows a token");
            let bytes = sealed.as_ref();
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            ensure!(!found, "the sealed bytes show a token");
        }
        Ok(format!(
            "{} sealed bytes, no token text in the item",
            sealed.as_ref().len()
        ))
    }

    async fn post(&self, connection: &str, media: &str) -> Result<String> {
        let body = json!({
            "text": "Soup night #soup",
            "media": [media],
            "targets": [{
                "connection_id": connection,
                "options": { "mode": "direct", "privacy": "SELF_ONLY" },
            }],
        });
        let key = [("idempotency-key", media)];
        let post = self
            .user
            .call_with(
                Method::POST,
                "/v1/posts",
                Some(body),
                &key,
                StatusCode::CREATED,
            )
            .await?;
        Ok(post["id"]
            .as_str()
            .context("a post without an id")?
            .to_owned())
    }

    async fn published(&self, post: &str) -> Result<Value> {
        let path = format!("/v1/posts/{post}");
        let target = eventually("the post to be published", PATIENCE, || async {
            let post = self
                .user
                .call(Method::GET, &path, None, StatusCode::OK)
                .await?;
            let target = post["targets"][0].clone();
            let settled = !matches!(
                target["status"].as_str(),
                Some("queued" | "publishing") | None
            );
            Ok(settled.then_some(target))
        })
        .await?;
        ensure!(
            target["status"] == "published",
            "the post ended as {target}"
        );
        Ok(target)
    }

    /// The stand-in's received bytes are the file's, where the stand-in is ours and can be asked.
    async fn bytes_arrived(&self, file: &Path) -> Result<Option<String>> {
        let Some(state) = self.dev.stand_in_state().await? else {
            return Ok(None);
        };
        let whole = media::sha256(file)?;
        let publishes = state["publishes"].as_array().cloned().unwrap_or_default();
        let same: Vec<&Value> = publishes
            .iter()
            .filter(|publish| publish["upload"]["sha256"] == whole.as_str())
            .collect();
        ensure!(
            same.len() == 1,
            "{} publishes hold the file's bytes",
            same.len()
        );
        let chunks = same[0]["upload"]["chunks"].as_array().map_or(0, Vec::len);
        Ok(Some(format!(
            "SHA-256 {}… in {chunks} chunk(s)",
            &whole[..16]
        )))
    }

    /// Signed webhooks were taken and applied.
    async fn webhooks(&self) -> Result<String> {
        let clients = self.dev.stack.clients();
        let table = self.dev.stack.table("Deliveries")?;
        let kinds = eventually("a webhook to be applied", PATIENCE, || async {
            let rows = clients
                .dynamodb
                .scan()
                .table_name(table)
                .send()
                .await?
                .items
                .unwrap_or_default();
            let text = |row: &std::collections::HashMap<String, AttributeValue>, name: &str| {
                row.get(name)
                    .and_then(|value| value.as_s().ok())
                    .cloned()
                    .unwrap_or_default()
            };
            let applied = rows.iter().filter(|row| text(row, "state") == "applied");
            let kinds: Vec<String> = applied.map(|row| text(row, "kind")).collect();
            Ok((!kinds.is_empty()).then_some(kinds))
        })
        .await?;
        Ok(format!("applied: {}", kinds.join(", ")))
    }

    async fn refresh(&self, connection: &str) -> Result<String> {
        let path = format!("/v1/connections/{connection}/status");
        let version = async || {
            let status = self
                .user
                .call(Method::GET, &path, None, StatusCode::OK)
                .await?;
            anyhow::Ok(status["token"]["version"].as_u64().unwrap_or(0))
        };
        let before = version().await?;
        let wish = json!({ "user_id": USER, "connection_id": connection }).to_string();
        self.dev.stack.send("RefreshQueue", &wish).await?;
        let after = eventually("the token to be refreshed", PATIENCE, || async {
            let now = version().await?;
            Ok((now > before).then_some(now))
        })
        .await?;
        Ok(format!("token version {before} → {after}"))
    }

    async fn disconnect(&self, connection: &str) -> Result<String> {
        let path = format!("/v1/connections/{connection}");
        let ended = self
            .user
            .call(Method::DELETE, &path, None, StatusCode::OK)
            .await?;
        ensure!(
            ended["status"] == "disconnected",
            "the connection is {}",
            ended["status"]
        );
        let revocation = &ended["revocation"]["state"];
        ensure!(revocation == "done", "the revocation is {revocation}");
        Ok("revoked at the platform".to_owned())
    }
}

impl Steps {
    fn done(&mut self, step: &str, what: &str) -> Result<()> {
        let took = self.began.elapsed().as_secs_f64();
        self.began = Instant::now();
        (self.say)(&format!("  {step:<12} {took:>7.2} s  {what}\n"))
    }
}

fn origin(url: &str) -> Result<String> {
    Ok(Url::parse(url)?.origin().ascii_serialization())
}
