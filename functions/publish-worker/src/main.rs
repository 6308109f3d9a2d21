//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::sqs::Options;
use lambda::variables as var;
use posts::{Fetcher, PublishQueue, Runner, RunnerSettings};
use publish_worker::PublishWorker;
use store::{MediaTable, Targets};
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let tokens = wiring.tokens(&env)?;
        let files = wiring.files(&env);
        let queue = PublishQueue::new(wiring.sqs(), env.text(&var::QUEUE_PUBLISH));
        let lease = env.seconds(&var::PUBLISH_LEASE_SECONDS);
        let fetcher = Fetcher {
            media: MediaTable::new(wiring.dynamodb(), env.text(&var::TABLE_MEDIA)),
            files: files.clone(),
            source: Arc::new(wiring.transport(&env)?),
            queue: queue.clone(),
            lease,
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
        };
        let runner = Runner {
            targets: Targets::new(wiring.dynamodb(), env.text(&var::TABLE_TARGETS)),
            events: wiring.events(&env),
            wire: tokens.wire().clone(),
            limiter: wiring.limiter(&env),
            files: files.clone(),
            queue: queue.clone(),
            settings: RunnerSettings {
                lease,
                call_timeout: tokens.http_timeout(),
            },
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
            tokens,
        };
        let apps = wiring.apps(&env);
        let worker = Arc::new(env.finish(PublishWorker { runner, fetcher })?);
        let apps = Arc::new(apps.load().await?);
        // A target's turn takes as long as the function has: one at a time.
        let options = Options {
            at_once: 1,
            ..Options::default()
        };
        lambda::sqs::serve(options, move |message| {
            let (worker, apps) = (worker.clone(), apps.clone());
            async move { worker.handle(&*apps.get().await, &message).await }
        })
        .await
    })
}
