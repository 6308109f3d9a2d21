//! Every minute: ends flows that nobody confirmed, tries revocations that are owed, wakes targets
//! whose time has come or whose worker died, sends events that stayed unsent and wakes their lanes. Each
//! shard of each index fails by itself.

use domain::metric::{EVENTS_UNSENT, FLOWS, LANE_LATENESS};
use domain::{FlowId, Labels, Timestamp};
use lambda::Error;
use lambda::schedule::Tick;
use outbox::Backlog;
use platforms::Apps;
use posts::Sweep;
use store::{Flows, Revocations};
use tokens::Tokens;

/// How many rows of one shard are taken in one run.
const MOST_PER_SHARD: i32 = 100;
/// Time that is left for what was begun when the run stops.
const RESERVE_SECONDS: i64 = 10;

/// What the handler needs.
pub struct Sweeper {
    /// OAuth attempts.
    pub flows: Flows,
    /// Revocations that are owed.
    pub revocations: Revocations,
    /// Targets that are due.
    pub targets: Sweep,
    /// Events on their way to the product.
    pub events: outbox::Sweep,
    /// The end of flows and connections.
    pub tokens: Tokens,
}

impl Sweeper {
    /// One run.
    pub async fn handle(&self, apps: &Apps, tick: &Tick) -> Result<(), Error> {
        let stop_at = tick.deadline.plus_secs(-RESERVE_SECONDS);
        // What a creator waits for comes first, in every shard; then what is short; then the calls to
        // platforms, which may take long. Runs begin at different shards.
        let first = self.now().secs() / 60;
        let shards: Vec<String> = (0..store::due::SHARDS)
            .map(|place| store::due::turn(first, place))
            .collect();
        for shard in &shards {
            note(
                "targets",
                shard,
                self.targets.shard(shard, stop_at).await.map(drop),
            );
        }
        self.events(&shards, stop_at).await;
        for shard in &shards {
            note("flows", shard, self.flows(shard, stop_at).await);
        }
        for shard in &shards {
            note(
                "revocations",
                shard,
                self.revocations(apps, shard, stop_at).await,
            );
        }
        Ok(())
    }

    async fn events(&self, shards: &[String], stop_at: Timestamp) {
        let (mut backlog, mut whole) = (Backlog::default(), true);
        for shard in shards {
            let swept = self.events.shard(shard, stop_at).await;
            match &swept {
                Ok(found) => backlog = backlog.and(*found),
                Err(_) => whole = false,
            }
            note("events", shard, swept.map(drop));
        }
        // Half a figure would be a wrong one.
        if whole {
            let age = |since: Option<Timestamp>| {
                since.map_or(0.0, |since| self.now().since(since).as_secs_f64())
            };
            let figures = [
                (&EVENTS_UNSENT, age(backlog.oldest_unsent)),
                (&LANE_LATENESS, age(backlog.longest_due)),
            ];
            self.tokens.meter().put(&figures, Labels::NONE);
        }
    }

    async fn flows(&self, shard: &str, stop_at: Timestamp) -> Result<(), Error> {
        for id in self.flows.due(shard, self.now(), MOST_PER_SHARD).await? {
            if self.now() >= stop_at {
                break;
            }
            // One flow that cannot be ended does not hold up the others.
            note("flow", shard, self.flow(&id).await);
        }
        Ok(())
    }

    async fn flow(&self, id: &FlowId) -> Result<(), Error> {
        // The row may be past its time: that is why it is here.
        let Some(flow) = self.flows.get_expired(id).await? else {
            return Ok(());
        };
        if self.tokens.abandon(&flow).await? {
            tracing::info!(flow.id = %id, platform = %flow.platform, "unconfirmed flow ended");
            let labels = Labels::from(flow.platform).outcome("unconfirmed");
            self.tokens.meter().count(&FLOWS, labels);
        }
        Ok(())
    }

    async fn revocations(&self, apps: &Apps, shard: &str, stop_at: Timestamp) -> Result<(), Error> {
        for id in self
            .revocations
            .due(shard, self.now(), MOST_PER_SHARD)
            .await?
        {
            if self.now() >= stop_at {
                break;
            }
            // One that fails stays due later; the others are not held up by it.
            if let Err(error) = self.tokens.try_revocation(apps, &id).await {
                tracing::error!(error = %error, "a revocation could not be tried");
            }
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.tokens.clock().now()
    }
}

fn note<E: Into<Error>>(what: &str, shard: &str, done: Result<(), E>) {
    if let Err(error) = done {
        let error: Error = error.into();
        tracing::error!(what, shard, error = %lambda::logging::chain(&*error), "a sweep failed");
    }
}
