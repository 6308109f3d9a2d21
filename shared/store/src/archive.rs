//! What a user is given of what is kept about them: the one list by which they are exported.
//!
//! | access | by |
//! |---|---|
//! | a section's rows, page by page | what [`SECTIONS`] says of it |
//!
//! Only named attributes leave a table, so nothing sealed and nothing of our own machinery does, also
//! where a later version writes more of it. Instants are milliseconds since 1970.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

use crate::item::{Item, text};
use crate::{StoreError, Table};

/// One list of an export.
#[derive(Debug)]
pub struct Section {
    /// Its name in the archive.
    pub name: &'static str,
    /// The index by which its rows are met, if not by the table's own key.
    pub index: Option<&'static str>,
    /// The hash key.
    pub hash: &'static str,
    /// What it holds.
    pub of: Of,
    /// A row without this attribute is none of it.
    pub needs: &'static str,
    /// What is given of a row; empty: all of it.
    pub shown: &'static [&'static str],
}

/// What a section's hash key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// This and the user's id.
    User(&'static str),
    /// The id of each of their connections.
    Connections,
    /// The key of each account whose records they see.
    Accounts,
}

const RECORD: &[&str] = &[
    "record_id",
    "platform",
    "account_id",
    "at",
    "state",
    "fields",
    "seen_at",
];

const fn records(name: &'static str) -> Section {
    Section {
        name,
        index: None,
        hash: "account",
        of: Of::Accounts,
        needs: "record_id",
        shown: RECORD,
    }
}

const fn of_user(
    name: &'static str,
    needs: &'static str,
    shown: &'static [&'static str],
) -> Section {
    Section {
        name,
        index: None,
        hash: "user_id",
        of: Of::User(""),
        needs,
        shown,
    }
}

/// The sections, in their order. The targets of a post lie in the post: see [`TARGETS`].
pub const SECTIONS: &[Section] = &[
    of_user(
        "users",
        "user_id",
        &[
            "user_id",
            "label",
            "email",
            "locale",
            "time_zone",
            "reports",
            "notices",
            "listed_at",
            "created_at",
            "updated_at",
        ],
    ),
    of_user(
        "connections",
        "connection_id",
        &[
            "connection_id",
            "platform",
            "account",
            "status",
            "reason",
            "scopes",
            "missing_scopes",
            "expires_at",
            "refresh_expires_at",
            "grant_ends_at",
            "issued_at",
            "revocation",
            "created_at",
            "updated_at",
        ],
    ),
    of_user(
        "posts",
        "created_at",
        &["post_id", "text", "media", "created_at"],
    ),
    of_user(
        "media",
        "created_at",
        &[
            "media_id",
            "status",
            "kind",
            "size",
            "duration_ms",
            "source_url",
            "posted_in",
            "created_at",
            "expires_at",
        ],
    ),
    of_user("snapshots", "slot", &[]),
    Section {
        name: "figures",
        index: None,
        hash: "owner",
        of: Of::User("user#"),
        needs: "item",
        shown: &["item", "platform", "account", "media"],
    },
    Section {
        name: "sync_logs",
        index: Some("connection"),
        hash: "part",
        of: Of::Connections,
        needs: "sync_kind",
        shown: &[
            "sync_id",
            "part",
            "platform",
            "sync_kind",
            "state",
            "started_at",
            "ended_at",
            "rows",
            "fault",
            "off",
        ],
    },
    Section {
        name: "events",
        index: Some("user"),
        hash: "user_id",
        of: Of::User(""),
        needs: "kind",
        shown: &["event_id", "kind", "created_at", "detail"],
    },
    Section {
        name: "audit",
        index: Some("user"),
        hash: "user_id",
        of: Of::User(""),
        needs: "act",
        shown: &["id", "at", "act", "object", "outcome", "note"],
    },
    records("media_items"),
    records("comments"),
    records("fans"),
    records("messages"),
    records("analytics_events"),
];

/// The targets of one post, which is their hash key.
pub const TARGETS: Section = Section {
    name: "targets",
    index: None,
    hash: "post_id",
    of: Of::User(""),
    needs: "target_id",
    shown: &[
        "target_id",
        "connection_id",
        "platform",
        "account",
        "text",
        "options",
        "status",
        "fault",
        "published",
        "created_at",
        "updated_at",
    ],
};

/// Where a section goes on: the keys of the row before.
pub type After = BTreeMap<String, Value>;

/// The tables of [`SECTIONS`] and [`TARGETS`].
#[derive(Clone, Debug)]
pub struct Archive(BTreeMap<&'static str, Table>);

impl Archive {
    /// Over the tables that `name` gives for each section's.
    pub fn new(
        client: &aws_sdk_dynamodb::Client,
        mut name: impl FnMut(&'static str) -> String,
    ) -> Self {
        let sections = SECTIONS.iter().chain([&TARGETS]);
        let table = |one: &Section| (one.name, Table::new(client.clone(), name(one.name)));
        Self(sections.map(table).collect())
    }

    /// The next rows of a section under one value of its hash key, and where it goes on.
    pub async fn page(
        &self,
        section: &Section,
        value: &str,
        after: Option<&After>,
        limit: i32,
    ) -> Result<(Vec<Value>, Option<After>), StoreError> {
        let Some(table) = self.0.get(section.name) else {
            return Ok((Vec::new(), None));
        };
        let answer = table
            .client
            .query()
            .table_name(&table.name)
            .set_index_name(section.index.map(str::to_owned))
            .key_condition_expression("#of = :of")
            .expression_attribute_names("#of", section.hash)
            .expression_attribute_values(":of", text(value))
            .set_exclusive_start_key(after.map(start))
            .limit(limit)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        let rows = answer.items.unwrap_or_default().into_iter();
        let rows = rows.filter(|row| row.contains_key(section.needs));
        let rows = rows.map(|row| shown(section, row)).collect();
        Ok((rows, answer.last_evaluated_key.map(stop)))
    }
}

fn shown(section: &Section, row: Item) -> Value {
    let wanted = |name: &str| match section.shown {
        [] => true,
        shown => shown.contains(&name),
    };
    let rows = row.into_iter().filter(|(name, _)| wanted(name));
    // Bytes have no form in JSON; nothing that is shown holds any.
    let shown = rows.filter_map(|(name, value)| {
        let value = serde_dynamo::from_attribute_value::<_, Value>(value).ok()?;
        Some((name, value))
    });
    Value::Object(shown.collect::<Map<_, _>>())
}

fn start(after: &After) -> Item {
    let value = |value: &Value| match value {
        Value::String(value) => text(value),
        other => AttributeValue::N(other.to_string()),
    };
    after
        .iter()
        .map(|(name, one)| (name.clone(), value(one)))
        .collect()
}

fn stop(last: Item) -> After {
    let value = |value: AttributeValue| match value {
        AttributeValue::S(value) => Some(Value::from(value)),
        AttributeValue::N(value) => value.parse::<i64>().ok().map(Value::from),
        _ => None,
    };
    last.into_iter()
        .filter_map(|(name, one)| Some((name, value(one)?)))
        .collect()
}
