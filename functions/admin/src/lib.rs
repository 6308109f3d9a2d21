//! `/v1/admin/…`: what an operator sees and does. Every route needs the scope `admin`, and a service
//! token is none of an operator's (DESIGN.md §3). What changes something is in the audit trail before
//! it is done.

mod breakers;
mod crm;
mod dead_letters;
mod deliveries;
mod events;
mod health;
mod query;
mod queues;
mod refreshes;
mod rewrap;
mod schedules;
mod sync_logs;
mod trail;
mod webhooks;

use std::sync::Arc;

use ::rewrap::Desk;
use audit::{Deed, Trail};
use domain::{Act, AttemptId, Clock, Entropy, Outcome, Timestamp, UserId, Who};
use lambda::{Answer, Invoker, Problem, Request};
use platforms::Apps;
use store::{AuditTable, Connections, Deliveries, Events, Platforms, SyncLogs};

pub use queues::Queues;
pub use schedules::Schedules;

/// A call stops to begin new things after so many seconds; the gateway waits for 30.
const BUDGET_SECONDS: i64 = 18;

/// What the handlers need.
pub struct Admin {
    /// The audit trail, to write.
    pub trail: Trail,
    /// The audit trail, to read.
    pub audit: AuditTable,
    /// Connections.
    pub connections: Connections,
    /// Webhooks received.
    pub deliveries: Deliveries,
    /// What the product is told.
    pub events: Events,
    /// Circuit breakers.
    pub platforms: Platforms,
    /// What became of syncs of statistics.
    pub logs: SyncLogs,
    /// Where the move to another KMS key is begun and looked at.
    pub rewrap: Desk,
    /// Where the rebuilding of the PostgreSQL projection is begun and looked at.
    pub crm: ::crm::Desk,
    /// The queues' client.
    pub sqs: aws_sdk_sqs::Client,
    /// Where queues and their dead letters are.
    pub queues: Queues,
    /// The way to other functions.
    pub invoker: Invoker,
    /// The function that takes webhooks.
    pub webhook_function: String,
    /// The functions that schedules wake.
    pub schedules: Schedules,
    /// What stands before scope names.
    pub scope_prefix: String,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// One operator's request.
pub(crate) struct Ask<'a> {
    pub(crate) request: &'a Request,
    pub(crate) who: Who,
    pub(crate) now: Timestamp,
}

/// How an act ended, for the caller and for the audit trail.
pub(crate) struct Acted {
    pub(crate) answer: lambda::Response,
    pub(crate) note: Option<String>,
}

impl Admin {
    /// Answers one request.
    pub async fn handle(&self, apps: &Apps, request: Request) -> Answer {
        let who = request.caller(&self.scope_prefix)?.operator()?;
        let ask = Ask {
            request: &request,
            who,
            now: self.clock.now(),
        };
        match request.route() {
            "GET /v1/admin/deliveries" => self.list_deliveries(&ask).await,
            "GET /v1/admin/deliveries/{delivery_id}" => self.get_delivery(&ask).await,
            "POST /v1/admin/deliveries/{delivery_id}/replay" => self.replay_delivery(&ask).await,
            "GET /v1/admin/queues/{queue}/dead-letters" => self.list_dead_letters(&ask).await,
            "POST /v1/admin/queues/{queue}/dead-letters/replay" => {
                self.replay_dead_letters(&ask).await
            }
            "POST /v1/admin/queues/{queue}/dead-letters/drop" => self.drop_dead_letters(&ask).await,
            "GET /v1/admin/events" => self.list_events(&ask).await,
            "POST /v1/admin/platforms/{platform}/webhooks" => self.send_webhook(apps, &ask).await,
            "POST /v1/admin/platforms/{platform}/breaker" => self.set_breaker(&ask).await,
            "GET /v1/admin/connections/expiring" => self.list_expiring(&ask).await,
            "POST /v1/admin/refreshes" => self.force_refresh(&ask).await,
            "GET /v1/admin/schedules" => Ok(self.list_schedules()),
            "POST /v1/admin/schedules/{schedule}/run" => self.run_schedule(&ask).await,
            "GET /v1/admin/sync-logs" => self.list_sync_logs(&ask).await,
            "GET /v1/admin/rewrap" => self.rewrap_status().await,
            "POST /v1/admin/rewrap" => self.start_rewrap(&ask).await,
            "GET /v1/admin/crm-backfill" => self.crm_backfill_status().await,
            "POST /v1/admin/crm-backfill" => self.start_crm_backfill(&ask).await,
            "GET /v1/admin/audit" => self.list_audit(&ask).await,
            "GET /v1/admin/health" => self.health(apps, &ask).await,
            _ => Err(Problem::not_found()),
        }
    }

    /// Does what an operator asks, with its row in the audit trail from before the first change: what
    /// cannot be noted is not done.
    pub(crate) async fn act(
        &self,
        ask: &Ask<'_>,
        act: Act,
        user: Option<&UserId>,
        object: Option<&str>,
        deed: impl Future<Output = Result<Acted, Problem>>,
    ) -> Answer {
        let who = &ask.who;
        let noted = Deed {
            who,
            act,
            user,
            object,
        };
        let begun = self.trail.begin(&noted).await;
        let begun = begun.map_err(Problem::unavailable)?;
        let done = deed.await;
        let (outcome, note) = match &done {
            Ok(acted) => (Outcome::Done, acted.note.clone()),
            Err(problem) => (Outcome::Failed, Some(problem.code().to_owned())),
        };
        self.trail.end(begun, outcome, note).await;
        tracing::info!(act = act.as_str(), object, "an operator acted");
        done.map(|acted| acted.answer)
    }

    pub(crate) fn attempt(&self) -> AttemptId {
        AttemptId::new(self.clock.now(), &*self.entropy)
    }

    /// Whether the time that a call has is over.
    pub(crate) fn late(&self, ask: &Ask<'_>) -> bool {
        self.clock.now() >= ask.now.plus_secs(BUDGET_SECONDS)
    }
}
