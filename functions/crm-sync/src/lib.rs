//! Follows the tables' streams and writes rows to PostgreSQL.
//!
//! What becomes of a record:
//! - it is written, and of each item only the newest counts, however batches come;
//! - it can never be written (its item cannot be read, its row is refused): a letter without its
//!   content goes to the dead letters, and the others go on;
//! - PostgreSQL is in trouble: the batch is tried again for half of the function's time and then comes
//!   again, until PostgreSQL is back. Nothing is given up for that here; what the event source gives up
//!   by age lies with the same dead letters, and a backfill makes up for it.
//!
//! `{"command": "migrate"}` brings the schema up to this version and answers with it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crm::{Change, CrmError, Database, Poison, Record};
use domain::metric::{CRM_CHANGES, CRM_LAG, CRM_POISONED, CRM_PUT_OFF};
use domain::{Clock, Labels, Meter, Timestamp};
use lambda::Error;
use lambda::stream::{Call, Ended};
use serde_json::json;
use store::stream::Source;

/// The first pause before PostgreSQL is tried again; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How often what no stream can contradict any more is forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(3_600);

/// What the handler needs.
pub struct CrmSync {
    /// The projection.
    pub database: Database,
    /// The followed tables by their names.
    pub sources: BTreeMap<String, Source>,
    /// The queues' client.
    pub sqs: aws_sdk_sqs::Client,
    /// The URL of the dead letters.
    pub dead_letters: String,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where figures go.
    pub meter: Arc<dyn Meter>,
    /// When old removals were last forgotten; not yet by this process.
    pub tidied_at: Mutex<Option<Timestamp>>,
}

/// A record that will never become a row.
struct Dead {
    table: String,
    item: Option<String>,
    sequence: String,
    event_id: Option<String>,
    why: Poison,
}

/// A command that this function does not know.
#[derive(Debug, thiserror::Error)]
#[error("the command is not known; it may be migrate")]
struct NoCommand;

impl CrmSync {
    /// One call.
    pub async fn handle(&self, call: Call<Record>) -> Result<Ended, Error> {
        match call {
            Call::Batch { records, deadline } => Ok(self.batch(records, deadline).await),
            Call::Command(command) if command["command"] == "migrate" => {
                let version = self.database.migrate().await?;
                Ok(Ended::Answer(json!({"version": version})))
            }
            Call::Command(_) => Err(NoCommand.into()),
        }
    }

    async fn batch(&self, records: Vec<Record>, deadline: Timestamp) -> Ended {
        let Some(first) = records.first() else {
            return Ended::Done;
        };
        let first = first.dynamodb.sequence_number.clone();
        let oldest = records.iter().map(Record::at).min().unwrap_or_default();
        let (changes, mut dead) = self.read(&records);
        let count = changes.len();
        let applied = self.apply(changes, deadline).await;
        let lag = self.clock.now().since(oldest).as_secs_f64();
        let refused = match applied {
            Ok(refused) => refused,
            Err(error) => {
                self.meter
                    .put(&[(&CRM_PUT_OFF, 1.0), (&CRM_LAG, lag)], Labels::NONE);
                let records = records.len();
                let error = lambda::logging::chain(&error).to_string();
                tracing::warn!(
                    records,
                    error,
                    "PostgreSQL did not take the batch; it comes again"
                );
                return Ended::From(first);
            }
        };
        dead.extend(refused.into_iter().map(|(change, why)| Dead {
            table: change.source.as_str().to_owned(),
            item: Some(change.item),
            sequence: change.sequence.as_str().to_owned(),
            event_id: None,
            why,
        }));
        for one in &dead {
            if let Err(error) = self.bury(one).await {
                tracing::error!(
                    error,
                    "the dead letters take nothing; the batch comes again"
                );
                return Ended::From(first);
            }
        }
        let written = count.saturating_sub(dead.len());
        let figures = [
            (&CRM_CHANGES, written as f64),
            (&CRM_LAG, lag),
            (&CRM_POISONED, dead.len() as f64),
        ];
        self.meter.put(&figures, Labels::NONE);
        self.tidy().await;
        Ended::Done
    }

    /// What the records ask for. A record that cannot be read, or whose reading panics, is dead and
    /// takes no other with it.
    fn read(&self, records: &[Record]) -> (Vec<Change>, Vec<Dead>) {
        let (mut changes, mut dead) = (Vec::new(), Vec::new());
        for record in records {
            let source = self.sources.get(record.table());
            // Nothing is shared but what is only read.
            let read = catch_unwind(AssertUnwindSafe(|| match source {
                Some(source) => record.change(*source),
                None => Err(Poison::Record),
            }));
            match read.unwrap_or(Err(Poison::Panicked)) {
                Ok(change) => changes.extend(change),
                Err(why) => dead.push(Dead {
                    table: source
                        .map_or(record.table(), |source| source.as_str())
                        .to_owned(),
                    item: None,
                    sequence: record.dynamodb.sequence_number.clone(),
                    event_id: Some(record.id.clone()),
                    why,
                }),
            }
        }
        (changes, dead)
    }

    /// Writes, and tries again while half of the function's time is left: a pause here costs less than
    /// Lambda's own repeating.
    async fn apply(
        &self,
        changes: Vec<Change>,
        deadline: Timestamp,
    ) -> Result<Vec<(Change, Poison)>, CrmError> {
        let now = self.clock.now();
        let until = now + deadline.since(now) / 2;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.database.apply(changes.clone()).await {
                Ok(refused) => return Ok(refused),
                Err(error) => error,
            };
            if self.clock.now() + pause >= until {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// Keeps a letter that says which record it was, not what it held: the item may be a person's, and
    /// its table has it.
    async fn bury(&self, dead: &Dead) -> Result<(), String> {
        let why = dead.why.to_string();
        tracing::error!(
            table = dead.table,
            item = dead.item,
            sequence = dead.sequence,
            event_id = dead.event_id,
            why,
            "a record cannot become a row"
        );
        let letter = json!({
            "kind": "crm_record",
            "table": dead.table,
            "item": dead.item,
            "sequence": dead.sequence,
            "event_id": dead.event_id,
            "reason": dead.why.code(),
        });
        let sent = self.sqs.send_message().queue_url(&self.dead_letters);
        let sent = sent.message_body(letter.to_string()).send().await;
        sent.map(drop)
            .map_err(|error| lambda::logging::chain(&error).to_string())
    }

    async fn tidy(&self) {
        let now = self.clock.now();
        let due = {
            let mut at = self
                .tidied_at
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let due = at.is_none_or(|at| now.since(at) >= TIDY_EVERY);
            if due {
                *at = Some(now);
            }
            due
        };
        if !due {
            return;
        }
        // Another time will do.
        if let Err(error) = self.database.forget_old_removals().await {
            let error = lambda::logging::chain(&error).to_string();
            tracing::warn!(error, "old removals were not forgotten");
        }
    }
}
