//! What a platform hands out at the end of a flow.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Secret, Timestamp};

/// Everything that lets us act for an account. It exists in the clear only on the stack of a caller
/// of `vault`; serialising it is what sealing does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenBundle {
    /// Sent with calls.
    pub access_token: Secret,
    /// Exchanged for the next access token; absent where the platform has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// When the access token dies, counted from before the request that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When the refresh token dies; absent where the platform does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_expires_at: Option<Timestamp>,
    /// Scopes as granted, not as asked.
    pub scopes: Vec<String>,
    /// Further tokens of the same account, by the platform's own names (a page token).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Secret>,
}

/// The scopes of `asked` that are not in `granted`, in the order asked.
pub fn missing_scopes(asked: &[String], granted: &[String]) -> Vec<String> {
    asked
        .iter()
        .filter(|scope| !granted.contains(scope))
        .cloned()
        .collect()
}
