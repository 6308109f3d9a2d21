//! Reads the statistics of one connection per message of the insights queue.

use std::borrow::Cow;
use std::sync::Arc;

use domain::metric::{SYNC_FAILED, SYNC_MILLISECONDS, SYNC_SUCCEEDED};
use domain::{Labels, Meter};

use lambda::Error;
use lambda::sqs::{Message, Outcome};
use platforms::Apps;
use statistics::{SyncMessage, Synced, Syncer};

/// What the handler needs.
pub struct InsightsWorker {
    /// Runs syncs.
    pub syncer: Syncer,
    /// Where figures go.
    pub meter: Arc<dyn Meter>,
}

impl InsightsWorker {
    /// One message. However a sync ends, that is written at the connection, with when it is read
    /// next; the message comes again only for trouble of our own, or while another worker has it.
    pub async fn handle(&self, apps: &Apps, message: &Message) -> Result<Outcome, Error> {
        let wanted: SyncMessage = message.json()?;
        let synced = self.syncer.run(apps, &wanted, message.deadline).await?;
        match &synced {
            Synced::Ended {
                platform,
                fault,
                counts,
                took,
            } => {
                let labels = Labels::from(*platform);
                let millis = (&SYNC_MILLISECONDS, took.as_secs_f64() * 1_000.0);
                // What the creator took away is no failure of the deployment, and no success.
                match (fault, counts) {
                    (None, _) => self.meter.put(&[(&SYNC_SUCCEEDED, 1.0), millis], labels),
                    (Some(_), true) => self.meter.put(&[(&SYNC_FAILED, 1.0), millis], labels),
                    (Some(_), false) => self.meter.put(&[millis], labels),
                }
            }
            Synced::Nothing(why) => {
                tracing::info!(sync.id = %wanted.sync_id, why, "nothing to sync");
            }
            Synced::Waits(until) => {
                tracing::info!(sync.id = %wanted.sync_id, until = %until, "a limit is waited for");
            }
            Synced::Held => {
                return Ok(Outcome::Retry {
                    why: Cow::Borrowed("another worker has it"),
                });
            }
        }
        Ok(Outcome::Done)
    }
}
