//! Looking at a sample of all connections, for figures.
//!
//! A scan in as many segments as DynamoDB is told: a segment is a range of the hashes of users, so
//! each is a fair sample, and all of them are the table.

use domain::{ConnectionStatus, Platform, Timestamp};
use serde::Deserialize;

use super::Connections;
use crate::StoreError;
use crate::item;

/// What a figure needs of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Standing {
    /// On which platform.
    pub platform: Platform,
    /// Where it stands.
    pub status: ConnectionStatus,
    /// When the access token dies.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// When it is to be refreshed.
    #[serde(default)]
    pub due_at: Option<Timestamp>,
    /// Refreshes that failed in a row.
    #[serde(default)]
    pub failures: u32,
    /// When it last changed its state or tokens.
    #[serde(default)]
    pub updated_at: Timestamp,
}

impl Connections {
    /// How many items the table has, ended connections included. DynamoDB counts every six hours.
    pub async fn size(&self) -> Result<u64, StoreError> {
        let answer = self
            .0
            .client
            .describe_table()
            .table_name(&self.0.name)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        let count = answer.table.and_then(|table| table.item_count);
        Ok(count
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0))
    }

    /// The connections of segment `segment` of `segments`, at most `most`; eventually consistent. Costs
    /// half a read unit for each 4 KB of whole items.
    pub async fn sample(
        &self,
        segment: u32,
        segments: u32,
        most: usize,
    ) -> Result<Vec<Standing>, StoreError> {
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let mut found = Vec::new();
        let mut from = None;
        while found.len() < most {
            let left = i32::try_from(most - found.len()).unwrap_or(i32::MAX);
            let answer = self
                .0
                .client
                .scan()
                .table_name(&self.0.name)
                .segment(number(segment))
                .total_segments(number(segments))
                .projection_expression(
                    "platform, #status, expires_at, due_at, failures, updated_at",
                )
                .expression_attribute_names("#status", "status")
                .limit(left)
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| StoreError::unavailable(&error))?;
            // An item of a later version's form holds up no figure.
            let items = answer.items.unwrap_or_default().into_iter();
            found.extend(items.filter_map(|item| item::read(&self.0.name, item).ok()));
            from = answer.last_evaluated_key;
            if from.is_none() {
                break;
            }
        }
        Ok(found)
    }
}
