//! The operator's app on a platform: credentials and settings out of the secret.

use std::collections::BTreeMap;
use std::fmt;

use domain::{Platform, Secret};
use serde::Deserialize;
use serde_json::Value;

/// An app registered with a platform. One JSON object of the platforms secret.
#[derive(Clone, Deserialize)]
pub struct App {
    /// TikTok's *client key*; elsewhere client id or app id.
    #[serde(alias = "client_key", alias = "app_id")]
    pub client_id: String,
    /// The client secret.
    #[serde(alias = "app_secret")]
    pub client_secret: Secret,
    /// Secrets that sign webhooks, where they differ from the client secret or while one is being
    /// replaced. All of them are tried.
    #[serde(default)]
    pub webhook_secrets: Vec<Secret>,
    /// The redirect URI as registered, where it is not `<public base>/oauth/<platform>/callback`.
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// The scopes to ask for, where they are not the platform's usual ones.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Settings that one platform alone knows; each is described in that platform's module.
    #[serde(flatten)]
    pub settings: BTreeMap<String, Value>,
}

/// Shows the names of settings alone: a mistyped name may stand before a secret.
impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("client_id", &self.client_id)
            .field("settings", &self.settings.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Why the platforms secret cannot be used. Never shows a value.
#[derive(Debug, thiserror::Error)]
#[error("the platforms secret is not usable at `{field}`: {problem}")]
pub struct InvalidApp {
    /// Which part of the secret, as a path.
    pub field: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// All apps of a deployment: the parsed platforms secret. Platforms that it does not name are not
/// configured.
#[derive(Clone, Debug, Default)]
pub struct Apps(BTreeMap<Platform, App>);

impl Apps {
    /// Reads the secret's JSON: an object from platform name to [`App`]. Names of platforms that
    /// this version does not know are left out, so that a secret may be ahead of the code.
    pub fn parse(text: &Secret) -> Result<Self, InvalidApp> {
        let whole: BTreeMap<String, Value> =
            serde_json::from_str(text.expose()).map_err(|_| InvalidApp {
                field: "(all)".into(),
                problem: "it must be a JSON object",
            })?;
        let mut apps = BTreeMap::new();
        for (name, value) in whole {
            let Ok(platform) = name.parse::<Platform>() else {
                continue;
            };
            // serde's own message may quote a value, so it is not passed on.
            let app: App = serde_json::from_value(value).map_err(|_| InvalidApp {
                field: name.clone(),
                problem: "it must be an object with client_id and client_secret as texts",
            })?;
            if app.client_id.is_empty() || app.client_secret.is_empty() {
                let problem = "client_id and client_secret must not be empty";
                return Err(InvalidApp {
                    field: name,
                    problem,
                });
            }
            apps.insert(platform, app);
        }
        Ok(Self(apps))
    }

    /// The app for a platform, if that platform is configured.
    pub fn get(&self, platform: Platform) -> Option<&App> {
        self.0.get(&platform)
    }
}

impl App {
    /// A setting that must be one of `allowed`; the first of them where it is absent or unknown.
    pub fn choice<'a>(&self, name: &str, allowed: &[&'a str]) -> &'a str {
        let set = self.settings.get(name).and_then(Value::as_str);
        allowed
            .iter()
            .copied()
            .find(|choice| Some(*choice) == set)
            .or_else(|| allowed.first().copied())
            .unwrap_or_default()
    }

    /// A setting that is a whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.settings.get(name).and_then(Value::as_u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_apps_and_refuses_half_ones() {
        let apps = |text: &str| Apps::parse(&Secret::new(text));
        let good = apps(
            r#"{"tiktok":{"client_key":"aw1","client_secret":"s","pkce":"hex","chunk_bytes":5000000},
                "future":{"x":1}}"#,
        )
        .unwrap();
        let app = good.get(Platform::TikTok).unwrap();
        assert_eq!(app.client_id, "aw1");
        assert_eq!(app.choice("pkce", &["auto", "none", "hex"]), "hex");
        assert_eq!(app.choice("other", &["auto", "none"]), "auto");
        assert_eq!(app.number("chunk_bytes"), Some(5_000_000));
        for bad in [
            "[]",
            r#"{"tiktok":{}}"#,
            r#"{"tiktok":{"client_id":"","client_secret":"x"}}"#,
        ] {
            assert!(apps(bad).is_err(), "{bad}");
        }
    }
}
