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
            queues: Queues::read(&env),
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
