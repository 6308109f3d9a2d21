//! Signed webhooks (tiktok.md §5): only 200 counts, anything else is sent again.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::World;
use super::publish::Publish;
use super::text::sign;
use crate::in_process::Webhook;

/// One webhook and what came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Delivery {
    pub(crate) id: u64,
    pub(crate) client_key: String,
    pub(crate) event: String,
    pub(crate) body: String,
    /// When it was made.
    pub(crate) first_ms: i64,
    /// Seconds by which signatures are dated back.
    pub(crate) signature_age_seconds: i64,
    /// Signs with this instead of the app's secret.
    pub(crate) secret: Option<String>,
    /// The delivery that is tried before this one.
    pub(crate) after: Option<u64>,
    /// `pending`, `delivered`, `dropped` or `no_url`.
    pub(crate) state: &'static str,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) next_ms: Option<i64>,
}

/// One try.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Attempt {
    pub(crate) at_ms: i64,
    /// The signed time.
    pub(crate) t: i64,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
}

/// The body, keys in TikTok's order.
#[derive(Serialize)]
struct Message<'a> {
    client_key: &'a str,
    event: &'a str,
    create_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_openid: Option<&'a str>,
    /// JSON in a string.
    content: &'a str,
}

/// What a control call may choose about a webhook.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    pub(crate) create_time: Option<i64>,
    pub(crate) signature_age_seconds: i64,
    pub(crate) secret: Option<String>,
    pub(crate) after: Option<u64>,
}

/// `authorization.removed` for one account.
pub(crate) fn removed(world: &Arc<World>, client_key: &str, open_id: &str, reason: i64) {
    let content = json!({ "reason": reason }).to_string();
    let event = "authorization.removed";
    let choice = Choice::default();
    send(world, client_key, Some(open_id), event, &content, choice);
}

/// Makes an event of a publish now and delivers it in the background; the delivery's id.
pub(crate) fn emit(
    world: &Arc<World>,
    publish: &Publish,
    event: &str,
    content: &Value,
    after: Option<u64>,
) -> u64 {
    let choice = Choice {
        after,
        ..Choice::default()
    };
    let (key, open_id) = (&publish.client_key, &publish.open_id);
    send(
        world,
        key,
        Some(open_id),
        event,
        &content.to_string(),
        choice,
    )
}

/// Makes a delivery and starts it; its id.
pub(crate) fn send(
    world: &Arc<World>,
    client_key: &str,
    open_id: Option<&str>,
    event: &str,
    content: &str,
    choice: Choice,
) -> u64 {
    let now = world.clock.now_ms();
    let message = Message {
        client_key,
        event,
        create_time: choice.create_time.unwrap_or(now / 1000),
        user_openid: open_id,
        content,
    };
    let body = serde_json::to_string(&message).unwrap_or_default();
    let mut state = world.state();
    let id = state.next();
    let has_url = state
        .apps
        .get(client_key)
        .is_some_and(|app| app.webhook_url.is_some());
    state.deliveries.insert(
        id,
        Delivery {
            id,
            client_key: client_key.to_owned(),
            event: event.to_owned(),
            body,
            first_ms: now,
            signature_age_seconds: choice.signature_age_seconds,
            secret: choice.secret,
            after: choice.after,
            state: if has_url { "pending" } else { "no_url" },
            attempts: Vec::new(),
            next_ms: has_url.then_some(now),
        },
    );
    drop(state);
    if has_url {
        world.spawn(deliver(Arc::clone(world), id));
    }
    id
}

