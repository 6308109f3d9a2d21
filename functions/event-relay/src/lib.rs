//! Sends the events that the table's stream tells of. The stream only wakes: what it loses, the sweeper
//! sends.

use domain::Timestamp;
use lambda::Error;
use lambda::table_stream::Inserted;
use outbox::Relay;

/// Events that are sent together.
const BATCH: usize = 100;
/// Time that is left for the writes of a batch.
const RESERVE_SECONDS: i64 = 5;

/// What the handler needs.
pub struct EventRelay {
    /// Sends events.
    pub relay: Relay,
}

impl EventRelay {
    /// One batch of the stream, in its order; the place of the first event that must come again, those
    /// after it with it. They are sent twice at most where some way out has taken them.
    pub async fn handle(
        &self,
        items: &[Inserted],
        deadline: Timestamp,
    ) -> Result<Option<String>, Error> {
        for batch in items.chunks(BATCH) {
            let first = batch.first().map(|item| item.sequence.clone());
            if self.relay.clock.now() >= deadline.plus_secs(-RESERVE_SECONDS) {
                return Ok(first);
            }
            let ids: Vec<String> = batch.iter().filter_map(id).collect();
            let relayed = self.relay.relay(&ids).await;
            tracing::info!(
                sent = relayed.sent,
                failed = relayed.failed.len(),
                "events relayed"
            );
            let again = batch
                .iter()
                .find(|item| id(item).is_some_and(|id| relayed.failed.contains(&id)));
            if let Some(item) = again {
                return Ok(Some(item.sequence.clone()));
            }
        }
        Ok(None)
    }
}

fn id(item: &Inserted) -> Option<String> {
    item.keys.get("event_id").cloned()
}
