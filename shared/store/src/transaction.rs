//! Writes to several items that stand or fall together.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use domain::AttemptId;

use crate::StoreError;
use crate::item::Item;

/// Writes to be made together. The attempt id is the request token: the same transaction sent twice
/// by the SDK is made once.
#[derive(Debug)]
pub struct Transaction {
    attempt: AttemptId,
    writes: Vec<TransactWriteItem>,
    /// The places of writes that are left out where their item exists.
    once: Vec<usize>,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transacted {
    /// All of it stands.
    Done,
    /// None of it stands: the condition of the write at this place did not hold.
    Refused(usize),
    /// None of it stands: another writer was at one of the items at the same moment.
    Conflict,
}

impl Transaction {
    /// An empty transaction.
    pub fn new(attempt: AttemptId) -> Self {
        Self {
            attempt,
            writes: Vec::new(),
            once: Vec::new(),
        }
    }

    pub(crate) fn update(mut self, update: Update) -> Self {
        self.writes
            .push(TransactWriteItem::builder().update(update).build());
        self
    }

    pub(crate) fn put(mut self, put: Put) -> Self {
        self.writes
            .push(TransactWriteItem::builder().put(put).build());
        self
    }

    /// A put that is left out, and refuses nothing, where an item of that key exists: `key` is one of
    /// the table's key attributes. For rows whose id says that they are the same.
    pub(crate) fn put_once(mut self, mut put: Put, key: &str) -> Self {
        put.condition_expression = Some("attribute_not_exists(#key)".to_owned());
        put.expression_attribute_names = Some(HashMap::from([("#key".to_owned(), key.to_owned())]));
        self.once.push(self.writes.len());
        self.put(put)
    }

    pub(crate) fn delete(mut self, delete: Delete) -> Self {
        self.writes
            .push(TransactWriteItem::builder().delete(delete).build());
        self
    }

    pub(crate) fn check(mut self, check: ConditionCheck) -> Self {
        self.writes
            .push(TransactWriteItem::builder().condition_check(check).build());
        self
    }

    /// Makes the writes. Places count those that were put in.
    pub async fn run(self, client: &Client) -> Result<Transacted, StoreError> {
        let reasons = match send(client, self.attempt.as_str(), self.writes.clone()).await? {
            Ok(()) => return Ok(Transacted::Done),
            Err(reasons) => reasons,
        };
        let existing = self.existing(&reasons);
        if existing.is_empty() {
            return self.refused(&reasons);
        }
        // All that stood in the way are rows that are there already. The same request token with other
        // writes would be refused, so this is a request of its own; repeated, it is one again.
        let token = format!("{}-r", self.attempt);
        let kept: Vec<usize> = (0..self.writes.len())
            .filter(|place| !existing.contains(place))
            .collect();
        let writes = kept.iter().filter_map(|place| self.writes.get(*place));
        let reasons = match send(client, &token, writes.cloned().collect()).await? {
            Ok(()) => return Ok(Transacted::Done),
            Err(reasons) => reasons,
        };
        match outcome(&reasons) {
            // Told in the places of the whole.
            Some(Transacted::Refused(place)) => Ok(Transacted::Refused(
                kept.get(place).copied().unwrap_or(place),
            )),
            Some(other) => Ok(other),
            None => Err(StoreError::Unavailable("cancelled".to_owned())),
        }
    }

    /// What stood in the way beside rows that exist: those would have been left out.
    fn refused(&self, reasons: &[CancellationReason]) -> Result<Transacted, StoreError> {
        let reasons = reasons.iter().enumerate().map(|(place, reason)| {
            if self.once.contains(&place) && reason.code() == Some("ConditionalCheckFailed") {
                CancellationReason::builder().code("None").build()
            } else {
                reason.clone()
            }
        });
        let reasons: Vec<_> = reasons.collect();
        outcome(&reasons).ok_or(StoreError::Unavailable("cancelled".to_owned()))
    }

