//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use admin::{Admin, Queues, Schedules};
use lambda::Invoker;
use lambda::variables as var;
use store::{Connections, Deliveries, Events, Platforms, SyncLogs};
use wiring::Wiring;

/// How long another function's answer is waited for; under the gateway's own 30 seconds.
const ANSWER: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let admin = Admin {
            trail: wiring.trail(&env),
            audit: wiring.audit_table(&env),
            connections: Connections::new(wiring.dynamodb(), env.text(&var::TABLE_CONNECTIONS)),
            deliveries: Deliveries::new(wiring.dynamodb(), env.text(&var::TABLE_DELIVERIES)),
            events: Events::new(wiring.dynamodb(), env.text(&var::TABLE_EVENTS)),
            platforms: Platforms::new(wiring.dynamodb(), env.text(&var::TABLE_PLATFORMS)),
            logs: SyncLogs::new(wiring.dynamodb(), env.text(&var::TABLE_SYNC_LOGS)),
            rewrap: wiring.rewrap_desk(&env),
            crm: wiring.crm_desk(&env),
            sqs: wiring.sqs(),
            queues: Queues {
                refresh: env.text(&var::QUEUE_REFRESH),
                refresh_dead: env.text(&var::QUEUE_REFRESH_DEAD),
                rescue: env.text(&var::QUEUE_RESCUE),
                rescue_dead: env.text(&var::QUEUE_RESCUE_DEAD),
                publish: env.text(&var::QUEUE_PUBLISH),
                publish_dead: env.text(&var::QUEUE_PUBLISH_DEAD),
                webhook: env.text(&var::QUEUE_WEBHOOK),
                webhook_dead: env.text(&var::QUEUE_WEBHOOK_DEAD),
                insights: env.text(&var::QUEUE_INSIGHTS),
                insights_dead: env.text(&var::QUEUE_INSIGHTS_DEAD),
                events: env.text(&var::QUEUE_EVENTS),
                events_dead: env.text(&var::QUEUE_EVENTS_DEAD),
                rewrap: env.text(&var::QUEUE_REWRAP),
                rewrap_dead: env.text(&var::QUEUE_REWRAP_DEAD),
                crm_backfill: env.optional(&var::QUEUE_CRM_BACKFILL).unwrap_or_default(),
                crm_backfill_dead: env
                    .optional(&var::QUEUE_CRM_BACKFILL_DEAD)
                    .unwrap_or_default(),
                crm_sync_dead: env.optional(&var::QUEUE_CRM_SYNC_DEAD).unwrap_or_default(),
                data_requests: env.text(&var::QUEUE_DATA_REQUESTS),
                data_requests_dead: env.text(&var::QUEUE_DATA_REQUESTS_DEAD),
                schedule_dead: env.text(&var::QUEUE_SCHEDULE_DEAD),
            },
            invoker: Invoker::new(&wiring.aws, ANSWER),
            webhook_function: env.text(&var::FUNCTION_WEBHOOK),
            schedules: env
                .parse(&var::SCHEDULES, Schedules::parse)
                .unwrap_or_default(),
            scope_prefix: env.optional(&var::SCOPE_PREFIX).unwrap_or_default(),
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
        };
        let apps = wiring.apps(&env);
        let admin = Arc::new(env.finish(admin)?);
        let apps = Arc::new(apps.load().await?);
        lambda::http::serve(move |request| {
            let (admin, apps) = (admin.clone(), apps.clone());
            async move { admin.handle(&*apps.get().await, request).await }
        })
        .await
    })
}
