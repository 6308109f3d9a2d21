use http::HeaderMap;
use standardwebhooks::Webhook;

/// The event, or `None` where the webhook is not from Passerelle.
pub fn receive(secret: &str, headers: &HeaderMap, body: &[u8]) -> Option<serde_json::Value> {
    let webhook = Webhook::new(secret).ok()?;
    webhook.verify(body, headers).ok()?;
    serde_json::from_slice(body).ok()
}
