//! From a reading to the tables.
//!
//! Records go first, in transactions that each check the connection; the last transaction ends the sync
//! together with the day's entry, the latest figures, the connection's own row and the event. A
//! worker that dies in between leaves media that the next try writes anew.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{
    ConnectionStatus, Event, EventId, EventKind, Fact, MediaTotals, Record, Snapshot, SyncKind,
    Telling,
};
use ledger::{Of, Through};
use platforms::{Extent, Reading};
use serde_json::json;
use store::connections::StatisticsEnd;
use store::sync_logs::{SyncEnd, SyncState};
use store::{Transacted, Transaction};

use crate::StatisticsError;
use crate::sync::{Held, Syncer};

/// How often a transaction is tried against other writers of the same items.
const TRIES: u32 = 8;

/// How keeping a reading went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It stands.
    Yes,
    /// There is nothing in it.
    Nothing,
    /// A reading that was begun later stands.
    Superseded,
    /// The connection is no longer active: nothing more is written for it.
    Gone,
    /// Another worker has taken the sync over.
    Lost,
}

/// What a part of a transaction was refused for, by its place.
enum Tried {
    Done,
    Refused(usize),
}

impl Syncer {
    /// Writes what was read.
    pub(crate) async fn keep(
        &self,
        held: &Held<'_>,
        reading: &Reading,
    ) -> Result<Kept, StatisticsError> {
        let read_nothing = reading.account.is_none() && reading.media.is_empty();
        if read_nothing && reading.fault.is_some() {
            return Ok(Kept::Nothing);
        }
        if !self.keep_records(held, reading).await? {
            return Ok(Kept::Gone);
        }
        self.keep_end(held, reading).await
    }

    /// `false`: the connection is no longer active.
    async fn keep_records(
        &self,
        held: &Held<'_>,
        reading: &Reading,
    ) -> Result<bool, StatisticsError> {
        let at = &held.at;
        let media = reading.media.iter().map(|item| item.fact(held.began));
        let facts: Vec<Fact> = media.chain(reading.records.iter().cloned()).collect();
        let of = Of {
            app: at.account.app(),
            account_id: &at.account.id,
        };
        let through = Through::Connection(&at.user_id, &at.connection_id);
        // A reading meets what was there before anybody was to be told of it.
        let telling = Telling::Since {
            at: at.created_at,
            timeless: at.stats_read_at.is_some(),
        };
        let kept = self.ledger.keep(of, through, &facts, telling).await?;
        Ok(matches!(kept, ledger::Outcome::Kept(_)))
    }

    async fn keep_end(&self, held: &Held<'_>, reading: &Reading) -> Result<Kept, StatisticsError> {
        let now = self.now();
        let targeted = held.log.sync_kind == SyncKind::Targeted;
        let snapshot = snapshot(reading, targeted);
        let off: BTreeMap<String, String> = reading
            .off
            .iter()
            .map(|off| (off.part.to_owned(), off.scope.to_owned()))
            .collect();
        let fault = reading.fault.as_ref();
        let end = SyncEnd {
            state: match fault {
                None => SyncState::Done,
                Some(_) => SyncState::Failed,
            },
            at: now,
            rows: rows(reading),
            fault: fault.cloned(),
            off: off.clone(),
        };
        let connection_end = StatisticsEnd {
            read_at: Some(held.began),
            ended_at: now,
            fault,
            off: Some(&off),
            due_at: self.due_after(held, fault, now),
        };
        let event = self.event(held, reading);
        let build = |transaction: Transaction| {
            let (user, connection) = (&held.at.user_id, &held.at.connection_id);
            let connections = self.tokens.connections();
            let began = held.began;
            let of = (connection, held.at.platform);
            let day = self.settings.calendar.day(began);
            let transaction = if targeted {
                connections.still_active(transaction, user, connection)?
            } else {
                connections.synced(transaction, user, connection, &connection_end)?
            };
            let transaction = self.logs.end(transaction, &held.log, &end)?;
            let transaction =
                self.snapshots
                    .write(transaction, user, connection, &day, began, &snapshot)?;
            let transaction = self
                .figures
                .write_latest(transaction, user, of, began, &snapshot)?;
            self.events.tell(transaction, &event)
        };
        match self.transact(build).await? {
            Tried::Done => Ok(Kept::Yes),
            Tried::Refused(1) => Ok(Kept::Lost),
            Tried::Refused(0) if !self.is_active(held).await? => Ok(Kept::Gone),
            Tried::Refused(_) => {
                let end = SyncEnd {
                    state: SyncState::Superseded,
                    ..end
                };
                self.logs
                    .end_alone(&held.log, &end, &self.attempt())
                    .await?;
                Ok(Kept::Superseded)
            }
        }
    }

