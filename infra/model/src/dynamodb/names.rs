//! What stands behind `#names` and `:values`, and which of them were used.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::lexer::{Token, Tokens};
use super::{Item, value};
use crate::Refusal;

/// A place in an item: an attribute, and names inside of it.
pub(super) type Path = Vec<String>;

/// The placeholders of one request, or of one write of a transaction.
pub(super) struct Names<'a> {
    names: Option<&'a Map<String, Value>>,
    values: Option<&'a Map<String, Value>>,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Names<'a> {
    pub(super) fn of(request: &'a Value) -> Result<Self, Refusal> {
        let values = request["ExpressionAttributeValues"].as_object();
        for value in values.into_iter().flat_map(Map::values) {
            value::check(value)?;
        }
        Ok(Self {
            names: request["ExpressionAttributeNames"].as_object(),
            values,
            used: RefCell::default(),
        })
    }

    /// Reads a path.
    pub(super) fn path(&self, tokens: &mut Tokens) -> Result<Path, Refusal> {
        let mut path = vec![self.name(tokens)?];
        while tokens.sign(".") {
            path.push(self.name(tokens)?);
        }
        Ok(path)
    }

    fn name(&self, tokens: &mut Tokens) -> Result<String, Refusal> {
        let wrong = tokens.wrong();
        let Token::Name(name) = tokens.next()? else {
            return Err(wrong);
        };
        self.real(&name)
    }

    fn real(&self, name: &str) -> Result<String, Refusal> {
        if !name.starts_with('#') {
            return Ok(name.to_owned());
        }
        let real = self.names.and_then(|names| names.get(name)?.as_str());
        let real = real.ok_or_else(|| undefined("attribute name", name))?;
        self.used.borrow_mut().insert(name.to_owned());
        Ok(real.to_owned())
    }

    /// The attributes that a request wants to see, if it does not want all: whole ones, no paths.
    pub(super) fn projection(&self, request: &Value) -> Result<Option<Vec<String>>, Refusal> {
        let Some(wanted) = request["ProjectionExpression"].as_str() else {
            return Ok(None);
        };
        let names = wanted.split(',').map(|name| self.real(name.trim()));
        names.collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn value(&self, placeholder: &str) -> Result<Value, Refusal> {
        let value = self.values.and_then(|values| values.get(placeholder));
        let value = value.ok_or_else(|| undefined("attribute value", placeholder))?;
        self.used.borrow_mut().insert(placeholder.to_owned());
        Ok(value.clone())
    }

    /// Refuses placeholders that no expression used; call it once all are read.
    pub(super) fn all_used(&self) -> Result<(), Refusal> {
        let used = self.used.borrow();
        let given = [self.names, self.values].into_iter().flatten();
        let mut unused = given
            .flat_map(Map::keys)
            .filter(|name| !used.contains(*name));
        match unused.next() {
            None => Ok(()),
            Some(name) => Err(Refusal::invalid(format!(
                "Value provided in ExpressionAttributeNames or Values unused in expressions: {name}"
            ))),
        }
    }
}

fn undefined(what: &str, name: &str) -> Refusal {
    Refusal::invalid(format!(
        "An expression {what} used in expression is not defined; {what}: {name}"
    ))
}

/// What is at a place of an item.
pub(super) fn at<'a>(item: &'a Item, path: &Path) -> Option<&'a Value> {
    let mut found = item.get(path.first()?)?;
    for name in &path[1..] {
        found = found.get("M")?.get(name)?;
    }
    Some(found)
}
