//! Sends one user what is due per message of the queue of mails; stops mail to addresses that bounce
//! or complain, per event of the queue of feedback.

use std::borrow::Cow;

use lambda::Error;
use lambda::sqs::{Message, Outcome};
use mail::{Feedback, Handled, LinkKeys, MailMessage, Mailman};

/// What the handler needs.
pub struct MailWorker {
    /// Sends mails.
    pub mailman: Mailman,
    /// Stops mail to addresses.
    pub feedback: Feedback,
    /// The queue of feedback's name: the other queue that feeds this function.
    pub feedback_queue: String,
}

impl MailWorker {
    /// One message. A mail that SES put off brings its message back; any other end is written down.
    pub async fn handle(&self, keys: &LinkKeys, message: &Message) -> Result<Outcome, Error> {
        if message.queue == self.feedback_queue {
            self.feedback.apply(&message.json()?).await?;
            return Ok(Outcome::Done);
        }
        let wanted: MailMessage = message.json()?;
        match self.mailman.handle(keys, &wanted).await? {
            Handled::Done => Ok(Outcome::Done),
            Handled::PutOff => Ok(Outcome::Retry {
                why: Cow::Borrowed("SES put a mail off"),
            }),
        }
    }
}
