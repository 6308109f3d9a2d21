//! The record of every AWS call of every function.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tokio::sync::watch;

use crate::iam::RequestContext;

/// One finished call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The calling function's short name.
    pub function: String,
    /// The API called, such as `dynamodb:TransactWriteItems` or `s3:UploadPart`.
    pub action: String,
    /// What IAM asks for: (action, resource ARN) pairs.
    pub needs: Vec<(String, String)>,
    /// The KMS encryption context.
    pub encryption_context: BTreeMap<String, String>,
    /// Further context keys that conditions may ask for (`ses:FromAddress`).
    pub keys: BTreeMap<String, String>,
    /// The HTTP status that the caller got; 0 where it got none.
    pub status: u16,
    /// When the request's head was there.
    pub started: Instant,
    /// From the request's head to the answer's head.
    pub elapsed: Duration,
    /// Made by Lambda's poller under the function's role, not by the function's code.
    pub by_poller: bool,
}

impl Call {
    /// The context keys that conditions of policies may ask for.
    pub fn context(&self) -> RequestContext {
        let mut context = RequestContext::new();
        context.insert("aws:SecureTransport".to_owned(), vec!["true".to_owned()]);
        if !self.encryption_context.is_empty() {
            let keys = self.encryption_context.keys().cloned().collect();
            context.insert("kms:EncryptionContextKeys".to_owned(), keys);
        }
        for (name, value) in &self.keys {
            context.insert(name.clone(), vec![value.clone()]);
        }
        for (name, value) in &self.encryption_context {
            context.insert(format!("kms:EncryptionContext:{name}"), vec![value.clone()]);
        }
        context
    }

    /// Whether one of the ARNs it touched contains `part`.
    pub fn touches(&self, part: &str) -> bool {
        self.needs
            .iter()
            .any(|(_, resource)| resource.contains(part))
    }

    #[cfg(test)]
    pub(crate) fn for_test(function: &str, needs: &[(&str, &str)]) -> Self {
        Self {
            function: function.to_owned(),
            action: needs
                .first()
                .map(|(action, _)| (*action).to_owned())
                .unwrap_or_default(),
            needs: needs
                .iter()
                .map(|(a, r)| ((*a).to_owned(), (*r).to_owned()))
                .collect(),
            encryption_context: BTreeMap::new(),
            keys: BTreeMap::new(),
            status: 200,
            started: Instant::now(),
            elapsed: Duration::ZERO,
            by_poller: false,
        }
    }
}

/// Calls in the order in which they finished.
#[derive(Debug)]
pub struct Record {
    calls: Mutex<Vec<Call>>,
    count: watch::Sender<usize>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
            count: watch::Sender::new(0),
        }
    }
}

impl Record {
    /// Adds a call.
    pub fn add(&self, call: Call) {
        self.lock().push(call);
        self.count.send_modify(|count| *count += 1);
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().clone()
    }

    /// All calls that one function's code made so far.
    pub fn of(&self, function: &str) -> Vec<Call> {
        let by = |call: &&Call| call.function == function && !call.by_poller;
        self.lock().iter().filter(by).cloned().collect()
    }

    /// All calls made under one function's role so far, those of its event sources included.
    pub fn under_role_of(&self, function: &str) -> Vec<Call> {
        self.lock()
            .iter()
            .filter(|call| call.function == function)
            .cloned()
            .collect()
    }

    /// Forgets all calls, so that a test counts from here.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Waits until at least `count` calls match, for at most `bound`.
    pub async fn wait(
        &self,
        count: usize,
        bound: Duration,
        matches: impl Fn(&Call) -> bool,
    ) -> Result<()> {
        let mut changes = self.count.subscribe();
        let seen = || self.lock().iter().filter(|call| matches(call)).count();
        let enough = async {
            loop {
                changes.borrow_and_update();
                if seen() >= count || changes.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(bound, enough).await.is_err() {
            bail!("only {} of {count} awaited calls within {bound:?}", seen());
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
