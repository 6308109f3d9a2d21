//! Refreshes one connection per message of the refresh queue, under its lease; writes renewed tokens
//! that wait in the rescue queue.

use lambda::Error;
use lambda::sqs::{Message, Outcome};
use platforms::Apps;
use tokens::{RefreshMessage, RescueMessage, Tokens};

/// What the handler needs.
pub struct RefreshWorker {
    /// The refresh protocol.
    pub tokens: Tokens,
    /// The rescue queue's name: the other queue that feeds this function.
    pub rescue_queue: String,
}

impl RefreshWorker {
    /// One message. Whatever a refresh ends in is written at the connection, with when it is tried
    /// again; the message comes again only for trouble of our own.
    pub async fn handle(&self, apps: &Apps, message: &Message) -> Result<Outcome, Error> {
        if message.queue == self.rescue_queue {
            return self.rescue(&message.json()?).await;
        }
        let wanted: RefreshMessage = message.json()?;
        let ended = self
            .tokens
            .until(message.deadline)
            .refresh(apps, &wanted)
            .await?;
        tracing::debug!(connection.id = %wanted.connection_id, outcome = ?ended, "refresh ended");
        Ok(Outcome::Done)
    }

    async fn rescue(&self, message: &RescueMessage) -> Result<Outcome, Error> {
        let ended = self.tokens.rescue(message).await?;
        tracing::debug!(outcome = ?ended, "rescue ended");
        Ok(Outcome::Done)
    }
}
