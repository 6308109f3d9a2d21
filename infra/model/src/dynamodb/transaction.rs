//! Transactions: all writes or none, and each request token once.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::database::{Database, known, wants_old};
use crate::Refusal;

/// DynamoDB remembers a request token for this long.
const TOKEN_LIFE: Duration = Duration::from_secs(600);
const MOST_WRITES: usize = 100;

impl Database {
    pub(super) fn transact(&mut self, body: &Value) -> Result<Value, Refusal> {
        known(body, &["TransactItems", "ClientRequestToken"])?;
        let writes = body["TransactItems"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if writes.is_empty() || writes.len() > MOST_WRITES {
            return Err(Refusal::invalid("1 to 100 writes are taken"));
        }
        let now = Instant::now();
        let token = body["ClientRequestToken"].as_str().map(str::to_owned);
        if let Some((before, at)) = token.as_ref().and_then(|token| self.tokens.get(token))
            && now.duration_since(*at) < TOKEN_LIFE
        {
            if *before == body["TransactItems"] {
                return Ok(json!({}));
            }
            let sentence = "The request token was used for another request";
            return Err(Refusal::new(
                400,
                "IdempotentParameterMismatchException",
                sentence,
            ));
        }
        let (mut ready, mut reasons, mut places) = (Vec::new(), Vec::new(), BTreeSet::new());
        for write in &writes {
            let single = write.as_object().filter(|write| write.len() == 1);
            let Some((kind, write)) = single.and_then(|write| write.iter().next()) else {
                return Err(Refusal::invalid("a write is one of its kinds"));
            };
            match self.ready(kind, write) {
                Ok(Ok(one)) => {
                    if !places.insert((one.table.clone(), one.place.clone())) {
                        let sentence =
                            "Transaction request cannot include multiple operations on one item";
                        return Err(Refusal::invalid(sentence));
                    }
                    ready.push(one);
                    reasons.push(json!({ "Code": "None" }));
                }
                Ok(Err(old)) => {
                    let mut reason = json!({
                        "Code": "ConditionalCheckFailed",
                        "Message": "The conditional request failed",
                    });
                    if let Some(old) = old.filter(|_| wants_old(write)) {
                        reason["Item"] = json!(old);
                    }
                    reasons.push(reason);
                }
                // The shape of the whole request is wrong, or ours is not enough of a model.
                Err(refusal) if refusal.status == 501 => return Err(refusal),
                Err(refusal) => {
                    reasons.push(json!({ "Code": "ValidationError", "Message": refusal.message }));
                }
            }
        }
        if ready.len() < writes.len() {
            let codes: Vec<&str> = reasons
                .iter()
                .filter_map(|reason| reason["Code"].as_str())
                .collect();
            let sentence = format!(
                "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
                codes.join(", ")
            );
            let refusal = Refusal::new(400, "TransactionCanceledException", sentence);
            return Err(refusal.with("CancellationReasons", reasons.into()));
        }
        for one in ready {
            self.commit(one);
        }
        if let Some(token) = token {
            self.tokens
                .insert(token, (body["TransactItems"].clone(), now));
        }
        Ok(json!({}))
    }
}
