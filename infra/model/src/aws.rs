//! The services together, as an HTTP client for the SDK.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::dynamodb::{Database, Item};
use crate::kms::Kms;
use crate::s3::Buckets;
use crate::sqs::Queues;
use crate::{Call, Fate, Outcome, Queue, QueueSettings, Refusal, Seam, Template};

/// The services of one world. Cheap to clone; clones are the same world.
#[derive(Clone)]
pub struct Aws(Arc<Inner>);

struct Inner {
    database: Mutex<Database>,
    queues: Queues,
    kms: Kms,
    key: String,
    buckets: Mutex<Buckets>,
    secrets: Mutex<BTreeMap<String, String>>,
}

impl Aws {
    /// The tables of the template, named as there; no queue and no bucket yet, and one key.
    pub fn new(template: &Template) -> Self {
        let kms = Kms::default();
        let (key, _) = kms.create_key("tokens");
        Self(Arc::new(Inner {
            database: Mutex::new(Database::new(template.tables())),
            queues: Queues::default(),
            kms,
            key,
            buckets: Mutex::default(),
            secrets: Mutex::default(),
        }))
    }

    /// The client to configure the SDK with; every call of it passes `seam`.
    pub fn http_client(&self, seam: Arc<dyn Seam>) -> SharedHttpClient {
        SharedHttpClient::new(Client {
            aws: self.clone(),
            seam,
        })
    }

    /// The id of the key.
    pub fn key_id(&self) -> &str {
        &self.0.key
    }

    /// The keys, for tests that make more.
    pub fn kms(&self) -> &Kms {
        &self.0.kms
    }

    /// Makes a queue.
    pub fn make_queue(&self, name: &str, settings: QueueSettings) -> Queue {
        self.0.queues.make(name, settings)
    }

    /// Tells when a message was sent to any queue, or is to be seen at another time.
    pub fn any_sent(&self) -> Arc<tokio::sync::Notify> {
        self.0.queues.sent()
    }

    /// Makes an object, as if it had been uploaded.
    pub fn put_object(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) {
        locked(&self.0.buckets).put(bucket, key, bytes.into());
    }

    /// Sets a secret.
    pub fn put_secret(&self, id: &str, text: &str) {
        locked(&self.0.secrets).insert(id.to_owned(), text.to_owned());
    }

    /// How long, in milliseconds, a write takes to reach the indexes from now on.
    pub fn index_lag(&self, millis: u64) {
        locked(&self.0.database).index_lag(millis);
    }

    /// Every item of a table, as stored, in the order of its keys.
    pub fn items(&self, table: &str) -> Vec<Item> {
        locked(&self.0.database).items(table)
    }

    fn run(&self, service: &str, request: &Wire) -> Result<Answer, Refusal> {
        match service {
            "dynamodb" => {
                let body = request.json()?;
                let mut database = locked(&self.0.database);
                let operation = request.operation();
                Ok(Answer::json(&database.run(operation, &body)?))
            }
            "sqs" => {
                let answer = self.0.queues.run(request.operation(), &request.json()?)?;
                Ok(Answer::json(&answer))
            }
            "kms" => match self.0.kms.handle(&request.target, &request.body) {
                Ok(answer) => Ok(Answer::json(&answer)),
                Err(error) => Err(Refusal::new(400, error.code, error.message)),
            },
            "secretsmanager" => self.secret(request),
            _ => locked(&self.0.buckets).run(request),
        }
    }

    fn secret(&self, request: &Wire) -> Result<Answer, Refusal> {
        if request.operation() != "GetSecretValue" {
            return Err(Refusal::unknown(&request.target));
        }
        let body = request.json()?;
        let id = body["SecretId"].as_str().unwrap_or_default();
        let secrets = locked(&self.0.secrets);
        let text = secrets.get(id).ok_or_else(|| {
            let sentence = "Secrets Manager can't find the specified secret.";
            Refusal::new(400, "ResourceNotFoundException", sentence)
        })?;
        Ok(Answer::json(
            &json!({ "ARN": id, "Name": id, "SecretString": text }),
        ))
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aws")
    }
}

