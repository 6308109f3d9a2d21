//! The relay of events in a world, and the world's own quiet way to the tables.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::Clock;
use lambda::table_stream::Inserted;

use crate::world::{TEMPLATE, World};

impl World {
    /// The relay works on a batch of the events' stream; whether all of it is sent.
    pub(crate) async fn relay(&self, ids: Vec<String>) -> bool {
        let items: Vec<Inserted> = ids
            .into_iter()
            .map(|id| Inserted {
                sequence: id.clone(),
                keys: BTreeMap::from([("event_id".to_owned(), id)]),
            })
            .collect();
        let time = Duration::from_secs(TEMPLATE.number("EventRelayTimeout").unwrap());
        let (_, done) = self
            .run("event-relay", "EventRelayTimeout", move |instance, _| {
                Box::pin(async move {
                    let deadline = instance.clock.now() + time;
                    instance.relay.handle(&items, deadline).await
                })
            })
            .await;
        matches!(done, Some(Ok(None)))
    }

    /// A way to AWS that nothing befalls, for what the world itself does.
    pub(crate) fn quiet(&self) -> lambda::Aws {
        let http = self.aws.http_client(Arc::new(model::NoFaults));
        lambda::Aws::over(http, &self.region, lambda::Timeouts::default())
    }

    /// The name of a table.
    pub(crate) fn table(&self, noun: &str) -> &'static str {
        TEMPLATE.table(noun).unwrap()
    }
}
