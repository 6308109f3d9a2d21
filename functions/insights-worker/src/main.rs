//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use domain::RecordKind;
use insights_worker::InsightsWorker;
use lambda::sqs::Options;
use lambda::variables as var;
use statistics::Syncer;
use store::{FiguresTable, Platforms, Snapshots, SyncLogs};
use wiring::Wiring;

/// What platforms' readings tell of so far.
const RECORDS: &[RecordKind] = &[RecordKind::MediaItem];

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let table = |variable| env.text(variable);
        let tokens = wiring.tokens(&env)?;
        let settings = wiring.statistics(&env);
        let worker = settings.map(|settings| InsightsWorker {
            syncer: Syncer {
                logs: SyncLogs::new(wiring.dynamodb(), table(&var::TABLE_SYNC_LOGS)),
                snapshots: Snapshots::new(wiring.dynamodb(), table(&var::TABLE_SNAPSHOTS)),
                figures: FiguresTable::new(wiring.dynamodb(), table(&var::TABLE_FIGURES)),
                ledger: wiring.ledger(&env, RECORDS),
                events: wiring.events(&env),
                platforms: Platforms::new(wiring.dynamodb(), table(&var::TABLE_PLATFORMS)),
                wire: tokens.wire().clone(),
                limiter: wiring.limiter(&env),
                queue: wiring.insights(&env),
                settings,
                clock: wiring.clock.clone(),
                entropy: wiring.entropy.clone(),
                tokens,
            },
            meter: wiring.meter.clone(),
        });
        let apps = wiring.apps(&env);
        let worker = env.finish(worker)?.ok_or("no settings of statistics")?;
        let (worker, apps) = (Arc::new(worker), Arc::new(apps.load().await?));
        lambda::sqs::serve(Options::default(), move |message| {
            let (worker, apps) = (worker.clone(), apps.clone());
            async move { worker.handle(&*apps.get().await, &message).await }
        })
        .await
    })
}
