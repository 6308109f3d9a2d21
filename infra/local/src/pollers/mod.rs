//! Event-source mappings: what Lambda's own pollers do for queues and streams.

mod batch;
mod queue;
mod stream;

use std::sync::Arc;

use tokio::{
    sync::{Notify, OwnedRwLockReadGuard, RwLock},
    task::JoinHandle,
};

use crate::{
    aws::Aws,
    host::Host,
    proxy::{Call, Proxy},
    template::{EventSource, SourceKind},
};

/// The running pollers of a stack; dropping it stops them.
#[derive(Debug)]
pub struct Pollers {
    running: Vec<JoinHandle<()>>,
    gate: Gate,
}

/// Open while records may be taken. A poller holds it while it takes some, so that whoever closes
/// it knows when none is taken any more.
#[derive(Debug, Clone)]
struct Gate {
    open: Arc<RwLock<bool>>,
    changed: Arc<Notify>,
}

impl Gate {
    async fn enter(&self) -> OwnedRwLockReadGuard<bool> {
        loop {
            let changed = self.changed.notified();
            let guard = Arc::clone(&self.open).read_owned().await;
            if *guard {
                return guard;
            }
            drop(guard);
            changed.await;
        }
    }
}

/// What every poller needs.
#[derive(Debug, Clone)]
struct Poller {
    aws: Aws,
    host: Host,
    proxy: Arc<Proxy>,
    source: EventSource,
    gate: Gate,
}

impl Pollers {
    /// Starts one poller for each mapping.
    pub fn start(
        aws: &Aws,
        host: &Host,
        proxy: &Arc<Proxy>,
        sources: &[EventSource],
        enabled: bool,
    ) -> Self {
        let gate = Gate {
            open: Arc::new(RwLock::new(enabled)),
            changed: Arc::default(),
        };
        let running = sources
            .iter()
            .map(|source| {
                let poller = Poller {
                    aws: aws.clone(),
                    host: host.clone(),
                    proxy: Arc::clone(proxy),
                    source: source.clone(),
                    gate: gate.clone(),
                };
                match source.kind {
                    SourceKind::Queue => tokio::spawn(queue::run(poller)),
                    SourceKind::Stream => tokio::spawn(stream::run(poller)),
                }
            })
            .collect();
        Self { running, gate }
    }

    /// Stops taking records (running invocations end), or takes them again. After it returns from
    /// stopping, no poller touches its queue.
    pub async fn set_enabled(&self, enabled: bool) {
        *self.gate.open.write().await = enabled;
        self.gate.changed.notify_waiters();
    }
}

impl Drop for Pollers {
    fn drop(&mut self) {
        self.running.iter().for_each(JoinHandle::abort);
    }
}

impl Poller {
    /// Lambda polls under the function's role: the IAM check must see that.
    fn record(&self, action: &str) {
        self.record_at(action, &self.source.arn);
    }

    /// The same of another resource than the source.
    fn record_at(&self, action: &str, arn: &str) {
        self.proxy.record().add(Call {
            function: self.source.function.clone(),
            action: action.to_owned(),
            needs: vec![(action.to_owned(), arn.to_owned())],
            encryption_context: std::collections::BTreeMap::new(),
            keys: std::collections::BTreeMap::new(),
            status: 200,
            started: std::time::Instant::now(),
            elapsed: std::time::Duration::ZERO,
            by_poller: true,
        });
    }
}
