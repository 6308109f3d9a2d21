//! Every five minutes from 08:00: finds the connections whose statistics are due and queues a sync for
//! each. Once a day, at 10:00: queues what failed of something that may have passed. It calls no
//! platform and opens no token.

use lambda::Error;
use lambda::schedule::Tick;
use serde::Deserialize;
use statistics::Dispatch;

/// Time that is left for what was begun when the run stops.
const RESERVE_SECONDS: i64 = 5;

/// Which schedule woke the function: its input in the template.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Wake {
    /// What is to be done.
    pub pass: Pass,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// Queue what is due.
    Due,
    /// Queue what failed.
    Repair,
}

/// One run.
pub async fn handle(dispatch: &Dispatch, tick: &Tick, wake: Wake) -> Result<(), Error> {
    let stop_at = tick.deadline.plus_secs(-RESERVE_SECONDS);
    let done = match wake.pass {
        Pass::Due => dispatch.due(stop_at).await?,
        Pass::Repair => dispatch.repair(stop_at).await?,
    };
    tracing::info!(
        pass = ?wake.pass,
        queued = done.queued,
        put_off = done.moved,
        "due statistics queued"
    );
    Ok(())
}
