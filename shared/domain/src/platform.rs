//! The platforms that the product has a name for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A social platform. What each can do is told by the capability look-ups in `platforms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// TikTok for Developers, v2.
    TikTok,
}

impl Platform {
    /// Every platform, in the order in which lists show them.
    pub const ALL: &[Platform] = &[Platform::TikTok];

    /// The name in paths, tables, queues and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Platform::TikTok => "tiktok",
        }
    }

    /// The name that a person reads.
    pub const fn title(self) -> &'static str {
        match self {
            Platform::TikTok => "TikTok",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no platform of this deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such platform")]
pub struct UnknownPlatform;

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Platform::ALL
            .iter()
            .copied()
            .find(|platform| platform.as_str() == name)
            .ok_or(UnknownPlatform)
    }
}
