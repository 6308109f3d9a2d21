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
        let product = env.text(&var::PRODUCT_NAME);
        let session = Session {
            sessions: Sessions::new(wiring.dynamodb(), env.text(&var::TABLE_SESSIONS)),
            overrides: wiring.overrides(&env),
            product: product.clone(),
            clock: wiring.clock,
            entropy: wiring.entropy,
        };
        let session = Arc::new(env.finish(session)?);
        let handler = move |request| {
            let session = session.clone();
            async move { session.handle(request).await }
        };
        lambda::http::serve_pages(handler, move |language, problem| {
            browser::problem(language, &product, problem)
        })
        .await
    })
}
