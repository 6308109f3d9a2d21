//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::sqs::Options;
use lambda::variables as var;
use rewrap::Worker;
use rewrap_worker::RewrapWorker;
use store::SealedTexts;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let worker = RewrapWorker {
            worker: Worker {
                desk: wiring.rewrap_desk(&env),
                texts: SealedTexts::new(
                    &wiring.dynamodb(),
                    env.text(&var::TABLE_CONNECTIONS),
                    env.text(&var::TABLE_TARGETS),
                    env.text(&var::TABLE_REVOCATIONS),
                    env.text(&var::TABLE_FLOWS),
                    env.text(&var::TABLE_WEBHOOK_ENDPOINTS),
                ),
                vault: wiring.vault(&env),
            },
        };
        let worker = Arc::new(env.finish(worker)?);
        lambda::sqs::serve(Options::default(), move |message| {
            let worker = worker.clone();
            async move { worker.handle(&message).await }
        })
        .await
    })
}
