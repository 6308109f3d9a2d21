//! The stack's queues by name, and what is done with all of them.

use std::str::FromStr;

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use lambda::Problem;
use serde::Serialize;

use crate::Admin;

/// The URLs of the queues and of their dead letters.
pub struct Queues {
    /// Refreshes.
    pub refresh: String,
    /// Their dead letters.
    pub refresh_dead: String,
    /// Rescued tokens.
    pub rescue: String,
    /// Their dead letters.
    pub rescue_dead: String,
    /// Publishing steps.
    pub publish: String,
    /// Their dead letters.
    pub publish_dead: String,
    /// Webhook deliveries.
    pub webhook: String,
    /// Their dead letters.
    pub webhook_dead: String,
    /// Syncs of statistics.
    pub insights: String,
    /// Their dead letters.
    pub insights_dead: String,
    /// Lanes of events.
    pub events: String,
    /// Their dead letters.
    pub events_dead: String,
    /// Slices of a move to another KMS key.
    pub rewrap: String,
    /// Their dead letters.
    pub rewrap_dead: String,
    /// Slices of a rebuilding of the PostgreSQL projection; empty where there is none.
    pub crm_backfill: String,
    /// Their dead letters.
    pub crm_backfill_dead: String,
    /// Changes that could not become rows of PostgreSQL: they come from streams.
    pub crm_sync_dead: String,
    /// Slices of erasures and exports of users.
    pub data_requests: String,
    /// Their dead letters.
    pub data_requests_dead: String,
    /// Ticks that reached no function: no queue of ours held them before.
    pub schedule_dead: String,
}

/// A queue, as routes name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Queue {
    Refresh,
    Rescue,
    Publish,
    Webhook,
    Insights,
    Events,
    Rewrap,
    CrmBackfill,
    CrmSync,
    DataRequests,
    Schedule,
}

impl Queue {
    pub(crate) const ALL: [Queue; 11] = [
        Self::Refresh,
        Self::Rescue,
        Self::Publish,
        Self::Webhook,
        Self::Insights,
        Self::Events,
        Self::Rewrap,
        Self::CrmBackfill,
        Self::CrmSync,
        Self::DataRequests,
        Self::Schedule,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Rescue => "rescue",
            Self::Publish => "publish",
            Self::Webhook => "webhook",
            Self::Insights => "insights",
            Self::Events => "events",
            Self::Rewrap => "rewrap",
            Self::CrmBackfill => "crm_backfill",
            Self::CrmSync => "crm_sync",
            Self::DataRequests => "data_requests",
            Self::Schedule => "schedule",
        }
    }
}

impl FromStr for Queue {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let found = Self::ALL.into_iter().find(|queue| queue.as_str() == name);
        found.ok_or(())
    }
}

impl Queues {
    /// Those that this deployment has.
    pub(crate) fn all(&self) -> impl Iterator<Item = Queue> + '_ {
        let there = |queue: &Queue| !self.dead(*queue).is_empty();
        Queue::ALL.into_iter().filter(there)
    }

    /// The queue of this name, where this deployment has it.
    pub(crate) fn named(&self, queue: Queue) -> Result<Queue, Problem> {
        let there = !self.dead(queue).is_empty();
        there.then_some(queue).ok_or_else(Problem::not_found)
    }

    /// The queue itself; `None` where its dead letters came from no queue.
    pub(crate) fn source(&self, queue: Queue) -> Option<&str> {
        match queue {
            Queue::Refresh => Some(&self.refresh),
            Queue::Rescue => Some(&self.rescue),
            Queue::Publish => Some(&self.publish),
            Queue::Webhook => Some(&self.webhook),
            Queue::Insights => Some(&self.insights),
            Queue::Events => Some(&self.events),
            Queue::Rewrap => Some(&self.rewrap),
            Queue::CrmBackfill => Some(&self.crm_backfill),
            Queue::DataRequests => Some(&self.data_requests),
            Queue::CrmSync | Queue::Schedule => None,
        }
    }

    /// Its dead letters.
    pub(crate) fn dead(&self, queue: Queue) -> &str {
        match queue {
            Queue::Refresh => &self.refresh_dead,
            Queue::Rescue => &self.rescue_dead,
            Queue::Publish => &self.publish_dead,
            Queue::Webhook => &self.webhook_dead,
            Queue::Insights => &self.insights_dead,
            Queue::Events => &self.events_dead,
            Queue::Rewrap => &self.rewrap_dead,
            Queue::CrmBackfill => &self.crm_backfill_dead,
            Queue::CrmSync => &self.crm_sync_dead,
            Queue::DataRequests => &self.data_requests_dead,
            Queue::Schedule => &self.schedule_dead,
        }
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
