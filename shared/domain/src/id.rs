//! Ids. Each has a type and a prefix, so that a wrong one is visible in a log and refused by a
//! signature.

use std::fmt;

use aws_lc_rs::digest;
use data_encoding::BASE32HEX_NOPAD;
use serde::{Deserialize, Serialize};

use crate::{Account, AppRef, Entropy, Environment, Platform, Timestamp};

/// A text that is not an id of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed id")]
pub struct InvalidId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: 48 bits of time (so that ids sort by age), then 80 random bits.
            pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(fresh($prefix, now, entropy))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                if well_formed($prefix, &text) { Ok(Self(text)) } else { Err(InvalidId) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// One user's authorised account on one platform. See [`ConnectionId::of`].
    ConnectionId = "conn_";
    /// One OAuth attempt.
    FlowId = "flow_";
    /// One uploaded file.
    MediaId = "media_";
    /// One post, with its targets.
    PostId = "post_";
    /// One post on one connection.
    TargetId = "tgt_";
    /// One webhook received. See [`DeliveryId::of`].
    DeliveryId = "dlv_";
    /// One thing that the product is told.
    EventId = "evt_";
    /// One address of the product's that events are sent to.
    EndpointId = "ep_";
    /// One row of the audit trail.
    AuditId = "aud_";
    /// One try at a conditional write: a refusal whose old item bears our own is a success.
    AttemptId = "att_";
    /// One sync of statistics, of one connection or of several. See [`SyncId::of`].
    SyncId = "sync_";
    /// Who holds a lease: one invocation of one function.
    Holder = "hold_";
    /// One long piece of work that is done in slices.
    JobId = "job_";
}

impl ConnectionId {
    /// The one id of this user's connection to this account: connecting again finds the same item
    /// instead of making a second one.
    pub fn of(user: &UserId, platform: Platform, account_id: &str) -> Self {
        Self(derived(
            Self::PREFIX,
            &[user.as_str(), platform.as_str(), account_id],
        ))
    }

    /// The same for any account. One that was connected with a sandbox's app is another one than the
    /// production's of the same id: ids of accounts are each app's own.
    pub fn to(user: &UserId, account: &Account) -> Self {
        match account.environment {
            Environment::Production => Self::of(user, account.platform, &account.id),
            Environment::Sandbox => Self(derived(
                Self::PREFIX,
                &[user.as_str(), &account.app().to_string(), &account.id],
            )),
        }
    }
}

impl EventId {
    /// The id of the event that `cause` (a connection's version, a target's step) gives rise to:
    /// the same cause writes the same row, so an event is told once however often its write runs.
    pub fn of(cause: &[&str]) -> Self {
        Self(derived(Self::PREFIX, cause))
    }
}

impl AttemptId {
    /// When it was made, in milliseconds.
    pub fn made_at(&self) -> Timestamp {
        // 10 of its characters hold the 48 bits of time, and 2 of the random ones.
        let letters = self.0.bytes().skip(Self::PREFIX.len()).take(10);
        let bits = letters.fold(0_i64, |bits, letter| {
            let value = match letter {
                b'0'..=b'9' => letter - b'0',
                _ => letter.saturating_sub(b'a') + 10,
            };
            bits << 5 | i64::from(value)
        });
        Timestamp::from_millis(bits >> 2)
    }
}

impl SyncId {
    /// The id of the sync that `cause` (a connection's due time, a delivery) gives rise to: the same
    /// cause is read once, however often its message comes.
    pub fn of(cause: &[&str]) -> Self {
        Self(derived(Self::PREFIX, cause))
    }
}

impl DeliveryId {
    /// The id of a delivery by what makes it unique among those to the app.
    pub fn of(app: impl Into<AppRef>, dedup_key: &str) -> Self {
        let app = app.into().to_string();
        Self(derived(Self::PREFIX, &[&app, dedup_key]))
    }
}

/// The product's own id of a person: any text of 1 to 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

impl UserId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let visible = text.bytes().all(|b| b.is_ascii_graphic());
        if (1..=128).contains(&text.len()) && visible {
            Ok(Self(text))
        } else {
            Err(InvalidId)
        }
    }
}

impl std::str::FromStr for UserId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.to_owned().try_into()
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> String {
        id.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Base32hex keeps the order of the bytes, so text ids sort as their times do.
fn fresh(prefix: &str, now: Timestamp, entropy: &dyn Entropy) -> String {
    let mut bytes = [0u8; 16];
    bytes[..6].copy_from_slice(&now.millis().to_be_bytes()[2..]);
    entropy.fill(&mut bytes[6..]);
    format!(
        "{prefix}{}",
        BASE32HEX_NOPAD.encode(&bytes).to_ascii_lowercase()
    )
}

/// Parts are length-prefixed: ("ab", "c") and ("a", "bc") are different causes.
fn derived(prefix: &str, parts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let hash = context.finish();
    format!(
        "{prefix}{}",
        BASE32HEX_NOPAD
            .encode(&hash.as_ref()[..16])
            .to_ascii_lowercase()
    )
}

fn well_formed(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == 26 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn ids_sort_by_age_and_read_back() {
        let entropy = SeededEntropy::new(7);
        let older = PostId::new(Timestamp::from_millis(1_000), &entropy);
        let newer = PostId::new(Timestamp::from_millis(2_000), &entropy);
        assert!(older < newer);
        assert_eq!(older.as_str().parse::<PostId>(), Ok(older.clone()));
        assert_eq!(older.as_str().parse::<MediaId>(), Err(InvalidId));
        assert_eq!("post_short".parse::<PostId>(), Err(InvalidId));
    }

    #[test]
    fn an_attempt_knows_when_it_was_made() {
        for (millis, seed) in [(0, 1), (1, 2), (1_795_000_000_123, 3), ((1 << 48) - 1, 4)] {
            let at = Timestamp::from_millis(millis);
            let attempt = AttemptId::new(at, &SeededEntropy::new(seed));
            assert_eq!(attempt.made_at(), at);
        }
        let highest: AttemptId = format!("att_{}", "v".repeat(26)).parse().unwrap();
        assert_eq!(highest.made_at().millis(), (1 << 48) - 1);
    }

    #[test]
    fn a_connection_is_its_user_platform_and_account() {
        let user = |text: &str| text.parse::<UserId>().unwrap();
        let id = ConnectionId::of(&user("u1"), Platform::TikTok, "a");
        assert_eq!(id, ConnectionId::of(&user("u1"), Platform::TikTok, "a"));
        assert_ne!(id, ConnectionId::of(&user("u2"), Platform::TikTok, "a"));
        assert_ne!(id, ConnectionId::of(&user("u1"), Platform::TikTok, "b"));
        let mut account: Account = serde_json::from_value(serde_json::json!({
            "platform": "tiktok", "id": "a", "display_name": "",
        }))
        .unwrap();
        assert_eq!(id, ConnectionId::to(&user("u1"), &account));
        account.environment = Environment::Sandbox;
        assert_ne!(id, ConnectionId::to(&user("u1"), &account));
        assert_eq!(account.key(), "tiktok/sandbox#a");
        assert!(id.as_str().parse::<ConnectionId>().is_ok());
    }

    #[test]
    fn user_ids_are_visible_ascii() {
        for (text, good) in [("u-1", true), ("", false), ("a b", false), ("é", false)] {
            assert_eq!(text.parse::<UserId>().is_ok(), good, "{text:?}");
        }
        assert!("x".repeat(129).parse::<UserId>().is_err());
    }
}
