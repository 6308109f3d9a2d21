//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::sqs::Options;
use lambda::variables as var;
use refresh_worker::RefreshWorker;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let worker = RefreshWorker {
            tokens: wiring.tokens(&env)?,
            rescue_queue: lambda::sqs::queue_name(&env.text(&var::QUEUE_RESCUE)).to_owned(),
        };
        let apps = wiring.apps(&env);
        let worker = Arc::new(env.finish(worker)?);
        let apps = Arc::new(apps.load().await?);
        lambda::sqs::serve(Options::default(), move |message| {
            let (worker, apps) = (worker.clone(), apps.clone());
            async move { worker.handle(&*apps.get().await, &message).await }
        })
        .await
    })
}
