//! Writes to several items that stand or fall together.

use aws_sdk_dynamodb::Client;
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

    /// Makes the writes.
    pub async fn run(self, client: &Client) -> Result<Transacted, StoreError> {
        let result = client
            .transact_write_items()
            .client_request_token(self.attempt.as_str())
            .set_transact_items(Some(self.writes))
            .send()
            .await;
        let error = match result {
            Ok(_) => return Ok(Transacted::Done),
            Err(error) => error,
        };
        let reasons = match error.as_service_error() {
            Some(refused) if refused.is_transaction_in_progress_exception() => {
                return Ok(Transacted::Conflict);
            }
            Some(aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                cancelled.cancellation_reasons()
            }
            _ => return Err(StoreError::unavailable(&error)),
        };
        outcome(reasons).ok_or_else(|| StoreError::unavailable(&error))
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
