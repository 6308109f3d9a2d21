//! What the product is told of a connection.

use domain::{Event, EventId, EventKind};
use serde_json::json;
use store::Connection;

use crate::Tokens;

impl Tokens {
    /// An event of this connection at its present version.
    pub(crate) fn event(
        &self,
        at: &Connection,
        kind: EventKind,
        extra: serde_json::Value,
    ) -> Event {
        self.event_of(at, kind, &at.token_version.to_string(), extra)
    }

    /// The same at another cause than the version.
    pub(crate) fn event_of(
        &self,
        at: &Connection,
        kind: EventKind,
        cause: &str,
        extra: serde_json::Value,
    ) -> Event {
        let mut detail = json!({
            "connection_id": at.connection_id,
            "platform": at.platform,
            "account_id": at.account.id,
        });
        if let (Some(detail), serde_json::Value::Object(extra)) = (detail.as_object_mut(), extra) {
            detail.extend(extra);
        }
        Event {
            id: EventId::of(&[at.connection_id.as_str(), kind.as_str(), cause]),
            kind,
            user_id: at.user_id.clone(),
            at: self.now(),
            detail,
        }
    }
}
