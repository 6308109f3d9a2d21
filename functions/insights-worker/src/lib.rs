//! Reads the statistics of one connection per message of the insights queue.

use std::borrow::Cow;

use lambda::sqs::{Message, Outcome};
use lambda::{Error, Metrics, Unit};
use platforms::Apps;
use statistics::{SyncMessage, Synced, Syncer};

/// What the handler needs.
pub struct InsightsWorker {
    /// Runs syncs.
    pub syncer: Syncer,
    /// `SyncSucceeded`, `SyncFailed` and `SyncMilliseconds`, by platform.
    pub metrics: Metrics,
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
                let platform = Some(*platform);
                // What the creator took away is no failure of the deployment, and no success.
                match (fault, counts) {
                    (None, _) => self.metrics.count("SyncSucceeded", platform),
                    (Some(_), true) => self.metrics.count("SyncFailed", platform),
                    (Some(_), false) => {}
                }
                let millis = took.as_millis() as f64;
                self.metrics
                    .put("SyncMilliseconds", Unit::Milliseconds, millis, platform);
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
