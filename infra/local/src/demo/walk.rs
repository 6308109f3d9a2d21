//! What the walk carries from step to step; connecting, and what is done with a connection.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use transport::HostOverrides;
use url::Url;

use super::api::Api;
use super::browser::Browser;
use super::{connect, origin};
use crate::{Dev, eventually};

/// Who walks.
const USER: &str = "user_walk";

/// What the walk carries from step to step.
pub(super) struct Walk<'a> {
    pub(super) dev: &'a Dev,
    pub(super) platform: &'a str,
    /// No wait is longer.
    pub(super) patience: Duration,
    pub(super) backend: Api,
    pub(super) user: Api,
}

impl<'a> Walk<'a> {
    pub(super) fn new(dev: &'a Dev, platform: &'a str, patience: Duration) -> Result<Self> {
        let api = dev.stack.api_url();
        Ok(Self {
            dev,
            platform,
            patience,
            backend: Api::new(api, &dev.stack.mint_jwt("backend", &["service"])?)?,
            user: Api::new(api, &dev.stack.mint_jwt(USER, &["connections", "posts"])?)?,
        })
    }

    /// Configures the redirect URI as an operator would, in the secret. Running functions hold the
    /// old secret for five minutes, so they are started anew.
    pub(super) async fn use_redirect(&self, redirect: &str) -> Result<()> {
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

    pub(super) async fn connect(&self, redirect: &str) -> Result<String> {
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
        let overrides = HostOverrides::parse(&self.dev.platforms.overrides())?;
        let mut browser = Browser::new(&served_at)?.overriding(overrides);
        connect(&mut browser, link.as_str()).await?;
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
    pub(super) async fn sealed(&self, connection: &str) -> Result<String> {
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
        if self.dev.sandbox.is_none() {
            return Ok(format!(
                "{} sealed bytes; the stand-in's tokens are not known here, so their text was not searched for",
                sealed.as_ref().len()
            ));
        }
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

    pub(super) async fn refresh(&self, connection: &str) -> Result<String> {
        let path = format!("/v1/connections/{connection}/status");
        let ask = async || {
            let call = self.user.call(Method::GET, &path, None, StatusCode::OK);
            call.await
        };
        let version = |status: &Value| status["token"]["version"].as_u64().unwrap_or(0);
        let mut last = ask().await?;
        let before = version(&last);
        let wish = json!({ "user_id": USER, "connection_id": connection }).to_string();
        self.dev.stack.send("RefreshQueue", &wish).await?;
        let waited = eventually("the token to be refreshed", self.patience, async || {
            last = ask().await?;
            Ok(Some(version(&last)).filter(|now| *now > before))
        });
        let after = waited.await;
        let after = after.with_context(|| format!("the connection stands as {last}"))?;
        Ok(format!("token version {before} → {after}"))
    }

    pub(super) async fn disconnect(&self, connection: &str) -> Result<String> {
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
        let revocation = &ended["revocation"];
        ensure!(
            revocation["state"] == "done",
            "the platform has not confirmed the end: {revocation}"
        );
        Ok("revoked at the platform".to_owned())
    }
}
