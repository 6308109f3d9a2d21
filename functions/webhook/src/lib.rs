//! `GET` and `POST /webhooks/{platform}`: greets, or takes a delivery.
//!
//! The order for a POST: the platform; its size cap; the signature over the raw bytes, against every
//! current secret; one message to the queue; 200. No KMS, no DynamoDB. A bad signature is 401, an
//! unknown platform 404, trouble of our own 503: never 400 for what we caused, never 200 for what
//! was not kept.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use data_encoding::{BASE64, HEXLOWER};
use domain::metric::{WEBHOOKS_FAILED, WEBHOOKS_REFUSED};
use domain::{
    AppRef, Clock, Entropy, Environment, Meter, Platform, ReceivedWebhook, Timestamp,
    WebhookMessage,
};
use http::{Method, StatusCode};
use lambda::{Answer, CachedSecret, Code, Problem, Request, Response, responses};
use platforms::{App, Apps, Handshake, Unverified, Verified};

/// A body larger than this goes to S3: in base64 it would come near SQS's 1 MiB.
const MOST_IN_MESSAGE: usize = 700 * 1_024;

/// What the handler needs.
pub struct Webhook {
    /// The queue's client.
    pub sqs: aws_sdk_sqs::Client,
    /// The webhook queue's URL.
    pub queue: String,
    /// For bodies that no message takes.
    pub s3: aws_sdk_s3::Client,
    /// Their bucket.
    pub bucket: String,
    /// How old a signed time stamp may be; any age where there is none.
    pub tolerance: Option<Duration>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// The operator's apps, whose secrets sign.
    pub apps: CachedSecret<Apps>,
    /// Where figures go: a line for what went wrong, none for what went well.
    pub meter: Arc<dyn Meter>,
}

impl Webhook {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Answer {
        let platform: Platform = request.path_parameter("platform")?;
        let Some(hooks) = platforms::webhook(platform) else {
            return Err(Problem::not_found());
        };
        let apps = self.apps.get().await;
        let all = apps.all(platform);
        if all.is_empty() {
            return Err(Problem::not_found());
        }
        if request.method() == Method::GET {
            return greet(hooks, all, &request);
        }
        let raw = request.body_within(hooks.max_body())?;
        let (environment, verified) = self.verified(hooks, all, platform, &request).await?;
        if verified.secret > 0 {
            tracing::warn!(platform = %platform, "a webhook was signed with an older secret");
        }
        let headers = kept(hooks.kept_headers(), &request);
        let app = AppRef::new(platform, environment);
        let kept = self.keep(app, headers, raw).await;
        if kept.is_err() {
            self.meter.count(&WEBHOOKS_FAILED, platform.into());
        }
        kept
    }

    /// Checks the signature; where no secret matches, once more with the secrets read anew, since a
    /// rotation may just have happened.
    async fn verified(
        &self,
        hooks: &dyn platforms::Webhook,
        apps: &[App],
        platform: Platform,
        request: &Request,
    ) -> Result<(Environment, Verified), Problem> {
        let now = self.clock.now();
        // What an app's secret signed is that app's, whatever the body says.
        let check = |apps: &[App]| {
            let mut refused = Unverified::Mismatch;
            for app in apps {
                let (headers, body) = (request.headers(), request.body());
                match hooks.verify(app, headers, body, now, self.tolerance) {
                    Ok(verified) => return Ok((app.environment(), verified)),
                    // A signature of this app's, and too old: no other app says more.
                    Err(Unverified::Stale) => return Err(Unverified::Stale),
                    Err(other) => refused = other,
                }
            }
            Err(refused)
        };
        let refused = match check(apps) {
            Ok(verified) => return Ok(verified),
            Err(refused) => refused,
        };
        let again = self.apps.get_again().await;
        if let Ok(verified) = check(again.all(platform)) {
            return Ok(verified);
        }
        tracing::warn!(platform = %platform, why = %refused, "a webhook was refused");
        self.meter.count(&WEBHOOKS_REFUSED, platform.into());
        Err(Problem::new(Code::SignatureInvalid))
    }

    async fn keep(&self, app: AppRef, headers: Vec<(String, String)>, raw: &[u8]) -> Answer {
        let received_at = self.clock.now();
        let mut received = ReceivedWebhook {
            platform: app.platform,
            environment: app.environment,
            received_at,
            headers,
            body: None,
            object_key: None,
        };
        if raw.len() > MOST_IN_MESSAGE {
            received.object_key = Some(self.put(app.platform, received_at, raw).await?);
        } else {
            received.body = Some(BASE64.encode(raw));
        }
        let message = serde_json::to_string(&WebhookMessage::Received(received));
        self.sqs
            .send_message()
            .queue_url(&self.queue)
            .message_body(message.map_err(Problem::internal)?)
            .send()
            .await
            .map_err(Problem::unavailable)?;
        Ok(responses::empty(StatusCode::OK))
    }

    async fn put(&self, platform: Platform, now: Timestamp, raw: &[u8]) -> Result<String, Problem> {
        let mut bytes = [0u8; 16];
        self.entropy.fill(&mut bytes);
        let key = format!("{platform}/{}-{}", now.millis(), HEXLOWER.encode(&bytes));
        self.s3
            .put_object()
            .bucket(&self.bucket)
            .key(&key)
            .body(ByteStream::from(raw.to_vec()))
            .send()
            .await
            .map_err(Problem::unavailable)?;
        Ok(key)
    }
}

fn greet(hooks: &dyn platforms::Webhook, apps: &[App], request: &Request) -> Answer {
    let query = request.query()?;
    let greeted = apps.iter().map(|app| hooks.handshake(app, query.pairs()));
    // One app's word of welcome is worth more than another's refusal.
    let answer = greeted.reduce(|one, next| match one {
        Some(Handshake::Answer { .. }) => one,
        _ => next.or(one),
    });
    match answer.flatten() {
        None => Err(Problem::new(Code::MethodNotAllowed)),
        Some(Handshake::Refused) => Ok(responses::empty(StatusCode::FORBIDDEN)),
        Some(Handshake::Answer { content_type, body }) => {
            let response: Response = responses::typed(StatusCode::OK, content_type, body.into());
            Ok(response)
        }
    }
}

fn kept(names: &[&str], request: &Request) -> Vec<(String, String)> {
    let value = |name: &&str| Some(((*name).to_owned(), request.header(name)?.to_owned()));
    names.iter().filter_map(value).collect()
}
