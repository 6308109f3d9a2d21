//! Whole walks: what a person gets who has only a stand-in's addresses and a `--platforms` file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use local::{Cloud, Dev, DevOptions, Door, demo};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::pages::Asking;
use crate::platform::{CLIENT_KEY, CLIENT_SECRET, Platform};

/// Bounds every wait; nothing waits this long unless it fails.
const SOON: Duration = Duration::from_secs(60);

static SAID: Mutex<String> = Mutex::new(String::new());

async fn cloud() -> Arc<Cloud> {
    static CLOUD: OnceCell<Arc<Cloud>> = OnceCell::const_new();
    let start = || async {
        Cloud::start(&local::cloud::project_root().unwrap())
            .await
            .expect("the local cloud starts")
    };
    CLOUD.get_or_init(start).await.clone()
}

/// Everything up with a foreign platform, by way of a file.
struct Foreign {
    dev: Dev,
    file: PathBuf,
}

impl Foreign {
    async fn start(asking: Asking, webhook_secret: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("foreign-{}-{number}", std::process::id());
        let cloud = cloud().await;
        let door = Door::bind(0).await.unwrap();
        let uris = [&door.url(), "https://passerelle.test"]
            .map(|base| format!("{base}/oauth/tiktok/callback"));
        let webhooks = format!("{}/webhooks/tiktok", door.url());
        let platform = Platform::start(asking, &uris, &webhooks, webhook_secret).await;
        let file = std::env::temp_dir().join(format!("{name}.json"));
        let content = json!({
            "host_overrides": {
                "www.tiktok.com": platform.url(),
                "open.tiktokapis.com": platform.url(),
                "*.tiktokapis.com": platform.url(),
            },
            "platforms": { "tiktok": { "client_key": CLIENT_KEY, "client_secret": CLIENT_SECRET } },
            "redirect_uris": { "tiktok": uris },
            "served_at": { "https://passerelle.test": door.url() },
        });
        std::fs::write(&file, content.to_string()).unwrap();
        let options = DevOptions {
            platforms: Some(file.clone()),
            name,
            ..DevOptions::default()
        };
        let dev = Dev::start_in(&cloud, door, binaries(), options).await;
        let dev = dev.expect("everything comes up");
        Self { dev, file }
    }

    async fn walk(&self, say: fn(&str) -> Result<()>, patience: Duration) -> Result<()> {
        let video = demo::media::write_mp4(&self.file.with_extension("mp4"), 6_000_000)?;
        demo::run_within(&self.dev, "tiktok", &video, say, patience).await
    }

    /// How the walk fails.
    async fn failure(&self, patience: Duration) -> String {
        let failed = self.walk(|_| Ok(()), patience).await;
        format!("{:#}", failed.expect_err("the walk must fail"))
    }

    async fn end(self) {
        drop(std::fs::remove_file(self.file.with_extension("mp4")));
        drop(std::fs::remove_file(&self.file));
        self.dev.stop().await;
    }
}

/// The functions, one folder above the running test.
fn binaries() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(2).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_with_login_and_consent_pages_is_walked() {
    let foreign = Foreign::start(Asking::TwoPages, CLIENT_SECRET).await;
    let api = foreign.dev.stack.api_url().to_owned();
    let greeting = foreign.dev.greeting("link").unwrap();
    assert!(
        greeting.contains(&format!("webhooks   {api}/webhooks/tiktok\n")),
        "{greeting}"
    );
    let collect = |text: &str| {
        SAID.lock().unwrap().push_str(text);
        Ok(())
    };
    foreign.walk(collect, SOON).await.unwrap();
    let said = SAID.lock().unwrap().clone();
    for part in [
        &format!("by way of {api}\n"),
        "by way of https://passerelle.test\n",
        "sealed bytes; the stand-in's tokens are not known here, so their text was not searched for",
        "6000000 bytes",
        ": published;",
        "compare",
        ": post.publish.complete",
        "token version",
        "revoked at the platform",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    foreign.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_asks_nobody_is_walked() {
    let foreign = Foreign::start(Asking::NotAtAll, CLIENT_SECRET).await;
    foreign.walk(|_| Ok(()), SOON).await.unwrap();
    foreign.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_a_way_on_is_told() {
    let foreign = Foreign::start(Asking::NoButton, CLIENT_SECRET).await;
    let told = foreign.failure(SOON).await;
    for part in [
        "connect by way of http",
        "/v2/auth/authorize/ answered 200 OK and says: One moment",
        "no button",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains(['?', '\n']), "{told}");
    foreign.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_leads_nowhere_ends() {
    let foreign = Foreign::start(Asking::Circle, CLIENT_SECRET).await;
    let told = foreign.failure(SOON).await;
    for part in ["after 6 pages", "/login answered 200 OK and says: Log in"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    foreign.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_with_a_wrong_signature_are_told() {
    let foreign = Foreign::start(Asking::NotAtAll, "another secret").await;
    let told = foreign.failure(Duration::from_secs(10)).await;
    let stack = &foreign.dev.stack;
    for part in [
        &format!(
            "webhook: none came to {}/webhooks/tiktok; no delivery was taken",
            stack.api_url()
        ),
        "POSTs refused: 1, the last because: the signature does not match",
        &format!("logs: {}", stack.logs().display()),
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    foreign.end().await;
}
