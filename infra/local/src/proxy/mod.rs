//! The one AWS endpoint that functions are given.
//!
//! It knows the caller by its access key and its process by its session token, records every
//! call for the IAM check, plays scripted faults, answers for KMS and EventBridge and sends the rest on.

mod buses;
mod callers;
mod cors;
mod faults;
mod forward;
mod identify;
mod invoke;
mod mails;
mod record;
mod sigv4;

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

use crate::{host::Host, kms::Kms, mailbox::Mailbox};
use forward::Upstream;

pub use buses::{BusEvent, Buses};
pub use callers::{Callers, KillSwitch, SECRET_KEY};
pub use faults::{Fault, Faults, Rule, Scripted};
pub(crate) use identify::decode;
pub use record::{Call, Record};
use sigv4::Credential;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;
type Answer = Response<Body>;

/// Bodies of the JSON services are small: SQS takes 1 MiB, DynamoDB 16 MB.
const JSON_LIMIT: usize = 32 << 20;

/// A running proxy of one stack.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    kms: Arc<Kms>,
    callers: Arc<Callers>,
    faults: Faults,
    record: Record,
    sent: Sent,
    cors: cors::BucketCors,
    functions: OnceLock<Host>,
    buses: Buses,
    mailbox: Mailbox,
}

impl Proxy {
    /// Listens on a free port in front of the AWS process at `upstream`.
    pub async fn start(upstream: &str, kms: Arc<Kms>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: Upstream::new(upstream)?,
            kms,
            callers: Arc::default(),
            faults: Faults::default(),
            record: Record::default(),
            sent: Sent::default(),
            cors: cors::BucketCors::default(),
            functions: OnceLock::new(),
            buses: Buses::default(),
            mailbox: Mailbox::default(),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            serving,
        })
    }

    /// The endpoint URL for functions.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The known callers.
    pub fn callers(&self) -> &Arc<Callers> {
        &self.shared.callers
    }

    /// The scripted faults.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Tells the CORS rules of a bucket (CloudFormation's `CorsRules`).
    pub fn set_cors(&self, bucket: &str, rules: &serde_json::Value) {
        self.shared.cors.set(bucket, rules);
    }

    /// Answers Lambda's Invoke by these functions.
    pub fn serve_functions(&self, host: &Host) {
        drop(self.shared.functions.set(host.clone()));
    }

    /// What was put on event buses.
    pub fn buses(&self) -> &Buses {
        &self.shared.buses
    }

    /// The stand-in for SES.
    pub fn mailbox(&self) -> &Mailbox {
        &self.shared.mailbox
    }

    /// Rings when a function sent to the queue with this ARN.
    pub fn bell(&self, queue: &str) -> Arc<Notify> {
        self.shared.sent.bell(queue)
    }

    /// The record of calls.
    pub fn record(&self) -> &Record {
        &self.shared.record
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        drop(stream.set_nodelay(true));
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), request));
            // An error is a connection that one side, or a fault, cut.
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

/// A connection cut on purpose: hyper closes it without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped by a scripted fault")]
struct Cut;

/// A task of its own, since AWS too goes on with a call whose caller has died, and the record of
/// such a call counts.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Cut> {
    tokio::spawn(handle(shared, request))
        .await
        .unwrap_or(Err(Cut))
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Cut> {
    let (parts, body) = request.into_parts();
    if parts.method == http::Method::OPTIONS {
        return Ok(shared.cors.preflight(&parts));
    }
    if mails::is_control(&parts) {
        return Ok(mails::control(&shared.mailbox, &parts, body).await);
    }
    let Some(credential) = Credential::read(&parts) else {
        return Ok(refuse("s3", 403, "AccessDenied", "Access Denied"));
    };
    if credential.service == "s3" {
        let request = identify::s3(&parts);
        return shared
            .call(parts, Payload::Stream(body), credential, request)
            .await;
    }
    let body = match http_body_util::Limited::new(body, JSON_LIMIT)
        .collect()
        .await
    {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return Ok(refuse(
                &credential.service,
                413,
                "RequestEntityTooLarge",
                "too large",
            ));
        }
    };
    let request = if credential.service == "lambda" {
        identify::lambda(&parts)
    } else if credential.service == "ses" {
        identify::ses(&parts, &body)
    } else {
        identify::json(&credential.service, &target(&parts), &body, &shared.kms)
    };
    shared
        .call(parts, Payload::Whole(body), credential, request)
        .await
}

enum Payload {
    Whole(Bytes),
    Stream(Incoming),
}

