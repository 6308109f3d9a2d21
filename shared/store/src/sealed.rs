//! Whatever holds a sealed text, over all tables: for moving the texts to another KMS key.
//!
//! | access | by |
//! |---|---|
//! | walk over all texts, in slices | scan of `connections`, `targets`, `revocations`, `flows`, `webhook_endpoints` |
//! | replace one text | the item's key, under the text as it was read |
//!
//! Replacing touches nothing but the text: no version, no lease, no attempt id. What happens to the
//! item at the same time is neither held up by it nor lost: a writer of new tokens replaces the text
//! whole, and the condition on the text as read then refuses the older one.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use serde::{Deserialize, Serialize};
use vault::Sealed;

use crate::item::{self, Item, value};
use crate::{StoreError, Table};

/// How often a replacement that meets a transaction on the same item is tried.
const CONFLICT_TRIES: usize = 4;

/// What a table holds of sealed texts.
#[derive(Debug)]
struct Holding {
    /// The table's key attributes, all texts.
    keys: &'static [&'static str],
    /// The attribute that names the subject of the data keys.
    subject: &'static str,
    /// The sealed attributes, each with the map that it lies in, if any.
    paths: &'static [&'static [&'static str]],
}

/// In the order of [`SealedTexts::new`].
const HOLDINGS: [Holding; 5] = [
    Holding {
        keys: &["user_id", "connection_id"],
        subject: "connection_id",
        paths: &[&["sealed"]],
    },
    Holding {
        keys: &["post_id", "target_id"],
        subject: "connection_id",
        paths: &[&["sealed"]],
    },
    Holding {
        keys: &["revocation_id"],
        subject: "revocation_id",
        paths: &[&["sealed"]],
    },
    Holding {
        keys: &["flow_id"],
        subject: "flow_id",
        paths: &[&["sealed_verifier"], &["grant", "sealed"]],
    },
    Holding {
        keys: &["endpoint_id"],
        subject: "endpoint_id",
        paths: &[&["sealed"]],
    },
];

/// A sealed text as a walk found it.
#[derive(Debug)]
pub struct SealedText {
    /// The subject of its data key.
    pub subject: String,
    /// The text.
    pub sealed: Sealed,
    table: usize,
    key: Item,
    path: &'static [&'static str],
}

/// Where a walk stands. The default is its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    table: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<BTreeMap<String, String>>,
}

/// One page of a walk.
#[derive(Debug)]
pub struct SealedPage {
    /// The texts of its items.
    pub texts: Vec<SealedText>,
    /// Where to go on; `None` at the end of the last table.
    pub next: Option<Cursor>,
}

/// How a replacement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The new text stands.
    Done,
    /// Another text, or none, stands by now, or others write at the item just now: look again.
    Overtaken,
}

/// The tables that hold sealed texts.
#[derive(Clone, Debug)]
pub struct SealedTexts([Table; HOLDINGS.len()]);

impl SealedTexts {
    /// Over the tables of these names.
    pub fn new(
        client: &aws_sdk_dynamodb::Client,
        connections: impl Into<String>,
        targets: impl Into<String>,
        revocations: impl Into<String>,
        flows: impl Into<String>,
        endpoints: impl Into<String>,
    ) -> Self {
        Self([
            Table::new(client.clone(), connections),
            Table::new(client.clone(), targets),
            Table::new(client.clone(), revocations),
            Table::new(client.clone(), flows),
            Table::new(client.clone(), endpoints),
        ])
    }

