//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::variables as var;
use posts::{Composer, PublishQueue, Uploads};
use store::{Connections, MediaTable, Posts, Targets};
use upload::Upload;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let media = MediaTable::new(wiring.dynamodb(), env.text(&var::TABLE_MEDIA));
        let targets = Targets::new(wiring.dynamodb(), env.text(&var::TABLE_TARGETS));
        let files = wiring.files(&env);
        let queue = PublishQueue::new(wiring.sqs(), env.text(&var::QUEUE_PUBLISH));
        let upload = Upload {
            uploads: Uploads {
                media: media.clone(),
                targets: targets.clone(),
                files: files.clone(),
                source: Arc::new(wiring.transport(&env)?),
                verified: env.list(&var::VERIFIED_MEDIA_PREFIXES),
                queue: queue.clone(),
                clock: wiring.clock.clone(),
                entropy: wiring.entropy.clone(),
            },
            composer: Composer {
                posts: Posts::new(wiring.dynamodb(), env.text(&var::TABLE_POSTS)),
                targets,
                events: wiring.events(&env),
                media,
                files,
                connections: Connections::new(wiring.dynamodb(), env.text(&var::TABLE_CONNECTIONS)),
                queue,
                clock: wiring.clock.clone(),
                entropy: wiring.entropy.clone(),
            },
            scope_prefix: env.optional(&var::SCOPE_PREFIX).unwrap_or_default(),
        };
        let apps = wiring.apps(&env);
        let upload = Arc::new(env.finish(upload)?);
        let apps = Arc::new(apps.load().await?);
        lambda::http::serve(move |request| {
            let (upload, apps) = (upload.clone(), apps.clone());
            async move { upload.handle(&*apps.get().await, request).await }
        })
        .await
    })
}