/// Steps under a lock never panic half-way in a way that a test should go on from.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request as it comes from the SDK.
pub(crate) struct Wire {
    pub(crate) method: String,
    /// Path-style: `/bucket/key`, still encoded.
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    /// `X-Amz-Target`, empty for S3.
    pub(crate) target: String,
    pub(crate) range: Option<String>,
    pub(crate) body: Bytes,
}

impl Wire {
    fn read(request: HttpRequest) -> Result<Self, ConnectorError> {
        let uri = request.uri().to_owned();
        let after_host = uri.split_once("://").map_or(uri.as_str(), |(_, rest)| rest);
        let path_and_query = after_host.find('/').map_or("/", |at| &after_host[at..]);
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        let header = |name: &str| request.headers().get(name).map(str::to_owned);
        let body = request
            .body()
            .bytes()
            .map(Bytes::copy_from_slice)
            .ok_or_else(|| ConnectorError::user("the model takes bodies out of memory".into()))?;
        Ok(Self {
            method: request.method().to_owned(),
            path: path.to_owned(),
            query: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            target: header("x-amz-target").unwrap_or_default(),
            range: header("range"),
            body,
        })
    }

    fn service(&self) -> &'static str {
        match self.target.split('.').next().unwrap_or_default() {
            "DynamoDB_20120810" => "dynamodb",
            "AmazonSQS" => "sqs",
            "TrentService" => "kms",
            "secretsmanager" => "secretsmanager",
            _ => "s3",
        }
    }

    fn operation(&self) -> &str {
        self.target.rsplit('.').next().unwrap_or_default()
    }

    fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.body)
            .map_err(|_| Refusal::new(400, "SerializationException", "the body is not JSON"))
    }

    fn call(&self) -> Call {
        let service = self.service();
        if service == "s3" {
            return Call {
                service,
                action: format!("s3:{}", crate::s3::operation(self)),
                resource: self.path.trim_start_matches('/').to_owned(),
            };
        }
        let body = self.json().unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let resource = match service {
            "dynamodb" => crate::dynamodb::touched(&body),
            "sqs" => text("QueueUrl")
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
            "kms" => text("KeyId"),
            _ => text("SecretId"),
        };
        Call {
            service,
            action: format!("{service}:{}", self.operation()),
            resource,
        }
    }
}

#[derive(Clone, Debug)]
struct Client {
    aws: Aws,
    seam: Arc<dyn Seam>,
}

impl HttpClient for Client {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Client {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.clone();
        HttpConnectorFuture::new(async move { client.answer(Wire::read(request)?).await })
    }
}

impl Client {
    async fn answer(&self, request: Wire) -> Result<HttpResponse, ConnectorError> {
        let call = request.call();
        let Fate {
            before,
            after,
            outcome,
        } = self.seam.meet(&call).await;
        let service = call.service;
        let takes_effect = !matches!(
            outcome,
            Outcome::RequestLost | Outcome::NotConnected | Outcome::Refused(_) | Outcome::NeverSent
        );
        let aws = self.aws.clone();
        let effect = move || {
            takes_effect.then(|| {
                let done = aws.run(service, &request);
                done.unwrap_or_else(|refusal| Answer::refusal(service, &refusal))
            })
        };
        let done = if before.is_zero() {
            effect()
        } else {
            // A task of its own: a request that is under way arrives, whatever becomes of its sender.
            let late = tokio::spawn(async move {
                tokio::time::sleep(before).await;
                effect()
            });
            late.await
                .map_err(|error| ConnectorError::other(error.into(), None))?
        };
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        match (outcome, done) {
            (Outcome::Done, Some(answer)) => response(answer),
            (Outcome::Refused(refusal) | Outcome::DoneAndRefused(refusal), _) => {
                response(Answer::refusal(service, &refusal))
            }
            (Outcome::NeverSent | Outcome::NeverAnswered, _) => {
                self.seam.ended();
                std::future::pending().await
            }
            _ => {
                let kind = io::ErrorKind::ConnectionReset;
                let error = io::Error::new(kind, "a fault was asked for");
                Err(ConnectorError::io(error.into()))
            }
        }
    }
}

fn response(answer: Answer) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(answer.status)
        .map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
    for (name, value) in answer.headers {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}
