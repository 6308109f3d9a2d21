//! Rebuilds the PostgreSQL projection from the tables, one slice per message. A slice uses half of the
//! function's time, writes down how far it came, and queues the next one.

use std::time::Duration;

use crm::{Backfill, Pace, Sliced};
use lambda::Error;
use lambda::sqs::{Message, Outcome};

/// Items in one page: what a slice that died does again.
const PAGE: i32 = 200;
/// Pages in one slice, so that no job depends on the clock alone.
const PAGES: u32 = 1_000;

/// What the handler needs.
pub struct CrmBackfill {
    /// The job.
    pub worker: Backfill,
}

impl CrmBackfill {
    /// One message.
    pub async fn handle(&self, message: &Message) -> Result<Outcome, Error> {
        let now = self.worker.desk.clock.now();
        let left = message.deadline.since(now);
        let pace = Pace {
            // The other half is for the page that was begun.
            stop_at: now + left / 2,
            lease_until: message.deadline + Duration::from_secs(1),
            page: PAGE,
            pages: PAGES,
        };
        let retry = |why: &'static str| Outcome::Retry { why: why.into() };
        Ok(match self.worker.handle(&message.json()?, &pace).await? {
            Sliced::GoesOn | Sliced::Over => Outcome::Done,
            Sliced::NotYet => retry("another worker has the slice"),
            Sliced::Later => retry("trouble that passes"),
        })
    }
}
