//! One deployed stack: its functions, front door, event sources and schedules over a cloud.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    aws::Aws,
    clients::Clients,
    cloud::Cloud,
    deploy,
    gateway::{Door, Gateway},
    host::{Host, HostOptions, Invocation},
    iam::Policy,
    issuer::{AUDIENCE, Issuer},
    mailbox::Mailbox,
    pollers::Pollers,
    proxy::{Buses, Call, Fault, Proxy, Record, Rule, Scripted},
    schedule::Schedules,
    template::{self, Plan, Resolver, Values},
};

/// How a stack is brought up.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// The stack's name; unique within the cloud.
    pub name: String,
    /// Template parameters that differ from their defaults. `JwtIssuer`, `JwtAudience` and
    /// `PublicBaseUrl` are given by the stack itself where they are not given here.
    pub parameters: BTreeMap<String, String>,
    /// More environment for every function, such as `HOST_OVERRIDES`.
    pub environment: BTreeMap<String, String>,
    /// The folder with the functions' binaries; by default the one of the running program.
    pub binaries: PathBuf,
    /// The gateway's port; 0 takes any.
    pub port: u16,
    /// Whether schedules fire by the clock (they can always be fired by hand).
    pub schedules: bool,
    /// Whether event sources are polled from the start.
    pub pollers: bool,
    /// At most so many processes of one function.
    pub max_instances: usize,
}

impl StackOptions {
    /// Options for a stack of this name, without schedules, as tests want it.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            parameters: BTreeMap::new(),
            environment: BTreeMap::new(),
            binaries: default_binaries(),
            port: 0,
            schedules: false,
            pollers: true,
            max_instances: 50,
        }
    }

    /// Sets a template parameter.
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets an environment variable of every function.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// A running stack. Stop it with [`Stack::stop`]; a drop kills its processes as well.
#[derive(Debug)]
pub struct Stack {
    // Dropped in this order: what feeds events first, then the processes, then what they call.
    pollers: Pollers,
    schedules: Schedules,
    gateway: Gateway,
    host: Host,
    issuer: Issuer,
    proxy: Arc<Proxy>,
    aws: Aws,
    values: Values,
    plan: Plan,
    policies: BTreeMap<String, Policy>,
    logs: PathBuf,
    cloud: Arc<Cloud>,
}

impl Stack {
    /// Deploys the cloud's template under the options' name and starts to serve it.
    pub async fn start(cloud: &Arc<Cloud>, options: StackOptions) -> Result<Self> {
        let door = Door::bind(options.port).await?;
        Self::start_behind(cloud, door, options).await
    }

    /// The same behind a door bound before, for callers that must know the API's address first
    /// (a stand-in platform sends its webhooks there).
    pub async fn start_behind(
        cloud: &Arc<Cloud>,
        door: Door,
        options: StackOptions,
    ) -> Result<Self> {
        let aws = Aws::new(cloud.aws_url())?;
        let (issuer, proxy) = tokio::try_join!(
            Issuer::start(),
            Proxy::start(cloud.aws_url(), Arc::clone(cloud.kms())),
        )?;
        let proxy = Arc::new(proxy);
        let known = cloud.template().parameters();
        let mut parameters = options.parameters.clone();
        let api_url = door.url();
        for (name, value) in [
            ("JwtIssuer", issuer.url()),
            ("JwtAudience", AUDIENCE),
            // Empty, functions take the request's own domain name and https, as on AWS.
            ("PublicBaseUrl", &api_url),
        ] {
            if known.contains_key(name) {
                parameters
                    .entry(name.to_owned())
                    .or_insert_with(|| value.to_owned());
            }
        }
        let mut values = Values {
            stack: options.name.clone(),
            parameters,
            physical: BTreeMap::new(),
        };
        deploy::deploy(&aws, cloud.kms(), cloud.template(), &mut values, &api_url)
            .await
            .with_context(|| format!("deploying {}", options.name))?;
        let resolver = Resolver::new(cloud.template(), &values);
        let plan = Plan::read(&resolver)?;
        let policies = template::policies(&resolver)?;
        for (logical, properties) in resolver.of_type("AWS::S3::Bucket")? {
            let rules = resolver.value(&properties["CorsConfiguration"]["CorsRules"])?;
            proxy.set_cors(&values.physical[logical].reference, &rules);
        }
        let folder = cloud.home().join("mails").join(&options.name);
        open_mailbox(&proxy, &aws, &resolver, &folder)?;
        let logs = cloud.home().join("logs").join(&options.name);
        if logs.exists() {
            std::fs::remove_dir_all(&logs).context("removing the logs of an earlier run")?;
        }
        let mut environment = options.environment.clone();
        environment.insert("AWS_ENDPOINT_URL".to_owned(), proxy.url());
        let host_options = HostOptions {
            binaries: options.binaries.clone(),
            logs: logs.clone(),
            environment,
            max_instances: options.max_instances,
        };
        let host = Host::new(
            plan.functions.values().cloned(),
            &host_options,
            proxy.callers(),
        )?;
        proxy.serve_functions(&host);
        let gateway = door
            .serve(plan.routes.clone(), host.clone(), &logs.join("gateway.log"))
            .await?;
        let pollers = Pollers::start(&aws, &host, &proxy, &plan.sources, options.pollers);
        let schedules = Schedules::start(plan.schedules.clone(), &host, options.schedules)?;
        let cloud = Arc::clone(cloud);
        Ok(Self {
            pollers,
            schedules,
            gateway,
            host,
            issuer,
            proxy,
            aws,
            values,
            plan,
            policies,
            logs,
            cloud,
        })
    }

