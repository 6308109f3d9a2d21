//! The tables together, and the calls on single items.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::condition::Condition;
use super::names::Names;
use super::table::{Place, Table};
use super::update::Update;
use super::{Item, TableSpec};
use crate::Refusal;

/// All tables of a world.
#[derive(Debug)]
pub(crate) struct Database {
    pub(super) tables: BTreeMap<String, Table>,
    pub(super) lag: Duration,
    /// Request tokens of transactions that were made, with what they asked and when.
    pub(super) tokens: BTreeMap<String, (Value, Instant)>,
}

/// One write that is checked and ready.
pub(super) struct Ready {
    pub(super) table: String,
    pub(super) place: Place,
    pub(super) old: Option<Item>,
    pub(super) new: Option<Item>,
}

impl Database {
    pub(crate) fn new(specs: &[TableSpec]) -> Self {
        let table = |spec: &TableSpec| (spec.name.clone(), Table::new(spec.clone()));
        Self {
            tables: specs.iter().map(table).collect(),
            lag: Duration::ZERO,
            tokens: BTreeMap::new(),
        }
    }

    pub(crate) fn index_lag(&mut self, millis: u64) {
        self.lag = Duration::from_millis(millis);
    }

    pub(crate) fn items(&self, table: &str) -> Vec<Item> {
        let table = self.tables.get(table);
        table.map_or_else(Vec::new, |table| table.items.values().cloned().collect())
    }

    pub(crate) fn run(&mut self, operation: &str, body: &Value) -> Result<Value, Refusal> {
        match operation {
            "GetItem" => self.get(body),
            "PutItem" | "UpdateItem" | "DeleteItem" => self.single(operation, body),
            "Query" => self.query(body),
            "Scan" => self.scan(body),
            "TransactWriteItems" => self.transact(body),
            "BatchWriteItem" => self.batch(body),
            "BatchGetItem" => self.batch_get(body),
            other => Err(Refusal::unknown(format!("dynamodb:{other}"))),
        }
    }

    pub(super) fn table(&mut self, body: &Value) -> Result<&mut Table, Refusal> {
        let name = body["TableName"].as_str().unwrap_or_default();
        self.tables.get_mut(name).ok_or_else(|| {
            let sentence = "Requested resource not found";
            Refusal::new(400, "ResourceNotFoundException", sentence)
        })
    }

    fn get(&mut self, body: &Value) -> Result<Value, Refusal> {
        known(body, &["TableName", "Key", "ConsistentRead"])?;
        let table = self.table(body)?;
        let place = table.place_of_key(&body["Key"])?;
        Ok(match table.items.get(&place) {
            Some(item) => json!({ "Item": item }),
            None => json!({}),
        })
    }

    fn single(&mut self, operation: &str, body: &Value) -> Result<Value, Refusal> {
        let kind = operation.trim_end_matches("Item");
        let returned = body["ReturnValues"].as_str().unwrap_or("NONE").to_owned();
        let ready = match self.ready(kind, body)? {
            Ok(ready) => ready,
            Err(old) => return Err(unmet(body, old)),
        };
        let (old, new) = (ready.old.clone(), ready.new.clone());
        self.commit(ready);
        Ok(match (returned.as_str(), kind) {
            ("NONE", _) => json!({}),
            ("ALL_NEW", "Update") => json!({ "Attributes": new }),
            ("ALL_OLD", _) => old.map_or_else(|| json!({}), |old| json!({ "Attributes": old })),
            _ => return Err(Refusal::unknown(format!("ReturnValues {returned}"))),
        })
    }

    /// Checks one write. The inner error: its condition does not hold of this old item.
    pub(super) fn ready(
        &mut self,
        kind: &str,
        body: &Value,
    ) -> Result<Result<Ready, Option<Item>>, Refusal> {
        known(
            body,
            &[
                "TableName",
                "Key",
                "Item",
                "UpdateExpression",
                "ConditionExpression",
                "ExpressionAttributeNames",
                "ExpressionAttributeValues",
                "ReturnValues",
                "ReturnValuesOnConditionCheckFailure",
            ],
        )?;
        let table = self.table(body)?;
        let name = table.spec.name.clone();
        let names = Names::of(body)?;
        let condition = body["ConditionExpression"].as_str();
        let condition = condition
            .map(|text| Condition::read(text, &names))
            .transpose()?;
        let update = body["UpdateExpression"]
            .as_str()
            .filter(|_| kind == "Update");
        let update = update.map(|text| Update::read(text, &names)).transpose()?;
        names.all_used()?;
        let put: Option<Item> = (kind == "Put").then(|| {
            let map = body["Item"].as_object().cloned().unwrap_or_default();
            map.into_iter().collect()
        });
        let place = match &put {
            Some(item) => {
                table.check(item)?;
                table.place(item)?
            }
            None => table.place_of_key(&body["Key"])?,
        };
        let old = table.items.get(&place).cloned();
        if let Some(condition) = condition
            && !condition.holds(&old.clone().unwrap_or_default())
        {
            return Ok(Err(old));
        }
        let new = match kind {
            "Put" => put,
            "Delete" => None,
            "ConditionCheck" => old.clone(),
            "Update" => {
                let update = update.unwrap_or_default();
                if update.touches(&table.key_names()) {
                    let sentence = "Cannot update attribute: this attribute is part of the key";
                    return Err(Refusal::invalid(sentence));
                }
                let key = body["Key"].as_object().cloned().unwrap_or_default();
                let base = old.clone().unwrap_or_else(|| key.into_iter().collect());
                let new = update.apply(&base)?;
                table.check(&new)?;
                Some(new)
            }
            other => return Err(Refusal::unknown(format!("the write {other}"))),
        };
        Ok(Ok(Ready {
            table: name,
            place,
            old,
            new,
        }))
    }

