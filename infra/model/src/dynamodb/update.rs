//! Update expressions.

use serde_json::{Map, Value, json};

use super::lexer::{Token, Tokens};
use super::names::{Names, Path, at};
use super::{Item, value};
use crate::Refusal;

/// What an update does, clause by clause.
#[derive(Clone, Debug, Default)]
pub(super) struct Update {
    sets: Vec<(Path, Operand)>,
    removes: Vec<Path>,
    adds: Vec<(Path, Value)>,
    deletes: Vec<(Path, Value)>,
}

#[derive(Clone, Debug)]
enum Operand {
    Path(Path),
    Value(Value),
    IfNotExists(Path, Box<Self>),
    ListAppend(Box<Self>, Box<Self>),
    Sum(Box<Self>, Box<Self>, bool),
}

impl Update {
    pub(super) fn read(text: &str, names: &Names<'_>) -> Result<Self, Refusal> {
        let mut tokens = Tokens::read(text)?;
        let mut update = Self::default();
        let mut seen = Vec::new();
        while !tokens.is_over() {
            let clauses = ["SET", "REMOVE", "ADD", "DELETE"];
            let clause = clauses.into_iter().find(|word| tokens.word(word));
            let clause = clause.ok_or_else(|| tokens.wrong())?;
            if seen.contains(&clause) {
                return Err(tokens.wrong());
            }
            seen.push(clause);
            loop {
                update.action(clause, &mut tokens, names)?;
                if !tokens.sign(",") {
                    break;
                }
            }
        }
        update.no_overlap()?;
        Ok(update)
    }

    fn action(
        &mut self,
        clause: &str,
        tokens: &mut Tokens,
        names: &Names<'_>,
    ) -> Result<(), Refusal> {
        let path = names.path(tokens)?;
        match clause {
            "SET" => {
                tokens.expect("=")?;
                let mut operand = operand(tokens, names)?;
                for (sign, minus) in [("+", false), ("-", true)] {
                    if tokens.sign(sign) {
                        let other = self::operand(tokens, names)?;
                        operand = Operand::Sum(Box::new(operand), Box::new(other), minus);
                    }
                }
                self.sets.push((path, operand));
            }
            "REMOVE" => self.removes.push(path),
            _ => {
                let wrong = tokens.wrong();
                let Token::Value(name) = tokens.next()? else {
                    return Err(wrong);
                };
                let value = names.value(&name)?;
                match clause {
                    "ADD" => self.adds.push((path, value)),
                    _ => self.deletes.push((path, value)),
                }
            }
        }
        Ok(())
    }

    fn paths(&self) -> Vec<&Path> {
        let sets = self.sets.iter().map(|(path, _)| path);
        let others = self.adds.iter().chain(&self.deletes).map(|(path, _)| path);
        sets.chain(&self.removes).chain(others).collect()
    }

    fn no_overlap(&self) -> Result<(), Refusal> {
        let paths = self.paths();
        for (place, path) in paths.iter().enumerate() {
            let overlaps = |other: &&Path| other.starts_with(path) || path.starts_with(other);
            if paths[..place].iter().any(overlaps) {
                let sentence = "Two document paths overlap with each other";
                return Err(Refusal::invalid(format!("{sentence}: {}", path.join("."))));
            }
        }
        Ok(())
    }

    /// Whether it changes one of these attributes.
    pub(super) fn touches(&self, names: &[&str]) -> bool {
        self.paths()
            .iter()
            .any(|path| names.contains(&path[0].as_str()))
    }

