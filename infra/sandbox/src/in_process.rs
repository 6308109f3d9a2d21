//! The stand-ins without sockets: for a harness that owns time and the network.
//!
//! The same routes and the same memory; only the way in and the way out of webhooks differ. A cut
//! connection cannot be seen here, so faults are the caller's own business, not the knobs'.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use tower_service::Service as _;

use crate::clock::{Clock, Now};
use crate::socket::Switch;
use crate::tiktok;

/// An answer's body is read up to here.
const MOST_BYTES: usize = 64 << 20;

/// A webhook on its way.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The signature header.
    pub signature: Option<String>,
    /// The signed bytes.
    pub body: Vec<u8>,
}

/// Takes a webhook to its receiver: the status that it answered, or `None` where it did not.
#[derive(Clone)]
pub struct Carrier(Arc<dyn Fn(Webhook) -> Carried + Send + Sync>);

/// A webhook under way.
type Carried = Pin<Box<dyn Future<Output = Option<u16>> + Send>>;

impl Carrier {
    /// A carrier that does this.
    pub fn new<F>(carry: impl Fn(Webhook) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Option<u16>> + Send + 'static,
    {
        Self(Arc::new(move |webhook| Box::pin(carry(webhook))))
    }

    pub(crate) async fn carry(&self, webhook: Webhook) -> Option<u16> {
        (self.0)(webhook).await
    }
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Carrier")
    }
}

/// The stand-ins, called as functions. Background work ends with it.
#[derive(Clone, Debug)]
pub struct InProcess {
    router: Router,
    tiktok: Arc<tiktok::World>,
}

/// Unused without sockets; built once, since reading the machine's certificates takes its time.
static HTTP: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);

impl InProcess {
    /// The stand-in TikTok, below `/tiktok`, whose time is `now`. Upload addresses are made for the
    /// host that the settings name.
    ///
    /// # Errors
    /// When an app breaks a rule of its platform's developer portal.
    pub fn new(config: tiktok::Config, now: Now, carrier: Carrier) -> Result<Self> {
        let base = "http://127.0.0.1:1/tiktok".to_owned();
        let clock = Clock::over(Some(now));
        let tiktok = tiktok::World::over(config, base, clock, HTTP.clone(), Some(carrier))?;
        let router = Router::new().nest("/tiktok", tiktok::router(Arc::clone(&tiktok)));
        Ok(Self { router, tiktok })
    }

    /// One call; its path begins with `/tiktok/open`, `/tiktok/upload` or `/tiktok/_control`. Once
    /// begun, its effect is not undone by dropping this future.
    ///
    /// # Errors
    /// When the answer cannot be read.
    pub async fn call(&self, mut request: Request<Body>) -> Result<Response<Bytes>> {
        request
            .extensions_mut()
            .insert(ConnectInfo(Switch::default()));
        let answer = self.router.clone().call(request).await;
        let answer = answer.map_err(|never| match never {})?;
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, MOST_BYTES).await;
        Ok(Response::from_parts(
            parts,
            body.context("reading an answer")?,
        ))
    }

    /// Ends pending webhooks and processing.
    pub fn end(&self) {
        self.tiktok.end_tasks();
    }
}
