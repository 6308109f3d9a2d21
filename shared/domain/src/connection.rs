//! The states of a connection.

use serde::{Deserialize, Serialize};

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// Tokens are held and refreshed.
    Active,
    /// The platform no longer honours our tokens: the creator must connect again.
    NeedsReauth,
    /// Ended by the user, the product or the platform. The tombstone stays for a while.
    Disconnected,
}

impl ConnectionStatus {
    /// The name in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsReauth => "needs_reauth",
            Self::Disconnected => "disconnected",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::NeedsReauth, Self::Disconnected]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// Why a connection needs its creator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReauthReason {
    /// The platform refused the refresh token as dead.
    GrantRevoked,
    /// The refresh token's lifetime is over.
    RefreshExpired,
    /// We may have lost a rotated token: a worker died, or an answer never came, after the old
    /// token was spent.
    RotationLost,
    /// The platform's access token ended and there is no way to refresh it.
    CannotRefresh,
}

impl ReauthReason {
    /// The name in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GrantRevoked => "grant_revoked",
            Self::RefreshExpired => "refresh_expired",
            Self::RotationLost => "rotation_lost",
            Self::CannotRefresh => "cannot_refresh",
        }
    }
}

/// What became of telling the platform that a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// The platform took the revocation.
    Done,
    /// It will be tried again, for 24 hours in all.
    Pending,
    /// 24 hours of tries failed: the creator can remove the app in the platform's own settings.
    Failed,
    /// Not sent: another connection still holds the account, and a revoke would end that one too.
    KeptForOtherConnections,
    /// Nothing to revoke: the platform ended the connection, or has no revocation.
    NotNeeded,
}

impl Revocation {
    /// The name in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Pending => "pending",
            Self::Failed => "failed",
            Self::KeptForOtherConnections => "kept_for_other_connections",
            Self::NotNeeded => "not_needed",
        }
    }
}
