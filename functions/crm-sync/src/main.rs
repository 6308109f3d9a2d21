//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use crm_sync::CrmSync;
use lambda::variables as var;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let names = wiring::followed_tables(&env);
        let sources = names.into_iter().map(|(source, name)| (name, source));
        let sources = sources.collect();
        let dead_letters = env.text(&var::QUEUE_CRM_SYNC_DEAD);
        let database = wiring.crm_database(&env);
        let database = env.finish(database)?.load().await?;
        let sync = Arc::new(CrmSync {
            database,
            sources,
            sqs: wiring.sqs(),
            dead_letters,
            clock: wiring.clock.clone(),
            meter: wiring.meter.clone(),
            tidied_at: Default::default(),
        });
        lambda::stream::serve(move |call| {
            let sync = sync.clone();
            async move { sync.handle(call).await }
        })
        .await
    })
}
