//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use crm::Backfill;
use crm_backfill::CrmBackfill;
use lambda::sqs::Options;
use lambda::variables as var;
use store::stream::FollowedTables;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let tables = FollowedTables::new(&wiring.dynamodb(), &wiring::followed_tables(&env));
        let desk = wiring.crm_desk(&env);
        let settle = env.seconds(&var::CRM_SETTLE_SECONDS);
        let database = wiring.crm_database(&env);
        let worker = Arc::new(CrmBackfill {
            worker: Backfill {
                database: env.finish(database)?.load().await?,
                desk,
                tables,
                settle,
            },
        });
        lambda::sqs::serve(Options::default(), move |message| {
            let worker = worker.clone();
            async move { worker.handle(&message).await }
        })
        .await
    })
}
