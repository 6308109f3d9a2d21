//! Users: what the product told us of a person, what they chose of their mails, and when the next one
//! is due.
//!
//! | access | by |
//! |---|---|
//! | read one, change one | `user_id` |
//! | whose mails are due | index `mail` |
//!
//! Whoever changes a row reads it first and writes under the condition that nobody wrote in between.

use domain::{AttemptId, Entropy, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::due::{DueIndex, shard_of};
use crate::expression::Change;
use crate::item::{key, text, value};
use crate::{StoreError, Table, Written};

const MAIL: DueIndex = DueIndex {
    name: "mail",
    shard: "mail_shard",
    at: "mail_due_at",
};

/// How often a change that meets another one is made anew.
const TRIES: usize = 6;

/// A person, by the product's id of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The product's id.
    pub user_id: UserId,
    /// What pages and mails call them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Where reports and notices go; none are sent without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// BCP 47.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Whether weekly reports are wanted.
    #[serde(default = "wanted")]
    pub reports: bool,
    /// Whether notices are wanted of connections that only their creator can save.
    #[serde(default = "wanted")]
    pub notices: bool,
    /// Since when the user consents to be shown to merchants; absent where they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_at: Option<Timestamp>,
    /// When the next mail may be due; absent where none will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_due_at: Option<Timestamp>,
    /// When it was first told of.
    #[serde(default)]
    pub created_at: Timestamp,
    /// When it was last changed by the product or the user.
    pub updated_at: Timestamp,
    /// The write that stands: whoever changes the row does so over this one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
}

const fn wanted() -> bool {
    true
}

/// A row of the index of due mails.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DueMail {
    /// Whose.
    pub user_id: UserId,
    /// Since when it is due.
    pub mail_due_at: Timestamp,
}

/// The table of users.
#[derive(Clone, Debug)]
pub struct Users(Table);

impl User {
    /// A user of whom nothing is known but the id. Mails are wanted until somebody says otherwise.
    pub fn new(user_id: UserId, now: Timestamp) -> Self {
        Self {
            user_id,
            label: None,
            email: None,
            locale: None,
            time_zone: None,
            reports: true,
            notices: true,
            listed_at: None,
            mail_due_at: None,
            created_at: now,
            updated_at: now,
            attempt: None,
        }
    }
}

impl Users {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// The user, if they were ever told of.
    pub async fn get(&self, user: &UserId) -> Result<Option<User>, StoreError> {
        self.0.get(of(user)).await
    }

    /// Changes a user who is known, or a new one; gives the row as it was, if there was one, and as it
    /// stands now. `edit` is called anew for each try.
    pub async fn change(
        &self,
        user: &UserId,
        now: Timestamp,
        entropy: &dyn Entropy,
        edit: impl Fn(&mut User),
    ) -> Result<(Option<User>, User), StoreError> {
        for _ in 0..TRIES {
            let old = self.get(user).await?;
            let mut new = old.clone().unwrap_or(User::new(user.clone(), now));
            edit(&mut new);
            new.updated_at = now;
            let attempt = AttemptId::new(now, entropy);
            let change = under(written(&new), old.as_ref());
            if let Written::Done(new) = self.0.change(of(user), change, &attempt).await? {
                return Ok((old, new));
            }
        }
        Err(StoreError::Unavailable("conflict".to_owned()))
    }

    /// The same for a user who is known alone: `None` where they are not.
    pub async fn change_known(
        &self,
        user: &UserId,
        now: Timestamp,
        entropy: &dyn Entropy,
        edit: impl Fn(&mut User),
    ) -> Result<Option<User>, StoreError> {
        if self.get(user).await?.is_none() {
            return Ok(None);
        }
        let (_, new) = self.change(user, now, entropy, edit).await?;
        Ok(Some(new))
    }

    /// Users of one shard whose mails are due, the most overdue first.
    pub async fn due_mails(
        &self,
        shard: &str,
        now: Timestamp,
        limit: i32,
    ) -> Result<Vec<DueMail>, StoreError> {
        self.0.due_rows_in(MAIL, shard, now, limit, |_| true).await
    }

    /// Moves the time of a due mail on to `to`, or takes it away; `false` if it was moved since it was
    /// seen. Who moves it may act on it.
    pub async fn move_mail(
        &self,
        seen: &DueMail,
        to: Option<Timestamp>,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = due(Change::new(), &seen.user_id, to)
            .when("#mail_due_at = :seen")
            .bind("seen", value(seen.mail_due_at));
        let done: Written<User, _> = self.0.change(of(&seen.user_id), change, attempt).await?;
        Ok(matches!(done, Written::Done(_)))
    }
}

fn of(user: &UserId) -> crate::item::Item {
    key([("user_id", user.as_str())])
}

/// All that callers can change.
fn written(user: &User) -> Change {
    let texts = [
        ("label", &user.label),
        ("email", &user.email),
        ("locale", &user.locale),
        ("time_zone", &user.time_zone),
    ];
    let change = texts
        .into_iter()
        .fold(Change::new(), |change, (name, said)| {
            change.set_or_remove(name, said.as_ref().map(text))
        });
    let change = change
        .set("reports", value(user.reports))
        .set("notices", value(user.notices))
        .set_or_remove("listed_at", user.listed_at.map(value))
        .set("created_at", value(user.created_at))
        .set("updated_at", value(user.updated_at));
    due(change, &user.user_id, user.mail_due_at)
}

/// The place in the index, which is sparse.
fn due(change: Change, user: &UserId, at: Option<Timestamp>) -> Change {
    let shard = at.map(|_| text(shard_of(user.as_str())));
    change
        .set_or_remove("mail_due_at", at.map(value))
        .set_or_remove("mail_shard", shard)
}

/// Under the condition that the row is as it was seen.
fn under(change: Change, seen: Option<&User>) -> Change {
    match seen {
        None => change.when("attribute_not_exists(#user_id)"),
        // A row of an earlier version knows of no attempt.
        Some(User { attempt: None, .. }) => {
            change.when("attribute_exists(#user_id) AND attribute_not_exists(#attempt)")
        }
        Some(User {
            attempt: Some(seen),
            ..
        }) => change
            .when("#attempt = :seen_attempt")
            .bind("seen_attempt", text(seen.as_str())),
    }
}
