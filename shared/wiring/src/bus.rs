//! EventBridge as the outbox's bus.

use std::time::Duration;

use lambda::{Aws, BusEvent, EventBridge};
use outbox::{Bus, BusEntry, BusError, Refusal};
use transport::BoxFuture;

/// How long one `PutEvents` may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One bus of EventBridge.
pub(crate) struct EventBus(EventBridge);

impl EventBus {
    pub(crate) fn new(aws: &Aws, arn: &str) -> Self {
        Self(EventBridge::new(aws, arn, TIMEOUT))
    }
}

impl Bus for EventBus {
    fn put<'a>(
        &'a self,
        source: &'a str,
        entries: &'a [BusEntry],
    ) -> BoxFuture<'a, Result<Vec<Result<(), Refusal>>, BusError>> {
        Box::pin(async move {
            let events: Vec<BusEvent<'_>> = entries
                .iter()
                .map(|entry| BusEvent {
                    source,
                    detail_type: &entry.kind,
                    detail: &entry.body,
                    time: entry.time,
                })
                .collect();
            let put = self.0.put(&events).await;
            let codes = put.map_err(|error| BusError(error.to_string()))?;
            let taken = codes
                .into_iter()
                .map(|code| code.map_or(Ok(()), |code| Err(Refusal(code))));
            Ok(taken.collect())
        })
    }
}
