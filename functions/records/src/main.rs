//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use domain::RecordKind;
use lambda::variables as var;
use records::Api;
use store::Connections;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let api = Api {
            connections: Connections::new(wiring.dynamodb(), env.text(&var::TABLE_CONNECTIONS)),
            tables: wiring.record_tables(&env, &RecordKind::ALL),
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
