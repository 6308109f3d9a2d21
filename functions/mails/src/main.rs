//! The Lambda; what it does is in the library beside it.

use std::process::ExitCode;

use lambda::variables as var;
use mail::Dispatch;
use store::Users;
use wiring::Wiring;

fn main() -> ExitCode {
    lambda::start(async |env| {
        let wiring = Wiring::new(&env);
        let dispatch = Dispatch {
            users: Users::new(wiring.dynamodb(), env.text(&var::TABLE_USERS)),
            sqs: wiring.sqs(),
            queue: env.text(&var::QUEUE_MAILS),
            clock: wiring.clock.clone(),
            entropy: wiring.entropy.clone(),
        };
        let dispatch = env.finish(dispatch)?;
        lambda::schedule::serve_each(async |tick, wake| mails::handle(&dispatch, &tick, wake).await)
            .await
    })
}
