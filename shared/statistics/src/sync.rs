//! One sync of one connection: taken once, read, kept.

use std::sync::Arc;
use std::time::Duration;

use domain::{
    AttemptId, Clock, ConnectionStatus, Entropy, Fault, FaultKind, Holder, Platform, SyncKind,
    Timestamp,
};
use ledger::Ledger;
use limits::Limiter;
use platforms::{Apps, Statistics};
use store::connections::{DueStatistics, StatisticsEnd};
use store::sync_logs::{SyncEnd, SyncState, SyncTake, SyncTaken};
use store::{Connection, Events, FiguresTable, Platforms, Snapshots, SyncLog, SyncLogs};
use tokens::Tokens;
use transport::Wire;

use crate::due::{after_failure, counts, is_read};
use crate::keep::Kept;
use crate::read::Read;
use crate::settings::switched_off;
use crate::{InsightsQueue, Settings, StatisticsError, SyncMessage};

/// A sync that had to wait for a limit so often is given up.
const MOST_TRIES: u32 = 20;

/// What runs syncs. Every part may be shared.
#[derive(Clone)]
pub struct Syncer {
    /// Connections, and the way to their access tokens.
    pub tokens: Tokens,
    /// What became of each sync.
    pub logs: SyncLogs,
    /// Days.
    pub snapshots: Snapshots,
    /// The latest of connections.
    pub figures: FiguresTable,
    /// Media, and what else was read of the account.
    pub ledger: Ledger,
    /// What the product is told.
    pub events: Events,
    /// What statistics cost.
    pub platforms: Platforms,
    /// The way out to platforms.
    pub wire: Arc<dyn Wire>,
    /// The platforms' limits.
    pub limiter: Limiter,
    /// For syncs that must wait.
    pub queue: InsightsQueue,
    /// What the deployment chose.
    pub settings: Settings,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// How a message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Synced {
    /// There was nothing to do: it was done before, the connection is gone, or another worker took it
    /// over.
    Nothing(&'static str),
    /// Another worker has it: the message must come again.
    Held,
    /// It waits for a limit; a new message comes then.
    Waits(Timestamp),
    /// It ended.
    Ended {
        /// On which platform.
        platform: Platform,
        /// What it failed of; what was read before that may be kept.
        fault: Option<Fault>,
        /// Whether a failure is one of the deployment, which alarms count.
        counts: bool,
        /// From its beginning to its end.
        took: Duration,
    },
}

/// A sync that this worker holds.
pub(crate) struct Held<'a> {
    pub(crate) message: &'a SyncMessage,
    pub(crate) at: Connection,
    pub(crate) log: SyncLog,
    pub(crate) platform: &'static dyn Statistics,
    /// When its reading began: what it is compared with others by.
    pub(crate) began: Timestamp,
}

impl Syncer {
    /// Runs the sync that `message` asks for. An error leaves it to be run again: the message must
    /// come again.
    pub async fn run(
        &self,
        apps: &Apps,
        message: &SyncMessage,
        deadline: Timestamp,
    ) -> Result<Synced, StatisticsError> {
        let (user, connection) = (&message.user_id, &message.connection_id);
        let found = self.tokens.connections().get(user, connection).await?;
        let Some(at) = found else {
            return Ok(Synced::Nothing("there is no such connection"));
        };
        let Some(platform) = platforms::statistics(at.platform) else {
            return Ok(Synced::Nothing("the platform has no statistics"));
        };
        let now = self.now();
        if message.sync_kind == SyncKind::Daily && is_read(&self.settings.calendar, &at, now) {
            self.put_off(&at, platform, now).await?;
            return Ok(Synced::Nothing("it was read today"));
        }
        let kind = match (message.sync_kind, at.stats_read_at) {
            (SyncKind::Daily, None) => SyncKind::First,
            (kind, _) => kind,
        };
        let holder = Holder::new(now, self.entropy.as_ref());
        let take = SyncTake {
            sync: &message.sync_id,
            connection,
            user,
            platform: at.platform,
            kind,
            holder: &holder,
            now,
            until: now + self.settings.lease,
        };
        let log = match self.logs.take(&take, &self.attempt()).await? {
            SyncTaken::Yes(log) => *log,
            SyncTaken::Ended => return Ok(Synced::Nothing("it was run before")),
            SyncTaken::Held(_) => return Ok(Synced::Held),
        };
        let held = Held {
            message,
            at,
            log,
            platform,
            began: now,
        };
        match self.held(apps, &held, deadline).await {
            Ok(synced) => Ok(synced),
            Err(error) => {
                // Given back, so that the message's next coming need not wait for the lease.
                if let Err(error) = self.logs.let_go(&held.log, &self.attempt()).await {
                    tracing::warn!(error = %error, "a sync was not given back");
                }
                Err(error)
            }
        }
    }

