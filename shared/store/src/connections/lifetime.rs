//! When a bundle was issued, and when what ends.

use domain::{ConnectionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Connection, shard};
use crate::expression::Change;
use crate::item::value;

/// How long before an end that its creator alone can put off the product and the creator are told.
pub const END_TOLD_BEFORE_SECONDS: i64 = 3 * 86_400;
/// Platforms state the same end anew, seconds apart: one that is later by less is the same.
const SAME_END_SECONDS: i64 = 86_400;

/// The instants of a bundle, as they are written beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetime {
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When the access token dies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When the refresh token dies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_expires_at: Option<Timestamp>,
    /// When the creator's consent itself ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_ends_at: Option<Timestamp>,
    /// When the tokens end for good, where nothing renews them before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_end_at: Option<Timestamp>,
    /// When a worker must look at the connection: to renew its tokens, or to tell of their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
}

/// The attributes of a row that tell of ends, beside those of the due index: gone with the tokens.
pub(super) const ENDS: [&str; 5] = [
    "expires_at",
    "refresh_expires_at",
    "grant_ends_at",
    "tokens_end_at",
    "end_told",
];

impl Lifetime {
    /// Sets all of it.
    pub(super) fn set(&self, change: Change, connection: &ConnectionId) -> Change {
        change
            .set("issued_at", value(self.issued_at))
            .set_or_remove("expires_at", self.expires_at.map(value))
            .set_or_remove("refresh_expires_at", self.refresh_expires_at.map(value))
            .set_or_remove("grant_ends_at", self.grant_ends_at.map(value))
            .set_or_remove("tokens_end_at", self.tokens_end_at.map(value))
            .set_or_remove("due_at", self.due_at.map(value))
            .set_or_remove("due_shard", self.due_at.map(|_| shard(connection)))
    }

    /// When it ends unless its creator acts, whatever we renew; `None` where nothing is known to end.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.grant_ends_at
            .into_iter()
            .chain(self.tokens_end_at)
            .min()
    }

    /// The end of which the product is still to be told, soon or now; `told`: the one that it was.
    pub fn end_to_tell(&self, told: Option<Timestamp>) -> Option<Timestamp> {
        let same_before = told.map(|told| told.plus_secs(SAME_END_SECONDS));
        let told = |end: &Timestamp| same_before.is_some_and(|same_before| *end < same_before);
        self.ends_at().filter(|end| !told(end))
    }
}

impl Connection {
    /// The instants of the present bundle.
    pub fn lifetime(&self) -> Lifetime {
        Lifetime {
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            refresh_expires_at: self.refresh_expires_at,
            grant_ends_at: self.grant_ends_at,
            tokens_end_at: self.tokens_end_at,
            due_at: self.due_at,
        }
    }

    /// The end of which the product is still to be told, soon or now.
    pub fn end_to_tell(&self) -> Option<Timestamp> {
        self.lifetime().end_to_tell(self.end_told)
    }
}
