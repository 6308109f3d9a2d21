//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::variables as var;
use posts::{Composer, Files, PublishQueue, Uploads};
use store::{Connections, MediaTable, Posts, Targets};
use upload::Upload;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let media = MediaTable::new(wiring.dynamodb(), env.text(&var::TABLE_MEDIA));
        let targets = Targets::new(wiring.dynamodb(), env.text(&var::TABLE_TARGETS));
        let upload = Upload {
            uploads: Uploads {
                media: media.clone(),
                targets: targets.clone(),
                files: Files::new(wiring.s3(), env.text(&var::MEDIA_BUCKET)),
                clock: wiring.clock.clone(),
                entropy: wiring.entropy.clone(),
            },
            composer: Composer {
                posts: Posts::new(wiring.dynamodb(), env.text(&var::TABLE_POSTS)),
                targets,
                events: wiring.events(&env),
                media,
                connections: Connections::new(wiring.dynamodb(), env.text(&var::TABLE_CONNECTIONS)),
                queue: PublishQueue::new(wiring.sqs(), env.text(&var::QUEUE_PUBLISH)),
                clock: wiring.clock.clone(),
                entropy: wiring.entropy.clone(),
            },
            scope_prefix: env.optional(&var::SCOPE_PREFIX).unwrap_or_default(),
        };
        let upload = Arc::new(env.finish(upload)?);
        lambda::http::serve(move |request| {
            let upload = upload.clone();
            async move { upload.handle(request).await }
        })
        .await
    })
}
