//! Moves each target through its publishing machine, one turn per message, and fetches the files that
//! products keep elsewhere, one slice per message.

use lambda::Error;
use lambda::sqs::{Message, Outcome};
use platforms::Apps;
use posts::{Fetcher, Runner, Slice, Work};

/// What the handler needs.
pub struct PublishWorker {
    /// The publishing runner.
    pub runner: Runner,
    /// What fetches files.
    pub fetcher: Fetcher,
}

impl PublishWorker {
    /// One message. However the turn ends, its outcome is written at the target, with when somebody
    /// looks at it next; the message comes again only for trouble of our own.
    pub async fn handle(&self, apps: &Apps, message: &Message) -> Result<Outcome, Error> {
        let wanted = match message.json()? {
            Work::Target(wanted) => wanted,
            Work::Fetch(wanted) => {
                let slice = self.fetcher.run(&wanted, message.deadline).await?;
                tracing::info!(media.id = %wanted.media_id, outcome = ?slice, "slice ended");
                return Ok(match slice {
                    // Nothing but this message wakes a file: should its holder have died, it must
                    // come again once the lease is over.
                    Slice::Held => Outcome::Retry {
                        why: "another worker fetches the file".into(),
                    },
                    _ => Outcome::Done,
                });
            }
        };
        let mut runner = self.runner.clone();
        runner.tokens = runner.tokens.until(message.deadline);
        let ran = runner.run(apps, &wanted, message.deadline).await?;
        tracing::info!(
            target.id = %wanted.target_id, post.id = %wanted.post_id, step = wanted.step,
            outcome = ?ran, "turn ended"
        );
        Ok(Outcome::Done)
    }
}
