//! Meeting a user's rows, page by page, and deleting them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::{Bucket, Holds, Met, Names, RULES, Rule, Subject, Whose};
use crate::item::{Item, text};
use crate::{StoreError, Table};

/// Where a walk stands. The default is its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The rule, by its noun: a deployment may add others before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    noun: Option<String>,
    /// Which of the values of the hash key.
    #[serde(default)]
    value: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<BTreeMap<String, String>>,
}

/// A row of the user's.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRow {
    key: Item,
    /// Attributes that are taken away where the row itself stays.
    redacts: bool,
    /// The object that goes with it: the bucket and the key.
    pub object: Option<(Bucket, String)>,
}

impl FoundRow {
    /// A text of its primary key.
    pub fn key(&self, name: &str) -> Option<&str> {
        self.key.get(name)?.as_s().ok().map(String::as_str)
    }
}

/// One page of a walk.
#[derive(Clone, Debug, PartialEq)]
pub struct ErasurePage {
    /// What its rows are called.
    pub noun: &'static str,
    /// Those that are the user's.
    pub rows: Vec<FoundRow>,
    /// Where to go on; `None` at the end of the last table.
    pub next: Option<Cursor>,
}

/// The tables of [`RULES`].
#[derive(Clone, Debug)]
pub struct Tables(BTreeMap<&'static str, Table>);

impl Tables {
    /// Over the tables that `name` gives for each rule's noun.
    pub fn new(
        client: &aws_sdk_dynamodb::Client,
        mut name: impl FnMut(&'static str) -> String,
    ) -> Self {
        let table = |rule: &Rule| (rule.noun, Table::new(client.clone(), name(rule.noun)));
        Self(RULES.iter().map(table).collect())
    }

    /// The next page of a walk over everything.
    pub async fn page(
        &self,
        subject: &Subject,
        cursor: &Cursor,
        limit: i32,
    ) -> Result<Option<ErasurePage>, StoreError> {
        let at = match &cursor.noun {
            None => 0,
            // A rule that is gone: from the beginning.
            Some(noun) => place(noun).unwrap_or(0),
        };
        let Some(rule) = RULES.get(at) else {
            return Ok(None);
        };
        let (rows, next) = self.of(rule, subject, cursor, limit).await?;
        let next = next.or_else(|| {
            let noun = RULES.get(at + 1)?.noun.to_owned();
            Some(Cursor {
                noun: Some(noun),
                ..Cursor::default()
            })
        });
        let noun = rule.noun;
        Ok(Some(ErasurePage { noun, rows, next }))
    }

    /// The next page of the rows of one table alone; its cursor ends with the table.
    pub async fn page_of(
        &self,
        noun: &'static str,
        subject: &Subject,
        cursor: &Cursor,
        limit: i32,
    ) -> Result<ErasurePage, StoreError> {
        let Some(rule) = place(noun).and_then(|at| RULES.get(at)) else {
            let (rows, next) = (Vec::new(), None);
            return Ok(ErasurePage { noun, rows, next });
        };
        let (rows, next) = self.of(rule, subject, cursor, limit).await?;
        Ok(ErasurePage { noun, rows, next })
    }

    /// Deletes rows that a page of this noun met, whatever they hold by now. Their objects must be
    /// gone before: nothing else says where they are.
    pub async fn delete(&self, noun: &str, rows: &[FoundRow]) -> Result<(), StoreError> {
        let Some(table) = self.0.get(noun) else {
            return Ok(());
        };
        let whole = rows.iter().filter(|row| !row.redacts);
        table
            .delete_all(whole.map(|row| row.key.clone()).collect())
            .await?;
        for row in rows.iter().filter(|row| row.redacts) {
            redact(table, row).await?;
        }
        Ok(())
    }

    async fn of(
        &self,
        rule: &Rule,
        subject: &Subject,
        cursor: &Cursor,
        limit: i32,
    ) -> Result<(Vec<FoundRow>, Option<Cursor>), StoreError> {
        let Some(table) = self.0.get(rule.noun) else {
            return Ok((Vec::new(), None));
        };
        let after = cursor.after.as_ref().map(|after| {
            let pair = |(name, value): (&String, &String)| (name.clone(), text(value));
            after.iter().map(pair).collect::<Item>()
        });
        let wanted = Wanted::of(rule);
        let (items, last) = match rule.met {
            Met::Walk => scan(table, &wanted, after, limit).await?,
            Met::Key(hash, whose) | Met::Index(_, hash, whose) => {
                let values = values(subject, whose);
                let Some(value) = values.get(cursor.value) else {
                    return Ok((Vec::new(), None));
                };
                let index = match rule.met {
                    Met::Index(name, ..) => Some(name),
                    _ => None,
                };
                let found = query(table, index, (hash, value), &wanted, after, limit).await?;
                let more = found.1.is_none() && cursor.value + 1 < values.len();
                if more {
                    let rows = rows(rule, subject, found.0);
                    let next = Cursor {
                        noun: Some(rule.noun.to_owned()),
                        value: cursor.value + 1,
                        after: None,
                    };
                    return Ok((rows, Some(next)));
                }
                found
            }
        };
        let next = last.map(|last| Cursor {
            noun: Some(rule.noun.to_owned()),
            value: cursor.value,
            after: Some(texts(last)),
        });
        Ok((rows(rule, subject, items), next))
    }
}

fn place(noun: &str) -> Option<usize> {
    RULES.iter().position(|rule| rule.noun == noun)
}

/// The values of a hash key under which rows of the user lie.
fn values(subject: &Subject, whose: Whose) -> Vec<String> {
    match whose {
        Whose::User(before) => vec![format!("{before}{}", subject.user)],
        Whose::Account => subject.accounts.iter().cloned().collect(),
        Whose::AccountLimits => {
            // `<app>#<account id>` and `<app>#account#<account id>`: no app's name has a `#`.
            let limits = |key: &String| {
                let (app, account) = key.split_once('#')?;
                Some(format!("{app}#account#{account}"))
            };
            subject.accounts.iter().filter_map(limits).collect()
        }
    }
}

/// Those of the rows that are the user's.
fn rows(rule: &Rule, subject: &Subject, items: Vec<Item>) -> Vec<FoundRow> {
    let theirs = |item: &Item| {
        !matches!(rule.met, Met::Walk) || rule.names.iter().any(|names| names.hold(item, subject))
    };
    let found = |item: Item| FoundRow {
        redacts: is_operators(&item, subject),
        object: rule.holds.and_then(|holds| object(&item, holds)),
        key: item
            .into_iter()
            .filter(|(name, _)| rule.keys.contains(&name.as_str()))
            .collect(),
    };
    items.into_iter().filter(theirs).map(found).collect()
}

/// What an operator did to somebody stays in the audit trail, without them; what somebody did goes.
fn is_operators(item: &Item, subject: &Subject) -> bool {
    at(item, &["who", "role"]) == Some("operator")
        && at(item, &["who", "subject"]) != Some(subject.user.as_str())
}

fn object(item: &Item, holds: Holds) -> Option<(Bucket, String)> {
    let key = at(item, holds.key).filter(|key| !key.is_empty())?;
    Some((holds.bucket, key.to_owned()))
}

impl Names {
    const fn path(&self) -> super::Path {
        match self {
            Self::User(path)
            | Self::UserAfter(_, path)
            | Self::Connection(path)
            | Self::Account(path) => path,
        }
    }

    fn hold(&self, item: &Item, subject: &Subject) -> bool {
        let Some(value) = at(item, self.path()) else {
            return false;
        };
        match self {
            Self::User(_) => value == subject.user.as_str(),
            Self::UserAfter(before, _) => value.strip_prefix(before) == Some(subject.user.as_str()),
            Self::Connection(_) => subject.connections.iter().any(|id| id.as_str() == value),
            Self::Account(_) => subject.accounts.contains(value),
        }
    }
}

/// The text at the end of a path.
fn at<'a>(item: &'a Item, path: &[&str]) -> Option<&'a str> {
    let (first, rest) = path.split_first()?;
    let mut value = item.get(*first)?;
    for step in rest {
        value = match value {
            AttributeValue::M(map) => map.get(*step)?,
            AttributeValue::L(list) => list.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    value.as_s().ok().map(String::as_str)
}

/// The attributes that are read of each row.
struct Wanted {
    expression: String,
    names: std::collections::HashMap<String, String>,
}

impl Wanted {
    fn of(rule: &Rule) -> Self {
        let mut all: BTreeSet<&str> = rule.keys.iter().copied().collect();
        let paths = rule.names.iter().map(Names::path);
        let paths = paths.chain(rule.holds.map(|holds| holds.key));
        // Whole attributes: a path into a list or a map is read on this side.
        all.extend(paths.filter_map(|path| path.first()));
        let aliased: Vec<String> = all.iter().map(|name| format!("#{name}")).collect();
        let names = all
            .iter()
            .map(|name| (format!("#{name}"), (*name).to_owned()));
        Self {
            names: names.collect(),
            expression: aliased.join(", "),
        }
    }
}

type Found = (Vec<Item>, Option<Item>);

async fn scan(
    table: &Table,
    wanted: &Wanted,
    after: Option<Item>,
    limit: i32,
) -> Result<Found, StoreError> {
    let answer = table
        .client
        .scan()
        .table_name(&table.name)
        .consistent_read(true)
        .projection_expression(&wanted.expression)
        .set_expression_attribute_names(Some(wanted.names.clone()))
        .set_exclusive_start_key(after)
        .limit(limit)
        .send()
        .await
        .map_err(|error| StoreError::unavailable(&error))?;
    Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
}

async fn query(
    table: &Table,
    index: Option<&str>,
    (hash, value): (&str, &str),
    wanted: &Wanted,
    after: Option<Item>,
    limit: i32,
) -> Result<Found, StoreError> {
    let answer = table
        .client
        .query()
        .table_name(&table.name)
        .set_index_name(index.map(str::to_owned))
        .consistent_read(index.is_none())
        .key_condition_expression("#of = :of")
        .expression_attribute_values(":of", text(value))
        .projection_expression(&wanted.expression)
        .set_expression_attribute_names(Some(wanted.names.clone()))
        .expression_attribute_names("#of", hash)
        .set_exclusive_start_key(after)
        .limit(limit)
        .send()
        .await
        .map_err(|error| StoreError::unavailable(&error))?;
    Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
}

async fn redact(table: &Table, row: &FoundRow) -> Result<(), StoreError> {
    let Some(key) = row.key.keys().next() else {
        return Ok(());
    };
    let done = table
        .client
        .update_item()
        .table_name(&table.name)
        .set_key(Some(row.key.clone()))
        .update_expression("REMOVE user_id, #object")
        .expression_attribute_names("#object", "object")
        .condition_expression("attribute_exists(#key)")
        .expression_attribute_names("#key", key)
        .send()
        .await;
    match done {
        Ok(_) => Ok(()),
        // Its time was over.
        Err(error) if refused(&error) => Ok(()),
        Err(error) => Err(StoreError::unavailable(&error)),
    }
}

fn refused<R>(
    error: &aws_sdk_dynamodb::error::SdkError<
        aws_sdk_dynamodb::operation::update_item::UpdateItemError,
        R,
    >,
) -> bool {
    let error = error.as_service_error();
    error.is_some_and(|error| error.is_conditional_check_failed_exception())
}

/// A key of texts.
fn texts(key: Item) -> BTreeMap<String, String> {
    let text = |(name, value)| match value {
        AttributeValue::S(text) => Some((name, text)),
        _ => None,
    };
    key.into_iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_are_unique_and_walked_rows_are_named() {
        for (at, rule) in RULES.iter().enumerate() {
            assert_eq!(place(rule.noun), Some(at), "{}", rule.noun);
            let walked = matches!(rule.met, Met::Walk);
            assert_eq!(walked, !rule.names.is_empty(), "{}", rule.noun);
        }
    }

    #[test]
    fn a_path_ends_at_a_text() {
        let list = AttributeValue::L(vec![text("a"), text("b")]);
        let map = AttributeValue::M(Item::from([("x".to_owned(), text("y"))]));
        let item = Item::from([("list".to_owned(), list), ("map".to_owned(), map)]);
        for (path, found) in [
            (&["list", "1"][..], Some("b")),
            (&["list", "2"], None),
            (&["list"], None),
            (&["map", "x"], Some("y")),
            (&["map", "x", "z"], None),
            (&["none"], None),
        ] {
            assert_eq!(at(&item, path), found, "{path:?}");
        }
    }
}
