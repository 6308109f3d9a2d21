//! Mails: what was sent to whom, so that nothing is sent twice. No address and no text is kept.
//!
//! | access | by |
//! |---|---|
//! | claim one; settle one | `user_id`, `mail_key` |
//!
//! The row is written before the mail is handed over. One that stays `claimed` belongs to a process
//! that died, or got no answer: whether the mail went out is unknown, and it is not sent again. Only a
//! mail that was surely refused, for a reason that passes, may be claimed once more.

use domain::{AttemptId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::expression::Change;
use crate::item::{key, text, value};
use crate::{StoreError, Table, Written};

/// Where a mail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// About to be handed over, or lost on the way.
    Claimed,
    /// Handed over.
    Sent,
    /// Refused for now: nothing was sent, and it may be claimed again.
    PutOff,
    /// Refused for good.
    Refused,
}

/// What stands of one mail, or of one cause of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailRow {
    /// To whom.
    pub user_id: UserId,
    /// What: `report#2026-W47`, `notice#<connection id>#<cause>`.
    pub mail_key: String,
    /// Where it stands.
    pub state: MailState,
    /// When it was last claimed.
    pub claimed_at: Timestamp,
    /// SES's id of it, once sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// From then on it counts as absent.
    pub expires_at: Timestamp,
}

/// The right to send one mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    user_id: UserId,
    mail_key: String,
    id: AttemptId,
}

/// The table of mails.
#[derive(Clone, Debug)]
pub struct Mails(Table);

impl Mails {
    /// Over the table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    /// Takes the right to send a mail; `None` if somebody has it or had it. The row is kept until
    /// `keep_until`.
    pub async fn claim(
        &self,
        user: &UserId,
        mail_key: &str,
        (now, keep_until): (Timestamp, Timestamp),
        attempt: AttemptId,
    ) -> Result<Option<Claim>, StoreError> {
        let change = Change::new()
            .set("state", value(MailState::Claimed))
            .set("claim", text(attempt.as_str()))
            .set("claimed_at", value(now))
            .set("expires_at", value(keep_until))
            .set("ttl", value(keep_until.secs()))
            .when("attribute_not_exists(#state) OR #state = :put_off OR #expires_at <= :now")
            .bind("put_off", value(MailState::PutOff))
            .bind("now", value(now));
        let done: Written<MailRow, _> = self.0.change(of(user, mail_key), change, &attempt).await?;
        Ok(matches!(done, Written::Done(_)).then(|| Claim {
            user_id: user.clone(),
            mail_key: mail_key.to_owned(),
            id: attempt,
        }))
    }

    /// Writes down what became of a claimed mail. `false` if the claim is no longer the one that
    /// stands.
    pub async fn settle(
        &self,
        claim: &Claim,
        state: MailState,
        message_id: Option<&str>,
        attempt: &AttemptId,
    ) -> Result<bool, StoreError> {
        let change = Change::new()
            .set("state", value(state))
            .set_or_remove("message_id", message_id.map(text))
            .when("#claim = :claimed")
            .bind("claimed", text(claim.id.as_str()));
        let key = of(&claim.user_id, &claim.mail_key);
        let done: Written<MailRow, _> = self.0.change(key, change, attempt).await?;
        Ok(matches!(done, Written::Done(_)))
    }
}

fn of(user: &UserId, mail_key: &str) -> crate::item::Item {
    key([("user_id", user.as_str()), ("mail_key", mail_key)])
}
