//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use data_request_worker::DataRequestWorker;
use lambda::sqs::Options;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let worker = DataRequestWorker {
            eraser: wiring.eraser(&env)?,
            exporter: wiring.exporter(&env),
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
