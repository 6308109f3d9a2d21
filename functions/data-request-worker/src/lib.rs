//! Erases and exports users, one slice per message. A slice uses half of the function's time, writes
//! down how far it came, and queues the next one.

use std::time::Duration;

use lambda::Error;
use lambda::sqs::{Message, Outcome};
use platforms::Apps;
use requests::erase::Eraser;
use requests::export::Exporter;
use requests::{Message as Work, Pace, Sliced};

/// Rows in one page: what a slice that died does again.
const PAGE: i32 = 1_000;
/// Pages in one slice, so that no job depends on the clock alone.
const PAGES: u32 = 10_000;

/// What the handler needs.
pub struct DataRequestWorker {
    /// Erasures.
    pub eraser: Eraser,
    /// Exports.
    pub exporter: Exporter,
}

impl DataRequestWorker {
    /// One message.
    pub async fn handle(&self, apps: &Apps, message: &Message) -> Result<Outcome, Error> {
        let now = self.eraser.tokens.clock().now();
        let left = message.deadline.since(now);
        let pace = Pace {
            // The other half is for the page that was begun.
            stop_at: now + left / 2,
            lease_until: message.deadline + Duration::from_secs(1),
            page: PAGE,
            pages: PAGES,
        };
        let sliced = match message.json()? {
            Work::Erase { job_id, slice } => self.eraser.slice(apps, &job_id, slice, &pace).await?,
            Work::Export { job_id, slice } => self.exporter.slice(&job_id, slice, &pace).await?,
        };
        let retry = |why: &'static str| Outcome::Retry { why: why.into() };
        Ok(match sliced {
            Sliced::GoesOn | Sliced::Over => Outcome::Done,
            Sliced::NotYet => retry("another worker has the slice"),
            Sliced::Later => retry("trouble that passes"),
        })
    }
}
