//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use event_sender::EventSender;
use lambda::sqs::Options;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let sender = wiring.sender(&env)?;
        let sender = env.finish(sender)?.ok_or("no times for events")?;
        let sender = Arc::new(EventSender { sender });
        lambda::sqs::serve(Options::default(), move |message| {
            let sender = sender.clone();
            async move { sender.handle(&message).await }
        })
        .await
    })
}
