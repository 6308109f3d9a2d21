//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use connections::Api;
use lambda::variables as var;
use posts::Chooser;
use statistics::Asker;
use store::{Sessions, SyncLogs, Users};
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let tokens = wiring.tokens(&env)?;
        let api = Api {
            sessions: Sessions::new(wiring.dynamodb(), env.text(&var::TABLE_SESSIONS)),
            users: Users::new(wiring.dynamodb(), env.text(&var::TABLE_USERS)),
            trail: wiring.trail(&env),
            chooser: Chooser {
                wire: tokens.wire().clone(),
                limiter: wiring.limiter(&env),
                tokens: tokens.clone(),
            },
            tokens,
            asker: Asker {
                logs: SyncLogs::new(wiring.dynamodb(), env.text(&var::TABLE_SYNC_LOGS)),
                queue: wiring.insights(&env),
                off: statistics::platforms_of(&env.list(&var::STATISTICS_OFF)),
                clock: wiring.clock.clone(),
                entropy: wiring.entropy.clone(),
            },
            scope_prefix: env.optional(&var::SCOPE_PREFIX).unwrap_or_default(),
            public_base: env.url(&var::PUBLIC_BASE_URL),
            return_to_origins: env.list(&var::RETURN_TO_ORIGINS),
        };
        let apps = wiring.apps(&env);
        let api = Arc::new(env.finish(api)?);
        let apps = Arc::new(apps.load().await?);
        lambda::http::serve(move |request| {
            let (api, apps) = (api.clone(), apps.clone());
            async move { api.handle(&*apps.get().await, request).await }
        })
        .await
    })
}
