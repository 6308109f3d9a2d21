//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::variables as var;
use session::Session;
use store::Sessions;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let session = Session {
            sessions: Sessions::new(wiring.dynamodb(), env.text(&var::TABLE_SESSIONS)),
            overrides: wiring.overrides(&env),
            product: env.text(&var::PRODUCT_NAME),
            clock: wiring.clock,
            entropy: wiring.entropy,
        };
        let session = Arc::new(env.finish(session)?);
        lambda::http::serve(move |request| {
            let session = session.clone();
            async move { session.handle(request).await }
        })
        .await
    })
}
