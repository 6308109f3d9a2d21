//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;

use lambda::variables as var;
use statistics::Dispatch;
use store::{Connections, Platforms, SyncLogs};
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let settings = wiring.statistics(&env);
        let dispatch = settings.map(|settings| Dispatch {
            connections: Connections::new(wiring.dynamodb(), env.text(&var::TABLE_CONNECTIONS)),
            platforms: Platforms::new(wiring.dynamodb(), env.text(&var::TABLE_PLATFORMS)),
            logs: SyncLogs::new(wiring.dynamodb(), env.text(&var::TABLE_SYNC_LOGS)),
            queue: wiring.insights(&env),
            settings,
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
        });
        let dispatch = env.finish(dispatch)?.ok_or("no settings of statistics")?;
        lambda::schedule::serve_each(async |tick, wake| {
            insights::handle(&dispatch, &tick, wake).await
        })
        .await
    })
}
