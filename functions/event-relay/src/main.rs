//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use event_relay::EventRelay;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let relay = EventRelay {
            relay: wiring.relay(&env),
        };
        let relay = Arc::new(env.finish(relay)?);
        lambda::table_stream::serve(move |items, deadline| {
            let relay = relay.clone();
            async move { relay.handle(&items, deadline).await }
        })
        .await
    })
}
