//! The audit trail's vocabulary: who did what, and how it ended. Names are fixed, so that a search
//! for one finds all of them.

use serde::{Deserialize, Serialize};

use crate::UserId;

/// In which role somebody acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A user, with a token or a browser of their own.
    User,
    /// The product's backend, for a user.
    Service,
    /// An operator, with the scope `admin`.
    Operator,
    /// A platform, by a webhook.
    Platform,
    /// Passerelle itself, by a worker or a schedule.
    System,
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// In which role.
    pub role: Role,
    /// The token's subject, or the user's id; absent for platforms and for Passerelle itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl Who {
    /// Passerelle itself.
    pub const SYSTEM: Who = Who {
        role: Role::System,
        subject: None,
    };

    /// A platform.
    pub const PLATFORM: Who = Who {
        role: Role::Platform,
        subject: None,
    };

    /// This user.
    pub fn user(user: &UserId) -> Self {
        Self {
            role: Role::User,
            subject: Some(user.to_string()),
        }
    }

    /// A token's subject in this role.
    pub fn subject(role: Role, subject: &str) -> Self {
        Self {
            role,
            subject: Some(subject.to_owned()),
        }
    }
}

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What was done. The names are part of the public contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Act {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Act {
            /// Every act, in the order of the reference.
            pub const ALL: &[Act] = &[$(Self::$name),*];

            /// The name in tables and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

acts! {
    /// A session link was made.
    SessionCreated = "session.created";
    /// A user's record was written by the product.
    UserWritten = "user.written";
    /// A user asked for no more mails, by the link in one.
    UserOptedOut = "user.opted_out";
    /// A creator confirmed a connection.
    ConnectionConnected = "connection.connected";
    /// A connection ended.
    ConnectionDisconnected = "connection.disconnected";
    /// A refresh ended in `needs_reauth`.
    ConnectionRefreshFailed = "connection.refresh_failed";
    /// A connection that was given up came back by a rescued token.
    ConnectionRecovered = "connection.recovered";
    /// A user was erased; the object is the receipt.
    UserErased = "user.erased";
    /// A user's data were exported; the object is the export.
    UserExported = "user.exported";
    /// Statistics were asked for by hand.
    ConnectionSyncRequested = "connection.sync_requested";
    /// A post was accepted.
    PostCreated = "post.created";
    /// A target's publishing ended; the outcome says how.
    PostPublished = "post.published";
    /// A target was cancelled before anything was published.
    PostCancelled = "post.cancelled";
    /// The product resolved a target whose outcome was unknown by posting it again.
    PostResolved = "post.resolved";
    /// A webhook endpoint was made.
    WebhookEndpointCreated = "webhook_endpoint.created";
    /// A webhook endpoint was changed or enabled.
    WebhookEndpointUpdated = "webhook_endpoint.updated";
    /// A webhook endpoint was disabled: by the product, or by itself.
    WebhookEndpointDisabled = "webhook_endpoint.disabled";
    /// A webhook endpoint was given a new secret.
    WebhookEndpointRotated = "webhook_endpoint.rotated";
    /// Dead letters of a webhook endpoint were sent again.
    WebhookEndpointReplayed = "webhook_endpoint.replayed";
    /// A webhook endpoint was deleted.
    WebhookEndpointDeleted = "webhook_endpoint.deleted";
    /// A delivery is to be applied again.
    AdminDeliveryReplayed = "admin.delivery_replayed";
    /// Dead letters were sent back to their queue.
    AdminDeadLettersReplayed = "admin.dead_letters_replayed";
    /// Dead letters were thrown away.
    AdminDeadLettersDropped = "admin.dead_letters_dropped";
    /// A synthetic webhook was sent.
    AdminWebhookSent = "admin.webhook_sent";
    /// One connection's refresh was asked for.
    AdminRefreshForced = "admin.refresh_forced";
    /// The refresh of all connections that expire within a horizon was asked for.
    AdminRefreshesForced = "admin.refreshes_forced";
    /// A schedule was run by hand.
    AdminScheduleRun = "admin.schedule_run";
    /// A circuit breaker was opened by hand.
    AdminBreakerOpened = "admin.breaker_opened";
    /// A circuit breaker was closed by hand.
    AdminBreakerClosed = "admin.breaker_closed";
    /// Data keys were wrapped anew.
    AdminKeysRewrapped = "admin.keys_rewrapped";
    /// A rebuilding of the PostgreSQL projection was begun, or woken.
    AdminCrmBackfilled = "admin.crm_backfilled";
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was begun; a row that stays so belongs to a process that died midway.
    Begun,
    /// As asked.
    Done,
    /// It failed.
    Failed,
    /// It cannot be known.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_the_same_in_tables_and_code() {
        for (place, act) in Act::ALL.iter().enumerate() {
            let twin = |other: &Act| other.as_str() == act.as_str();
            assert!(!Act::ALL[place + 1..].iter().any(twin), "{act:?}");
            assert_eq!(
                serde_json::to_value(act).unwrap(),
                serde_json::Value::from(act.as_str())
            );
        }
    }
}
