//! The stand-in TikTok in process, and the way to it: an independent reading of the platform that
//! refuses what the real one refuses. Its time is the true one, whatever our clocks show.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::gate::Gate;
use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Request, Response};
use model::{Call, Fate, Outcome, Seam, VirtualClock, pass};
use sandbox::tiktok::{self, App, User};
use sandbox::{Carrier, InProcess};
use serde_json::{Value, json};
use transport::{BoxFuture, BytesStream, NoAnswer, NoAnswerKind, Wire};

/// The app that all worlds have.
pub(crate) const CLIENT_KEY: &str = "awexample0001";
pub(crate) const CLIENT_SECRET: &str = "tt-client-secret-example";
/// How long an access token lives, so that refreshes come often.
pub(crate) const ACCESS_SECONDS: i64 = 900;
/// The smallest chunk that both readings of a megabyte allow.
pub(crate) const CHUNK: u64 = 5 * 1_048_576;

/// A refresh that rotated, as the platform saw it.
#[derive(Clone, Debug)]
pub(crate) struct Rotated {
    /// The refresh token that it spent.
    pub(crate) spent: String,
    /// The run that asked for it.
    pub(crate) run: usize,
}

/// The stand-in, with what the harness notes beside it.
pub(crate) struct Platform {
    sandbox: InProcess,
    rotations: Mutex<Vec<Rotated>>,
}

impl Platform {
    pub(crate) fn start(truth: Arc<VirtualClock>, users: &[&str], carrier: Carrier) -> Arc<Self> {
        let user = |name: &&str| User {
            username: (*name).to_owned(),
            private: true,
            ..User::default()
        };
        let config = tiktok::Config {
            apps: vec![App {
                webhook_url: Some("http://127.0.0.1:1/webhooks/tiktok".to_owned()),
                audited: true,
                ..App::new(CLIENT_KEY, CLIENT_SECRET)
            }],
            users: users.iter().map(user).collect(),
            settings: tiktok::Settings {
                access_token_seconds: ACCESS_SECONDS,
                upload_host: Some("open-upload.tiktokapis.com".to_owned()),
                processing_ms: 4_000,
                direct_posts_per_day: 1_000,
                ..tiktok::Settings::default()
            },
        };
        let now = Arc::new(move || truth.truth().millis());
        Arc::new(Self {
            sandbox: InProcess::new(config, now, carrier).unwrap(),
            rotations: Mutex::default(),
        })
    }

    /// Ends what it does in the background.
    pub(crate) fn end(&self) {
        self.sandbox.end();
    }

    /// A control call.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        let request = Request::post(format!("/tiktok/_control/{path}"))
            .body(Body::from(body.to_string()))
            .unwrap();
        let answer = self.sandbox.call(request).await.unwrap();
        serde_json::from_slice(answer.body()).unwrap_or_default()
    }

    /// Everything that it remembers.
    pub(crate) async fn state(&self) -> Value {
        let request = Request::get("/tiktok/_control/state").body(Body::empty());
        let answer = self.sandbox.call(request.unwrap()).await.unwrap();
        serde_json::from_slice(answer.body()).unwrap()
    }

    /// The token answer of a consent that was just given.
    pub(crate) async fn consent(&self, user: &str) -> Value {
        let body = json!({ "client_key": CLIENT_KEY, "user": user });
        self.control("grants", body).await
    }

    /// The person ends the app's access.
    pub(crate) async fn remove(&self, user: &str) {
        let body = json!({ "client_key": CLIENT_KEY, "user": user });
        self.control("disconnect", body).await;
    }

    /// The refreshes that rotated so far.
    pub(crate) fn rotations(&self) -> Vec<Rotated> {
        self.rotations.lock().unwrap().clone()
    }

    /// One call of a run; `spends`: the refresh token that it asks to be rotated.
    async fn call(
        &self,
        run: usize,
        spends: Option<String>,
        request: Request<Body>,
    ) -> Response<Bytes> {
        let answer = self.sandbox.call(request).await.unwrap();
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if let Some(spent) = spends.filter(|_| body["access_token"].is_string()) {
            let mut rotations = self.rotations.lock().unwrap();
            rotations.push(Rotated { spent, run });
        }
        answer
    }
}

/// One instance's way to the platform.
pub(crate) struct Line {
    pub(crate) platform: Arc<Platform>,
    pub(crate) gate: Arc<Gate>,
}