    async fn is_active(&self, held: &Held<'_>) -> Result<bool, StatisticsError> {
        let (user, connection) = (&held.at.user_id, &held.at.connection_id);
        let found = self.tokens.connections().get(user, connection).await?;
        Ok(found.is_some_and(|at| at.status == ConnectionStatus::Active))
    }

    /// Runs a transaction against other writers of its items. It has one attempt id: should its answer
    /// get lost, the same writes are found to be made.
    async fn transact(
        &self,
        build: impl Fn(Transaction) -> Result<Transaction, store::StoreError>,
    ) -> Result<Tried, StatisticsError> {
        let mut pause = Duration::from_millis(20);
        for _ in 0..TRIES {
            let transaction = build(Transaction::new(self.attempt()))?;
            let client = self.tokens.connections().client();
            match transaction.run(client).await? {
                Transacted::Done => return Ok(Tried::Done),
                Transacted::Refused(place) => return Ok(Tried::Refused(place)),
                Transacted::Conflict => {
                    let more = self.entropy.below(20);
                    tokio::time::sleep(pause + Duration::from_millis(more)).await;
                    pause *= 2;
                }
            }
        }
        Err(store::StoreError::Unavailable("conflict".to_owned()).into())
    }

    fn event(&self, held: &Held<'_>, reading: &Reading) -> Event {
        let (sync, connection) = (&held.message.sync_id, &held.at.connection_id);
        Event {
            id: EventId::of(&[
                sync.as_str(),
                connection.as_str(),
                EventKind::StatsUpdated.as_str(),
            ]),
            kind: EventKind::StatsUpdated,
            user_id: held.at.user_id.clone(),
            at: self.now(),
            detail: json!({
                "connection_id": connection,
                "platform": held.at.platform,
                "sync_id": sync,
                "sync_kind": held.log.sync_kind,
                "day": self.settings.calendar.day(held.began),
                "read_at": held.began.rfc3339(),
                "account": reading.account.is_some(),
                "media": reading.media.len(),
                "whole": reading.fault.is_none(),
            }),
        }
    }
}

/// What a reading says of the day: no sum is made of media that were not all read.
fn snapshot(reading: &Reading, targeted: bool) -> Snapshot {
    let media = match reading.extent {
        _ if targeted => None,
        Extent::Unfinished => None,
        Extent::Newest => Some(MediaTotals::of(&reading.media, false)),
        Extent::Whole => Some(MediaTotals::of(&reading.media, true)),
    };
    Snapshot {
        account: reading.account.clone().filter(|_| !targeted),
        media,
    }
}

fn rows(reading: &Reading) -> u64 {
    let records = reading.media.len() + reading.records.len();
    u64::try_from(records).unwrap_or(u64::MAX) + u64::from(reading.account.is_some())
}

#[cfg(test)]
mod tests {
    use domain::{Figures, MediaItem};

    use super::*;

    #[test]
    fn a_sum_is_made_of_media_that_were_read_to_the_end_alone() {
        let medium = MediaItem {
            figures: Some(Figures {
                views: Some(7),
                ..Figures::default()
            }),
            ..MediaItem::default()
        };
        let reading = |extent| Reading {
            account: Some(Figures::default()),
            media: vec![medium.clone(), medium.clone()],
            extent,
            ..Reading::default()
        };
        for (extent, targeted, whole) in [
            (Extent::Unfinished, false, None),
            (Extent::Newest, false, Some(false)),
            (Extent::Whole, false, Some(true)),
            (Extent::Whole, true, None),
        ] {
            let snapshot = snapshot(&reading(extent), targeted);
            assert_eq!(snapshot.account.is_some(), !targeted, "{extent:?}");
            let totals = snapshot.media;
            assert_eq!(
                totals.as_ref().map(|totals| totals.whole),
                whole,
                "{extent:?}"
            );
            if let Some(totals) = totals {
                assert_eq!((totals.count, totals.figures.views), (2, Some(14)));
            }
        }
        assert_eq!(rows(&reading(Extent::Whole)), 3);
    }
}
