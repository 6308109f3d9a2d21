//! Queries and scans.

use serde_json::{Value, json};

use super::condition::Condition;
use super::database::{Database, known};
use super::names::Names;
use super::table::{Index, Place};
use super::{Item, value};
use crate::Refusal;

/// DynamoDB reads this much for one page.
const PAGE_BYTES: usize = 1_048_576;

impl Database {
    pub(super) fn query(&mut self, body: &Value) -> Result<Value, Refusal> {
        known(
            body,
            &[
                "TableName",
                "IndexName",
                "ConsistentRead",
                "KeyConditionExpression",
                "FilterExpression",
                "ExpressionAttributeNames",
                "ExpressionAttributeValues",
                "ScanIndexForward",
                "Limit",
                "ExclusiveStartKey",
                "Select",
                "ProjectionExpression",
            ],
        )?;
        let names = Names::of(body)?;
        let wanted = body["KeyConditionExpression"].as_str().unwrap_or_default();
        let wanted = Condition::read(wanted, &names)?;
        let filter = body["FilterExpression"].as_str();
        let filter = filter
            .map(|text| Condition::read(text, &names))
            .transpose()?;
        let shown = names.projection(body)?;
        names.all_used()?;
        let table = self.table(body)?;
        let own = table.spec.clone();
        let index = match body["IndexName"].as_str() {
            None => None,
            Some(name) => {
                if body["ConsistentRead"] == json!(true) {
                    let sentence = "Consistent reads are not supported on global secondary indexes";
                    return Err(Refusal::invalid(sentence));
                }
                let mut indexes = own.indexes.iter().enumerate();
                let index = indexes.find(|(_, index)| index.name == name);
                let sentence = "The table does not have the specified index";
                Some(index.ok_or_else(|| Refusal::invalid(sentence))?)
            }
        };
        let (hash, range) = match index {
            Some((_, index)) => (&index.hash, index.range.as_deref()),
            None => (&own.hash, own.range.as_deref()),
        };
        let (partition, on_range) = wanted.of_keys(hash, range)?;
        let own_text = table.key_text(hash, &partition)?;
        let rows: Vec<((String, Place), Item)> = match index {
            Some((number, _)) => table.view(number, &own_text).into_iter().collect(),
            None => {
                let own = own_text;
                let items = table.items.range((own.clone(), String::new())..);
                items
                    .take_while(|(place, _)| place.0 == own)
                    .map(|(place, item)| ((place.1.clone(), place.clone()), item.clone()))
                    .collect()
            }
        };
        let here = rows.into_iter().filter(|(_, item)| {
            item.get(hash)
                .is_some_and(|found| value::same(found, &partition))
                && on_range
                    .as_ref()
                    .is_none_or(|condition| condition.holds(item))
        });
        let after = match body.get("ExclusiveStartKey").filter(|key| !key.is_null()) {
            None => None,
            Some(key) => {
                let start: Item = key
                    .as_object()
                    .cloned()
                    .unwrap_or_default()
                    .into_iter()
                    .collect();
                let place = table.place(&start)?;
                let sort = match index {
                    Some((
                        _,
                        Index {
                            range: Some(range), ..
                        },
                    )) => start
                        .get(range)
                        .and_then(value::sort_text)
                        .unwrap_or_default(),
                    Some(_) => String::new(),
                    None => place.1.clone(),
                };
                Some((sort, place))
            }
        };
        let forward = body["ScanIndexForward"] != json!(false);
        let mut rows: Vec<_> = here.collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        if !forward {
            rows.reverse();
        }
        rows.retain(|(at, _)| match &after {
            None => true,
            Some(after) if forward => at > after,
            Some(after) => at < after,
        });
        let mut keys: Vec<&str> = table.key_names();
        if let Some((_, index)) = index {
            keys.extend(
                std::iter::once(&index.hash)
                    .chain(&index.range)
                    .map(String::as_str),
            );
        }
        Ok(page(
            rows.into_iter().map(|(_, item)| item),
            body,
            (filter.as_ref(), shown.as_deref()),
            &keys,
        ))
    }

    pub(super) fn scan(&mut self, body: &Value) -> Result<Value, Refusal> {
        known(
            body,
            &[
                "TableName",
                "ConsistentRead",
                "FilterExpression",
                "ExpressionAttributeNames",
                "ExpressionAttributeValues",
                "Limit",
                "ExclusiveStartKey",
                "ProjectionExpression",
            ],
        )?;
        let names = Names::of(body)?;
        let filter = body["FilterExpression"].as_str();
        let filter = filter
            .map(|text| Condition::read(text, &names))
            .transpose()?;
        let shown = names.projection(body)?;
        names.all_used()?;
        let table = self.table(body)?;
        let after = match body.get("ExclusiveStartKey").filter(|key| !key.is_null()) {
            None => None,
            Some(key) => Some(table.place_of_key(key)?),
        };
        let rows = table.items.iter();
        let rows = rows.filter(|(place, _)| after.as_ref().is_none_or(|after| *place > after));
        let rows: Vec<Item> = rows.map(|(_, item)| item.clone()).collect();
        Ok(page(
            rows.into_iter(),
            body,
            (filter.as_ref(), shown.as_deref()),
            &table.key_names(),
        ))
    }
}

/// One page: what was read is limited, what is shown is filtered after that.
fn page(
    rows: impl Iterator<Item = Item>,
    body: &Value,
    (filter, projection): (Option<&Condition>, Option<&[String]>),
    keys: &[&str],
) -> Value {
    let limit = body["Limit"].as_u64().unwrap_or(u64::MAX);
    let (mut shown, mut read, mut bytes, mut last) = (Vec::new(), 0, 0, None);
    for item in rows {
        if read >= limit || bytes > PAGE_BYTES {
            break;
        }
        read += 1;
        bytes += value::size(&item);
        last = Some(item.clone());
        if filter.is_none_or(|filter| filter.holds(&item)) {
            shown.push(item);
        }
    }
    if let Some(wanted) = projection {
        for item in &mut shown {
            item.retain(|name, _| wanted.contains(name));
        }
    }
    let mut answer = json!({ "Count": shown.len(), "ScannedCount": read });
    if body["Select"] != json!("COUNT") {
        answer["Items"] = json!(shown);
    }
    // DynamoDB gives a place to go on from whenever it stopped by itself, even at the end.
    if (read >= limit || bytes > PAGE_BYTES)
        && let Some(last) = last
    {
        let key: Item = last
            .into_iter()
            .filter(|(name, _)| keys.contains(&name.as_str()))
            .collect();
        answer["LastEvaluatedKey"] = json!(key);
    }
    answer
}
