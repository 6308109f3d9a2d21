//! `dev`: everything up on this machine, with stand-in platforms and a session to begin with.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use sandbox::Sandbox;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    cloud::{self, Cloud},
    gateway::Door,
    stack::{Stack, StackOptions},
};

/// What `dev` was asked for.
#[derive(Debug, Clone)]
pub struct DevOptions {
    /// The API's port.
    pub port: u16,
    /// A file that puts other stand-ins in the sandbox's place.
    pub platforms: Option<PathBuf>,
    /// Template parameters that differ from their defaults.
    pub parameters: BTreeMap<String, String>,
}

impl Default for DevOptions {
    fn default() -> Self {
        Self {
            port: 3000,
            platforms: None,
            parameters: BTreeMap::new(),
        }
    }
}

/// Which stand-ins to use; the content of the `--platforms` file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platforms {
    /// Host pattern to loopback base URL: every function's `HOST_OVERRIDES`.
    pub host_overrides: BTreeMap<String, String>,
    /// App credentials by platform: the value of the platforms secret.
    pub platforms: BTreeMap<String, Value>,
    /// Redirect URIs as registered, by platform.
    #[serde(default)]
    pub redirect_uris: BTreeMap<String, Vec<String>>,
    /// Origins of https redirect URIs, and where the local gateway serves them.
    #[serde(default)]
    pub served_at: BTreeMap<String, String>,
}

impl Platforms {
    /// Reads a `--platforms` file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not understood", path.display()))
    }

    /// The sandbox's own first TikTok app, its webhooks sent to `api_url`.
    pub async fn sandbox(api_url: &str) -> Result<(Self, Sandbox)> {
        let mut config = sandbox::Config::demo();
        let app = config
            .tiktok
            .apps
            .first_mut()
            .context("the sandbox has no app")?;
        app.webhook_url = Some(format!("{api_url}/webhooks/tiktok"));
        // An app that has not passed TikTok's audit could post to private accounts only.
        app.audited = true;
        let tiktok = json!({"client_key": app.client_key, "client_secret": app.client_secret});
        let web = app
            .web_redirect_uris
            .first()
            .and_then(|uri| url::Url::parse(uri).ok());
        // TikTok has a flow for web redirects and one for loopback redirects: both are registered.
        let own = format!("{api_url}/oauth/tiktok/callback");
        let both = app
            .web_redirect_uris
            .first()
            .cloned()
            .into_iter()
            .chain([own])
            .rev()
            .collect();
        let served_at = web
            .map(|uri| (uri.origin().ascii_serialization(), api_url.to_owned()))
            .into_iter()
            .collect();
        let sandbox = Sandbox::start(config).await?;
        let platforms = Self {
            host_overrides: sandbox.host_overrides(),
            platforms: BTreeMap::from([("tiktok".to_owned(), tiktok)]),
            redirect_uris: BTreeMap::from([("tiktok".to_owned(), both)]),
            served_at,
        };
        Ok((platforms, sandbox))
    }

    /// The redirect URIs that the app has registered with a platform, as far as is known: what the
    /// demo walks one after the other. The first is the deployment's own loopback address, unless
    /// the file names others.
    pub fn redirect_uris(&self, platform: &str, api_url: &str) -> Vec<String> {
        let own = format!("{api_url}/oauth/{platform}/callback");
        match self.redirect_uris.get(platform) {
            Some(named) if !named.is_empty() => named.clone(),
            _ => {
                let set = self
                    .platforms
                    .get(platform)
                    .and_then(|app| app["redirect_uri"].as_str());
                vec![set.map_or(own, str::to_owned)]
            }
        }
    }

    /// The value of every function's `HOST_OVERRIDES`.
    pub fn overrides(&self) -> String {
        json!(self.host_overrides).to_string()
    }
}

/// Everything up.
#[derive(Debug)]
pub struct Dev {
    /// The deployed stack.
    pub stack: Stack,
    /// The stand-ins, unless a file named others.
    pub sandbox: Option<Sandbox>,
    /// The stand-ins' addresses and credentials.
    pub platforms: Platforms,
}

