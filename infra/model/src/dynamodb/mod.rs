//! DynamoDB: the calls that the store makes, on tables as the template declares them.
//!
//! Expressions are read into trees and evaluated; names and values that are not used, or not given,
//! are refused as DynamoDB refuses them. Reserved words are not known here. Every call is one step:
//! transactions never conflict by themselves, a fault must ask for it.

mod condition;
mod database;
mod lexer;
mod names;
mod query;
mod table;
mod transaction;
mod update;
mod value;

use std::collections::BTreeMap;

use serde_json::Value;

pub(crate) use database::{Database, touched};
pub use table::{Index, Projection, TableSpec};

/// One item, attributes in DynamoDB's JSON (`{"S": "text"}`).
pub type Item = BTreeMap<String, Value>;
