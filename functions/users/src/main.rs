//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::variables as var;
use store::{Suppressions, Users};
use users::Api;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let suppressed = env.text(&var::TABLE_MAIL_SUPPRESSIONS);
        let api = Api {
            users: Users::new(wiring.dynamodb(), env.text(&var::TABLE_USERS)),
            suppressions: Suppressions::new(wiring.dynamodb(), suppressed),
            trail: wiring.trail(&env),
            scope_prefix: env.optional(&var::SCOPE_PREFIX).unwrap_or_default(),
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
        };
        let api = Arc::new(env.finish(api)?);
        lambda::http::serve(move |request| {
            let api = api.clone();
            async move { api.handle(request).await }
        })
        .await
    })
}