impl Dev {
    /// Brings everything up.
    pub async fn start(options: DevOptions) -> Result<Self> {
        let root = cloud::project_root()?;
        let door = Door::bind(options.port).await?;
        let cloud = Cloud::start(&root).await?;
        // The launcher has built the functions beside this program.
        Self::start_in(&cloud, door, crate::stack::default_binaries(), options).await
    }

    /// The same in a running cloud with built binaries, for the demo, tests and benches.
    pub async fn start_in(
        cloud: &Arc<Cloud>,
        door: Door,
        binaries: PathBuf,
        options: DevOptions,
    ) -> Result<Self> {
        let (platforms, sandbox) = match &options.platforms {
            Some(path) => (Platforms::read(path)?, None),
            None => {
                let (platforms, sandbox) = Platforms::sandbox(&door.url()).await?;
                (platforms, Some(sandbox))
            }
        };
        let mut stack_options =
            StackOptions::new("passerelle-dev").env("HOST_OVERRIDES", &platforms.overrides());
        stack_options.parameters = options.parameters;
        stack_options.binaries = binaries;
        stack_options.schedules = true;
        let stack = Stack::start_behind(cloud, door, stack_options).await?;
        stack
            .put_secret("PlatformsSecret", &json!(platforms.platforms))
            .await?;
        Ok(Self {
            stack,
            sandbox,
            platforms,
        })
    }

    /// Asks the API for a session as a product's backend would; gives its link.
    pub async fn session_link(&self, user_id: &str, user_label: &str) -> Result<String> {
        let token = self.stack.mint_jwt("backend", &["service"])?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let answer = http
            .post(format!("{}/v1/sessions", self.stack.api_url()))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(json!({"user_id": user_id, "user_label": user_label}).to_string())
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("POST /v1/sessions answered {status}: {text}");
        }
        let value: Value = serde_json::from_str(&text)?;
        let link = value["link"].as_str();
        Ok(link
            .with_context(|| format!("no link in {text}"))?
            .to_owned())
    }

    /// Every literal secret that the stand-ins set or gave out; none where they are not ours.
    pub async fn stand_in_secrets(&self) -> Result<Vec<String>> {
        let Some(found) = self.ask_sandbox("secrets").await? else {
            return Ok(Vec::new());
        };
        let all = found["secrets"].as_array().cloned().unwrap_or_default();
        let text = |one: &Value| one.as_str().or(one["value"].as_str()).map(str::to_owned);
        Ok(all.iter().filter_map(text).collect())
    }

    /// What the stand-ins hold; `None` where they are not ours.
    pub async fn stand_in_state(&self) -> Result<Option<Value>> {
        self.ask_sandbox("state").await
    }

    async fn ask_sandbox(&self, what: &str) -> Result<Option<Value>> {
        let Some(sandbox) = &self.sandbox else {
            return Ok(None);
        };
        let http = reqwest::Client::builder().no_proxy().build()?;
        let answer = http
            .get(format!("{}/{what}", sandbox.admin_url()))
            .send()
            .await?;
        Ok(Some(serde_json::from_slice(
            &answer.error_for_status()?.bytes().await?,
        )?))
    }

    /// What a person wants to know once everything is up.
    pub fn greeting(&self, link: &str) -> Result<String> {
        let token = self
            .stack
            .mint_jwt("user_demo", &["connections", "posts"])?;
        let service = self.stack.mint_jwt("backend", &["service"])?;
        let api = self.stack.api_url();
        let logs = self.stack.logs().display();
        let platforms = match &self.sandbox {
            Some(sandbox) => format!("{} (stand-in)", sandbox.base_url()),
            None => "as the --platforms file says".to_owned(),
        };
        Ok(format!(
            "\n  API        {api}\n  JWT        {token}\n             (of the sample user: connections, posts)\n  service    {service}\n             (of a backend: POST /v1/sessions, or with Passerelle-User)\n  session    {link}\n  platforms  {platforms}\n  \
             logs       {logs}\n  stop       Ctrl-C\n\n"
        ))
    }

    /// Stops everything.
    pub async fn stop(self) {
        // The stack's rows die with the AWS process; an error here only says that it went first.
        drop(self.stack.stop().await);
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
    }
}
