//! A deployed stack with its stand-in platform, and what tests ask of both.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::Timestamp;
use local::demo::api::Api;
use local::demo::browser::{Browser, Page};
use local::demo::{connect, media};
use local::{Cloud, Door, Stack, StackOptions, eventually};
use reqwest::{Method, StatusCode};
use sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// Bounds every wait; nothing waits this long unless it fails.
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) const USER: &str = "user_flow";
pub(crate) const CLIENT_KEY: &str = "awexample0001";
pub(crate) const CLIENT_SECRET: &str = "tt-client-secret-example";
pub(crate) const SANDBOX_KEY: &str = "sbawexample0001";
pub(crate) const SANDBOX_SECRET: &str = "tt-sandbox-secret-example";

pub(crate) async fn cloud() -> Arc<Cloud> {
    static CLOUD: OnceCell<Arc<Cloud>> = OnceCell::const_new();
    let start = || async {
        Cloud::start(&local::cloud::project_root().unwrap())
            .await
            .expect("the local cloud starts")
    };
    CLOUD.get_or_init(start).await.clone()
}

/// One stack, one stand-in, nobody else's.
pub(crate) struct World {
    pub(crate) stack: Stack,
    pub(crate) sandbox: Sandbox,
    pub(crate) backend: Api,
    pub(crate) user: Api,
    http: reqwest::Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|options| options).await
    }

    /// A world whose stack is deployed with other options.
    pub(crate) async fn with(change: impl FnOnce(StackOptions) -> StackOptions) -> Self {
        Self::beside(&[], change).await
    }

    /// The same beside further hosts, each with the loopback address at which it is found.
    pub(crate) async fn beside(
        hosts: &[(&str, &str)],
        change: impl FnOnce(StackOptions) -> StackOptions,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let cloud = cloud().await;
        let door = Door::bind(0).await.unwrap();
        let url = door.url();
        let mut config = sandbox::Config::demo();
        for app in &mut config.tiktok.apps {
            app.webhook_url = Some(format!("{url}/webhooks/tiktok"));
        }
        config.tiktok.apps[0].audited = true;
        let sandbox = Sandbox::start(config).await.unwrap();
        let mut overrides = json!(sandbox.host_overrides());
        for (host, base) in hosts {
            overrides[*host] = json!(base);
        }
        let overrides = overrides.to_string();
        // Small times: leases and retries that take minutes in production take seconds here.
        let name = format!("flow-{}-{number}", std::process::id());
        let options = StackOptions::new(&name)
            .env("HOST_OVERRIDES", &overrides)
            .parameter("ReturnToOrigins", "https://product.example")
            .parameter("MediaBaseUrl", local::dev::MEDIA_ORIGIN)
            .parameter("PublishLeaseSeconds", "4")
            .parameter("SweepLateSeconds", "1")
            .parameter("DeliveryLeaseSeconds", "2")
            .parameter("OrphanSeconds", "2")
            .parameter("SettleSeconds", "2")
            .parameter("RescueDelaySeconds", "0")
            .parameter("RefreshLeaseSeconds", "7")
            .parameter("HttpTimeoutSeconds", "2")
            .parameter("WebhookVisibility", "1")
            .parameter("PublishVisibility", "2")
            .parameter("RefreshVisibility", "2")
            .parameter("RewrapVisibility", "2")
            .parameter("DataRequestVisibility", "9")
            .parameter("DataRequestTimeout", "8")
            .parameter("ErasureSettleSeconds", "3")
            .parameter("RescueVisibility", "1")
            .parameter("InsightsVisibility", "2")
            .parameter("WebhookMaxReceives", "4")
            // Calls that come by themselves would mix with those that a story counts.
            .parameter("StatisticsOff", "tiktok");
        let stack = Stack::start_behind(&cloud, door, change(options))
            .await
            .expect("the stack deploys");
        let backend = Api::new(
            stack.api_url(),
            &stack.mint_jwt("backend", &["service"]).unwrap(),
        )
        .unwrap();
        let token = stack.mint_jwt(USER, &["connections", "posts"]).unwrap();
        let user = Api::new(stack.api_url(), &token).unwrap();
        let world = Self {
            stack,
            sandbox,
            backend,
            user,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        };
        world.configure(json!({})).await;
        let bucket = local::dev::media_bucket(&world.stack).unwrap();
        world
            .settings(json!({ "pull_origins": { local::dev::MEDIA_ORIGIN: bucket } }))
            .await;
        world
    }

    /// Writes the platforms secret: the stand-in's app with `extra` settings, and its portal sandbox
    /// beside it. Functions that run read
    /// it again only after minutes, so they are started anew.
    pub(crate) async fn configure(&self, extra: Value) {
        let mut app = json!({
            "client_key": CLIENT_KEY, "client_secret": CLIENT_SECRET,
            "sandbox": { "client_key": SANDBOX_KEY, "client_secret": SANDBOX_SECRET },
        });
        for (name, value) in extra.as_object().cloned().unwrap_or_default() {
            app[name] = value;
        }
        self.stack
            .put_secret("PlatformsSecret", &json!({ "tiktok": app }))
            .await
            .unwrap();
        let functions: Vec<String> = self.stack.host().functions().map(str::to_owned).collect();
        for function in functions {
            self.stack.kill(&function).await.unwrap();
        }
    }

    /// Ends the world: no call was made that the template's policies do not allow, and no secret of
    /// anybody's is in any log line.
    pub(crate) async fn end(self) {
        let denied = self.stack.denied();
        assert!(
            denied.is_empty(),
            "calls that the policies do not allow: {denied:#?}"
        );
        self.no_secret_in_logs().await;
        self.events_are_as_told().await;
        self.sandbox.stop().await;
        drop(self.stack.stop().await);
    }

    /// What is sent of every event is what the schema of its type tells products.
    async fn events_are_as_told(&self) {
        static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(crate::schema::all);
        for row in self.items("events").await {
            let sent = outbox::body(&store::EventRow {
                event_id: text(&row, "event_id"),
                kind: text(&row, "kind"),
                user_id: text(&row, "user_id"),
                connection_id: None,
                created_at: Timestamp::from_millis(number(&row, "created_at")),
                detail: text(&row, "detail"),
                unsent_shard: None,
                queued_at: None,
                published_at: None,
                ttl: 0,
            });
            assert_eq!(
                crate::schema::wrong(&SCHEMAS, &sent),
                Vec::<String>::new(),
                "{sent}"
            );
        }
    }

    async fn no_secret_in_logs(&self) {
        let logs = self.stack.all_logs().unwrap();
        let secrets = self.control(Method::GET, "/secrets", json!({})).await;
        let secrets = secrets["secrets"].as_array().cloned().unwrap_or_default();
        assert!(!secrets.is_empty(), "there is nothing to search for");
        for secret in secrets {
            let secret = secret
                .as_str()
                .or_else(|| secret["value"].as_str())
                .unwrap();
            assert!(
                !logs.contains(secret),
                "a log line shows a secret of {} characters",
                secret.len()
            );
        }
    }

    // ---- the stand-in

    pub(crate) async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.sandbox.admin_url());
        let request = self
            .http
            .request(method, url)
            .header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path} answered {status}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub(crate) async fn fault(&self, fault: Value) {
        self.control(Method::POST, "/faults", fault).await;
    }

    pub(crate) async fn settings(&self, settings: Value) {
        self.control(Method::POST, "/settings", settings).await;
    }

    /// How often the stand-in was called at an endpoint.
    pub(crate) async fn calls(&self, endpoint: &str) -> usize {
        let path = format!("/requests?endpoint={endpoint}");
        let log = self.control(Method::GET, &path, json!({})).await;
        log["requests"].as_array().map_or(0, Vec::len)
    }

    /// Waits until a call of this endpoint is held.
    pub(crate) async fn held(&self, endpoint: &str) {
        eventually("a held call", SOON, || async {
            let holds = self.control(Method::GET, "/holds", json!({})).await;
            let text = holds.to_string();
            Ok(text.contains(&format!("\"{endpoint}\"")).then_some(()))
        })
        .await
        .unwrap();
    }

    pub(crate) async fn release(&self) {
        self.control(Method::POST, "/holds/release", json!({}))
            .await;
    }

    // ---- browsers

    pub(crate) fn browser(&self) -> Browser {
        let served = BTreeMap::from([(
            "https://passerelle.test".to_owned(),
            self.stack.api_url().to_owned(),
        )]);
        Browser::new(&served).unwrap()
    }

    pub(crate) async fn link(&self, user: &str) -> String {
        self.backend
            .session(json!({ "user_id": user, "user_label": "Flow", "platform": "tiktok" }))
            .await
            .unwrap()
    }

    /// A browser that stands before the platform's consent page.
    pub(crate) async fn at_consent(&self, user: &str) -> (Browser, Page) {
        let mut browser = self.browser();
        let button = browser.open(&self.link(user).await).await.unwrap();
        let page = browser.agree(&button).await.unwrap();
        (browser, page)
    }

    /// Connects a user's account; gives the connection's id.
    pub(crate) async fn connect(&self, user: &str) -> String {
        let mut browser = self.browser();
        let link = self.link(user).await;
        connect(&mut browser, &link).await.unwrap();
        self.connections(user).await[0]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) async fn connections(&self, user: &str) -> Vec<Value> {
        let api = self.backend.clone().on_behalf_of(user);
        let list = api
            .call(Method::GET, "/v1/connections", None, StatusCode::OK)
            .await
            .unwrap();
        list["connections"].as_array().cloned().unwrap()
    }

    pub(crate) async fn status_of(&self, user: &str, connection: &str) -> Value {
        let api = self.backend.clone().on_behalf_of(user);
        let path = format!("/v1/connections/{connection}/status");
        api.call(Method::GET, &path, None, StatusCode::OK)
            .await
            .unwrap()
    }

    // ---- tables

    pub(crate) async fn items(&self, noun: &str) -> Vec<Item> {
        let client = self.stack.clients().dynamodb;
        let table = self.stack.table(noun).unwrap();
        client
            .scan()
            .table_name(table)
            .send()
            .await
            .unwrap()
            .items
            .unwrap_or_default()
    }

    pub(crate) async fn connection_item(&self, user: &str) -> Item {
        let all = self.items("connections").await;
        all.into_iter()
            .find(|item| text(item, "user_id") == user)
            .expect("the connection's item")
    }

    /// Kinds of the events of a user, in the order of their ids' making: sorted by time and name.
    pub(crate) async fn events(&self, user: &str) -> Vec<String> {
        let mut rows = self.items("events").await;
        rows.retain(|row| text(row, "user_id") == user);
        rows.sort_by_key(|row| (number(row, "created_at"), text(row, "kind")));
        rows.iter().map(|row| text(row, "kind")).collect()
    }

    /// Sets number attributes of the one item of this user's connection, as time passing would.
    pub(crate) async fn set_connection(&self, user: &str, values: &[(&str, i64)]) {
        let item = self.connection_item(user).await;
        let client = self.stack.clients().dynamodb;
        let mut update = client
            .update_item()
            .table_name(self.stack.table("connections").unwrap())
            .key("user_id", item["user_id"].clone())
            .key("connection_id", item["connection_id"].clone());
        let mut sets = Vec::new();
        for (name, value) in values {
            sets.push(format!("{name} = :{name}"));
            update = update.expression_attribute_values(
                format!(":{name}"),
                AttributeValue::N(value.to_string()),
            );
        }
        update
            .update_expression(format!("SET {}", sets.join(", ")))
            .send()
            .await
            .unwrap();
    }

    /// Forgets what was called lately, as the passing of time would.
    pub(crate) async fn forget_limits(&self) {
        let client = self.stack.clients().dynamodb;
        for row in self.items("limits").await {
            client
                .delete_item()
                .table_name(self.stack.table("limits").unwrap())
                .key("limit_key", row["limit_key"].clone())
                .send()
                .await
                .unwrap();
        }
    }

    /// Lets a target's time come.
    pub(crate) async fn target_due(&self, row: &Item) {
        self.due("targets", &["post_id", "target_id"], row).await;
    }

    /// Lets a revocation's time come.
    pub(crate) async fn revocation_due(&self, row: &Item) {
        self.due("revocations", &["revocation_id"], row).await;
    }

    async fn due(&self, noun: &str, keys: &[&str], row: &Item) {
        let client = self.stack.clients().dynamodb;
        let mut update = client
            .update_item()
            .table_name(self.stack.table(noun).unwrap())
            .update_expression("SET due_at = :past")
            .expression_attribute_values(":past", AttributeValue::N("1".to_owned()));
        for key in keys {
            update = update.key(*key, row[*key].clone());
        }
        update.send().await.unwrap();
    }

    // ---- posts

    /// A playable file of this size.
    pub(crate) fn file(&self, size: u64) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("passerelle-{}-{size}.mp4", std::process::id()));
        if !path.exists() {
            media::write_mp4(&path, size).unwrap();
        }
        path
    }

    pub(crate) async fn post(&self, connection: &str, media: &str, options: Value) -> Value {
        let body = json!({
            "text": if options["mode"] == "inbox" { "" } else { "Soup night" },
            "media": [media],
            "targets": [{ "connection_id": connection, "options": options }],
        });
        let path = "/v1/posts";
        self.user
            .call(Method::POST, path, Some(body), StatusCode::CREATED)
            .await
            .unwrap()
    }

    pub(crate) async fn target(&self, post: &str) -> Value {
        let path = format!("/v1/posts/{post}");
        let post = self
            .user
            .call(Method::GET, &path, None, StatusCode::OK)
            .await
            .unwrap();
        post["targets"][0].clone()
    }

    /// Waits until the post's target has this status; the sweeper is fired meanwhile, as its
    /// schedule would.
    pub(crate) async fn until_target(&self, post: &str, status: &str) -> Value {
        let found = eventually("the target's status", SOON, || async {
            let target = self.target(post).await;
            if target["status"] == status {
                return Ok(Some(target));
            }
            let settled = !matches!(target["status"].as_str(), Some("queued" | "publishing"));
            ensure!(!settled, "it ended as {target}");
            self.stack.fire("sweeper").await?;
            Ok(None)
        });
        found.await.unwrap()
    }

    /// What the stand-in holds of publishes.
    pub(crate) async fn publishes(&self) -> Vec<Value> {
        let state = self.control(Method::GET, "/state", json!({})).await;
        state["publishes"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) async fn published(&self) -> usize {
        let all = self.publishes().await;
        all.iter()
            .filter(|one| one["status"] == "PUBLISH_COMPLETE")
            .count()
    }
}

pub(crate) fn text(item: &Item, name: &str) -> String {
    item.get(name)
        .and_then(|value| value.as_s().ok())
        .cloned()
        .unwrap_or_default()
}

pub(crate) fn number(item: &Item, name: &str) -> i64 {
    let value = item.get(name).and_then(|value| value.as_n().ok());
    value.and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub(crate) fn bytes(item: &Item, name: &str) -> Result<Vec<u8>> {
    let value = item.get(name).and_then(|value| value.as_b().ok());
    Ok(value.context("no bytes")?.clone().into_inner())
}