    /// The API's base URL.
    pub fn api_url(&self) -> &str {
        self.gateway.url()
    }

    /// The endpoint that functions call for AWS.
    pub fn aws_endpoint(&self) -> String {
        self.proxy.url()
    }

    /// The function host: kill, memory, logs, environment.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The event sources, to switch them off and on.
    pub fn pollers(&self) -> &Pollers {
        &self.pollers
    }

    /// The token issuer, for tokens that the authorizer must refuse.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// What the template asks to be served, names resolved.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plain client of the AWS process, past the proxy.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// SDK clients of the AWS process, past the proxy, for assertions.
    pub fn clients(&self) -> Clients {
        Clients::new(self.cloud.aws_url())
    }

    /// The keys.
    pub fn kms(&self) -> &crate::kms::Kms {
        self.cloud.kms()
    }

    /// The folder with the stack's logs.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// The text of all logs together, for the search for planted secrets.
    pub fn all_logs(&self) -> Result<String> {
        let mut text = String::new();
        for entry in std::fs::read_dir(&self.logs)? {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(entry?.path())?));
        }
        Ok(text)
    }

    /// The `Ref` of a resource: a table's name, a queue's URL, a bucket's name, a secret's ARN.
    pub fn reference(&self, logical: &str) -> Result<&str> {
        let physical = self.values.physical.get(logical);
        Ok(&physical
            .ok_or_else(|| anyhow!("the template has no {logical}"))?
            .reference)
    }

    /// The physical name of a table by its noun (`connections`) or logical id.
    pub fn table(&self, noun: &str) -> Result<&str> {
        self.noun(noun, "Table")
    }

    /// The URL of a queue by its noun (`publish`), its logical id, or `<Noun>DeadLetters`.
    pub fn queue(&self, noun: &str) -> Result<&str> {
        self.noun(noun, "Queue")
    }

    /// The name of a bucket by its noun (`media`) or logical id.
    pub fn bucket(&self, noun: &str) -> Result<&str> {
        self.noun(noun, "Bucket")
    }

    fn noun(&self, noun: &str, kind: &str) -> Result<&str> {
        let mut letters = noun.chars();
        let capital: String = letters
            .next()
            .map(|c| c.to_ascii_uppercase())
            .into_iter()
            .chain(letters)
            .collect();
        self.reference(&format!("{capital}{kind}"))
            .or_else(|_| self.reference(noun))
    }

    /// Hands an event to a function and waits for its end.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Invocation> {
        self.host
            .invoke(function, Bytes::from(event.to_string()))
            .await
    }

    /// Fires the schedules of a function now and waits for the answers.
    pub async fn fire(&self, function: &str) -> Result<Vec<Invocation>> {
        self.schedules.fire(function).await
    }

    /// Kills a function's processes; gives how many there were.
    pub async fn kill(&self, function: &str) -> Result<usize> {
        self.host.kill(function).await
    }

    /// Scripts a fault.
    pub fn fault(&self, rule: Rule, fault: Fault) -> Scripted {
        self.proxy.faults().script(rule, fault)
    }

    /// Removes all scripted faults and releases what they hold.
    pub fn clear_faults(&self) {
        self.proxy.faults().clear();
    }

    /// The mails that SES's stand-in took, and its knobs.
    pub fn mailbox(&self) -> &Mailbox {
        self.proxy.mailbox()
    }

    /// Where captured mails are listed.
    pub fn mails_url(&self) -> String {
        format!("{}/_mails", self.proxy.url())
    }

    /// The record of AWS calls.
    pub fn record(&self) -> &Record {
        self.proxy.record()
    }

    /// What functions put on event buses.
    pub fn buses(&self) -> &Buses {
        self.proxy.buses()
    }

    /// A token of the development issuer, valid for an hour.
    pub fn mint_jwt(&self, subject: &str, scopes: &[&str]) -> Result<String> {
        self.issuer
            .mint(subject, scopes, Duration::from_secs(3_600))
    }

    /// Writes the value of a secret, by logical id.
    pub async fn put_secret(&self, logical: &str, value: &Value) -> Result<()> {
        let request = json!({
            "SecretId": self.reference(logical)?, "SecretString": value.to_string(),
            "ClientRequestToken": crate::kms::uuid(),
        });
        self.aws
            .json("secretsmanager", "secretsmanager.PutSecretValue", &request)
            .await?;
        Ok(())
    }

    /// Messages of a queue: visible, in flight, delayed.
    pub async fn queue_depth(&self, queue: &str) -> Result<(u64, u64, u64)> {
        let request = json!({"QueueUrl": self.queue(queue)?, "AttributeNames": ["All"]});
        let answer = self
            .aws
            .json("sqs", "AmazonSQS.GetQueueAttributes", &request)
            .await?;
        let count = |name: &str| {
            answer["Attributes"][name]
                .as_str()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        Ok((
            count("ApproximateNumberOfMessages"),
            count("ApproximateNumberOfMessagesNotVisible"),
            count("ApproximateNumberOfMessagesDelayed"),
        ))
    }

    /// Sends a message to a queue.
    pub async fn send(&self, queue: &str, body: &str) -> Result<()> {
        let request = json!({"QueueUrl": self.queue(queue)?, "MessageBody": body});
        self.aws
            .json("sqs", "AmazonSQS.SendMessage", &request)
            .await?;
        Ok(())
    }

    /// Recorded calls that the template's policies do not allow, by function.
    pub fn denied(&self) -> BTreeMap<String, Vec<String>> {
        self.judge(|policy, calls| policy.denied(calls).into_iter().collect())
    }

    /// What the template's policies allow and no recorded call used, by function.
    pub fn unused(&self) -> BTreeMap<String, Vec<String>> {
        self.judge(|policy, calls| policy.unused(calls).into_iter().collect())
    }

    fn judge(
        &self,
        verdict: impl Fn(&Policy, &[Call]) -> Vec<String>,
    ) -> BTreeMap<String, Vec<String>> {
        let nothing = Policy::default();
        self.plan
            .functions
            .values()
            .map(|spec| {
                let policy = self.policies.get(&spec.role).unwrap_or(&nothing);
                (
                    spec.name.clone(),
                    verdict(policy, &self.record().under_role_of(&spec.name)),
                )
            })
            .filter(|(_, found)| !found.is_empty())
            .collect()
    }

    /// Stops everything and removes what was created.
    pub async fn stop(self) -> Result<()> {
        self.pollers.set_enabled(false).await;
        self.host.stop().await;
        deploy::remove(&self.aws, &self.values.stack).await
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.host.abandon();
    }
}

