//! Moves each target through its publishing machine, one turn per message.

use lambda::Error;
use lambda::sqs::{Message, Outcome};
use platforms::Apps;
use posts::Runner;

/// What the handler needs.
pub struct PublishWorker {
    /// The publishing runner.
    pub runner: Runner,
}

impl PublishWorker {
    /// One message. However the turn ends, its outcome is written at the target, with when somebody
    /// looks at it next; the message comes again only for trouble of our own.
    pub async fn handle(&self, apps: &Apps, message: &Message) -> Result<Outcome, Error> {
        let wanted: posts::Message = message.json()?;
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