    /// The item after the update; every operand is the old item's.
    pub(super) fn apply(&self, old: &Item) -> Result<Item, Refusal> {
        let mut new = old.clone();
        for (path, operand) in &self.sets {
            put(&mut new, path, operand.of(old)?)?;
        }
        for path in &self.removes {
            remove(&mut new, path);
        }
        for (path, by) in &self.adds {
            let sum = match (at(old, path), value::parts(by)) {
                (None, Some(("N" | "SS" | "NS" | "BS", _))) => by.clone(),
                (Some(was), Some(("N", _))) => value::sum(was, by, false)?,
                (Some(was), Some((kind @ ("SS" | "NS" | "BS"), more))) => {
                    let mut all = set(was, kind)?;
                    for one in set(&json!({ kind: more }), kind)? {
                        if !all.contains(&one) {
                            all.push(one);
                        }
                    }
                    json!({ kind: all })
                }
                _ => return Err(wrong_type()),
            };
            put(&mut new, path, sum)?;
        }
        for (path, less) in &self.deletes {
            let Some((kind @ ("SS" | "NS" | "BS"), _)) = value::parts(less) else {
                return Err(wrong_type());
            };
            let Some(was) = at(old, path) else {
                continue;
            };
            let less = set(less, kind)?;
            let mut left = set(was, kind)?;
            left.retain(|one| !less.contains(one));
            if left.is_empty() {
                remove(&mut new, path);
            } else {
                put(&mut new, path, json!({ kind: left }))?;
            }
        }
        Ok(new)
    }
}

impl Operand {
    fn of(&self, old: &Item) -> Result<Value, Refusal> {
        match self {
            Self::Path(path) => at(old, path).cloned().ok_or_else(|| {
                let sentence = "The provided expression refers to an attribute that does not exist in the item";
                Refusal::invalid(sentence)
            }),
            Self::Value(value) => Ok(value.clone()),
            Self::IfNotExists(path, or) => match at(old, path) {
                Some(value) => Ok(value.clone()),
                None => or.of(old),
            },
            Self::ListAppend(a, b) => {
                let (a, b) = (a.of(old)?, b.of(old)?);
                let (Some(a), Some(b)) = (a["L"].as_array(), b["L"].as_array()) else {
                    return Err(wrong_type());
                };
                Ok(json!({ "L": a.iter().chain(b).collect::<Vec<_>>() }))
            }
            Self::Sum(a, b, minus) => value::sum(&a.of(old)?, &b.of(old)?, *minus),
        }
    }
}

fn operand(tokens: &mut Tokens, names: &Names<'_>) -> Result<Operand, Refusal> {
    if let Some(Token::Value(name)) = tokens.peek().cloned() {
        tokens.next()?;
        return Ok(Operand::Value(names.value(&name)?));
    }
    if tokens.word("if_not_exists") {
        tokens.expect("(")?;
        let path = names.path(tokens)?;
        tokens.expect(",")?;
        let or = operand(tokens, names)?;
        tokens.expect(")")?;
        return Ok(Operand::IfNotExists(path, Box::new(or)));
    }
    if tokens.word("list_append") {
        tokens.expect("(")?;
        let a = operand(tokens, names)?;
        tokens.expect(",")?;
        let b = operand(tokens, names)?;
        tokens.expect(")")?;
        return Ok(Operand::ListAppend(Box::new(a), Box::new(b)));
    }
    Ok(Operand::Path(names.path(tokens)?))
}

fn set(value: &Value, kind: &str) -> Result<Vec<Value>, Refusal> {
    let set = value[kind].as_array();
    set.cloned().ok_or_else(wrong_type)
}

fn put(item: &mut Item, path: &Path, value: Value) -> Result<(), Refusal> {
    if let [name] = path.as_slice() {
        item.insert(name.clone(), value);
        return Ok(());
    }
    let Some((last, map)) = path
        .split_last()
        .zip(parent(item, path))
        .map(|((l, _), m)| (l, m))
    else {
        let sentence = "The document path provided in the update expression is invalid for update";
        return Err(Refusal::invalid(sentence));
    };
    map.insert(last.clone(), value);
    Ok(())
}

fn remove(item: &mut Item, path: &Path) {
    if let [name] = path.as_slice() {
        item.remove(name);
    } else if let Some(map) = parent(item, path) {
        map.remove(&path[path.len() - 1]);
    }
}

/// The map that holds the last name of a path.
fn parent<'a>(item: &'a mut Item, path: &Path) -> Option<&'a mut Map<String, Value>> {
    let mut map = item.get_mut(&path[0])?.get_mut("M")?.as_object_mut()?;
    for name in &path[1..path.len() - 1] {
        map = map.get_mut(name)?.get_mut("M")?.as_object_mut()?;
    }
    Some(map)
}

fn wrong_type() -> Refusal {
    Refusal::invalid("An operand in the update expression has an incorrect data type")
}
