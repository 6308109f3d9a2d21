//! `dev`: everything up on this machine, with stand-in platforms and a session to begin with.

mod stand_ins;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail};
use sandbox::Sandbox;
use serde_json::{Value, json};

pub use stand_ins::Platforms;

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
    /// The stack's name; unique within the cloud.
    pub name: String,
}

impl Default for DevOptions {
    fn default() -> Self {
        Self {
            port: 3000,
            platforms: None,
            parameters: BTreeMap::new(),
            name: "passerelle-dev".to_owned(),
        }
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

/// Where the media bucket is served to stand-ins that fetch files; a prefix that the sandbox's demo
/// app has verified.
pub const MEDIA_ORIGIN: &str = "https://media.passerelle.test";

/// Where mails come from, unless a parameter says otherwise. They are captured; none leaves the machine.
pub const MAIL_FROM: &str = "mail@passerelle.test";

/// The address of the media bucket itself.
pub fn media_bucket(stack: &Stack) -> Result<String> {
    Ok(format!(
        "{}/{}",
        stack.aws_endpoint(),
        stack.bucket("media")?
    ))
}

impl Dev {
    /// Brings everything up.
    pub async fn start(options: DevOptions) -> Result<Self> {
        let root = cloud::project_root()?;
        let door = Door::bind(options.port).await?;
        if let Some(path) = &options.platforms {
            // A file that cannot be used is told before the first start downloads anything.
            Platforms::read(path, &door.url())?;
        }
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
            Some(path) => (Platforms::read(path, &door.url())?, None),
            None => {
                let (platforms, sandbox) = Platforms::sandbox(&door.url()).await?;
                (platforms, Some(sandbox))
            }
        };
        let mut stack_options =
            StackOptions::new(&options.name).env("HOST_OVERRIDES", &platforms.overrides());
        stack_options.parameters = options.parameters;
        if let (Some(_), Some(base)) = (&options.platforms, platforms.public_base()) {
            let parameter = stack_options.parameters.entry("PublicBaseUrl".to_owned());
            parameter.or_insert(base);
        }
        let media = stack_options.parameters.entry("MediaBaseUrl".to_owned());
        media.or_insert_with(|| MEDIA_ORIGIN.to_owned());
        let sender = stack_options.parameters.entry("MailFromAddress".to_owned());
        sender.or_insert_with(|| MAIL_FROM.to_owned());
        stack_options.binaries = binaries;
        stack_options.schedules = true;
        let stack = Stack::start_behind(cloud, door, stack_options).await?;
        stack
            .put_secret("PlatformsSecret", &json!(platforms.platforms))
            .await?;
        let this = Self {
            stack,
            sandbox,
            platforms,
        };
        this.let_the_sandbox_fetch().await?;
        Ok(this)
    }

    /// Tells the sandbox where the media origin is served on this machine.
    async fn let_the_sandbox_fetch(&self) -> Result<()> {
        let Some(sandbox) = &self.sandbox else {
            return Ok(());
        };
        let bucket = media_bucket(&self.stack)?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        http.post(format!("{}/settings", sandbox.admin_url()))
            .header("content-type", "application/json")
            .body(json!({ "pull_origins": { MEDIA_ORIGIN: bucket } }).to_string())
            .send()
            .await?
            .error_for_status()?;
        Ok(())
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
            .mint_jwt("user_demo", &["connections", "posts", "stats"])?;
        let service = self.stack.mint_jwt("backend", &["service"])?;
        let api = self.stack.api_url();
        let logs = self.stack.logs().display();
        let mails = self.stack.mails_url();
        let platforms = match &self.sandbox {
            Some(sandbox) => format!("{} (stand-in)", sandbox.base_url()),
            None => "as the --platforms file says".to_owned(),
        };
        // A stand-in that is not ours must be told where to send them.
        let names = self.platforms.platforms.keys();
        let webhooks: String = names
            .map(|name| format!("  webhooks   {api}/webhooks/{name}\n"))
            .collect();
        Ok(format!(
            "\n  API        {api}\n  JWT        {token}\n             (of the sample user: connections, posts, stats)\n  service    {service}\n             (of a backend: POST /v1/sessions, or with Passerelle-User)\n  session    {link}\n  platforms  {platforms}\n{webhooks}  \
             mails      {mails}\n  logs       {logs}\n  stop       Ctrl-C\n\n"
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
