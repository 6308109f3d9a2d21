//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::variables as var;
use posts::{PublishQueue, Sweep};
use store::{Flows, Revocations, Targets};
use sweeper::Sweeper;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let sweeper = Sweeper {
            flows: Flows::new(wiring.dynamodb(), env.text(&var::TABLE_FLOWS)),
            revocations: Revocations::new(wiring.dynamodb(), env.text(&var::TABLE_REVOCATIONS)),
            targets: Sweep {
                targets: Targets::new(wiring.dynamodb(), env.text(&var::TABLE_TARGETS)),
                queue: PublishQueue::new(wiring.sqs(), env.text(&var::QUEUE_PUBLISH)),
                late: env.seconds(&var::SWEEP_LATE_SECONDS),
                clock: wiring.clock.clone(),
                entropy: wiring.entropy.clone(),
            },
            events: wiring.event_sweep(&env),
            tokens: wiring.tokens(&env)?,
        };
        let apps = wiring.apps(&env);
        let sweeper = Arc::new(env.finish(sweeper)?);
        let apps = Arc::new(apps.load().await?);
        lambda::schedule::serve(move |tick| {
            let (sweeper, apps) = (sweeper.clone(), apps.clone());
            async move { sweeper.handle(&*apps.get().await, &tick).await }
        })
        .await
    })
}
