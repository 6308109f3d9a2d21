//! EventBridge as far as it is needed here: `PutEvents` keeps what it is given, or refuses entries that
//! a test names.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// An event that a bus took.
#[derive(Debug, Clone, PartialEq)]
pub struct BusEvent {
    /// The bus, by the name or ARN that the caller gave.
    pub bus: String,
    /// `Source`.
    pub source: String,
    /// `DetailType`.
    pub detail_type: String,
    /// `Detail`, read.
    pub detail: Value,
}

/// All buses of a stack.
#[derive(Debug, Default)]
pub struct Buses(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    taken: Vec<BusEvent>,
    /// `DetailType`, and how many entries of it are yet to be refused.
    refused: Vec<(String, usize)>,
}

/// `PutEvents` takes so many entries.
const MOST_ENTRIES: usize = 10;
/// And so many bytes together.
const MOST_BYTES: usize = 256 * 1_024;

impl Buses {
    /// What the buses took so far, in order.
    pub fn taken(&self) -> Vec<BusEvent> {
        self.inner().taken.clone()
    }

    /// Refuses the next `times` entries of this type, each by itself.
    pub fn refuse(&self, detail_type: &str, times: usize) {
        self.inner().refused.push((detail_type.to_owned(), times));
    }

    /// Answers one call: status and body.
    pub(super) fn answer(&self, target: &str, body: &[u8]) -> (u16, Value) {
        let refuse =
            |code: &str, message: &str| (400, json!({ "__type": code, "message": message }));
        if target != "AWSEvents.PutEvents" {
            return refuse("UnknownOperationException", target);
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let entries = body["Entries"].as_array().cloned().unwrap_or_default();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let bytes = |entry: &Value| {
            let names = ["Source", "DetailType", "Detail"];
            14 + names
                .map(|name| text(entry, name).len())
                .iter()
                .sum::<usize>()
        };
        if entries.is_empty() || entries.len() > MOST_ENTRIES {
            return refuse("ValidationException", "1 to 10 entries are taken");
        }
        if entries.iter().map(bytes).sum::<usize>() > MOST_BYTES {
            return refuse("ValidationException", "the entries are too large together");
        }
        let mut inner = self.inner();
        let answers: Vec<Value> = entries
            .iter()
            .map(|entry| {
                let failed = |code: &str| json!({ "ErrorCode": code, "ErrorMessage": code });
                let Ok(detail) = serde_json::from_str::<Value>(&text(entry, "Detail")) else {
                    return failed("MalformedDetail");
                };
                let detail_type = text(entry, "DetailType");
                let asked = |one: &&mut (String, usize)| one.0 == detail_type && one.1 > 0;
                if let Some((_, left)) = inner.refused.iter_mut().find(asked) {
                    *left -= 1;
                    return failed("InternalFailure");
                }
                inner.taken.push(BusEvent {
                    bus: text(entry, "EventBusName"),
                    source: text(entry, "Source"),
                    detail_type,
                    detail,
                });
                json!({ "EventId": format!("taken-{}", inner.taken.len()) })
            })
            .collect();
        let failed = answers.iter().filter(|one| one.get("ErrorCode").is_some());
        let count = failed.count();
        (
            200,
            json!({ "FailedEntryCount": count, "Entries": answers }),
        )
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_kept_or_refused_one_by_one() {
        let buses = Buses::default();
        buses.refuse("b", 1);
        let entry = |kind: &str| json!({ "EventBusName": "bus", "Source": "s", "DetailType": kind, "Detail": "{\"x\":1}" });
        let body = json!({ "Entries": [entry("a"), entry("b"), entry("b")] }).to_string();
        let (status, answer) = buses.answer("AWSEvents.PutEvents", body.as_bytes());
        assert_eq!((status, &answer["FailedEntryCount"]), (200, &json!(1)));
        assert_eq!(answer["Entries"][1]["ErrorCode"], "InternalFailure");
        let taken = buses.taken();
        let kinds: Vec<_> = taken.iter().map(|one| one.detail_type.as_str()).collect();
        assert_eq!(kinds, ["a", "b"]);
        assert_eq!(taken[0].detail["x"], 1);
        let many = json!({ "Entries": vec![entry("a"); 11] }).to_string();
        assert_eq!(buses.answer("AWSEvents.PutEvents", many.as_bytes()).0, 400);
        assert_eq!(buses.answer("AWSEvents.Other", b"{}").0, 400);
    }
}
