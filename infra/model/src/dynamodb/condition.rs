//! Condition, filter and key-condition expressions.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::lexer::{Token, Tokens};
use super::names::{Names, Path, at};
use super::{Item, value};
use crate::Refusal;

/// One condition.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Compare(Operand, &'static str, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Exists(Path, bool),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
}

/// What is compared.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Path(Path),
    Value(Value),
    Size(Path),
}

const COMPARISONS: [&str; 6] = ["=", "<>", "<=", ">=", "<", ">"];

impl Condition {
    /// Reads a whole expression.
    pub(super) fn read(text: &str, names: &Names<'_>) -> Result<Self, Refusal> {
        let mut tokens = Tokens::read(text)?;
        let condition = or(&mut tokens, names)?;
        if tokens.is_over() {
            return Ok(condition);
        }
        Err(tokens.wrong())
    }

    /// Whether it holds of an item; an absent item is an empty one.
    pub(super) fn holds(&self, item: &Item) -> bool {
        match self {
            Self::Compare(a, sign, b) => compare(a.of(item), sign, b.of(item)),
            Self::Between(a, low, high) => {
                compare(a.of(item), ">=", low.of(item)) && compare(a.of(item), "<=", high.of(item))
            }
            Self::In(a, list) => list
                .iter()
                .any(|one| compare(a.of(item), "=", one.of(item))),
            Self::Exists(path, wanted) => at(item, path).is_some() == *wanted,
            Self::BeginsWith(a, prefix) => match (a.of(item), prefix.of(item)) {
                (Some(text), Some(prefix)) => match (text["S"].as_str(), prefix["S"].as_str()) {
                    (Some(text), Some(prefix)) => text.starts_with(prefix),
                    _ => false,
                },
                _ => false,
            },
            Self::Contains(a, part) => match (a.of(item), part.of(item)) {
                (Some(whole), Some(part)) => contains(&whole, &part),
                _ => false,
            },
            Self::And(a, b) => a.holds(item) && b.holds(item),
            Self::Or(a, b) => a.holds(item) || b.holds(item),
            Self::Not(a) => !a.holds(item),
        }
    }

    /// The parts of a key condition: equality on the hash key, and what is asked of the range key.
    pub(super) fn of_keys(
        self,
        hash: &str,
        range: Option<&str>,
    ) -> Result<(Value, Option<Self>), Refusal> {
        let refused =
            || Refusal::invalid("Query condition missed key schema element, or is not supported");
        let is = |operand: &Operand, name: &str| matches!(operand, Operand::Path(path) if path.len() == 1 && path[0] == name);
        match self {
            Self::Compare(a, "=", Operand::Value(value)) if is(&a, hash) => Ok((value, None)),
            Self::And(a, b) => {
                let ((value, None), rest) = (a.of_keys(hash, None)?, *b) else {
                    return Err(refused());
                };
                let on_range = match &rest {
                    Self::Compare(a, sign, Operand::Value(_)) => {
                        *sign != "<>" && range.is_some_and(|range| is(a, range))
                    }
                    Self::Between(a, ..) | Self::BeginsWith(a, _) => {
                        range.is_some_and(|range| is(a, range))
                    }
                    _ => false,
                };
                if on_range {
                    Ok((value, Some(rest)))
                } else {
                    Err(refused())
                }
            }
            _ => Err(refused()),
        }
    }
}

impl Operand {
    fn of(&self, item: &Item) -> Option<Value> {
        match self {
            Self::Path(path) => at(item, path).cloned(),
            Self::Value(value) => Some(value.clone()),
            Self::Size(path) => {
                let (_, inner) = value::parts(at(item, path)?)?;
                let size = match inner {
                    Value::String(text) => text.len(),
                    Value::Array(list) => list.len(),
                    Value::Object(map) => map.len(),
                    _ => return None,
                };
                Some(json!({ "N": size.to_string() }))
            }
        }
    }
}