impl Shared {
    async fn call(
        &self,
        parts: Parts,
        payload: Payload,
        credential: Credential,
        request: identify::Request,
    ) -> Result<Answer, Cut> {
        let service = credential.service.as_str();
        let Some(function) = self.callers.function(&credential.access_key) else {
            return Ok(refuse(
                service,
                403,
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ));
        };
        // Lambda's credentials are temporary: a caller that leaves the token out fails on AWS.
        let Some(token) = &credential.token else {
            return Ok(refuse(
                service,
                403,
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ));
        };
        let body = match &payload {
            Payload::Whole(bytes) => Some(bytes.as_ref()),
            Payload::Stream(_) => None,
        };
        let now = jiff::Timestamp::now();
        if let Err((code, message)) = credential.check(&parts, body, SECRET_KEY, now) {
            return Ok(refuse(service, 403, code, message));
        }
        let started = Instant::now();
        let scripted = self.faults.strike(&function, &request);
        let sends = request.action.starts_with("sqs:SendMessage");
        let needs = sends.then(|| request.needs.clone());
        let mut call = Call {
            function,
            action: request.action,
            needs: request.needs,
            encryption_context: request.encryption_context,
            keys: request.keys,
            status: 0,
            started,
            elapsed: Duration::ZERO,
            by_poller: false,
        };
        // Who dies of a call takes its connection along, and with it whatever comes after the kill.
        let dies = scripted.as_ref().is_some_and(|one| one.fault().kills());
        if dies {
            self.record.add(call.clone());
        }
        let outcome = self
            .play(scripted.as_ref(), token, parts, payload, service)
            .await;
        if let Some(needs) = needs {
            self.sent.notify(&needs);
        }
        if !dies {
            call.status = outcome
                .as_ref()
                .map_or(0, |answer| answer.status().as_u16());
            call.elapsed = started.elapsed();
            self.record.add(call);
        }
        outcome
    }

    async fn play(
        &self,
        scripted: Option<&Scripted>,
        token: &str,
        parts: Parts,
        payload: Payload,
        service: &str,
    ) -> Result<Answer, Cut> {
        let Some(scripted) = scripted else {
            return Ok(self.forward(parts, payload, service).await);
        };
        let fault = scripted.fault();
        if let Some((status, body)) = fault.answer(service) {
            return Ok(respond(service, status, body));
        }
        match fault {
            Fault::DropBefore => return Err(Cut),
            Fault::KillBefore => {
                self.kill(token).await;
                return Err(Cut);
            }
            Fault::Delay(pause) => tokio::time::sleep(*pause).await,
            Fault::HoldBefore => scripted.held().await,
            _ => {}
        }
        let answer = self.forward(parts, payload, service).await;
        match fault {
            Fault::DropAfter => {
                finish(answer).await;
                Err(Cut)
            }
            Fault::KillAfter => {
                finish(answer).await;
                self.kill(token).await;
                Err(Cut)
            }
            Fault::HoldAfter => {
                scripted.held().await;
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }

    async fn forward(&self, parts: Parts, payload: Payload, service: &str) -> Answer {
        match payload {
            Payload::Whole(body) if service == "kms" => {
                match self.kms.handle(&target(&parts), &body) {
                    Ok(value) => respond("kms", 200, value.to_string()),
                    Err(error) => respond("kms", 400, error.body().to_string()),
                }
            }
            Payload::Whole(body) if service == "events" => {
                let (status, answer) = self.buses.answer(&target(&parts), &body);
                respond("events", status, answer.to_string())
            }
            Payload::Whole(body) if service == "ses" => {
                let (status, body) = self.mailbox.send(&body).await;
                respond("ses", status, body)
            }
            Payload::Whole(body) if service == "lambda" => {
                invoke::answer(self.functions.get(), &parts, body).await
            }
            Payload::Whole(body) => {
                let body = http_body_util::Full::new(body)
                    .map_err(never)
                    .boxed_unsync();
                self.upstream.send(parts, body, service).await
            }
            Payload::Stream(body) => {
                let head = parts.clone();
                let body = body.map_err(Into::into).boxed_unsync();
                let mut answer = self.upstream.send(parts, body, service).await;
                self.cors.decorate(&head, &mut answer);
                answer
            }
        }
    }

    async fn kill(&self, token: &str) {
        if let Some(switch) = self.callers.process(token) {
            switch.kill().await;
        }
    }
}

/// Bells of queues, so that a message just sent need not wait for the next round of polling.
#[derive(Debug, Default)]
struct Sent(Mutex<HashMap<String, Arc<Notify>>>);

impl Sent {
    fn bell(&self, queue: &str) -> Arc<Notify> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(queue.to_owned()).or_default())
    }

    fn notify(&self, needs: &[(String, String)]) {
        for (_, queue) in needs {
            self.bell(queue).notify_one();
        }
    }
}

/// Reads an answer to its end, so that what it stands for has surely happened.
async fn finish(answer: Answer) {
    drop(tokio::time::timeout(Duration::from_secs(30), answer.into_body().collect()).await);
}

fn target(parts: &Parts) -> String {
    let header = parts
        .headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok());
    header.unwrap_or_default().to_owned()
}

fn refuse(service: &str, status: u16, code: &str, message: &str) -> Answer {
    let fault = Fault::Error {
        status,
        code: code.to_owned(),
        message: message.to_owned(),
    };
    let (status, body) = fault.answer(service).unwrap_or_default();
    respond(service, status, body)
}

fn respond(service: &str, status: u16, body: String) -> Answer {
    let kind = if service == "s3" {
        "application/xml"
    } else {
        "application/x-amz-json-1.1"
    };
    let body = http_body_util::Full::new(Bytes::from(body))
        .map_err(never)
        .boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    answer
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static(kind));
    answer
}

fn never(never: Infallible) -> BoxError {
    match never {}
}
