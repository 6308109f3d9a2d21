//! Event-source mappings: what Lambda's own pollers do for queues and streams.

mod batch;
mod queue;
mod stream;

use std::sync::Arc;

use tokio::{sync::watch, task::JoinHandle};

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
    enabled: watch::Sender<bool>,
}

/// What every poller needs.
#[derive(Debug, Clone)]
struct Poller {
    aws: Aws,
    host: Host,
    proxy: Arc<Proxy>,
    source: EventSource,
    enabled: watch::Receiver<bool>,
}

impl Pollers {
    /// Starts one poller for each mapping.
    pub fn start(aws: &Aws, host: &Host, proxy: &Arc<Proxy>, sources: &[EventSource]) -> Self {
        let enabled = watch::Sender::new(true);
        let running = sources
            .iter()
            .map(|source| {
                let poller = Poller {
                    aws: aws.clone(),
                    host: host.clone(),
                    proxy: Arc::clone(proxy),
                    source: source.clone(),
                    enabled: enabled.subscribe(),
                };
                match source.kind {
                    SourceKind::Queue => tokio::spawn(queue::run(poller)),
                    SourceKind::Stream => tokio::spawn(stream::run(poller)),
                }
            })
            .collect();
        Self { running, enabled }
    }

    /// Stops taking records (running invocations end), or takes them again.
    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.send_replace(enabled);
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
        self.proxy.record().add(Call {
            function: self.source.function.clone(),
            action: action.to_owned(),
            needs: vec![(action.to_owned(), self.source.arn.clone())],
            encryption_context: std::collections::BTreeMap::new(),
            status: 200,
            elapsed: std::time::Duration::ZERO,
        });
    }

    async fn until_enabled(&mut self) {
        // The sender lives as long as the stack; with it gone this task is aborted.
        drop(self.enabled.wait_for(|enabled| *enabled).await);
    }
}
