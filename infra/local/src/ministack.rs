//! The process that answers for DynamoDB, SQS, S3, Secrets Manager and CloudFormation.
//!
//! It listens on the loopback address only, keeps its state in memory, and ends with us however
//! we end: it reads a pipe whose other end only we hold, and exits when that closes.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::aws::{ACCOUNT, REGION};

const READY_WITHIN: Duration = Duration::from_secs(30);

/// Runs ministack's own `main` beside a thread that waits for the end of standard input. A
/// parent killed outright closes the pipe too, which no signal handler could promise.
const LAUNCH: &str = r#"
import os, sys, threading
def follow():
    sys.stdin.buffer.read()
    os._exit(0)
threading.Thread(target=follow, daemon=True).start()
sys.argv = ["ministack"]
from ministack.app import main
main()
"#;

/// A running process; dropping it ends the process.
#[derive(Debug)]
pub struct Ministack {
    child: Child,
    url: String,
    /// Told to the process and asked of whoever answers on its port.
    mark: String,
    files: [PathBuf; 2],
}

impl Ministack {
    /// Starts the process with `python` and waits until it answers. Its output and its small
    /// files go to `home`.
    pub async fn start(python: &Path, home: &Path) -> Result<Self> {
        fs::create_dir_all(home)?;
        // The port is free when chosen but may be taken before the process binds it.
        let mut last = None;
        for _ in 0..3 {
            match Self::start_once(python, home).await {
                Ok(ministack) => return Ok(ministack),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("ministack was never started")))
    }

    async fn start_once(python: &Path, home: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log_path = home.join(format!("ministack-{port}.log"));
        let log = fs::File::create(&log_path)?;
        let pid_path = home.join(format!("ministack-{port}.pid"));
        let url = format!("http://127.0.0.1:{port}");
        let mark = format!("local-{}", crate::kms::uuid());
        let child = Command::new(python)
            .args(["-c", LAUNCH])
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", &url)
            .env("MINISTACK_ACCOUNT_ID", ACCOUNT)
            .env("MINISTACK_REGION", REGION)
            .env(
                "SERVICES",
                "cloudformation,dynamodb,dynamodbstreams,s3,secretsmanager,sqs",
            )
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("LOG_LEVEL", "WARNING")
            .env("MINISTACK_VERSION", &mark)
            .env("TMPDIR", home)
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env_remove("AWS_SESSION_TOKEN")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", python.display()))?;
        let mut started = Self {
            child,
            url,
            mark,
            files: [log_path.clone(), pid_path],
        };
        started.ready().await.with_context(|| {
            let text = fs::read_to_string(&log_path).unwrap_or_default();
            let tail: Vec<_> = text.lines().rev().take(5).collect();
            format!(
                "ministack said: {}",
                tail.into_iter().rev().collect::<Vec<_>>().join(" | ")
            )
        })?;
        Ok(started)
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn ready(&mut self) -> Result<()> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let health = format!("{}/_ministack/health", self.url);
        let since = Instant::now();
        while since.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                bail!("ministack ended at once: {status}");
            }
            if let Ok(answer) = http.get(&health).send().await
                && answer
                    .text()
                    .await
                    .is_ok_and(|text| text.contains(&self.mark))
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!(
            "ministack was not ready within {} s",
            READY_WITHIN.as_secs()
        );
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // These fail only when process or file is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
        for file in &self.files {
            drop(fs::remove_file(file));
        }
    }
}