/// Tries until it is delivered, or too old.
async fn deliver(world: Arc<World>, id: u64) {
    followed(&world, id).await;
    loop {
        unpaused(&world).await;
        if !is_pending(&world, id) {
            return;
        }
        attempt(&world, id).await;
        let due = {
            let mut state = world.state();
            let settings = state.settings.clone();
            let Some(delivery) = state.deliveries.get_mut(&id) else {
                return;
            };
            if delivery.state != "pending" {
                return;
            }
            let tries = u32::try_from(delivery.attempts.len()).unwrap_or(u32::MAX);
            let wait = settings
                .webhook_backoff_ms
                .saturating_mul(2_i64.saturating_pow(tries.saturating_sub(1)))
                .min(settings.webhook_backoff_max_ms);
            let due = world.clock.now_ms().saturating_add(wait);
            if due - delivery.first_ms > settings.webhook_give_up_seconds * 1000 {
                delivery.state = "dropped";
                delivery.next_ms = None;
                return;
            }
            delivery.next_ms = Some(due);
            due
        };
        world.clock.sleep_until(due).await;
    }
}

/// One try now, whatever the state; `None` if there is no such delivery.
pub(crate) async fn attempt(world: &World, id: u64) -> Option<Attempt> {
    let (url, secret, body, t) = {
        let state = world.state();
        let delivery = state.deliveries.get(&id)?;
        let app = state.apps.get(&delivery.client_key)?;
        let signed_ms = if state.settings.webhook_resign {
            world.clock.now_ms()
        } else {
            delivery.first_ms
        };
        (
            app.webhook_url.clone()?,
            delivery
                .secret
                .clone()
                .unwrap_or_else(|| app.client_secret.clone()),
            delivery.body.clone(),
            signed_ms / 1000 - delivery.signature_age_seconds,
        )
    };
    let signature = format!("t={t},s={}", sign(&secret, t, body.as_bytes()));
    let mut done = post(world, &url, Some(&signature), body.into_bytes()).await;
    done.t = t;
    let mut state = world.state();
    let delivery = state.deliveries.get_mut(&id)?;
    // Only 200 is named as success (tiktok.md §5.1).
    if done.status == Some(200) {
        delivery.state = "delivered";
        delivery.next_ms = None;
    }
    delivery.attempts.push(done.clone());
    drop(state);
    world.changed.send_modify(|count| *count += 1);
    Some(done)
}

/// Sends bytes to a receiver, signed as given.
pub(crate) async fn post(
    world: &World,
    url: &str,
    signature: Option<&str>,
    body: Vec<u8>,
) -> Attempt {
    let at_ms = world.clock.now_ms();
    if let Some(carrier) = &world.carrier {
        let signature = signature.map(str::to_owned);
        return Attempt {
            at_ms,
            t: 0,
            status: carrier.carry(Webhook { signature, body }).await,
            error: None,
        };
    }
    let timeout = world.state().settings.webhook_timeout_ms;
    let mut request = world
        .http
        .post(url)
        .timeout(Duration::from_millis(timeout))
        .header("Content-Type", "application/json")
        .body(body);
    if let Some(signature) = signature {
        request = request.header("TikTok-Signature", signature);
    }
    let (status, error) = match request.send().await {
        Ok(response) => (Some(response.status().as_u16()), None),
        Err(error) => (None, Some(error.without_url().to_string())),
    };
    Attempt {
        at_ms,
        t: 0,
        status,
        error,
    }
}

fn is_pending(world: &World, id: u64) -> bool {
    let state = world.state();
    let delivery = state.deliveries.get(&id);
    delivery.is_some_and(|delivery| delivery.state == "pending")
}

/// Waits while deliveries are paused.
async fn unpaused(world: &World) {
    let mut changed = world.changed.subscribe();
    while world.state().settings.webhooks_paused {
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// Waits until the delivery that comes first was tried, or never will be.
async fn followed(world: &World, id: u64) {
    let mut changed = world.changed.subscribe();
    loop {
        let waits = {
            let state = world.state();
            let before = state.deliveries.get(&id).and_then(|one| one.after);
            let before = before.and_then(|before| state.deliveries.get(&before));
            before.is_some_and(|before| before.state == "pending" && before.attempts.is_empty())
        };
        if !waits || changed.changed().await.is_err() {
            return;
        }
    }
}