impl Line {
    /// Takes a request through its fate. `torn` is the same request with a body that breaks off: what
    /// arrives of one that is lost on its way.
    async fn carry(
        &self,
        name: &'static str,
        request: Request<Body>,
        torn: Option<Request<Body>>,
        spends: Option<String>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let (method, url) = (request.method().clone(), request.uri().to_string());
        let lost = |kind| NoAnswer::new(kind, &method, &url, "a fault was asked for");
        let call = Call {
            service: "tiktok",
            action: name.to_owned(),
            resource: request.uri().path().to_owned(),
        };
        let (request, torn) = (routed(request), torn.map(routed));
        let carried = async {
            let Fate {
                before,
                after,
                outcome,
            } = self.gate.meet(&call).await;
            let (platform, run) = (self.platform.clone(), self.gate.running());
            let sent = match &outcome {
                Outcome::NotConnected | Outcome::Refused(_) => None,
                Outcome::RequestLost | Outcome::NeverSent => torn,
                _ => Some(request),
            };
            let done = match sent {
                None => None,
                Some(sent) => {
                    // A request that is under way arrives, whatever becomes of its sender.
                    let effect = tokio::spawn(async move {
                        if !before.is_zero() {
                            pass(before).await;
                        }
                        platform.call(run, spends, sent).await
                    });
                    Some(effect.await.unwrap())
                }
            };
            if !after.is_zero() {
                pass(after).await;
            }
            match (outcome, done) {
                (Outcome::Done, Some(answer)) => Ok(answer),
                (Outcome::Refused(refusal) | Outcome::DoneAndRefused(refusal), _) => {
                    let body = json!({
                        "error": { "code": refusal.code, "message": "", "log_id": "1" },
                    });
                    let answer = Response::builder().status(refusal.status);
                    Ok(answer.body(Bytes::from(body.to_string())).unwrap())
                }
                (Outcome::NotConnected, _) => Err(lost(NoAnswerKind::NotSent)),
                (Outcome::NeverSent | Outcome::NeverAnswered, _) => {
                    self.gate.ended();
                    std::future::pending().await
                }
                _ => Err(lost(NoAnswerKind::Lost)),
            }
        };
        match tokio::time::timeout(timeout, carried).await {
            Ok(done) => done,
            Err(_) => Err(lost(NoAnswerKind::Lost)),
        }
    }
}

/// The same request with the stand-in's path.
fn routed(request: Request<Body>) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    let root = match parts.uri.host() {
        Some("open.tiktokapis.com") => "open",
        Some("open-upload.tiktokapis.com") => "upload",
        other => panic!("no host of the platform's: {other:?}"),
    };
    assert_eq!(parts.uri.scheme_str(), Some("https"));
    let path = parts.uri.path_and_query().unwrap().as_str();
    parts.uri = format!("/tiktok/{root}{path}").parse().unwrap();
    Request::from_parts(parts, body)
}

impl Wire for Line {
    fn send(
        &self,
        call: platforms::Call,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, NoAnswer>> {
        let form = form_urlencoded::parse(call.request.body());
        let spends = form.filter(|(name, _)| name == "refresh_token");
        let spends = spends.map(|(_, token)| token.into_owned()).next();
        let request = call.request.map(Body::from);
        Box::pin(self.carry(call.name, request, None, spends, timeout))
    }

    fn upload<'a>(
        &'a self,
        request: Request<Bytes>,
        allowed_hosts: &'a [&'a str],
        content_length: u64,
        body: BytesStream,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Response<Bytes>, NoAnswer>> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let fits = |pattern: &&str| match pattern.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix),
            None => host == *pattern,
        };
        assert!(allowed_hosts.iter().any(fits), "{host}");
        Box::pin(async move {
            let pieces: Vec<Bytes> = body.map(|piece| piece.unwrap()).collect().await;
            let length: usize = pieces.iter().map(Bytes::len).sum();
            assert_eq!(
                length as u64, content_length,
                "the source gave another length"
            );
            let (mut parts, _) = request.into_parts();
            parts
                .headers
                .insert(CONTENT_LENGTH, HeaderValue::from(content_length));
            let first = pieces.first().map(|piece| piece.slice(..piece.len() / 2));
            let broken: Vec<Result<Bytes, std::io::Error>> = vec![
                Ok(first.unwrap_or_default()),
                Err(std::io::ErrorKind::ConnectionReset.into()),
            ];
            let torn = Body::from_stream(futures_util::stream::iter(broken));
            let torn = Request::from_parts(parts.clone(), torn);
            let whole = pieces.into_iter().map(Ok::<_, std::io::Error>);
            let whole = Body::from_stream(futures_util::stream::iter(whole));
            let whole = Request::from_parts(parts, whole);
            self.carry("tiktok.upload", whole, Some(torn), None, timeout)
                .await
        })
    }
}