/// Binds SES's stand-in to the stack's configuration sets and to the queues that its rules feed.
fn open_mailbox(proxy: &Proxy, aws: &Aws, resolver: &Resolver<'_>, folder: &Path) -> Result<()> {
    let physical = &resolver.values.physical;
    let sets = resolver.of_type("AWS::SES::ConfigurationSet")?;
    let sets = sets
        .iter()
        .map(|(logical, _)| physical[*logical].reference.clone());
    let mut queues = Vec::new();
    for (logical, properties) in resolver.of_type("AWS::Events::Rule")? {
        let rule = resolver
            .value(properties)
            .with_context(|| format!("rule {logical}"))?;
        let of_ses = rule["EventPattern"]["source"] == json!(["aws.ses"]);
        for target in rule["Targets"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|_| of_ses)
        {
            let arn = target["Arn"].as_str().unwrap_or_default();
            let queue = physical
                .values()
                .find(|one| one.attributes.get("Arn").is_some_and(|known| known == arn));
            let queue =
                queue.with_context(|| format!("rule {logical} feeds no queue of the stack"))?;
            queues.push(queue.reference.clone());
        }
    }
    proxy.mailbox().open(aws, sets.collect(), queues, folder)
}

/// Waits until `check` gives a value, asking every 20 ms, for at most `bound`.
pub async fn eventually<T>(
    what: &str,
    bound: Duration,
    mut check: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let until = tokio::time::Instant::now() + bound;
    loop {
        if let Some(found) = check().await? {
            return Ok(found);
        }
        if tokio::time::Instant::now() >= until {
            bail!("{what}: not within {bound:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The folder of the running program; tests run one folder below their profile's.
pub(crate) fn default_binaries() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("."));
    if folder.ends_with("deps") {
        return folder.parent().unwrap_or(folder).to_owned();
    }
    folder.to_owned()
}