fn compare(a: Option<Value>, sign: &str, b: Option<Value>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        // What is absent differs from everything, and compares with nothing.
        return sign == "<>";
    };
    match sign {
        "=" => value::same(&a, &b),
        "<>" => !value::same(&a, &b),
        _ => value::order(&a, &b).is_some_and(|order| match sign {
            "<" => order == Ordering::Less,
            "<=" => order != Ordering::Greater,
            ">" => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }),
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    let (Some((kind, inner)), Some((_, wanted))) = (value::parts(whole), value::parts(part)) else {
        return false;
    };
    match (kind, inner) {
        ("S", Value::String(text)) => wanted.as_str().is_some_and(|part| text.contains(part)),
        ("L", Value::Array(list)) => list.iter().any(|one| value::same(one, part)),
        (_, Value::Array(set)) => set.contains(wanted),
        _ => false,
    }
}

fn or(tokens: &mut Tokens, names: &Names<'_>) -> Result<Condition, Refusal> {
    let mut left = and(tokens, names)?;
    while tokens.word("OR") {
        left = Condition::Or(Box::new(left), Box::new(and(tokens, names)?));
    }
    Ok(left)
}

fn and(tokens: &mut Tokens, names: &Names<'_>) -> Result<Condition, Refusal> {
    let mut left = not(tokens, names)?;
    while tokens.word("AND") {
        left = Condition::And(Box::new(left), Box::new(not(tokens, names)?));
    }
    Ok(left)
}

fn not(tokens: &mut Tokens, names: &Names<'_>) -> Result<Condition, Refusal> {
    if tokens.word("NOT") {
        return Ok(Condition::Not(Box::new(not(tokens, names)?)));
    }
    if tokens.sign("(") {
        let inner = or(tokens, names)?;
        tokens.expect(")")?;
        return Ok(inner);
    }
    single(tokens, names)
}

fn single(tokens: &mut Tokens, names: &Names<'_>) -> Result<Condition, Refusal> {
    for (word, wanted) in [("attribute_exists", true), ("attribute_not_exists", false)] {
        if tokens.word(word) {
            tokens.expect("(")?;
            let path = names.path(tokens)?;
            tokens.expect(")")?;
            return Ok(Condition::Exists(path, wanted));
        }
    }
    for word in ["begins_with", "contains"] {
        if tokens.word(word) {
            tokens.expect("(")?;
            let whole = operand(tokens, names)?;
            tokens.expect(",")?;
            let part = operand(tokens, names)?;
            tokens.expect(")")?;
            return Ok(match word {
                "contains" => Condition::Contains(whole, part),
                _ => Condition::BeginsWith(whole, part),
            });
        }
    }
    let left = operand(tokens, names)?;
    if tokens.word("BETWEEN") {
        let low = operand(tokens, names)?;
        if !tokens.word("AND") {
            return Err(tokens.wrong());
        }
        return Ok(Condition::Between(left, low, operand(tokens, names)?));
    }
    if tokens.word("IN") {
        tokens.expect("(")?;
        let mut list = vec![operand(tokens, names)?];
        while tokens.sign(",") {
            list.push(operand(tokens, names)?);
        }
        tokens.expect(")")?;
        return Ok(Condition::In(left, list));
    }
    let sign = COMPARISONS.into_iter().find(|sign| tokens.sign(sign));
    let sign = sign.ok_or_else(|| tokens.wrong())?;
    Ok(Condition::Compare(left, sign, operand(tokens, names)?))
}

fn operand(tokens: &mut Tokens, names: &Names<'_>) -> Result<Operand, Refusal> {
    if let Some(Token::Value(name)) = tokens.peek().cloned() {
        tokens.next()?;
        return Ok(Operand::Value(names.value(&name)?));
    }
    if tokens.word("size") {
        tokens.expect("(")?;
        let path = names.path(tokens)?;
        tokens.expect(")")?;
        return Ok(Operand::Size(path));
    }
    Ok(Operand::Path(names.path(tokens)?))
}
