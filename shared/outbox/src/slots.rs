//! How many lanes of one endpoint a process serves at once. One that answers slowly thus never takes
//! all of a process's time: the other places stay free for others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::EndpointId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of ten lanes that a process serves at once, so many are one endpoint's at most.
const AT_ONCE: usize = 5;
/// How long a lane waits for a place before it goes back to the queue.
const PATIENCE: Duration = Duration::from_secs(2);
/// Places of more endpoints than this are forgotten when nobody has them.
const REMEMBERED: usize = 100;

/// The places.
#[derive(Debug, Default)]
pub(crate) struct Slots(Mutex<HashMap<EndpointId, Arc<Semaphore>>>);

impl Slots {
    /// A place for a lane of this endpoint; `None` where all stay taken.
    pub(crate) async fn take(&self, endpoint: &EndpointId) -> Option<OwnedSemaphorePermit> {
        let semaphore = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() > REMEMBERED {
                all.retain(|_, places| places.available_permits() < AT_ONCE);
            }
            all.entry(endpoint.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)))
                .clone()
        };
        let place = tokio::time::timeout(PATIENCE, semaphore.acquire_owned()).await;
        place.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use domain::{SeededEntropy, Timestamp};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_endpoint_leaves_places_for_others() {
        let slots = Slots::default();
        let entropy = SeededEntropy::new(1);
        let endpoint = || EndpointId::new(Timestamp::default(), &entropy);
        let (slow, other) = (endpoint(), endpoint());
        let mut taken = Vec::new();
        for _ in 0..AT_ONCE {
            taken.push(slots.take(&slow).await.unwrap());
        }
        assert!(slots.take(&slow).await.is_none());
        assert!(slots.take(&other).await.is_some());
        taken.pop();
        assert!(slots.take(&slow).await.is_some());
    }
}
