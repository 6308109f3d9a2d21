//! Between our types and DynamoDB's attribute maps.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// DynamoDB refuses items over 400 KB; some emulators do not.
pub(crate) const MAX_ITEM_BYTES: usize = 400 * 1024;

pub(crate) fn read<T: DeserializeOwned>(table: &str, item: Item) -> Result<T, StoreError> {
    serde_dynamo::from_item(item).map_err(|error| StoreError::Malformed {
        table: table.to_owned(),
        problem: error.to_string(),
    })
}

pub(crate) fn write<T: Serialize>(table: &str, value: &T) -> Result<Item, StoreError> {
    let item: Item = serde_dynamo::to_item(value).map_err(|error| StoreError::Malformed {
        table: table.to_owned(),
        problem: error.to_string(),
    })?;
    if size(&item) > MAX_ITEM_BYTES {
        return Err(StoreError::TooLarge(table.to_owned()));
    }
    Ok(item)
}

/// One value as DynamoDB holds it. Types of ours always have a form there.
pub(crate) fn value<T: Serialize>(value: T) -> AttributeValue {
    serde_dynamo::to_attribute_value(value).unwrap_or(AttributeValue::Null(true))
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// The keys of an item, for calls that name one.
pub(crate) fn key<const N: usize>(pairs: [(&str, &str); N]) -> Item {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), text(value)))
        .collect()
}

/// The size by DynamoDB's own way of counting, on the safe side.
pub(crate) fn size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + size_of_value(value))
        .sum()
}

fn size_of_value(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(_) => 21,
        AttributeValue::B(blob) => blob.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::L(list) => 3 + list.iter().map(|one| 1 + size_of_value(one)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.len() + size(map),
        _ => 1,
    }
}
