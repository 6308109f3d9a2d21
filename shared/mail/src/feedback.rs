//! What SES tells after it took a mail: a bounce for good or a complaint stops mail to that address.
//! SES publishes it by EventBridge, to a queue of ours.

use std::sync::Arc;

use domain::metric::{MAILS_BOUNCED, MAILS_COMPLAINED};
use domain::{AttemptId, Clock, Entropy, Labels, Meter};
use serde::Deserialize;
use store::Suppressions;
use store::suppressions::SuppressionReason;

use crate::{MailError, address};

/// What stops mail to addresses.
pub struct Feedback {
    /// Addresses that get none.
    pub suppressions: Suppressions,
    /// Where figures go.
    pub meter: Arc<dyn Meter>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// EventBridge's envelope of an event of SES.
#[derive(Debug, Deserialize)]
pub struct MailEvent {
    detail: Detail,
}

#[derive(Debug, Deserialize)]
struct Detail {
    #[serde(default)]
    bounce: Option<Bounce>,
    #[serde(default)]
    complaint: Option<Complaint>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    #[serde(default)]
    bounce_type: String,
    #[serde(default)]
    bounced_recipients: Vec<Recipient>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    #[serde(default)]
    complained_recipients: Vec<Recipient>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    email_address: String,
}

impl MailEvent {
    /// The addresses that get no more mail, and why. A bounce that passes (a full mailbox) stops
    /// nothing: SES has tried for hours and the next mail may arrive.
    fn stopped(&self) -> Vec<(SuppressionReason, &str)> {
        let bounce = self.detail.bounce.as_ref();
        let bounce = bounce.filter(|bounce| bounce.bounce_type == "Permanent");
        let bounced = bounce.map(|bounce| (SuppressionReason::Bounce, &bounce.bounced_recipients));
        let complaint = self.detail.complaint.as_ref();
        let complained =
            complaint.map(|one| (SuppressionReason::Complaint, &one.complained_recipients));
        let all = bounced.into_iter().chain(complained);
        all.flat_map(|(reason, addresses)| {
            let address = move |one| (reason, bare(one));
            addresses.iter().map(address)
        })
        .collect()
    }
}

/// The address alone: a mail server may have written a name beside it.
fn bare(recipient: &Recipient) -> &str {
    let text = recipient.email_address.as_str();
    match (text.rfind('<'), text.rfind('>')) {
        (Some(open), Some(close)) if open < close => &text[open + 1..close],
        _ => text,
    }
}

impl Feedback {
    /// Does what an event asks for; done twice it changes nothing.
    pub async fn apply(&self, event: &MailEvent) -> Result<(), MailError> {
        let now = self.clock.now();
        for (reason, address) in event.stopped() {
            let attempt = AttemptId::new(now, &*self.entropy);
            let hash = address::hash(address);
            self.suppressions.stop(&hash, reason, now, &attempt).await?;
            let metric = match reason {
                SuppressionReason::Bounce => &MAILS_BOUNCED,
                SuppressionReason::Complaint => &MAILS_COMPLAINED,
            };
            self.meter.count(metric, Labels::NONE);
            tracing::info!(reason = ?reason, "mail to an address is stopped");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn stopped(detail: Value) -> Vec<(SuppressionReason, String)> {
        let event = json!({ "source": "aws.ses", "detail": detail });
        let event: MailEvent = serde_json::from_value(event).unwrap();
        let own = |(reason, address): (SuppressionReason, &str)| (reason, address.to_owned());
        event.stopped().into_iter().map(own).collect()
    }

    #[test]
    fn permanent_bounces_and_complaints_stop_and_nothing_else_does() {
        let bounce = |kind: &str| {
            json!({ "eventType": "Bounce", "bounce": { "bounceType": kind, "bounceSubType": "General",
                "bouncedRecipients": [{ "emailAddress": "Mara <mara@example.com>", "status": "5.1.1" }] } })
        };
        let mara = (SuppressionReason::Bounce, "mara@example.com".to_owned());
        assert_eq!(stopped(bounce("Permanent")), [mara]);
        assert!(stopped(bounce("Transient")).is_empty());
        assert!(stopped(bounce("Undetermined")).is_empty());
        let complaint = json!({ "eventType": "Complaint", "complaint": {
            "complainedRecipients": [{ "emailAddress": "a@b.example" }, { "emailAddress": "c@d.example" }] } });
        let told: Vec<_> = stopped(complaint).into_iter().map(|one| one.1).collect();
        assert_eq!(told, ["a@b.example", "c@d.example"]);
        assert!(stopped(json!({ "eventType": "Delivery" })).is_empty());
    }
}
