//! Once a day, after the day's run: tries again what failed of something that may have passed.

use std::collections::BTreeSet;

use domain::{ConnectionStatus, SyncId, SyncKind, Timestamp};

use crate::dispatch::{Dispatch, Dispatched};
use crate::due::may_have_passed;
use crate::{StatisticsError, SyncMessage};

/// Failures of so long are looked at: the last day's, and a little more.
const SINCE_SECONDS: i64 = 26 * 3_600;
/// How many connections one pass takes.
const MOST: i32 = 1_000;

impl Dispatch {
    /// One pass, which begins nothing after `stop_at`. A second pass on the same day queues nothing
    /// more for what the first one queued, unless that failed again.
    pub async fn repair(&self, stop_at: Timestamp) -> Result<Dispatched, StatisticsError> {
        let now = self.clock.now();
        let failed = self
            .logs
            .failed(now.plus_secs(-SINCE_SECONDS), MOST)
            .await?;
        let mut seen = BTreeSet::new();
        let mut messages = Vec::new();
        for log in failed {
            if self.clock.now() >= stop_at {
                tracing::warn!("not all failed syncs were looked at in time");
                break;
            }
            if log.sync_kind == SyncKind::Targeted || !seen.insert(log.connection_id.clone()) {
                continue;
            }
            let found = self
                .connections
                .get(&log.user_id, &log.connection_id)
                .await?;
            let Some(at) = found.filter(|at| at.status == ConnectionStatus::Active) else {
                continue;
            };
            if !self.settings.reads(at.platform) || !may_have_passed(&at, now) {
                continue;
            }
            // The failure is the cause: it is repaired once.
            let cause = at.stats_ended_at.unwrap_or_default().millis().to_string();
            messages.push(SyncMessage {
                sync_id: SyncId::of(&["repair", at.connection_id.as_str(), &cause]),
                user_id: at.user_id,
                connection_id: at.connection_id,
                sync_kind: SyncKind::Repair,
                media: Vec::new(),
            });
        }
        let queued = self.queue.send_all(&messages).await?;
        Ok(Dispatched { queued, moved: 0 })
    }
}