    async fn held(
        &self,
        apps: &Apps,
        held: &Held<'_>,
        deadline: Timestamp,
    ) -> Result<Synced, StatisticsError> {
        if held.at.status == ConnectionStatus::Disconnected {
            let fault = Fault::new(FaultKind::ReauthNeeded);
            return self.failed(held, fault, false).await;
        }
        if !self.settings.reads(held.at.platform) {
            return self.failed(held, switched_off(), false).await;
        }
        if !self.within_cap(held).await? {
            let until = self.settings.calendar.next_day(held.began);
            let fault = Fault::new(FaultKind::QuotaUsed).until(until).sentence(
                "The deployment's daily cost cap for this platform's statistics is reached.",
            );
            return self.failed(held, fault, false).await;
        }
        let reading = match self.read(apps, held, deadline).await? {
            Read::Reading(reading) => reading,
            Read::Failed(fault) => {
                let counts = counts(&fault);
                return self.failed(held, fault, counts).await;
            }
            Read::Waits(until) => return self.wait(held, until).await,
        };
        let fault = reading.fault.clone();
        match self.keep(held, &reading).await? {
            Kept::Yes | Kept::Superseded => {
                let counts = fault.as_ref().is_some_and(counts);
                Ok(self.ended(held, fault, counts))
            }
            Kept::Nothing => {
                let fault = fault.unwrap_or(Fault::new(FaultKind::OurBug));
                let counts = counts(&fault);
                self.failed(held, fault, counts).await
            }
            Kept::Gone => {
                let fault = Fault::new(FaultKind::ReauthNeeded);
                self.failed(held, fault, false).await
            }
            Kept::Lost => Ok(Synced::Nothing("another worker took it over")),
        }
    }

    /// Whether the platform's statistics may cost what this sync costs, counted as spent.
    async fn within_cap(&self, held: &Held<'_>) -> Result<bool, StatisticsError> {
        let cost = held.platform.budget().micros_per_sync;
        let Some(cap) = self.settings.caps.get(&held.at.platform) else {
            return Ok(true);
        };
        if cost == 0 {
            return Ok(true);
        }
        let day = self.settings.calendar.day(held.began);
        let (platform, attempt) = (held.at.platform, self.attempt());
        let spent = self.platforms.spend(platform, &day, cost, *cap, &attempt);
        Ok(spent.await?)
    }

    /// Ends a sync of which nothing is kept.
    async fn failed(
        &self,
        held: &Held<'_>,
        fault: Fault,
        counts: bool,
    ) -> Result<Synced, StatisticsError> {
        let now = self.now();
        if held.log.sync_kind != SyncKind::Targeted {
            let end = StatisticsEnd {
                read_at: None,
                ended_at: now,
                fault: Some(&fault),
                off: None,
                due_at: self.due_after(held, Some(&fault), now),
            };
            self.tokens
                .connections()
                .sync_failed(
                    &held.at.user_id,
                    &held.at.connection_id,
                    &end,
                    &self.attempt(),
                )
                .await?;
        }
        let end = SyncEnd {
            state: SyncState::Failed,
            at: now,
            rows: 0,
            fault: Some(fault.clone()),
            off: Default::default(),
        };
        self.logs
            .end_alone(&held.log, &end, &self.attempt())
            .await?;
        Ok(self.ended(held, Some(fault), counts))
    }

    /// When the connection is due next.
    pub(crate) fn due_after(
        &self,
        held: &Held<'_>,
        fault: Option<&Fault>,
        now: Timestamp,
    ) -> Timestamp {
        let spread = held.platform.budget().spread;
        let calendar = &self.settings.calendar;
        let slot = calendar.next_slot(&held.at.connection_id, spread, held.began);
        match fault {
            None => slot,
            Some(fault) => after_failure(fault, held.at.stats_failures, now, slot),
        }
    }

    /// Lets a sync wait until a limit allows it.
    async fn wait(&self, held: &Held<'_>, until: Timestamp) -> Result<Synced, StatisticsError> {
        if held.log.tries >= MOST_TRIES {
            let fault = Fault::new(FaultKind::RateLimited).until(until);
            return self.failed(held, fault, true).await;
        }
        self.logs.let_go(&held.log, &self.attempt()).await?;
        self.queue
            .send(held.message, until.since(self.now()))
            .await?;
        Ok(Synced::Waits(until))
    }

    /// Moves a connection that was read today on to its next turn, unless it was moved already.
    async fn put_off(
        &self,
        at: &Connection,
        platform: &dyn Statistics,
        now: Timestamp,
    ) -> Result<(), StatisticsError> {
        let Some(stats_due_at) = at.stats_due_at else {
            return Ok(());
        };
        let spread = platform.budget().spread;
        let slot = self
            .settings
            .calendar
            .next_slot(&at.connection_id, spread, now);
        let seen = DueStatistics {
            user_id: at.user_id.clone(),
            connection_id: at.connection_id.clone(),
            platform: at.platform,
            status: at.status,
            stats_due_at,
        };
        self.tokens
            .connections()
            .move_statistics(&seen, slot, &self.attempt())
            .await?;
        Ok(())
    }

    fn ended(&self, held: &Held<'_>, fault: Option<Fault>, counts: bool) -> Synced {
        let took = self.now().since(held.began);
        tracing::info!(
            connection.id = %held.at.connection_id,
            sync.id = %held.message.sync_id,
            platform = %held.at.platform,
            sync_kind = held.log.sync_kind.as_str(),
            elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            fault = fault.as_ref().map(tracing::field::display),
            "sync ended"
        );
        Synced::Ended {
            platform: held.at.platform,
            fault,
            counts,
            took,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn attempt(&self) -> AttemptId {
        AttemptId::new(self.now(), self.entropy.as_ref())
    }
}
