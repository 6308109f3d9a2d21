//! A platform's production and its sandbox, which a deployment may use side by side.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Platform, UnknownPlatform};

/// Where an app lives on its platform.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// With everybody.
    #[default]
    Production,
    /// With the people whom the operator named to the platform, and under its restrictions.
    Sandbox,
}

impl Environment {
    /// Both, the usual one first.
    pub const ALL: [Environment; 2] = [Environment::Production, Environment::Sandbox];

    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Environment::Production => "production",
            Environment::Sandbox => "sandbox",
        }
    }

    /// The environment of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// Whether it is the usual one, which rows and messages leave unsaid.
    pub fn is_production(&self) -> bool {
        *self == Environment::Production
    }
}

/// One of a deployment's apps on a platform. What a platform gives out per app (account ids, limits,
/// what it says of the app as a whole) is kept under it, so that a sandbox touches nothing of the
/// production. Its text is `tiktok`, or `tiktok/sandbox`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppRef {
    /// On which platform.
    pub platform: Platform,
    /// Where there.
    pub environment: Environment,
}

impl AppRef {
    /// The app of this platform and environment.
    pub const fn new(platform: Platform, environment: Environment) -> Self {
        Self {
            platform,
            environment,
        }
    }
}

/// The production's app.
impl From<Platform> for AppRef {
    fn from(platform: Platform) -> Self {
        Self::new(platform, Environment::Production)
    }
}

impl fmt::Display for AppRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.environment {
            Environment::Production => write!(f, "{}", self.platform),
            Environment::Sandbox => write!(f, "{}/sandbox", self.platform),
        }
    }
}

impl FromStr for AppRef {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_suffix("/sandbox") {
            None => text.parse().map(Platform::into),
            Some(platform) => Ok(Self::new(platform.parse()?, Environment::Sandbox)),
        }
    }
}

impl TryFrom<String> for AppRef {
    type Error = UnknownPlatform;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AppRef> for String {
    fn from(app: AppRef) -> Self {
        app.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_production_bears_its_platforms_name_alone() {
        for (environment, text) in [
            (Environment::Production, "tiktok"),
            (Environment::Sandbox, "tiktok/sandbox"),
        ] {
            let app = AppRef::new(Platform::TikTok, environment);
            assert_eq!(app.to_string(), text);
            assert_eq!(text.parse(), Ok(app));
            assert_eq!(Environment::parse(environment.as_str()), Some(environment));
        }
        for bad in ["", "myspace", "/sandbox", "tiktok/production", "tiktok/"] {
            assert!(bad.parse::<AppRef>().is_err(), "{bad}");
        }
    }
}
