//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::variables as var;
use oauth_start::OauthStart;
use store::{Flows, Sessions};
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let product = env.text(&var::PRODUCT_NAME);
        let start = OauthStart {
            sessions: Sessions::new(wiring.dynamodb(), env.text(&var::TABLE_SESSIONS)),
            flows: Flows::new(wiring.dynamodb(), env.text(&var::TABLE_FLOWS)),
            vault: wiring.vault(&env),
            overrides: wiring.overrides(&env),
            product: product.clone(),
            public_base: env.url(&var::PUBLIC_BASE_URL),
            flow_life: env.seconds(&var::FLOW_SECONDS),
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
        };
        let apps = wiring.apps(&env);
        let start = Arc::new(env.finish(start)?);
        let apps = Arc::new(apps.load().await?);
        let handler = move |request| {
            let (start, apps) = (start.clone(), apps.clone());
            async move { start.handle(&*apps.get().await, request).await }
        };
        lambda::http::serve_pages(handler, move |language, problem| {
            browser::problem(language, &product, problem)
        })
        .await
    })
}