    /// The texts of the next `limit` items, by a strongly consistent scan. Items that come to be
    /// behind the cursor are not met in this walk.
    pub async fn page(&self, from: &Cursor, limit: i32) -> Result<SealedPage, StoreError> {
        let over = || SealedPage {
            texts: Vec::new(),
            next: None,
        };
        let at = from.table;
        let (Some(table), Some(holding)) = (self.0.get(at), HOLDINGS.get(at)) else {
            return Ok(over());
        };
        let mut paths: Vec<String> = holding.paths.iter().map(|path| aliased(path)).collect();
        let names = holding.keys.iter().chain([&holding.subject]);
        paths.extend(names.map(|name| aliased(&[name])));
        paths.sort();
        paths.dedup();
        let after = from.after.as_ref().map(|after| {
            let text = |(name, text): (&String, &String)| (name.clone(), item::text(text));
            after.iter().map(text).collect()
        });
        let answer = table
            .client
            .scan()
            .table_name(&table.name)
            .consistent_read(true)
            .projection_expression(paths.join(", "))
            .set_expression_attribute_names(Some(aliases(&paths)))
            .set_exclusive_start_key(after)
            .limit(limit)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        let items = answer.items.unwrap_or_default();
        let next = match answer.last_evaluated_key {
            Some(key) => Some(Cursor {
                table: at,
                after: Some(key.into_iter().filter_map(text_pair).collect()),
            }),
            None => (at + 1 < HOLDINGS.len()).then_some(Cursor {
                table: at + 1,
                after: None,
            }),
        };
        Ok(SealedPage {
            texts: items
                .iter()
                .flat_map(|item| texts_of(at, holding, item))
                .collect(),
            next,
        })
    }

    /// Puts `new` in the place of `text`, if that still stands. The new text serves as the attempt
    /// id: no other writer makes the same bytes, so a refusal that shows them is our own first try.
    pub async fn replace(&self, text: &SealedText, new: &Sealed) -> Result<Replaced, StoreError> {
        let Some(table) = self.0.get(text.table) else {
            return Ok(Replaced::Overtaken);
        };
        let path = aliased(text.path);
        for _ in 0..CONFLICT_TRIES {
            let result = table
                .client
                .update_item()
                .table_name(&table.name)
                .set_key(Some(text.key.clone()))
                .update_expression(format!("SET {path} = :new"))
                .condition_expression(format!("{path} = :seen"))
                .set_expression_attribute_names(Some(aliases(std::slice::from_ref(&path))))
                .expression_attribute_values(":new", value(new))
                .expression_attribute_values(":seen", value(&text.sealed))
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .send()
                .await;
            let Err(error) = result else {
                return Ok(Replaced::Done);
            };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    let stands = refused.item().and_then(|item| at_path(item, text.path));
                    let ours = stands.is_some_and(|stands| *stands == value(new));
                    return Ok(if ours {
                        Replaced::Done
                    } else {
                        Replaced::Overtaken
                    });
                }
                // A transaction on the item at this moment, which the SDK does not try again.
                Some(UpdateItemError::TransactionConflictException(_)) => {}
                _ => return Err(StoreError::unavailable(&error)),
            }
        }
        Ok(Replaced::Overtaken)
    }
}

/// What an item holds of sealed texts. An item without its keys or its subject is none of ours.
fn texts_of(table: usize, holding: &'static Holding, item: &Item) -> Vec<SealedText> {
    let text = |name: &str| match item.get(name) {
        Some(AttributeValue::S(text)) => Some(text.clone()),
        _ => None,
    };
    let key: Option<Item> = holding
        .keys
        .iter()
        .map(|name| Some(((*name).to_owned(), item.get(*name)?.clone())))
        .collect();
    let (Some(key), Some(subject)) = (key, text(holding.subject)) else {
        return Vec::new();
    };
    let sealed = |path: &&'static [&'static str]| match at_path(item, path) {
        Some(AttributeValue::B(bytes)) => Some(SealedText {
            subject: subject.clone(),
            sealed: Sealed::from_bytes(bytes.as_ref().to_vec()),
            table,
            key: key.clone(),
            path,
        }),
        _ => None,
    };
    holding.paths.iter().filter_map(sealed).collect()
}

fn at_path<'a>(item: &'a Item, path: &[&str]) -> Option<&'a AttributeValue> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(item.get(*first)?, |at, name| match at {
            AttributeValue::M(map) => map.get(*name),
            _ => None,
        })
}

/// `grant.sealed` as `#grant.#sealed`.
fn aliased(path: &[&str]) -> String {
    format!("#{}", path.join(".#"))
}

/// The names behind the aliases of these paths.
fn aliases(paths: &[String]) -> HashMap<String, String> {
    let names = paths.iter().flat_map(|path| path.split('.'));
    names
        .map(|alias| (alias.to_owned(), alias.trim_start_matches('#').to_owned()))
        .collect()
}

fn text_pair((name, value): (String, AttributeValue)) -> Option<(String, String)> {
    match value {
        AttributeValue::S(text) => Some((name, text)),
        _ => None,
    }
}
