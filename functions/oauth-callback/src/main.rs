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
        let callback = OauthCallback {
            sessions: Sessions::new(wiring.dynamodb(), env.text(&var::TABLE_SESSIONS)),
            flows: Flows::new(wiring.dynamodb(), env.text(&var::TABLE_FLOWS)),
            tokens: wiring.tokens(&env)?,
            insights: wiring.insights(&env),
            product: env.text(&var::PRODUCT_NAME),
            flow_life: env.seconds(&var::FLOW_SECONDS),
        };
        let apps = wiring.apps(&env);
        let callback = Arc::new(env.finish(callback)?);
        let apps = Arc::new(apps.load().await?);
        lambda::http::serve(move |request| {
            let (callback, apps) = (callback.clone(), apps.clone());
            async move { callback.handle(&*apps.get().await, request).await }
        })
        .await
    })
}
