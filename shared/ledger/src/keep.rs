//! From facts to rows: read, merge, write under the revision that was read.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{
    Account, AttemptId, ConnectionId, Event, EventId, Fact, Kept, News, RecordKind, Telling,
    Timestamp, UserId, news,
};
use serde_json::json;
use store::{AccountHolders, RecordRow, RecordTable, StoreError, Transacted, Transaction};

use crate::{Ledger, Of, Outcome, Tally, Through};

/// Writes of one transaction; DynamoDB takes 100.
const MOST_WRITES: usize = 96;
/// Records of one transaction; DynamoDB takes 4 MB.
const MOST_RECORDS: usize = 40;
/// How often a transaction is tried against other writers of the same rows.
const TRIES: u32 = 12;

/// The facts of one record.
type Facts<'a> = (&'a str, Vec<&'a Fact>);

/// A record that is to be written.
struct Change {
    before: Option<RecordRow>,
    after: Kept,
    news: Option<News>,
}

/// How one try went.
enum Tried {
    Done(Tally),
    /// Others were at the same rows: read again.
    Again,
    /// The connection is no longer active.
    Gone,
}

impl Ledger {
    /// Merges `facts` into the records of an account. Each transaction is whole, all of them together
    /// are not: who dies in between keeps them again, and that changes nothing.
    pub async fn keep(
        &self,
        of: Of<'_>,
        through: Through<'_>,
        facts: &[Fact],
        telling: Telling,
    ) -> Result<Outcome, StoreError> {
        let mut grouped: BTreeMap<RecordKind, BTreeMap<&str, Vec<&Fact>>> = BTreeMap::new();
        for fact in facts.iter().filter(|fact| !fact.id.is_empty()) {
            let of_kind = grouped.entry(fact.kind).or_default();
            of_kind.entry(&fact.id).or_default().push(fact);
        }
        if grouped.is_empty() {
            return Ok(Outcome::Kept(Tally::default()));
        }
        let account = Account::key_of(of.app, of.account_id);
        let mut holders = self.accounts.get(&account).await?;
        let mut tally = Tally::default();
        for (kind, records) in grouped {
            let table = self.tables.of(kind).ok_or_else(|| {
                StoreError::Unavailable(format!("this function has no table of {}", kind.as_str()))
            })?;
            let records: Vec<Facts<'_>> = records.into_iter().collect();
            let writers = Keeping {
                ledger: self,
                of,
                account: &account,
                through,
                telling,
                table,
            };
            // Room for an event to each holder.
            let at_once = (MOST_WRITES / (1 + holders.holders().len())).clamp(1, MOST_RECORDS);
            for records in records.chunks(at_once) {
                match writers.keep(&mut holders, records).await? {
                    Some(kept) => {
                        tally.written += kept.written;
                        tally.told += kept.told;
                    }
                    None => return Ok(Outcome::Gone),
                }
            }
        }
        Ok(Outcome::Kept(tally))
    }
}

/// Keeping records of one noun.
struct Keeping<'a> {
    ledger: &'a Ledger,
    of: Of<'a>,
    account: &'a str,
    through: Through<'a>,
    telling: Telling,
    table: &'a RecordTable,
}

impl Keeping<'_> {
    /// Keeps some records at once; `None` where what they came through has ended.
    async fn keep(
        &self,
        holders: &mut AccountHolders,
        records: &[Facts<'_>],
    ) -> Result<Option<Tally>, StoreError> {
        let mut pause = Duration::from_millis(10);
        for _ in 0..TRIES {
            if holders.holders().is_empty() {
                return Ok(None);
            }
            match self.once(holders, records).await? {
                Tried::Done(tally) => return Ok(Some(tally)),
                Tried::Gone => return Ok(None),
                Tried::Again => {
                    let more = self.ledger.entropy.below(20);
                    tokio::time::sleep(pause + Duration::from_millis(more)).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                    *holders = self.ledger.accounts.get(self.account).await?;
                }
            }
        }
        Err(StoreError::Unavailable("conflict".to_owned()))
    }

    async fn once(
        &self,
        holders: &AccountHolders,
        records: &[Facts<'_>],
    ) -> Result<Tried, StoreError> {
        let ids: Vec<&str> = records.iter().map(|(id, _)| *id).collect();
        let mut before = self.table.read(self.account, &ids).await?;
        let changes = records
            .iter()
            .filter_map(|(id, facts)| self.change(before.remove(*id), facts));
        let changes: Vec<Change> = changes.collect();
        if changes.is_empty() {
            return Ok(Tried::Done(Tally::default()));
        }
        let now = self.ledger.clock.now();
        let attempt = AttemptId::new(now, self.ledger.entropy.as_ref());
        let mut transaction = self.guarded(Transaction::new(attempt), holders)?;
        for change in &changes {
            let of = (self.account, self.of.app.platform, self.of.account_id);
            let before = change.before.as_ref();
            transaction = self
                .table
                .write(transaction, of, before, &change.after, now)?;
        }
        let mut tally = Tally {
            written: changes.len(),
            told: 0,
        };
        for change in &changes {
            let Some(news) = &change.news else { continue };
            for (user, connection) in holders.holders() {
                let event = self.event(&change.after, news, &user, &connection, now);
                transaction = self.ledger.events.tell(transaction, &event)?;
                tally.told += 1;
            }
        }
        let client = self.ledger.connections.client();
        Ok(match (transaction.run(client).await?, self.through) {
            (Transacted::Done, _) => Tried::Done(tally),
            (Transacted::Refused(0), Through::Connection(..)) => Tried::Gone,
            (Transacted::Refused(_) | Transacted::Conflict, _) => Tried::Again,
        })
    }

    /// What `facts` change; nothing where they tell what is known.
    fn change(&self, before: Option<RecordRow>, facts: &[&Fact]) -> Option<Change> {
        let seen = before.as_ref().map(|row| &row.kept);
        let mut facts = facts.iter();
        let mut after = match seen {
            Some(kept) => kept.clone(),
            None => Kept::of(facts.next()?),
        };
        for fact in facts {
            after = after.with(fact);
        }
        if seen == Some(&after) {
            return None;
        }
        let news = news(seen, &after, self.telling);
        Some(Change {
            before,
            after,
            news,
        })
    }

    /// Begins with what must still be so: the connection is active, or the holders are those that the
    /// events are for.
    fn guarded(
        &self,
        transaction: Transaction,
        holders: &AccountHolders,
    ) -> Result<Transaction, StoreError> {
        match self.through {
            Through::Connection(user, connection) => {
                let connections = &self.ledger.connections;
                connections.still_active(transaction, user, connection)
            }
            Through::Account => self.ledger.accounts.unchanged(transaction, holders),
        }
    }

    fn event(
        &self,
        record: &Kept,
        news: &News,
        user: &UserId,
        connection: &ConnectionId,
        now: Timestamp,
    ) -> Event {
        Event {
            id: EventId::of(&[
                connection.as_str(),
                record.kind.as_str(),
                &record.id,
                news.kind.as_str(),
                &news.cause,
            ]),
            kind: news.kind,
            user_id: user.clone(),
            at: now,
            detail: json!({
                "connection_id": connection,
                "platform": self.of.app.platform,
                // No more of a person than the way to the record: an event outlives what is erased.
                (record.kind.as_str()): { "id": record.id, "at": record.listed_at().rfc3339() },
            }),
        }
    }
}
