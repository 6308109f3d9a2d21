//! What only a connection's creator can mend. Pure, over what the connection knows of itself.

use domain::{ConnectionStatus, ReauthReason, Timestamp};
use store::Connection;
use store::connections::END_TOLD_BEFORE_SECONDS;

/// Why a creator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The platform no longer honours our tokens.
    Reauth(ReauthReason),
    /// The tokens end then, and no refresh of ours comes before.
    TokenEnds(Timestamp),
    /// The consent itself ends then, whatever we refresh.
    GrantEnds(Timestamp),
}

/// What its creator is to be told of a connection, if anything. Never what we refresh ourselves: where
/// a refresh comes before the tokens end it is ours to make, also where it fails.
pub fn cause(connection: &Connection, now: Timestamp) -> Option<Cause> {
    let soon = |end: &Timestamp| *end < now.plus_secs(END_TOLD_BEFORE_SECONDS);
    match connection.status {
        ConnectionStatus::Disconnected => None,
        ConnectionStatus::NeedsReauth => Some(Cause::Reauth(
            connection.reason.unwrap_or(ReauthReason::GrantRevoked),
        )),
        ConnectionStatus::Active => {
            let grant = connection.grant_ends_at.filter(soon);
            let token = connection.tokens_end_at.filter(soon);
            grant.map(Cause::GrantEnds).or(token.map(Cause::TokenEnds))
        }
    }
}

impl Cause {
    /// What makes this cause another one than an earlier one of the same connection. Ends are told
    /// apart by their day: platforms state them anew, seconds apart.
    pub fn key(self, connection: &Connection) -> String {
        let day = |end: Timestamp| end.secs().div_euclid(86_400);
        match self {
            Self::Reauth(reason) => {
                format!("reauth#{}#{}", reason.as_str(), connection.token_version)
            }
            Self::TokenEnds(end) => format!("token_ends#{}", day(end)),
            Self::GrantEnds(end) => format!("grant_ends#{}", day(end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn days(days: i64) -> i64 {
        NOW.plus_secs(days * 86_400).millis()
    }

    fn connection(over: Value) -> Connection {
        let mut row = json!({
            "user_id": "u", "connection_id": "conn_aaaaaaaaaaaaaaaaaaaaaaaaaa", "platform": "tiktok",
            "account": { "platform": "tiktok", "id": "a", "display_name": "Joris" },
            "status": "active", "token_version": 3, "created_at": 1, "updated_at": 1,
        });
        for (name, value) in over.as_object().unwrap() {
            row[name] = value.clone();
        }
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn only_what_the_creator_alone_can_save_is_told() {
        let end = |days_left: i64| Timestamp::from_millis(days(days_left));
        for (what, over, expected) in [
            ("all is well", json!({}), None),
            (
                "a refresh token that ends tomorrow, and is refreshed before",
                json!({ "refresh_expires_at": days(1), "due_at": days(0) }),
                None,
            ),
            (
                "tokens that nobody refreshes, in 2 days",
                json!({ "refresh_expires_at": days(2), "tokens_end_at": days(2) }),
                Some(Cause::TokenEnds(end(2))),
            ),
            (
                "the same in 3 days: not yet",
                json!({ "refresh_expires_at": days(3), "tokens_end_at": days(3) }),
                None,
            ),
            (
                "a consent that ends, whatever we refresh",
                json!({ "grant_ends_at": days(2), "refresh_expires_at": days(60), "due_at": days(1) }),
                Some(Cause::GrantEnds(end(2))),
            ),
            (
                "a consent that ends in a month",
                json!({ "grant_ends_at": days(30), "due_at": days(1) }),
                None,
            ),
            (
                "needs its creator",
                json!({ "status": "needs_reauth", "reason": "rotation_lost" }),
                Some(Cause::Reauth(ReauthReason::RotationLost)),
            ),
            (
                "ended",
                json!({ "status": "disconnected", "refresh_expires_at": days(1) }),
                None,
            ),
        ] {
            assert_eq!(cause(&connection(over), NOW), expected, "{what}");
        }
    }

    #[test]
    fn a_cause_is_told_once_and_a_new_one_again() {
        let key = |over: Value| {
            let connection = connection(over);
            cause(&connection, NOW).unwrap().key(&connection)
        };
        let ends = json!({ "tokens_end_at": days(2) });
        // A minute later is the same end; a day later is another.
        assert_eq!(
            key(ends.clone()),
            key(json!({ "tokens_end_at": days(2) + 60_000 }))
        );
        assert_ne!(key(ends), key(json!({ "tokens_end_at": days(1) })));
        let dead = |version: u64, reason: &str| {
            key(json!({ "status": "needs_reauth", "reason": reason, "token_version": version }))
        };
        assert_eq!(dead(3, "grant_revoked"), dead(3, "grant_revoked"));
        // Connected again, and dead again.
        assert_ne!(dead(3, "grant_revoked"), dead(4, "grant_revoked"));
        assert_ne!(dead(3, "grant_revoked"), dead(3, "refresh_expired"));
    }
}
