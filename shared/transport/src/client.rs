//! The clients and how they are used.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use platforms::{Call, Repeat};
use reqwest::{Body, Client};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use url::Url;

use crate::overrides::HostOverrides;
use crate::public::PublicOnly;
use crate::upload::{BytesStream, Exactly};
use crate::{NoAnswer, NoAnswerKind};

/// Bounds of every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long connecting may take, TLS included.
    pub connect: Duration,
    /// How long an unused connection is kept. Short: a frozen function keeps sockets that the other
    /// side has long closed, and servers on Node close theirs after 5 seconds.
    pub idle: Duration,
    /// The largest answer, in bytes.
    pub answer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            idle: Duration::from_secs(4),
            answer: 1024 * 1024,
        }
    }
}

/// Why there is no [`Transport`].
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// The machine has no certificate that could vouch for a platform.
    #[error("no root certificates were found")]
    NoRoots,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// The way out. Cheap to clone; clones share connections, TLS sessions and certificates.
#[derive(Clone, Debug)]
pub struct Transport {
    pooled: Client,
    fresh: Client,
    public: Client,
    public_pooled: Client,
    overrides: Arc<HostOverrides>,
    answer_cap: usize,
}

impl Transport {
    /// Builds the clients once and loads the root certificates once.
    pub fn new(overrides: HostOverrides, limits: Limits) -> Result<Self, CannotStart> {
        let tls = tls()?;
        let builder = |kept: usize| {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .http1_only()
                .pool_max_idle_per_host(kept)
                .pool_idle_timeout(limits.idle)
                // reqwest re-sends by itself on some protocol errors unless told not to.
                .retry(reqwest::retry::never())
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .connect_timeout(limits.connect)
                .user_agent(concat!(
                    "passerelle/",
                    env!("CARGO_PKG_VERSION_MAJOR"),
                    ".",
                    env!("CARGO_PKG_VERSION_MINOR")
                ))
        };
        let client = |kept: usize| builder(kept).build();
        Ok(Self {
            pooled: client(4)?,
            // Nothing idle is kept, so every call connects anew: a pooled socket may have gone stale
            // while the function was frozen, and one cannot tell whether the request went out.
            fresh: client(0)?,
            public: builder(0).dns_resolver(Arc::new(PublicOnly)).build()?,
            public_pooled: builder(4).dns_resolver(Arc::new(PublicOnly)).build()?,
            overrides: Arc::new(overrides),
            answer_cap: limits.answer,
        })
    }

    /// Where real hosts are found; for the authorise redirect.
    pub fn overrides(&self) -> &HostOverrides {
        &self.overrides
    }

    /// What calls the hosts that callers name. Where stand-ins are set up, every host that is called at
    /// all is on this machine.
    pub(crate) fn public_client(&self, overridden: bool) -> &Client {
        match overridden {
            true => &self.fresh,
            false => &self.public,
        }
    }

    /// The same for requests that may arrive twice: connections are used again.
    pub(crate) fn public_pooled(&self) -> &Client {
        match *self.overrides == HostOverrides::default() {
            true => &self.public_pooled,
            false => &self.pooled,
        }
    }

    /// Sends a call once and reads the whole answer. `timeout` bounds all of it.
    pub async fn send(&self, call: Call, timeout: Duration) -> Result<Response<Bytes>, NoAnswer> {
        let client = match call.repeat {
            Repeat::Repeatable => &self.pooled,
            Repeat::Once => &self.fresh,
        };
        let (parts, body) = call.request.into_parts();
        let shown = parts.uri.to_string();
        let url = self.on_the_wire(&parts.method, &shown)?;
        self.execute(client, parts, &shown, url, Body::from(body), timeout)
            .await
    }

    /// Sends `content_length` bytes of `body` to a URL that a platform returned, as they come. The
    /// URL must be https and name one of `allowed_hosts` (`*.suffix` or exact); the body of
    /// `request` is not looked at. The calls are repeatable, so connections are reused.
    pub async fn upload(
        &self,
        request: Request<Bytes>,
        allowed_hosts: &[&str],
        content_length: u64,
        body: BytesStream,
        timeout: Duration,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let (mut parts, _) = request.into_parts();
        let shown = parts.uri.to_string();
        let url = self
            .overrides
            .checked(&shown, allowed_hosts)
            .map_err(|refused| {
                NoAnswer::new(
                    NoAnswerKind::Refused,
                    &parts.method,
                    &shown,
                    refused.to_string(),
                )
            })?;
        // The body's own length is the one that is sent.
        parts.headers.remove(http::header::CONTENT_LENGTH);
        let body = Body::wrap(Exactly {
            source: body,
            left: content_length,
        });
        self.execute(&self.pooled, parts, &shown, url, body, timeout)
            .await
    }

    /// Opens a connection to `host` in advance, so that the first repeatable call finds it. Costs one
    /// HEAD request; how it ends is of no consequence.
    pub async fn warm(&self, host: &str) {
        let shown = format!("https://{host}/");
        if let Ok(url) = self.on_the_wire(&http::Method::HEAD, &shown) {
            let _unneeded = self
                .pooled
                .head(url)
                .timeout(Duration::from_secs(3))
                .send()
                .await;
        }
    }

    /// A URL that we built ourselves: https, unless an override says where else.
    fn on_the_wire(&self, method: &http::Method, real: &str) -> Result<Url, NoAnswer> {
        let refuse = |why: &str| NoAnswer::new(NoAnswerKind::Refused, method, real, why);
        let url = Url::parse(real).map_err(|_| refuse("the URL cannot be read"))?;
        if url.scheme() != "https" {
            return Err(refuse("only https is called"));
        }
        let wire = self.overrides.to_wire(&url);
        wire.map_err(|refused| refuse(&refused.to_string()))
    }

    async fn execute(
        &self,
        client: &Client,
        parts: http::request::Parts,
        shown: &str,
        url: Url,
        body: Body,
        timeout: Duration,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let method = parts.method;
        let lost = |error| NoAnswer::from_reqwest(&method, shown, error);
        let mut request = reqwest::Request::new(method.clone(), url);
        *request.headers_mut() = parts.headers;
        *request.body_mut() = Some(body);
        *request.timeout_mut() = Some(timeout);
        let mut answer = client.execute(request).await.map_err(lost)?;

        let too_large = || {
            let why = "the answer is larger than the cap";
            NoAnswer::new(NoAnswerKind::TooLarge, &method, shown, why)
        };
        if answer
            .content_length()
            .is_some_and(|length| length > self.answer_cap as u64)
        {
            return Err(too_large());
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(lost)? {
            if whole.len() + piece.len() > self.answer_cap {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        let mut response = Response::new(whole.freeze());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

/// One TLS configuration for both clients: its session cache makes the fresh connections cheaper.
fn tls() -> Result<ClientConfig, CannotStart> {
    let mut roots = rustls::RootCertStore::empty();
    // Single certificates of a bundle may be unreadable; what counts is that some are good.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(CannotStart::NoRoots);
    }
    Ok(
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth(),
    )
}
