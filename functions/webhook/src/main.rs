//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::variables as var;
use webhook::Webhook;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let tolerance = env.seconds(&var::WEBHOOK_TOLERANCE_SECONDS);
        let queue = env.text(&var::QUEUE_WEBHOOK);
        let bucket = env.text(&var::DELIVERIES_BUCKET);
        let apps = wiring.apps(&env);
        let (queue, bucket, apps) = env.finish((queue, bucket, apps))?;
        let webhook = Arc::new(Webhook {
            sqs: wiring.sqs(),
            queue,
            s3: wiring.s3(),
            bucket,
            tolerance: (!tolerance.is_zero()).then_some(tolerance),
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
            meter: wiring.meter.clone(),
            apps: apps.load().await?,
        });
        lambda::http::serve(move |request| {
            let webhook = webhook.clone();
            async move { webhook.handle(request).await }
        })
        .await
    })
}
