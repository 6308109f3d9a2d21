//! The schema makes itself: numbered files, each applied once, all under one lock, so that any number
//! of instances may start at once.
//!
//! Functions of an older version go on against a newer schema: a later file may only add (a table, a
//! column that may be null or has a default, an index, a view), never take away or rename, since every
//! statement names its columns.

use tokio_postgres::Client;

use crate::database::Work;
use crate::{CrmError, Database, Schema};

/// The advisory lock under which the schema is changed; those of [`store::stream::Source`] are from 0.
pub(crate) const LOCK: i32 = 1_000_000;

struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// In their order; the first has number 1.
const MIGRATIONS: [Migration; 2] = [
    Migration {
        name: "tables",
        sql: include_str!("../migrations/0001_tables.sql"),
    },
    Migration {
        name: "views",
        sql: include_str!("../migrations/0002_views.sql"),
    },
];

/// The newest version that this code knows.
pub const LATEST: i32 = MIGRATIONS.len() as i32;

/// What stands for the schema's name in the files.
const PLACEHOLDER: &str = "$schema";

impl Database {
    /// Brings the schema up to this version, or leaves it if it is as new or newer; its version then.
    pub async fn migrate(&self) -> Result<i32, CrmError> {
        let schema = self.schema.clone();
        self.transact_unready(&[LOCK], async |work: &mut Work| {
            catch_up(work, &schema).await
        })
        .await
    }
}

/// The schema's version; 0 where it is not there.
pub(crate) async fn version(client: &Client, schema: &Schema) -> Result<i32, CrmError> {
    let there = format!(
        "SELECT to_regclass('{}') IS NOT NULL",
        schema.table("schema_migrations")
    );
    let found = client
        .query_typed(&there, &[])
        .await
        .map_err(CrmError::of)?;
    if !found.first().is_some_and(|row| row.get(0)) {
        return Ok(0);
    }
    let found = client
        .query_typed(&newest(schema), &[])
        .await
        .map_err(CrmError::of)?;
    Ok(found.first().map_or(0, |row| row.get(0)))
}

/// Applies what is missing. Under [`LOCK`] and in one transaction: all of it, or nothing.
pub(crate) async fn catch_up(work: &mut Work, schema: &Schema) -> Result<i32, CrmError> {
    let there = "SELECT to_regnamespace($1::text) IS NOT NULL";
    let found = work.query(there, &[schema.as_str()]).await?;
    if !found.first().is_some_and(|row| row.get(0)) {
        // Only where it is missing: the role may be allowed the schema and not the database.
        work.run(&format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    let table = schema.table("schema_migrations");
    work.run(&format!(
        "CREATE TABLE IF NOT EXISTS {table} (version integer PRIMARY KEY, name text NOT NULL, \
         applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
    ))
    .await?;
    let found = work.query(&newest(schema), &[]).await?;
    let mut version: i32 = found.first().map_or(0, |row| row.get(0));
    for (number, migration) in (1..).zip(&MIGRATIONS) {
        if number <= version {
            continue;
        }
        work.run(&migration.sql.replace(PLACEHOLDER, schema.as_str()))
            .await?;
        let note = format!(
            "INSERT INTO {table} (version, name) VALUES ({number}, '{}')",
            migration.name
        );
        work.run(&note).await?;
        tracing::info!(
            version = number,
            name = migration.name,
            "the schema was brought up"
        );
        version = number;
    }
    Ok(version)
}

fn newest(schema: &Schema) -> String {
    let table = schema.table("schema_migrations");
    format!("SELECT coalesce(max(version), 0) FROM {table}")
}
