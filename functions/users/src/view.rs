//! A user as the API shows them.

use domain::Timestamp;
use serde_json::{Value, json};
use store::User;
use store::suppressions::SuppressionReason;

pub(crate) fn user(user: &User, stopped: Option<SuppressionReason>) -> Value {
    let time = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    // An address that gets no mail has no next one.
    let next = user.mail_due_at.filter(|_| stopped.is_none());
    json!({
        "id": user.user_id,
        "label": user.label,
        "email": user.email,
        "locale": user.locale,
        "time_zone": user.time_zone,
        "preferences": { "reports": user.reports, "notices": user.notices },
        "listed": { "consent": user.listed_at.is_some(), "since": time(user.listed_at) },
        "mail": { "stopped": stopped, "next_at": time(next) },
        "created_at": user.created_at.rfc3339(),
        "updated_at": user.updated_at.rfc3339(),
    })
}
