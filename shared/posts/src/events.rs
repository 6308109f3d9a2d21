//! What the product is told of a target.

use domain::{Event, EventId, EventKind, Fault, PublishedPost, Timestamp};
use serde_json::json;
use store::Target;

use crate::view::FaultView;

/// The event that `target` gives rise to by reaching `step`. A step is written once, so the event is
/// told once, whoever else writes it again.
pub(crate) fn event(
    target: &Target,
    kind: EventKind,
    step: u64,
    now: Timestamp,
    fault: Option<&Fault>,
    published: Option<&PublishedPost>,
) -> Event {
    let mut detail = json!({
        "post_id": target.post_id,
        "target_id": target.target_id,
        "connection_id": target.connection_id,
        "platform": target.platform,
        "account_id": target.account.id,
    });
    if let Some(fault) = fault {
        detail["fault"] = json!(FaultView::of(fault));
    }
    if let Some(published) = published {
        detail["published"] = json!(published);
    }
    Event {
        id: EventId::of(&[target.target_id.as_str(), kind.as_str(), &step.to_string()]),
        kind,
        user_id: target.user_id.clone(),
        at: now,
        detail,
    }
}
