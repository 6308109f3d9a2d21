//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;

use lambda::variables as var;
use store::{Connections, Platforms};
use token_refresh::TokenRefresh;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let refresh = TokenRefresh {
            connections: Connections::new(wiring.dynamodb(), env.text(&var::TABLE_CONNECTIONS)),
            platforms: Platforms::new(wiring.dynamodb(), env.text(&var::TABLE_PLATFORMS)),
            sqs: wiring.sqs(),
            queue: env.text(&var::QUEUE_REFRESH),
            clock: wiring.clock,
            meter: wiring.meter,
        };
        let refresh = env.finish(refresh)?;
        lambda::schedule::serve(async |tick| refresh.handle(&tick).await).await
    })
}
