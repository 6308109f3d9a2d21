//! Users: what the product told us of a person.
//!
//! | access | by |
//! |---|---|
//! | read one, tell about one | `user_id` |

use domain::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{key, text, value};
use crate::{StoreError, Table};

/// A person, by the product's id of them. What a session does not say stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The product's id.
    pub user_id: UserId,
    /// What pages call them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// For reports and notices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// BCP 47.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Since when the user consents to be shown to merchants; absent where they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_at: Option<Timestamp>,
    /// When it was last told.
    pub updated_at: Timestamp,
}

/// The table of users.
#[derive(Clone, Debug)]
pub struct Users(Table);

impl Users {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The user, if they were ever told of.
    pub async fn get(&self, user: &UserId) -> Result<Option<User>, StoreError> {
        self.0.get(key([("user_id", user.as_str())])).await
    }

    /// Writes what `user` says over what is known; absent fields are left alone.
    pub async fn tell(&self, user: &User) -> Result<(), StoreError> {
        let mut change = Change::new().set("updated_at", value(user.updated_at));
        let fields = [
            ("label", &user.label),
            ("email", &user.email),
            ("locale", &user.locale),
            ("time_zone", &user.time_zone),
        ];
        for (name, said) in fields {
            if let Some(said) = said {
                change = change.set(name, text(said));
            }
        }
        self.0
            .client
            .update_item()
            .table_name(&self.0.name)
            .set_key(Some(key([("user_id", user.user_id.as_str())])))
            .update_expression(change.expression())
            .set_expression_attribute_names(change.names())
            .set_expression_attribute_values(change.values())
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        Ok(())
    }
}
