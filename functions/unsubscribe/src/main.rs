//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;
use std::sync::Arc;

use lambda::variables as var;
use lambda::{CachedSecret, SecretsManager};
use mail::LinkKeys;
use store::Users;
use unsubscribe::Unsubscribe;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let product = env.text(&var::PRODUCT_NAME);
        let page = Unsubscribe {
            users: Users::new(wiring.dynamodb(), env.text(&var::TABLE_USERS)),
            trail: wiring.trail(&env),
            product: product.clone(),
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
        };
        // A deployment that sends no mails has no key, and knows no link.
        let secret = env.optional(&var::MAIL_SECRET_ID);
        let page = Arc::new(env.finish(page)?);
        let keys = match secret {
            None => None,
            Some(id) => {
                let secret = SecretsManager::new(&wiring.aws, id);
                Some(CachedSecret::load(secret, LinkKeys::parse, wiring.clock.clone()).await?)
            }
        };
        let keys = Arc::new(keys);
        let handler = move |request| {
            let (page, keys) = (page.clone(), keys.clone());
            async move {
                let keys = match &*keys {
                    None => None,
                    Some(keys) => Some(keys.get().await),
                };
                page.handle(keys.as_deref(), request).await
            }
        };
        lambda::http::serve_pages(handler, move |language, problem| {
            browser::problem(language, &product, problem)
        })
        .await
    })
}
