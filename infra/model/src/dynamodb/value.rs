//! Attribute values: their rules, their order, their size.

use std::cmp::Ordering;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::Item;
use crate::Refusal;

/// DynamoDB's limit on an item.
pub(crate) const MOST_BYTES: usize = 400 * 1024;

/// The type's name and what is in it.
pub(super) fn parts(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object
        .iter()
        .next()
        .map(|(kind, value)| (kind.as_str(), value))
}

/// Refuses what is no attribute value.
pub(super) fn check(value: &Value) -> Result<(), Refusal> {
    let wrong = |why: &str| Err(Refusal::invalid(format!("{why}: {value}")));
    match parts(value) {
        Some(("S", Value::String(_)) | ("BOOL", Value::Bool(_)) | ("NULL", Value::Bool(true))) => {
            Ok(())
        }
        Some(("N", Value::String(text))) if number(text).is_some() => Ok(()),
        Some(("B", Value::String(text))) if BASE64.decode(text.as_bytes()).is_ok() => Ok(()),
        Some(("L", Value::Array(list))) => list.iter().try_for_each(check),
        Some(("M", Value::Object(map))) => map.values().try_for_each(check),
        Some(("SS" | "NS" | "BS", Value::Array(list))) if list.is_empty() => {
            wrong("an set may not be empty")
        }
        Some(("SS" | "NS" | "BS", Value::Array(list))) => {
            let twice = |at: usize| list[..at].contains(&list[at]);
            if (0..list.len()).any(twice) {
                return wrong("Input collection contains duplicates");
            }
            Ok(())
        }
        _ => wrong("not an attribute value"),
    }
}

/// Whether two values are equal; sets have no order, numbers no spelling.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (parts(a), parts(b)) {
        (Some(("N", _)), Some(("N", _))) => order(a, b) == Some(Ordering::Equal),
        (Some((x @ ("SS" | "NS" | "BS"), one)), Some((y, other))) if x == y => {
            members(one) == members(other)
        }
        _ => a == b,
    }
}

/// The order of two values; none between types, and none for what has no order.
pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (parts(a)?, parts(b)?) {
        (("S", Value::String(a)), ("S", Value::String(b))) => Some(a.as_bytes().cmp(b.as_bytes())),
        (("N", Value::String(a)), ("N", Value::String(b))) => number(a)?.partial_cmp(&number(b)?),
        (("B", Value::String(a)), ("B", Value::String(b))) => {
            let bytes = |text: &str| BASE64.decode(text.as_bytes()).ok();
            Some(bytes(a)?.cmp(&bytes(b)?))
        }
        _ => None,
    }
}

/// `a + b`, or `a - b`; whole numbers only.
pub(super) fn sum(a: &Value, b: &Value, minus: bool) -> Result<Value, Refusal> {
    let whole = |value: &Value| match parts(value) {
        Some(("N", Value::String(text))) => text.parse::<i128>().ok(),
        _ => None,
    };
    let (Some(a), Some(b)) = (whole(a), whole(b)) else {
        let sentence = "An operand in the update expression has an incorrect data type";
        return Err(Refusal::invalid(sentence));
    };
    let sum = if minus { a - b } else { a + b };
    Ok(json!({ "N": sum.to_string() }))
}

/// The size by DynamoDB's way of counting, about.
pub(super) fn size(item: &Item) -> usize {
    let pairs = item.iter();
    pairs.map(|(name, value)| name.len() + size_of(value)).sum()
}

fn size_of(value: &Value) -> usize {
    match parts(value) {
        Some(("S", Value::String(text))) => text.len(),
        Some(("N", Value::String(text))) => text.len().div_ceil(2) + 1,
        Some(("B", Value::String(text))) => text.len() / 4 * 3,
        Some(("L", Value::Array(list))) => {
            3 + list.iter().map(|one| 1 + size_of(one)).sum::<usize>()
        }
        Some(("M", Value::Object(map))) => {
            let pairs = map.iter();
            3 + pairs
                .map(|(name, one)| 1 + name.len() + size_of(one))
                .sum::<usize>()
        }
        Some((_, Value::Array(set))) => {
            set.iter().map(|one| one.as_str().map_or(1, str::len)).sum()
        }
        _ => 1,
    }
}

/// A text that sorts as the key value does.
pub(super) fn sort_text(value: &Value) -> Option<String> {
    match parts(value)? {
        ("S" | "B", Value::String(text)) => Some(text.clone()),
        ("N", Value::String(text)) => {
            let whole: i128 = text.parse().ok()?;
            // Shifted above zero, so that texts of equal length sort as the numbers do.
            Some(format!("{:040}", whole.checked_add(1 << 100)?))
        }
        _ => None,
    }
}

pub(super) fn members(set: &Value) -> Vec<&str> {
    let mut members: Vec<&str> = set
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    members.sort_unstable();
    members
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
