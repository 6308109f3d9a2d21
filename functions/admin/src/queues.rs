//! The stack's queues by name, and what is done with all of them.

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use lambda::variables::{self as var, Variable};
use lambda::{Env, Problem};
use serde::Serialize;

use crate::Admin;

/// The stack's queues: the name that routes have for each, where its messages are (`None`: they come
/// from no queue, or from streams), where its dead letters are, and whether every deployment has it.
const ALL: [(&str, Option<&Variable>, &Variable, bool); 13] = {
    use lambda::variables::*;
    [
        ("refresh", Some(&QUEUE_REFRESH), &QUEUE_REFRESH_DEAD, true),
        ("rescue", Some(&QUEUE_RESCUE), &QUEUE_RESCUE_DEAD, true),
        ("publish", Some(&QUEUE_PUBLISH), &QUEUE_PUBLISH_DEAD, true),
        ("webhook", Some(&QUEUE_WEBHOOK), &QUEUE_WEBHOOK_DEAD, true),
        (
            "insights",
            Some(&QUEUE_INSIGHTS),
            &QUEUE_INSIGHTS_DEAD,
            true,
        ),
        ("events", Some(&QUEUE_EVENTS), &QUEUE_EVENTS_DEAD, true),
        ("rewrap", Some(&QUEUE_REWRAP), &QUEUE_REWRAP_DEAD, true),
        (
            "data_requests",
            Some(&QUEUE_DATA_REQUESTS),
            &QUEUE_DATA_REQUESTS_DEAD,
            true,
        ),
        ("mails", Some(&QUEUE_MAILS), &QUEUE_MAILS_DEAD, false),
        (
            "mail_feedback",
            Some(&QUEUE_MAIL_FEEDBACK),
            &QUEUE_MAIL_FEEDBACK_DEAD,
            false,
        ),
        (
            CRM_BACKFILL,
            Some(&QUEUE_CRM_BACKFILL),
            &QUEUE_CRM_BACKFILL_DEAD,
            false,
        ),
        ("crm_sync", None, &QUEUE_CRM_SYNC_DEAD, false),
        ("schedule", None, &QUEUE_SCHEDULE_DEAD, true),
    ]
};

/// The rebuilding of the PostgreSQL projection.
pub(crate) const CRM_BACKFILL: &str = "crm_backfill";

/// A queue of this deployment.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    /// As routes name it.
    pub(crate) name: &'static str,
    /// The URL of its messages, where its dead letters came from a queue.
    pub(crate) source: Option<String>,
    /// The URL of its dead letters.
    pub(crate) dead: String,
}

/// The queues of this deployment.
#[derive(Clone, Debug)]
pub struct Queues {
    /// Where refreshes are asked for.
    pub(crate) refresh: String,
    /// Where deliveries are applied again.
    pub(crate) webhook: String,
    all: Vec<Queue>,
}

impl Queues {
    /// Reads the URLs of all.
    pub fn read(env: &Env) -> Self {
        let url = |variable: &'static Variable, always: bool| match always {
            true => env.text(variable),
            false => env.optional(variable).unwrap_or_default(),
        };
        let all = ALL.iter().map(|(name, source, dead, always)| Queue {
            name,
            source: source.map(|source| url(source, *always)),
            dead: url(dead, *always),
        });
        Self {
            refresh: env.text(&var::QUEUE_REFRESH),
            webhook: env.text(&var::QUEUE_WEBHOOK),
            all: all.filter(|queue| !queue.dead.is_empty()).collect(),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Queue] {
        &self.all
    }

    /// The one of this name; 404 where this deployment has none.
    pub(crate) fn named(&self, name: &str) -> Result<&Queue, Problem> {
        let found = self.all.iter().find(|queue| queue.name == name);
        found.ok_or_else(Problem::not_found)
    }
}

/// How many messages a queue holds, approximately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Depth {
    pub(crate) waiting: u64,
    pub(crate) in_flight: u64,
    pub(crate) delayed: u64,
}

impl Depth {
    pub(crate) const fn whole(self) -> u64 {
        self.waiting + self.in_flight + self.delayed
    }
}

impl Admin {
    pub(crate) async fn depth(&self, url: &str) -> Result<Depth, Problem> {
        let answer = self
            .sqs
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(Attribute::ApproximateNumberOfMessages)
            .attribute_names(Attribute::ApproximateNumberOfMessagesNotVisible)
            .attribute_names(Attribute::ApproximateNumberOfMessagesDelayed)
            .send()
            .await
            .map_err(Problem::unavailable)?;
        let count = |name: Attribute| {
            let text = answer.attributes().and_then(|all| all.get(&name));
            text.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        Ok(Depth {
            waiting: count(Attribute::ApproximateNumberOfMessages),
            in_flight: count(Attribute::ApproximateNumberOfMessagesNotVisible),
            delayed: count(Attribute::ApproximateNumberOfMessagesDelayed),
        })
    }

    pub(crate) async fn send(&self, url: &str, message: &impl Serialize) -> Result<(), Problem> {
        let body = serde_json::to_string(message).map_err(Problem::internal)?;
        self.sqs
            .send_message()
            .queue_url(url)
            .message_body(body)
            .send()
            .await
            .map(drop)
            .map_err(Problem::unavailable)
    }
}
