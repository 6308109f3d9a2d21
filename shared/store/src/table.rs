//! Reads and conditional writes of one item, as every table uses them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, ReturnValue, ReturnValuesOnConditionCheckFailure, WriteRequest,
};
use domain::AttemptId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::expression::Change;
use crate::item::{self, Item};
use crate::transaction::malformed;
use crate::{StoreError, Written};

/// The attribute in which an item remembers the last conditional write.
const ATTEMPT: &str = "attempt";

/// How often a write that meets a transaction on the same item is tried.
const CONFLICT_TRIES: usize = 4;

/// Requests of one BatchWriteItem.
const BATCH: usize = 25;
/// How often what a batch left undone is asked for again.
const BATCH_TRIES: u32 = 5;

/// The DynamoDB client and one table's name: what every table type holds.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Table {
    pub(crate) fn new(client: Client, name: impl Into<String>) -> Self {
        Self {
            client,
            name: name.into(),
        }
    }

    /// The item as last written; strongly consistent.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        key: Item,
    ) -> Result<Option<T>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        answer
            .item
            .map(|item| item::read(&self.name, item))
            .transpose()
    }

    /// Writes the whole item.
    pub(crate) async fn put<T: Serialize>(&self, value: &T) -> Result<(), StoreError> {
        self.client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item::write(&self.name, value)?))
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        Ok(())
    }

    /// Changes the item if the condition holds, and gives the new item; else what stands (`None`
    /// where nothing does). A refusal by our own first try, whose answer the SDK did not get, is
    /// recognised by the attempt id and counts as done.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        key: Item,
        change: Change,
        attempt: &AttemptId,
    ) -> Result<Written<T, Option<T>>, StoreError> {
        let change = change.set(ATTEMPT, item::text(attempt.as_str()));
        change.fitting(&self.name)?;
        let mut error = None;
        for _ in 0..CONFLICT_TRIES {
            match self.change_once(&key, &change, attempt).await? {
                Ok(written) => return Ok(written),
                Err(conflict) => error = Some(conflict),
            }
        }
        Err(error.unwrap_or_else(|| StoreError::Unavailable("conflict".to_owned())))
    }

    /// One try; the inner error is a transaction on the same item at the same moment, which the SDK
    /// does not try again.
    async fn change_once<T: DeserializeOwned>(
        &self,
        key: &Item,
        change: &Change,
        attempt: &AttemptId,
    ) -> Result<Result<Written<T, Option<T>>, StoreError>, StoreError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.clone()))
            .update_expression(change.expression())
            .set_condition_expression(change.condition())
            .set_expression_attribute_names(change.names())
            .set_expression_attribute_values(change.values())
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match result {
            Ok(answer) => {
                let item = answer.attributes.unwrap_or_default();
                return Ok(Ok(Written::Done(item::read(&self.name, item)?)));
            }
            Err(error) => error,
        };
        let refused = match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => refused,
            Some(UpdateItemError::TransactionConflictException(_)) => {
                return Ok(Err(StoreError::unavailable(&error)));
            }
            _ => return Err(StoreError::unavailable(&error)),
        };
        let Some(old) = refused.item().cloned() else {
            return Ok(Ok(Written::Refused(None)));
        };
        let ours = old.get(ATTEMPT) == Some(&AttributeValue::S(attempt.as_str().to_owned()));
        let old = item::read(&self.name, old)?;
        Ok(Ok(if ours {
            Written::Done(old)
        } else {
            Written::Refused(Some(old))
        }))
    }

    /// The items of one partition in the order of their sort key, from after `after`; with the sort
    /// key from which to go on, if there is more.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        partition: (&str, &str),
        sort: &str,
        page: Page<'_>,
    ) -> Result<(Vec<T>, Option<String>), StoreError> {
        let mut condition = "#partition = :partition".to_owned();
        let mut query = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .expression_attribute_names("#partition", partition.0)
            .expression_attribute_values(":partition", item::text(partition.1))
            .scan_index_forward(!page.newest_first)
            .limit(page.limit);
        if let Some(prefix) = page.prefix {
            condition.push_str(" AND begins_with(#sort, :prefix)");
            query = query
                .expression_attribute_names("#sort", sort)
                .expression_attribute_values(":prefix", item::text(prefix));
        }
        if let Some(after) = page.after {
            query = query.set_exclusive_start_key(Some(item::key([partition, (sort, after)])));
        }
        let answer = query
            .key_condition_expression(condition)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        let next = answer
            .last_evaluated_key
            .and_then(|mut key| match key.remove(sort) {
                Some(AttributeValue::S(text)) => Some(text),
                _ => None,
            });
        let items = answer.items.unwrap_or_default();
        let items = items
            .into_iter()
            .map(|item| item::read(&self.name, item))
            .collect::<Result<_, _>>()?;
        Ok((items, next))
    }

    /// Deletes the item, whatever it holds.
    pub(crate) async fn delete(&self, key: Item) -> Result<(), StoreError> {
        self.client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key))
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        Ok(())
    }

    /// Deletes the item if the change's condition holds; `false` where it does not.
    pub(crate) async fn delete_if(&self, key: Item, change: Change) -> Result<bool, StoreError> {
        let deleted = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key))
            .set_condition_expression(change.condition())
            .set_expression_attribute_names(change.names())
            .set_expression_attribute_values(change.values())
            .send()
            .await;
        match deleted {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(StoreError::unavailable(&error)),
            },
        }
    }

    /// Deletes the items of these keys, whatever they hold; one that is not there is deleted already.
    pub(crate) async fn delete_all(&self, keys: Vec<Item>) -> Result<(), StoreError> {
        let mut wanted = Vec::with_capacity(keys.len());
        for key in keys {
            let delete = DeleteRequest::builder().set_key(Some(key)).build();
            let delete = delete.map_err(|error| malformed(&self.name, &error))?;
            wanted.push(WriteRequest::builder().delete_request(delete).build());
        }
        for batch in wanted.chunks(BATCH) {
            self.write_batch(batch.to_vec()).await?;
        }
        Ok(())
    }

    async fn write_batch(&self, mut wanted: Vec<WriteRequest>) -> Result<(), StoreError> {
        for _ in 0..BATCH_TRIES {
            if wanted.is_empty() {
                return Ok(());
            }
            let answer = self
                .client
                .batch_write_item()
                .request_items(&self.name, wanted)
                .send()
                .await
                .map_err(|error| StoreError::unavailable(&error))?;
            let left = answer.unprocessed_items;
            wanted = left
                .and_then(|mut all| all.remove(&self.name))
                .unwrap_or_default();
        }
        match wanted.is_empty() {
            true => Ok(()),
            false => Err(StoreError::Unavailable("unprocessed deletes".to_owned())),
        }
    }
}

/// Which part of a partition is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Page<'a> {
    pub(crate) prefix: Option<&'a str>,
    pub(crate) after: Option<&'a str>,
    pub(crate) limit: i32,
    pub(crate) newest_first: bool,
}
