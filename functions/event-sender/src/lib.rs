//! Sends what waits in one lane of a webhook endpoint per message of the events queue.

use lambda::Error;
use lambda::sqs::{Message, Outcome};
use outbox::{LaneMessage, Sender};

/// What the handler needs.
pub struct EventSender {
    /// Sends lanes.
    pub sender: Sender,
}

impl EventSender {
    /// One message. Whatever an endpoint answers is written at the lane, with when it is tried next; the
    /// message comes again only for trouble of our own.
    pub async fn handle(&self, message: &Message) -> Result<Outcome, Error> {
        let wanted: LaneMessage = message.json()?;
        let sent = self.sender.run(&wanted.lane, message.deadline).await?;
        tracing::debug!(lane = wanted.lane.as_str(), outcome = ?sent, "a lane was looked at");
        Ok(Outcome::Done)
    }
}