    pub(super) fn commit(&mut self, ready: Ready) {
        if ready.old == ready.new {
            return;
        }
        let lag = self.lag;
        if let Some(table) = self.tables.get_mut(&ready.table) {
            table.write(ready.place, ready.new, lag);
        }
    }

    fn batch_get(&mut self, body: &Value) -> Result<Value, Refusal> {
        known(body, &["RequestItems"])?;
        let mut responses = BTreeMap::new();
        let mut asked = Vec::new();
        for (name, request) in body["RequestItems"].as_object().into_iter().flatten() {
            known(request, &["Keys", "ConsistentRead"])?;
            let table = self.table(&json!({ "TableName": name }))?;
            let found: &mut Vec<Item> = responses.entry(name.clone()).or_default();
            for key in request["Keys"].as_array().into_iter().flatten() {
                let place = table.place_of_key(key)?;
                if asked.contains(&(name, place.clone())) {
                    return Err(Refusal::invalid(
                        "Provided list of item keys contains duplicates",
                    ));
                }
                found.extend(table.items.get(&place).cloned());
                asked.push((name, place));
            }
        }
        if asked.is_empty() || asked.len() > 100 {
            return Err(Refusal::invalid("1 to 100 keys are taken"));
        }
        Ok(json!({ "Responses": responses, "UnprocessedKeys": {} }))
    }

    fn batch(&mut self, body: &Value) -> Result<Value, Refusal> {
        known(body, &["RequestItems"])?;
        let mut all = Vec::new();
        for (table, requests) in body["RequestItems"].as_object().into_iter().flatten() {
            for request in requests.as_array().into_iter().flatten() {
                let (kind, mut inner) =
                    match (request.get("PutRequest"), request.get("DeleteRequest")) {
                        (Some(put), None) => ("Put", put.clone()),
                        (None, Some(delete)) => ("Delete", delete.clone()),
                        _ => return Err(Refusal::invalid("a request puts or deletes")),
                    };
                inner["TableName"] = json!(table);
                all.push((kind, inner));
            }
        }
        if all.is_empty() || all.len() > 25 {
            return Err(Refusal::invalid("1 to 25 requests are taken"));
        }
        for (kind, inner) in &all {
            if let Ok(ready) = self.ready(kind, inner)? {
                self.commit(ready);
            }
        }
        Ok(json!({ "UnprocessedItems": {} }))
    }
}

/// Refuses parameters that the model does not know, so that none is passed over.
pub(super) fn known(body: &Value, names: &[&str]) -> Result<(), Refusal> {
    let given = body.as_object().into_iter().flatten();
    let mut unknown = given.filter(|(name, _)| !names.contains(&name.as_str()));
    match unknown.next() {
        None => Ok(()),
        Some((name, _)) => Err(Refusal::unknown(format!("the parameter {name}"))),
    }
}

fn unmet(body: &Value, old: Option<Item>) -> Refusal {
    let refusal = Refusal::new(
        400,
        "ConditionalCheckFailedException",
        "The conditional request failed",
    );
    match old.filter(|_| wants_old(body)) {
        Some(old) => refusal.with("Item", json!(old)),
        None => refusal,
    }
}

pub(super) fn wants_old(body: &Value) -> bool {
    body["ReturnValuesOnConditionCheckFailure"] == json!("ALL_OLD")
}

/// The tables that a request touches, in its order, each as often as it is touched.
pub(crate) fn touched(body: &Value) -> String {
    if let Some(table) = body["TableName"].as_str() {
        return match body["IndexName"].as_str() {
            Some(index) => format!("{table}/{index}"),
            None => table.to_owned(),
        };
    }
    let writes = body["TransactItems"].as_array().into_iter().flatten();
    let tables = writes.filter_map(|write| {
        let (_, write) = write.as_object()?.iter().next()?;
        write["TableName"].as_str()
    });
    tables.collect::<Vec<_>>().join(" ")
}
