//! `dev`: everything up on this machine, with stand-in platforms and a session to begin with.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
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
    template::Template,
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
        let tiktok = json!({"client_key": app.client_key, "client_secret": app.client_secret});
        let web = app
            .web_redirect_uris
            .first()
            .and_then(|uri| url::Url::parse(uri).ok());
        let served_at = web
            .map(|uri| (uri.origin().ascii_serialization(), api_url.to_owned()))
            .into_iter()
            .collect();
        let sandbox = Sandbox::start(config).await?;
        let platforms = Self {
            host_overrides: sandbox.host_overrides(),
            platforms: BTreeMap::from([("tiktok".to_owned(), tiktok)]),
            served_at,
        };
        Ok((platforms, sandbox))
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
    /// Builds the functions and brings everything up.
    pub async fn start(options: DevOptions) -> Result<Self> {
        let root = cloud::project_root()?;
        // Cargo and pip work at the same time; both show themselves only when they take long or fail.
        let cloud = {
            let root = root.clone();
            tokio::spawn(async move { Cloud::start(&root).await })
        };
        let door = Door::bind(options.port).await?;
        let cloud = cloud.await??;
        let binaries = build(&root, cloud.template()).await?;
        Self::start_in(&cloud, door, binaries, options).await
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
        let link = ["url", "link"]
            .iter()
            .find_map(|name| value[*name].as_str());
        Ok(link
            .with_context(|| format!("no link in {text}"))?
            .to_owned())
    }

    /// What a person wants to know once everything is up.
    pub fn greeting(&self, link: &str) -> Result<String> {
        let token = self
            .stack
            .mint_jwt("user_demo", &["connections", "posts"])?;
        let api = self.stack.api_url();
        let logs = self.stack.logs().display();
        let platforms = match &self.sandbox {
            Some(sandbox) => format!("{} (stand-in)", sandbox.base_url()),
            None => "as the --platforms file says".to_owned(),
        };
        Ok(format!(
            "\n  API        {api}\n  JWT        {token}\n  session    {link}\n  platforms  {platforms}\n  \
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

/// Builds the template's functions in the profile that this program was built in, and gives the
/// folder of the binaries.
async fn build(root: &Path, template: &Template) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["build", "--quiet", "--bins"]);
    for binary in template.binaries() {
        cargo.args(["--package", &binary]);
    }
    let status = tokio::task::spawn_blocking(move || cargo.status()).await??;
    if !status.success() {
        bail!("building the functions failed");
    }
    Ok(crate::stack::default_binaries())
}
