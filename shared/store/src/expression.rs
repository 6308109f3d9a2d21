//! Update expressions with their conditions, spelt without placeholder bookkeeping.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Update as TransactUpdate};

use crate::StoreError;
use crate::item::{self, Item};

/// One item's change and the condition under which it is made.
///
/// Attribute names are always aliased (`status` and `ttl` are reserved words): in a condition, write
/// `#status`, and `:seen` for a value given to [`Change::bind`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    sets: Vec<String>,
    removes: Vec<String>,
    deletes: Vec<String>,
    adds: Vec<String>,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Change {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Gives the attribute this value.
    pub(crate) fn set(mut self, name: &str, value: AttributeValue) -> Self {
        self.sets.push(format!("#{name} = :{name}"));
        self.alias(name);
        self.values.insert(format!(":{name}"), value);
        self
    }

    /// Gives the attribute this value, or takes it away.
    pub(crate) fn set_or_remove(self, name: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove([name]),
        }
    }

    /// Gives the attribute the value of an expression over the old item.
    pub(crate) fn set_to(mut self, name: &str, expression: &str) -> Self {
        self.alias(name);
        let expression = self.aliased(expression);
        self.sets.push(format!("#{name} = {expression}"));
        self
    }

    /// Takes attributes away.
    pub(crate) fn remove<const N: usize>(mut self, names: [&str; N]) -> Self {
        for name in names {
            self.removes.push(format!("#{name}"));
            self.alias(name);
        }
        self
    }

    /// Adds a member to a set of texts.
    pub(crate) fn add_member(mut self, name: &str, member: &str) -> Self {
        self.adds.push(format!("#{name} :{name}_member"));
        self.members(name, &[member])
    }

    /// Takes a member out of a set of texts.
    pub(crate) fn delete_member(self, name: &str, member: &str) -> Self {
        self.delete_members(name, &[member])
    }

    /// Takes members out of a set of texts.
    pub(crate) fn delete_members(mut self, name: &str, members: &[&str]) -> Self {
        self.deletes.push(format!("#{name} :{name}_member"));
        self.members(name, members)
    }

    /// Adds to a number; an absent one counts as zero.
    pub(crate) fn add_number(mut self, name: &str, by: i64) -> Self {
        self.adds.push(format!("#{name} :{name}_by"));
        self.alias(name);
        self.values
            .insert(format!(":{name}_by"), AttributeValue::N(by.to_string()));
        self
    }

    /// Requires this too.
    pub(crate) fn when(mut self, condition: &str) -> Self {
        let condition = self.aliased(condition);
        self.conditions.push(format!("({condition})"));
        self
    }

    /// A value for a condition or an expression.
    pub(crate) fn bind(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(format!(":{name}"), value);
        self
    }

    pub(crate) fn expression(&self) -> String {
        let clause = |word: &str, parts: &[String]| {
            (!parts.is_empty()).then(|| format!("{word} {}", parts.join(", ")))
        };
        [
            clause("SET", &self.sets),
            clause("REMOVE", &self.removes),
            clause("ADD", &self.adds),
            clause("DELETE", &self.deletes),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
    }

    pub(crate) fn condition(&self) -> Option<String> {
        (!self.conditions.is_empty()).then(|| self.conditions.join(" AND "))
    }

    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    pub(crate) fn values(&self) -> Option<Item> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }

    /// Refuses a change whose values alone are more than an item may hold.
    pub(crate) fn fitting(&self, table: &str) -> Result<(), StoreError> {
        if item::size(&self.values) > item::MAX_ITEM_BYTES {
            return Err(StoreError::TooLarge(table.to_owned()));
        }
        Ok(())
    }

    /// Its condition alone, as one part of a transaction that leaves the item as it is.
    pub(crate) fn checked_in_transaction(
        self,
        table: &str,
        key: Item,
    ) -> Result<ConditionCheck, StoreError> {
        ConditionCheck::builder()
            .table_name(table)
            .set_key(Some(key))
            .set_condition_expression(self.condition())
            .set_expression_attribute_names(self.names())
            .set_expression_attribute_values(self.values())
            .build()
            .map_err(|error| StoreError::Malformed {
                table: table.to_owned(),
                problem: error.to_string(),
            })
    }

    /// As one write of a transaction.
    pub(crate) fn in_transaction(
        self,
        table: &str,
        key: Item,
    ) -> Result<TransactUpdate, StoreError> {
        self.fitting(table)?;
        let builder: UpdateBuilder = TransactUpdate::builder()
            .table_name(table)
            .set_key(Some(key))
            .update_expression(self.expression())
            .set_condition_expression(self.condition())
            .set_expression_attribute_names(self.names())
            .set_expression_attribute_values(self.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        builder.build().map_err(|error| StoreError::Malformed {
            table: table.to_owned(),
            problem: error.to_string(),
        })
    }

    fn alias(&mut self, name: &str) {
        self.names.insert(format!("#{name}"), name.to_owned());
    }

    fn members(mut self, name: &str, members: &[&str]) -> Self {
        self.alias(name);
        let set = AttributeValue::Ss(members.iter().map(|one| (*one).to_owned()).collect());
        self.values.insert(format!(":{name}_member"), set);
        self
    }

    /// Registers every `#name` of a condition.
    fn aliased(&mut self, condition: &str) -> String {
        for piece in condition.split('#').skip(1) {
            let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            self.alias(&piece[..end.unwrap_or(piece.len())]);
        }
        condition.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::text;

    #[test]
    fn spells_expressions_with_every_name_aliased() {
        let change = Change::new()
            .set("status", text("active"))
            .set_to("lease_previous", "if_not_exists(#lease_holder, :none)")
            .remove(["ttl"])
            .add_number("tries", 1)
            .delete_member("holders", "a")
            .when("#token_version = :seen OR attribute_not_exists(#lease_until)")
            .when("#status = :was")
            .bind("seen", text("1"));
        assert_eq!(
            change.expression(),
            "SET #status = :status, #lease_previous = if_not_exists(#lease_holder, :none) \
             REMOVE #ttl ADD #tries :tries_by DELETE #holders :holders_member"
        );
        assert_eq!(
            change.condition().unwrap(),
            "(#token_version = :seen OR attribute_not_exists(#lease_until)) AND (#status = :was)"
        );
        let mut names: Vec<_> = change.names().unwrap().into_values().collect();
        names.sort();
        let expected = [
            "holders",
            "lease_holder",
            "lease_previous",
            "lease_until",
            "status",
            "token_version",
            "tries",
            "ttl",
        ];
        assert_eq!(names, expected);
    }

    mod fuzz {
        use std::collections::BTreeSet;

        use proptest::prelude::*;

        use super::super::Change;
        use crate::item::text;

        /// The placeholders with this mark in a text.
        fn placeholders(text: &str, mark: char) -> BTreeSet<String> {
            let piece = |piece: &str| {
                let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                format!("{mark}{}", &piece[..end.unwrap_or(piece.len())])
            };
            text.split(mark).skip(1).map(piece).collect()
        }

        proptest! {
            /// DynamoDB refuses an expression with a placeholder that is not given, and one that is given
            /// and not used.
            #[test]
            fn every_placeholder_is_given_and_used(
                steps in proptest::collection::vec((0u8..8, "[a-z]{1,3}(_[a-z]{1,3})?", any::<String>()), 0..8),
            ) {
                let mut change = Change::new();
                let mut used = BTreeSet::new();
                for (step, name, content) in steps {
                    // One attribute is changed in one way.
                    if !used.insert(name.clone()) {
                        continue;
                    }
                    change = match step {
                        0 => change.set(&name, text(content)),
                        1 => change.set_or_remove(&name, None),
                        2 => change.set_to(&name, &format!("if_not_exists(#{name}, #{name}2)")),
                        3 => change.remove([name.as_str()]),
                        4 => change.add_member(&name, &content),
                        5 => change.delete_member(&name, &content),
                        6 => change.add_number(&name, 1),
                        _ => change
                            .when(&format!("attribute_not_exists(#{name}) OR #{name} < :{name}_seen"))
                            .bind(&format!("{name}_seen"), text(content)),
                    };
                }
                let spelt = format!("{} {}", change.expression(), change.condition().unwrap_or_default());
                let names: BTreeSet<String> = change.names().unwrap_or_default().into_keys().collect();
                let values: BTreeSet<String> = change.values().unwrap_or_default().into_keys().collect();
                prop_assert_eq!(placeholders(&spelt, '#'), names);
                prop_assert_eq!(placeholders(&spelt, ':'), values);
                for word in ["SET ", "REMOVE ", "ADD ", "DELETE "] {
                    prop_assert!(change.expression().matches(word).count() <= 1);
                }
            }
        }
    }
}
