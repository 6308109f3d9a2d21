//! What the refresh queue holds.

use domain::{ConnectionId, Platform, UserId};
use serde::{Deserialize, Serialize};

/// One due connection, as `token-refresh` queues it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshMessage {
    /// Whose.
    pub user_id: UserId,
    /// Which.
    pub connection_id: ConnectionId,
    /// What the due index said of it, so that the worker need not read it first; absent where
    /// somebody wants it refreshed though it is not due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<SeenDue>,
    /// The version that somebody wants replaced: a message that comes twice finds it gone. Absent
    /// where whatever version stands is to be replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// A row of the due index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenDue {
    /// The platform.
    pub platform: Platform,
    /// The version that is due.
    pub token_version: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_a_due_row_is_a_wish() {
        let text = r#"{"user_id":"u1","connection_id":"conn_00000000000000000000000000"}"#;
        let message: RefreshMessage = serde_json::from_str(text).unwrap();
        assert_eq!(message.due, None);
    }

    mod fuzz {
        use proptest::prelude::*;

        use crate::{RefreshMessage, RescueMessage};

        const RESCUE: &str = r#"{"user_id":"u1","connection_id":"conn_00000000000000000000000000","sealed":"AQID","seen":3,"scopes":["a"],"expires_at":1,"issued_at":0}"#;
        const REFRESH: &str = r#"{"user_id":"u1","connection_id":"conn_00000000000000000000000000","due":{"platform":"tiktok","token_version":3}}"#;

        proptest! {
            /// Whatever lies in a queue is a message that reads the same again, or none.
            #[test]
            fn messages(at in any::<usize>(), insert in any::<String>(), cut in 0usize..9, rescue in any::<bool>()) {
                let text = if rescue { RESCUE } else { REFRESH };
                let at = at % text.len();
                let text = format!("{}{insert}{}", &text[..at], &text[(at + cut).min(text.len())..]);
                if let Ok(message) = serde_json::from_str::<RefreshMessage>(&text) {
                    let again = serde_json::to_string(&message).unwrap();
                    prop_assert_eq!(serde_json::from_str::<RefreshMessage>(&again).unwrap(), message);
                }
                if let Ok(message) = serde_json::from_str::<RescueMessage>(&text) {
                    let again = serde_json::to_string(&message).unwrap();
                    prop_assert_eq!(serde_json::from_str::<RescueMessage>(&again).unwrap(), message);
                }
            }
        }
    }
}
