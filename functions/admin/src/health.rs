//! How the deployment fares: queues, dead letters, breakers.

use std::collections::BTreeSet;

use domain::{AppRef, Platform};
use http::StatusCode;
use lambda::{Answer, Problem, responses};
use platforms::{App, Apps};
use serde::Serialize;

use crate::breakers::BreakerView;
use crate::queues::Depth;
use crate::{Admin, Ask};

/// SQS's own approximate counts.
#[derive(Serialize)]
struct QueueView {
    name: &'static str,
    waiting: u64,
    in_flight: u64,
    delayed: u64,
    dead_letters: u64,
}

#[derive(Serialize)]
struct Health {
    queues: Vec<QueueView>,
    breakers: Vec<BreakerView>,
}

impl Admin {
    pub(crate) async fn health(&self, apps: &Apps, ask: &Ask<'_>) -> Answer {
        let mut health = Health {
            queues: Vec::new(),
            breakers: Vec::new(),
        };
        for queue in self.queues.all() {
            let depth = match &queue.source {
                Some(url) => self.depth(url).await?,
                None => Depth::default(),
            };
            health.queues.push(QueueView {
                name: queue.name,
                waiting: depth.waiting,
                in_flight: depth.in_flight,
                delayed: depth.delayed,
                dead_letters: self.depth(&queue.dead).await?.whole(),
            });
        }
        for platform in Platform::ALL.iter().copied() {
            // The production's always, a sandbox's where there is one.
            let mut shown = BTreeSet::from([AppRef::from(platform)]);
            let sides = apps.all(platform).iter().map(App::environment);
            shown.extend(sides.map(|side| AppRef::new(platform, side)));
            for app in shown {
                let breaker = self.platforms.breaker(app).await;
                let breaker = breaker.map_err(Problem::unavailable)?;
                health.breakers.push(BreakerView::of(&breaker, ask.now));
            }
        }
        Ok(responses::json(StatusCode::OK, &health))
    }
}
