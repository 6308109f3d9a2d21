//! A synthetic webhook through the real path: built and signed as the platform does it, handed to the
//! very function that takes the platform's, which checks and queues it. What it tells is taken for
//! true: news of a real publish moves that target, an `authorization.removed` ends connections.

use domain::{Act, AppRef, DeliveryId, Environment, Platform};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use lambda::{Answer, Code, Problem, responses};
use platforms::{Apps, SignedWebhook, SyntheticWish};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Acted, Admin, Ask};

const MOST_BODY_BYTES: usize = 8 * 1_024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    r#type: String,
    /// As if sent to the app of this environment; the platform's only app where nothing is said.
    #[serde(default)]
    environment: Option<Environment>,
    #[serde(default)]
    account_id: Option<String>,
    #[serde(default)]
    publish_id: Option<String>,
    #[serde(default)]
    post_id: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// The part of the function's answer that counts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    status_code: u16,
}

impl Admin {
    pub(crate) async fn send_webhook(&self, apps: &Apps, ask: &Ask<'_>) -> Answer {
        let platform: Platform = ask.request.path_parameter("platform")?;
        let capable = platforms::synthetic(platform).zip(platforms::webhook(platform));
        let (synthetic, hooks) = capable.ok_or_else(Problem::not_found)?;
        if apps.get(platform).is_none() {
            return Err(Problem::new(Code::NotConfigured));
        }
        let wish: Wish = ask.request.json(MOST_BODY_BYTES)?;
        let app = match wish.environment {
            None => apps.get(platform),
            Some(environment) => apps.at(AppRef::new(platform, environment)),
        };
        let app = app.ok_or_else(|| {
            let sentence = "The platform has no app of this environment in this deployment.";
            Problem::invalid("environment", "not_configured", sentence)
        })?;
        let sent_to = AppRef::new(platform, app.environment());
        let wish = SyntheticWish {
            kind: wish.r#type,
            account_id: wish.account_id,
            publish_id: wish.publish_id,
            post_id: wish.post_id,
            reason: wish.reason,
        };
        let signed = synthetic.webhook(app, &wish, ask.now);
        let signed = signed.map_err(|lack| {
            let field = if lack.field == "kind" {
                "type"
            } else {
                &lack.field
            };
            Problem::invalid(field, lack.code, lack.sentence)
        })?;
        let read = hooks.read(&headers(&signed), signed.body.as_bytes());
        let ids: Vec<DeliveryId> = read
            .map_err(Problem::internal)?
            .iter()
            .map(|delivery| DeliveryId::of(sent_to, &delivery.dedup_key))
            .collect();
        let event = event(platform, &signed, ask.request.request_id()).to_string();
        let deed = async {
            let answer = self.invoker.ask(&self.webhook_function, &event).await;
            let answer = answer.map_err(Problem::unavailable)?;
            let answered: Answered = serde_json::from_slice(&answer).map_err(Problem::internal)?;
            if answered.status_code != 200 {
                let status = answered.status_code;
                return Err(Problem::conflict(format!(
                    "The webhook function answered {status}, as it would have answered the platform."
                )));
            }
            let sent = json!({ "status": "queued", "delivery_ids": ids });
            Ok(Acted {
                answer: responses::json(StatusCode::ACCEPTED, &sent),
                note: Some(wish.kind.clone()),
            })
        };
        let object = ids.first().map_or(platform.as_str(), DeliveryId::as_str);
        let act = Act::AdminWebhookSent;
        self.act(ask, act, None, Some(object), deed).await
    }
}

/// The gateway's event (HTTP API, payload 2.0) for a platform's POST.
fn event(platform: Platform, signed: &SignedWebhook, request_id: &str) -> Value {
    let mut headers: Map<String, Value> = Map::new();
    headers.insert("content-type".to_owned(), "application/json".into());
    for (name, value) in &signed.headers {
        headers.insert((*name).to_owned(), value.as_str().into());
    }
    let path = format!("/webhooks/{platform}");
    json!({
        "version": "2.0",
        "routeKey": "POST /webhooks/{platform}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "pathParameters": { "platform": platform },
        "requestContext": {
            "requestId": request_id,
            "domainName": "synthetic.invalid",
            "http": { "method": "POST", "path": path },
        },
        "body": signed.body,
        "isBase64Encoded": false,
    })
}

fn headers(signed: &SignedWebhook) -> HeaderMap {
    let pair = |(name, value): &(&'static str, String)| {
        Some((
            HeaderName::from_static(name),
            HeaderValue::try_from(value).ok()?,
        ))
    };
    signed.headers.iter().filter_map(pair).collect()
}
