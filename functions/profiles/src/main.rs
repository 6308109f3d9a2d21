//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use domain::RecordKind;
use lambda::variables as var;
use profiles::Api;
use store::{Connections, FiguresTable, RecordTable, Users};
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let api = Api {
            users: Users::new(wiring.dynamodb(), env.text(&var::TABLE_USERS)),
            connections: Connections::new(wiring.dynamodb(), env.text(&var::TABLE_CONNECTIONS)),
            figures: FiguresTable::new(wiring.dynamodb(), env.text(&var::TABLE_FIGURES)),
            media: RecordTable::new(
                wiring.dynamodb(),
                env.text(&var::TABLE_MEDIA_ITEMS),
                RecordKind::MediaItem,
            ),
            clock: wiring.clock.clone(),
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
