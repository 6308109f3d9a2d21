//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::variables as var;
use oauth_callback::OauthCallback;
use store::{Flows, Sessions};
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let product = env.text(&var::PRODUCT_NAME);
        let callback = OauthCallback {
            sessions: Sessions::new(wiring.dynamodb(), env.text(&var::TABLE_SESSIONS)),
            flows: Flows::new(wiring.dynamodb(), env.text(&var::TABLE_FLOWS)),
            tokens: wiring.tokens(&env)?,
            product: product.clone(),
            insights: wiring.insights(&env),
            flow_life: env.seconds(&var::FLOW_SECONDS),
        };
        let apps = wiring.apps(&env);
        let callback = Arc::new(env.finish(callback)?);
        let apps = Arc::new(apps.load().await?);
        let handler = move |request| {
            let (callback, apps) = (callback.clone(), apps.clone());
            async move { callback.handle(&*apps.get().await, request).await }
        };
        lambda::http::serve_pages(handler, move |language, problem| {
            browser::problem(language, &product, problem)
        })
        .await
    })
}
