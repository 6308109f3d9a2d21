//! The PostgreSQL projection of a stack, held against its tables.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use crm::{Database, Difference, Row, rows, tables};
use store::stream::{FollowedTables, Source};

use crate::Stack;

/// The tables of a stack that the projection follows.
pub fn followed(stack: &Stack) -> Result<FollowedTables> {
    let name = |source: Source| -> Result<(Source, String)> {
        let noun = match source {
            Source::SyncLogs => "syncLogs",
            Source::MediaItems => "mediaItems",
            Source::AnalyticsEvents => "analyticsEvents",
            other => other.as_str(),
        };
        Ok((source, stack.table(noun)?.to_owned()))
    };
    let names = Source::ALL.into_iter().map(name).collect::<Result<_>>()?;
    Ok(FollowedTables::new(&stack.clients().dynamodb, &names))
}

/// Where PostgreSQL and DynamoDB differ, row by row, by the names of PostgreSQL's tables; empty where
/// they do not. Both are read as they stand, so whoever compares waits until nothing moves any more
/// ([`until_equal`]).
pub async fn compare(
    stack: &Stack,
    database: &Database,
) -> Result<BTreeMap<&'static str, Difference>> {
    let followed = followed(stack)?;
    let mut found = BTreeMap::new();
    for source in followed.sources() {
        let table = tables::of_source(source);
        let mut expected: Vec<Row> = Vec::new();
        for image in followed.images(source).await? {
            expected.extend(rows::rows_of(&image.read(source)?));
        }
        let difference = database.difference(table, &expected).await?;
        if difference != Difference::default() {
            found.insert(table.name, difference);
        }
    }
    Ok(found)
}

/// Waits until PostgreSQL shows what DynamoDB holds; the error shows where they differ at last.
pub async fn until_equal(
    stack: &Stack,
    database: &Database,
    bound: std::time::Duration,
) -> Result<()> {
    let until = tokio::time::Instant::now() + bound;
    loop {
        let found = compare(stack, database).await?;
        if found.is_empty() {
            return Ok(());
        }
        if tokio::time::Instant::now() >= until {
            let mut told = String::new();
            for (table, Difference { missing, extra }) in &found {
                let (few, many) = (missing.first(), extra.first());
                let counts = (missing.len(), extra.len());
                told.push_str(&format!(
                    "\n{table} {counts:?}: missing {few:?}, extra {many:?}"
                ));
            }
            bail!("PostgreSQL and DynamoDB differ after {bound:?}:{told}");
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
