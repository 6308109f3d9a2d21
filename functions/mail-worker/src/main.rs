//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use domain::RecordKind;
use lambda::sqs::{Options, queue_name};
use lambda::variables as var;
use lambda::{CachedSecret, SecretsManager};
use mail::compose::Colour;
use mail::{Feedback, LinkKeys, Look, Mailman, Ses};
use mail_worker::MailWorker;
use store::{Connections, Mails, RecordTable, Snapshots, Suppressions, Users};
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let table = |variable| env.text(variable);
        let look = env
            .parse(&var::MAIL_COLOUR, Colour::parse)
            .map(|colour| Look {
                product: env.text(&var::PRODUCT_NAME),
                colour,
                support: env.optional(&var::MAIL_SUPPORT_URL),
                home: env.optional(&var::MAIL_PRODUCT_URL),
            });
        let suppressed = Suppressions::new(wiring.dynamodb(), table(&var::TABLE_MAIL_SUPPRESSIONS));
        let from = env.text(&var::MAIL_FROM_ADDRESS);
        let set = env.text(&var::MAIL_CONFIGURATION_SET);
        let mailman = look.map(|look| Mailman {
            users: Users::new(wiring.dynamodb(), table(&var::TABLE_USERS)),
            connections: Connections::new(wiring.dynamodb(), table(&var::TABLE_CONNECTIONS)),
            snapshots: Snapshots::new(wiring.dynamodb(), table(&var::TABLE_SNAPSHOTS)),
            media: RecordTable::new(
                wiring.dynamodb(),
                table(&var::TABLE_MEDIA_ITEMS),
                RecordKind::MediaItem,
            ),
            mails: Mails::new(wiring.dynamodb(), table(&var::TABLE_MAILS)),
            suppressions: suppressed.clone(),
            ses: Ses::new(&wiring.aws, &look.product, &from, set),
            look,
            base: env.text(&var::PUBLIC_BASE_URL),
            meter: wiring.meter.clone(),
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
        });
        let feedback = Feedback {
            suppressions: suppressed,
            meter: wiring.meter.clone(),
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
        };
        let feedback_queue = queue_name(&env.text(&var::QUEUE_MAIL_FEEDBACK)).to_owned();
        let secret = SecretsManager::new(&wiring.aws, env.text(&var::MAIL_SECRET_ID));
        let mailman = env.finish(mailman)?.ok_or("mails have no look")?;
        let worker = Arc::new(MailWorker {
            mailman,
            feedback,
            feedback_queue,
        });
        let keys = CachedSecret::load(secret, LinkKeys::parse, wiring.clock.clone()).await?;
        let keys = Arc::new(keys);
        lambda::sqs::serve(Options::default(), move |message| {
            let (worker, keys) = (worker.clone(), keys.clone());
            async move { worker.handle(&*keys.get().await, &message).await }
        })
        .await
    })
}
