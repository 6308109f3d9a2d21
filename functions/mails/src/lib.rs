//! Every 15 minutes: finds the users whose mails are due and queues each. It reads no user and sends
//! no mail.

use domain::Timestamp;
use lambda::Error;
use lambda::schedule::Tick;
use mail::Dispatch;
use serde::Deserialize;

/// Time that is left for what was begun when the run stops.
const RESERVE_SECONDS: i64 = 5;

/// The schedule's input. A run by hand may be as of another instant.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Wake {
    /// As of when the run decides, in milliseconds since 1970; the present where it is absent.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// One run.
pub async fn handle(dispatch: &Dispatch, tick: &Tick, wake: Wake) -> Result<(), Error> {
    let at = wake.at.unwrap_or_else(|| dispatch.clock.now());
    let stop_at = tick.deadline.plus_secs(-RESERVE_SECONDS);
    let queued = dispatch.run(at, stop_at).await?;
    tracing::info!(queued, "due mails queued");
    Ok(())
}
