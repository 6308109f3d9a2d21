//! Writes the audit trail where the change is no transaction of ours; where it is one, the row is
//! part of it (`store::Events::audited`).
//!
//! Two ways, by who acts. What users and products do is noted right after: a row that cannot be
//! written is logged, since what was done cannot be taken back. What an operator does is noted
//! *before* and completed after: nothing is done that the trail does not show, and a row that stays
//! `begun` belongs to a process that died midway.

use std::sync::Arc;

use domain::{Act, AuditId, Clock, Entropy, Outcome, UserId, Who};
use store::{AuditEntry, AuditTable, StoreError};

/// The audit trail's pen.
#[derive(Clone)]
pub struct Trail {
    table: AuditTable,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// What is to be noted. Never a secret, never a platform's raw text.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    /// Who acts.
    pub who: &'a Who,
    /// What is done.
    pub act: Act,
    /// Whom it concerns, where it concerns one user.
    pub user: Option<&'a UserId>,
    /// On what: an id of ours, or a name out of template.yaml.
    pub object: Option<&'a str>,
}

/// An act that is noted as begun. Complete it with [`Trail::end`].
#[derive(Clone, Debug)]
#[must_use = "a row that stays `begun` says that the process died"]
pub struct Begun(AuditEntry);

impl Trail {
    /// Over the table.
    pub fn new(table: AuditTable, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            table,
            clock,
            entropy,
        }
    }

    /// Notes what was done. A failure is logged and changes nothing.
    pub async fn note(&self, deed: &Deed<'_>) {
        let entry = self.entry(deed, Outcome::Done);
        self.write(&entry).await;
    }

    /// Notes what is about to be done; who cannot note it must not do it.
    pub async fn begin(&self, deed: &Deed<'_>) -> Result<Begun, StoreError> {
        let entry = self.entry(deed, Outcome::Begun);
        self.table.put(&entry).await?;
        Ok(Begun(entry))
    }

    /// Completes the row; `note` is a code or a number of ours. A failure is logged: the row stays
    /// `begun`.
    pub async fn end(&self, begun: Begun, outcome: Outcome, note: Option<String>) {
        let entry = AuditEntry {
            outcome,
            note,
            ..begun.0
        };
        self.write(&entry).await;
    }

    async fn write(&self, entry: &AuditEntry) {
        if let Err(error) = self.table.put(entry).await {
            tracing::error!(
                act = entry.act.as_str(),
                object = entry.object.as_deref(),
                error = %error,
                "an act is missing in the audit trail"
            );
        }
    }

    fn entry(&self, deed: &Deed<'_>, outcome: Outcome) -> AuditEntry {
        let now = self.clock.now();
        AuditEntry {
            id: AuditId::new(now, &*self.entropy).to_string(),
            at: now,
            who: deed.who.clone(),
            act: deed.act,
            user_id: deed.user.cloned(),
            object: deed.object.map(str::to_owned),
            outcome,
            note: None,
        }
    }
}
