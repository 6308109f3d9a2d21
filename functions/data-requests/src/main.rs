//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use data_requests::Api;
use lambda::variables as var;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let api = Api {
            erasures: wiring.erasures(&env),
            exports: wiring.exports(&env),
            trail: wiring.trail(&env),
            scope_prefix: env.optional(&var::SCOPE_PREFIX).unwrap_or_default(),
        };
        let api = Arc::new(env.finish(api)?);
        lambda::http::serve(move |request| {
            let api = api.clone();
            async move { api.handle(request).await }
        })
        .await
    })
}
