//! The operator's app on a platform: credentials and settings out of the secret.

use std::collections::BTreeMap;
use std::fmt;

use domain::{AppRef, Environment, Platform, Secret};
use serde::Deserialize;
use serde_json::{Map, Value};

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
/// configured. A platform has its production's app, its sandbox's, or both side by side.
#[derive(Clone, Debug, Default)]
pub struct Apps(BTreeMap<Platform, Vec<App>>);

/// What is an app's own: a sandbox beside it does not inherit it.
const OWN: &[&str] = &[
    "client_id",
    "client_key",
    "app_id",
    "client_secret",
    "app_secret",
    "webhook_secrets",
    SANDBOX,
];
const SANDBOX: &str = "sandbox";

impl Apps {
    /// Reads the secret's JSON: an object from platform name to [`App`]. Names of platforms that
    /// this version does not know are left out, so that a secret may be ahead of the code.
    ///
    /// An app's `sandbox` may be an object: the app of the platform's sandbox, beside the app that
    /// holds it. It has the settings of that app unless it says otherwise. Without credentials around
    /// it, it is the platform's only app.
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
            let (main, sandbox) = side_by_side(value);
            let mut found = Vec::new();
            if let Some(main) = main {
                found.push(app(&name, main)?);
            }
            if let Some(sandbox) = sandbox {
                let (field, sandbox) = (format!("{name}.{SANDBOX}"), Value::Object(sandbox));
                let sandbox = app(&field, sandbox)?;
                // A connection knows its app by the client id.
                if found
                    .iter()
                    .any(|app: &App| app.client_id == sandbox.client_id)
                {
                    let problem = "its client_id must be another one than the production's";
                    return Err(InvalidApp { field, problem });
                }
                found.push(sandbox);
            }
            apps.insert(platform, found);
        }
        Ok(Self(apps))
    }

    /// The app for a platform, if that platform is configured: the production's where it has two.
    pub fn get(&self, platform: Platform) -> Option<&App> {
        self.all(platform).first()
    }

    /// The app that a connection was made with. What was made before client ids were kept is the
    /// production's. A client id that is no app of this deployment finds none, and never another one:
    /// the platform would take its tokens for dead.
    pub fn of(&self, platform: Platform, client_id: Option<&str>) -> Option<&App> {
        match client_id {
            None => self.get(platform),
            Some(id) => self.all(platform).iter().find(|app| app.client_id == id),
        }
    }

    /// The app in one of a platform's environments.
    pub fn at(&self, app: AppRef) -> Option<&App> {
        let mut apps = self.all(app.platform).iter();
        apps.find(|one| one.environment() == app.environment)
    }

    /// Every app of a platform, the production's first.
    pub fn all(&self, platform: Platform) -> &[App] {
        self.0.get(&platform).map_or(&[], Vec::as_slice)
    }
}

/// The object of a platform's app, and that of the sandbox beside it with all that it inherits.
fn side_by_side(value: Value) -> (Option<Value>, Option<Map<String, Value>>) {
    let Value::Object(mut outer) = value else {
        return (Some(value), None);
    };
    let Some(Value::Object(inner)) = outer.get(SANDBOX).cloned() else {
        return (Some(Value::Object(outer)), None);
    };
    outer.remove(SANDBOX);
    let mut sandbox = outer.clone();
    sandbox.retain(|name, _| !OWN.contains(&name.as_str()));
    sandbox.extend(inner);
    sandbox.insert(SANDBOX.to_owned(), Value::Bool(true));
    let credentials = OWN.iter().any(|name| outer.contains_key(*name));
    (credentials.then_some(Value::Object(outer)), Some(sandbox))
}

fn app(field: &str, value: Value) -> Result<App, InvalidApp> {
    let invalid = |problem| InvalidApp {
        field: field.to_owned(),
        problem,
    };
    // serde's own message may quote a value, so it is not passed on.
    let app: App = serde_json::from_value(value)
        .map_err(|_| invalid("it must be an object with client_id and client_secret as texts"))?;
    if app.client_id.is_empty() || app.client_secret.is_empty() {
        return Err(invalid("client_id and client_secret must not be empty"));
    }
    Ok(app)
}

impl App {
    /// Where it lives: in the platform's sandbox where its setting `sandbox` is `true`.
    pub fn environment(&self) -> Environment {
        match self.settings.get(SANDBOX).and_then(Value::as_bool) {
            Some(true) => Environment::Sandbox,
            _ => Environment::Production,
        }
    }

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
            r#"{"tiktok":{"client_id":"a","client_secret":"x","sandbox":{}}}"#,
            r#"{"tiktok":{"client_id":"a","client_secret":"x","sandbox":{"client_id":"b"}}}"#,
            r#"{"tiktok":{"client_id":"a","client_secret":"x",
                "sandbox":{"client_id":"a","client_secret":"y"}}}"#,
            r#"{"tiktok":{"client_id":"a","sandbox":{"client_id":"b","client_secret":"y"}}}"#,
        ] {
            assert!(apps(bad).is_err(), "{bad}");
        }
    }

    const BOTH: &str = r#"{"tiktok":{"client_key":"p","client_secret":"sp","webhook_secrets":["old"],
        "pkce":"hex","daily_posts":3,
        "sandbox":{"client_key":"s","client_secret":"ss","daily_posts":7}}}"#;

    #[test]
    fn a_sandbox_stands_beside_its_production() {
        let apps = Apps::parse(&Secret::new(BOTH)).unwrap();
        let tiktok = Platform::TikTok;
        let id = |app: Option<&App>| app.map(|app| app.client_id.clone());
        let at = |environment| apps.at(AppRef::new(tiktok, environment));
        assert_eq!(id(apps.get(tiktok)).as_deref(), Some("p"));
        assert_eq!(id(at(Environment::Production)).as_deref(), Some("p"));
        assert_eq!(id(at(Environment::Sandbox)).as_deref(), Some("s"));
        for (client_id, expected) in [
            (None, Some("p")),
            (Some("p"), Some("p")),
            (Some("s"), Some("s")),
            // Never another app's, whatever else is configured.
            (Some("gone"), None),
        ] {
            assert_eq!(id(apps.of(tiktok, client_id)).as_deref(), expected);
        }
        let sandbox = at(Environment::Sandbox).unwrap();
        assert_eq!(sandbox.client_secret.expose(), "ss");
        assert_eq!(sandbox.choice("pkce", &["auto", "hex"]), "hex", "inherited");
        assert_eq!(sandbox.number("daily_posts"), Some(7), "its own");
        assert!(sandbox.webhook_secrets.is_empty(), "the production's alone");
        let production = apps.get(tiktok).unwrap();
        assert_eq!(production.number("daily_posts"), Some(3));
        assert_eq!(production.webhook_secrets.len(), 1);
    }

    #[test]
    fn a_sandbox_may_be_the_only_app() {
        for text in [
            r#"{"tiktok":{"client_key":"s","client_secret":"ss","sandbox":true}}"#,
            r#"{"tiktok":{"pkce":"hex","sandbox":{"client_key":"s","client_secret":"ss"}}}"#,
        ] {
            let apps = Apps::parse(&Secret::new(text)).unwrap();
            let app = apps.get(Platform::TikTok).unwrap();
            assert_eq!(
                (app.client_id.as_str(), app.environment()),
                ("s", Environment::Sandbox)
            );
            assert!(apps.at(Platform::TikTok.into()).is_none(), "no production");
        }
    }
}