    /// The places of rows that exist, if nothing else stood in the way.
    fn existing(&self, reasons: &[CancellationReason]) -> Vec<usize> {
        let mut existing = Vec::new();
        for (place, reason) in reasons.iter().enumerate() {
            match reason.code() {
                None | Some("None") => {}
                Some("ConditionalCheckFailed") if self.once.contains(&place) => {
                    existing.push(place);
                }
                Some(_) => return Vec::new(),
            }
        }
        existing
    }
}

/// Sends the writes; the inner error is why DynamoDB made none of them.
async fn send(
    client: &Client,
    token: &str,
    writes: Vec<TransactWriteItem>,
) -> Result<Result<(), Vec<CancellationReason>>, StoreError> {
    let result = client
        .transact_write_items()
        .client_request_token(token)
        .set_transact_items(Some(writes))
        .send()
        .await;
    let error = match result {
        Ok(_) => return Ok(Ok(())),
        Err(error) => error,
    };
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
            let conflict = CancellationReason::builder().code("TransactionConflict");
            Ok(Err(vec![conflict.build()]))
        }
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled))
            if outcome(cancelled.cancellation_reasons()).is_some() =>
        {
            Ok(Err(cancelled.cancellation_reasons().to_vec()))
        }
        _ => Err(StoreError::unavailable(&error)),
    }
}

/// A refused condition outweighs a conflict: it stays refused when tried again.
fn outcome(reasons: &[CancellationReason]) -> Option<Transacted> {
    let at = |code: &str| {
        reasons
            .iter()
            .position(|reason| reason.code() == Some(code))
    };
    at("ConditionalCheckFailed")
        .map(Transacted::Refused)
        .or_else(|| at("TransactionConflict").map(|_| Transacted::Conflict))
}

/// A put under a condition on the item's own key.
pub(crate) fn put_new(table: &str, item: Item, key: &str) -> Result<Put, StoreError> {
    Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(#key)")
        .expression_attribute_names("#key", key)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .map_err(|error| malformed(table, &error))
}

pub(crate) fn put(table: &str, item: Item) -> Result<Put, StoreError> {
    Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .build()
        .map_err(|error| malformed(table, &error))
}

pub(crate) fn malformed(table: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Malformed {
        table: table.to_owned(),
        problem: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_that_exist_are_left_out() {
        let put = |key: &str| put("t", Item::new()).map(|put| (put, key.to_owned()));
        let mut transaction = Transaction::new(AttemptId::new(
            domain::Timestamp::default(),
            &domain::SeededEntropy::new(1),
        ));
        let (first, _) = put("a").unwrap();
        transaction = transaction.put(first);
        for _ in 0..2 {
            let (once, key) = put("id").unwrap();
            transaction = transaction.put_once(once, &key);
        }
        let refused = "ConditionalCheckFailed";
        for (codes, expected) in [
            (["None", refused, "None"], vec![1]),
            (["None", refused, refused], vec![1, 2]),
            ([refused, refused, "None"], vec![]),
            (["TransactionConflict", refused, "None"], vec![]),
            (["None", "ThrottlingError", refused], vec![]),
        ] {
            let reason = |code: &str| CancellationReason::builder().code(code).build();
            let reasons: Vec<_> = codes.iter().map(|code| reason(code)).collect();
            assert_eq!(transaction.existing(&reasons), expected, "{codes:?}");
        }
        let told = |codes: [&str; 3]| {
            let reasons = codes.map(|code| CancellationReason::builder().code(code).build());
            transaction.refused(&reasons)
        };
        assert_eq!(told([refused, refused, "None"]), Ok(Transacted::Refused(0)));
        let conflict = told(["TransactionConflict", refused, refused]);
        assert_eq!(conflict, Ok(Transacted::Conflict));
    }

    #[test]
    fn a_refused_condition_outweighs_a_conflict() {
        let reason = |code: &str| CancellationReason::builder().code(code).build();
        let table = [
            (
                vec!["None", "ConditionalCheckFailed"],
                Some(Transacted::Refused(1)),
            ),
            (
                vec!["TransactionConflict", "ConditionalCheckFailed"],
                Some(Transacted::Refused(1)),
            ),
            (
                vec!["None", "TransactionConflict"],
                Some(Transacted::Conflict),
            ),
            (vec!["ThrottlingError"], None),
        ];
        for (codes, expected) in table {
            let reasons: Vec<_> = codes.iter().map(|code| reason(code)).collect();
            assert_eq!(outcome(&reasons), expected, "{codes:?}");
        }
    }
}
