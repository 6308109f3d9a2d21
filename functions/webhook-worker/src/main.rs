//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use domain::{RecordKind, Who};
use lambda::sqs::Options;
use lambda::variables as var;
use posts::PublishQueue;
use store::{Accounts, Deliveries, Targets};
use webhook_worker::{Bodies, WebhookWorker};
use wiring::Wiring;

/// What platforms' webhooks tell of so far.
const RECORDS: &[RecordKind] = &[RecordKind::MediaItem];

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let table = |variable| env.text(variable);
        let worker = WebhookWorker {
            deliveries: Deliveries::new(wiring.dynamodb(), table(&var::TABLE_DELIVERIES)),
            accounts: Accounts::new(wiring.dynamodb(), table(&var::TABLE_ACCOUNTS)),
            targets: Targets::new(wiring.dynamodb(), table(&var::TABLE_TARGETS)),
            events: wiring.events(&env).acting(Who::PLATFORM),
            ledger: wiring.ledger(&env, RECORDS),
            tokens: wiring.tokens(&env)?,
            limiter: wiring.limiter(&env),
            publish: PublishQueue::new(wiring.sqs(), env.text(&var::QUEUE_PUBLISH)),
            insights: wiring.insights(&env),
            look_after: env.seconds(&var::TARGETED_SYNC_SECONDS),
            bodies: Bodies::new(wiring.s3(), env.text(&var::DELIVERIES_BUCKET)),
            lease: env.seconds(&var::DELIVERY_LEASE_SECONDS),
            orphan_after: env.seconds(&var::ORPHAN_SECONDS),
        };
        let worker = Arc::new(env.finish(worker)?);
        lambda::sqs::serve(Options::default(), move |message| {
            let worker = worker.clone();
            async move { worker.handle(&message).await }
        })
        .await
    })
}
