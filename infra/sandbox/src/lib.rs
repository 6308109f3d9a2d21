//! Stand-in platforms: they refuse what the real ones refuse.
//!
//! What this crate promises:
//!
//! - Each platform is an independent reading of its public documentation. No type or rule is shared
//!   with the code under test, so a misreading there does not hide here.
//! - It listens on 127.0.0.1 only, and sends webhooks to, and fetches media from, loopback
//!   addresses only.
//! - Time is a clock that control calls move. A limit, a lifetime or a back-off is tested by moving
//!   it, never by waiting.
//! - A cut is a cut: the socket closes and no HTTP answer exists. A call whose answer is cut or
//!   held has had its whole effect, or none, as asked.
//! - Nothing is written to disk, and media is hashed as it streams; only its beginning is kept,
//!   unless a setting says more.
//!
//! A platform lives below its own path (`/tiktok/…`), with its knobs below `/tiktok/_control/`.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let sandbox = sandbox::Sandbox::start(sandbox::Config::demo()).await?;
//! let overrides = sandbox.host_overrides(); // "open.tiktokapis.com" -> "http://127.0.0.1:…"
//! # let _ = overrides;
//! sandbox.stop().await;
//! # Ok(())
//! # }
//! ```

mod clock;
mod in_process;
mod socket;
pub mod tiktok;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

pub use crate::clock::Now;
pub use crate::in_process::{Carrier, InProcess, Webhook};
use crate::socket::{Connections, CutListener, Switch};

/// What the stand-ins are started with.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The stand-in TikTok.
    pub tiktok: tiktok::Config,
}

impl Config {
    /// One TikTok app with a web and a loopback redirect, and three creators.
    #[must_use]
    pub fn demo() -> Self {
        Self {
            port: 0,
            tiktok: tiktok::Config::demo(),
        }
    }
}

/// The running stand-ins. Dropping it stops them.
#[derive(Debug)]
pub struct Sandbox {
    addr: SocketAddr,
    server: JoinHandle<()>,
    connections: Connections,
    tiktok: Arc<tiktok::World>,
}

impl Sandbox {
    /// Starts the stand-ins on the current tokio runtime.
    ///
    /// # Errors
    /// When the port is taken, or an app breaks a rule of its platform's developer portal.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))
            .await
            .with_context(|| format!("listening on 127.0.0.1:{}", config.port))?;
        let addr = listener.local_addr()?;
        let tiktok = tiktok::World::new(config.tiktok, format!("http://{addr}/tiktok"))?;
        let router = Router::new().nest("/tiktok", tiktok::router(Arc::clone(&tiktok)));
        let connections = Connections::default();
        let listener = CutListener::new(listener, connections.clone());
        let service = router.into_make_service_with_connect_info::<Switch>();
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, service).await {
                tracing::error!(%error, "the sandbox's listener ended");
            }
        });
        Ok(Self {
            addr,
            server,
            connections,
            tiktok,
        })
    }

    /// `http://127.0.0.1:{port}`, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The port that was taken.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Base of the stand-in TikTok's control routes, without a trailing slash.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("{}/tiktok/_control", self.base_url())
    }

    /// Which real host each base path stands for: host pattern to base URL.
    #[must_use]
    pub fn host_overrides(&self) -> BTreeMap<String, String> {
        let base = self.base_url();
        [
            ("www.tiktok.com", "www"),
            ("open.tiktokapis.com", "open"),
            ("*.tiktokapis.com", "upload"),
        ]
        .into_iter()
        .map(|(host, path)| (host.to_owned(), format!("{base}/tiktok/{path}")))
        .collect()
    }

    /// Serves until the listener ends, for the binary.
    pub async fn wait(mut self) {
        if let Err(error) = (&mut self.server).await {
            tracing::error!(%error, "the sandbox's listener was stopped");
        }
    }

    /// Stops listening, cuts open connections, and ends pending webhooks and processing.
    pub async fn stop(mut self) {
        self.end();
        // The error only says that the task was aborted, which is what was asked.
        let _ = (&mut self.server).await;
    }

    fn end(&self) {
        self.server.abort();
        self.connections.close();
        self.tiktok.end_tasks();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end();
    }
}
