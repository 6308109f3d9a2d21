//! `POST /v1/sessions`: a link that opens a session in a browser, once, within ten minutes.

use audit::Deed;
use browser::{ReturnTo, hash, new_secret};
use domain::{Act, AppRef, Environment, Platform, Timestamp, UserId};
use http::StatusCode;
use lambda::{Answer, Code, Problem, Request, Scope, responses};
use mail::due;
use mail::user::Texts;
use platforms::{App, Apps};
use serde::{Deserialize, Serialize};
use store::SessionLink;

use crate::Api;

/// How long a link may wait to be opened.
const LINK_LIFE_SECONDS: i64 = 600;
const MOST_BODY_BYTES: usize = 16 * 1_024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    user_id: String,
    #[serde(alias = "label")]
    user_label: String,
    #[serde(default)]
    return_to: Option<String>,
    #[serde(default)]
    platform: Option<String>,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    locale: Option<String>,
    #[serde(default)]
    time_zone: Option<String>,
    #[serde(default)]
    preferences: Preferences,
}

/// Which mails the user wants; what is not said stays.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Preferences {
    #[serde(default)]
    reports: Option<bool>,
    #[serde(default)]
    notices: Option<bool>,
}

#[derive(Serialize)]
struct Made {
    link: String,
    expires_at: String,
    platform: Platform,
    environment: Environment,
}

impl Api {
    pub(crate) async fn create_session(&self, apps: &Apps, request: &Request) -> Answer {
        let caller = request.caller(&self.scope_prefix)?;
        caller.require(Scope::Service)?;
        let ask: Ask = request.json(MOST_BODY_BYTES)?;
        let now = self.tokens.clock().now();
        let user_id = check(&ask)?;
        let platform = platform_of(apps, ask.platform.as_deref())?;
        let environment = environment_of(apps, platform, ask.environment.as_deref())?;
        let return_to = match &ask.return_to {
            None => None,
            Some(text) => Some(ReturnTo::parse(text, &self.return_to_origins).map_err(
                |error| Problem::invalid("return_to", "not_allowed", sentence(&error.to_string())),
            )?),
        };
        self.tell(&user_id, &ask, now).await?;
        let secret = new_secret(&**self.tokens.entropy());
        let link = SessionLink {
            hash: hash(&secret),
            user_id,
            user_label: ask.user_label,
            return_to: return_to.map(|address| address.as_str().to_owned()),
            platform,
            environment: Some(environment),
            locale: ask.locale,
            expires_at: now.plus_secs(LINK_LIFE_SECONDS),
            spent_at: None,
            spent_by: None,
        };
        self.sessions
            .put_link(&link)
            .await
            .map_err(Problem::unavailable)?;
        self.trail
            .note(&Deed {
                who: &caller.who(),
                act: Act::SessionCreated,
                user: Some(&link.user_id),
                object: Some(platform.as_str()),
            })
            .await;
        let base = request.base_url(self.public_base.as_deref());
        let made = Made {
            link: format!("{base}/session/{secret}"),
            expires_at: link.expires_at.rfc3339(),
            platform,
            environment,
        };
        Ok(responses::json(StatusCode::CREATED, &made))
    }

    /// Writes what a session says over what is known of its user.
    async fn tell(&self, user: &UserId, ask: &Ask, now: Timestamp) -> Result<(), Problem> {
        let entropy = &**self.tokens.entropy();
        let change = self.users.change(user, now, entropy, |user| {
            user.label = Some(ask.user_label.clone());
            let said = |known: &mut Option<String>, said: &Option<String>| {
                if said.is_some() {
                    known.clone_from(said);
                }
            };
            said(&mut user.email, &ask.email);
            said(&mut user.locale, &ask.locale);
            said(&mut user.time_zone, &ask.time_zone);
            user.reports = ask.preferences.reports.unwrap_or(user.reports);
            user.notices = ask.preferences.notices.unwrap_or(user.notices);
            due::settle(user, now);
        });
        change.await.map(drop).map_err(Problem::unavailable)
    }
}

/// Every field that breaks a rule, together.
fn check(ask: &Ask) -> Result<UserId, Problem> {
    let mut problem = Problem::new(Code::Invalid);
    let mut wrong = false;
    let mut note = |field: &str, code: &'static str, sentence: &str| {
        let earlier = std::mem::replace(&mut problem, Problem::new(Code::Invalid));
        problem = earlier.error(field, code, sentence);
        wrong = true;
    };
    let user = ask.user_id.parse::<UserId>();
    if user.is_err() {
        note(
            "user_id",
            "malformed",
            "Give 1 to 128 visible ASCII characters.",
        );
    }
    let texts = Texts {
        label: Some(&ask.user_label),
        email: ask.email.as_deref(),
        locale: ask.locale.as_deref(),
        time_zone: ask.time_zone.as_deref(),
    };
    for broken in texts.wrong() {
        let field = match broken.field {
            "label" => "user_label",
            field => field,
        };
        note(field, broken.code, broken.sentence);
    }
    match user {
        Ok(user) if !wrong => Ok(user),
        _ => Err(problem),
    }
}

/// The platform that was named; where none was, the only one that is configured.
fn platform_of(apps: &Apps, named: Option<&str>) -> Result<Platform, Problem> {
    let configured: Vec<Platform> = Platform::ALL
        .iter()
        .copied()
        .filter(|platform| apps.get(*platform).is_some())
        .collect();
    let Some(named) = named else {
        return match configured.as_slice() {
            [only] => Ok(*only),
            [] => Err(Problem::new(Code::NotConfigured)),
            _ => Err(Problem::invalid(
                "platform",
                "missing",
                "Name the platform to connect.",
            )),
        };
    };
    let platform = named.parse::<Platform>().map_err(|_| {
        Problem::invalid(
            "platform",
            "unknown",
            "This is not a platform of this deployment.",
        )
    })?;
    let can = platforms::authorize(platform).is_some();
    match (can, configured.contains(&platform)) {
        (false, _) => Err(Problem::invalid(
            "platform",
            "capability_absent",
            "This platform has no login; its data is imported.",
        )),
        (true, false) => Err(Problem::new(Code::NotConfigured)),
        (true, true) => Ok(platform),
    }
}

/// The environment that was named; where none was, the production's, or the sandbox of a platform that
/// has no production here.
fn environment_of(
    apps: &Apps,
    platform: Platform,
    named: Option<&str>,
) -> Result<Environment, Problem> {
    let refused = |code, sentence: &str| Problem::invalid("environment", code, sentence);
    let Some(named) = named else {
        let usual = apps.get(platform).map(App::environment);
        return Ok(usual.unwrap_or_default());
    };
    let environment = Environment::parse(named)
        .ok_or_else(|| refused("unknown", "Give production or sandbox."))?;
    if apps.at(AppRef::new(platform, environment)).is_some() {
        return Ok(environment);
    }
    let lacking = match environment {
        Environment::Production => "app beside its sandbox's",
        Environment::Sandbox => "set of sandbox credentials",
    };
    let platform = platform.title();
    let sentence =
        format!("{platform} has no {lacking} in this deployment. The operator must set it up.");
    Err(refused("not_configured", &sentence))
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_becomes_a_sentence() {
        assert_eq!(sentence("its origin"), "Its origin.");
    }

    #[test]
    fn the_platform_is_the_named_or_the_only_one() {
        let apps = |text: &str| Apps::parse(&domain::Secret::new(text)).unwrap();
        let one = apps(r#"{"tiktok":{"client_id":"a","client_secret":"b"}}"#);
        assert_eq!(platform_of(&one, None).unwrap(), Platform::TikTok);
        assert_eq!(platform_of(&one, Some("tiktok")).unwrap(), Platform::TikTok);
        assert_eq!(
            platform_of(&one, Some("myspace")).unwrap_err().code(),
            "invalid_request"
        );
        let none = apps("{}");
        assert_eq!(
            platform_of(&none, Some("tiktok")).unwrap_err().code(),
            "platform_not_configured"
        );
        assert_eq!(
            platform_of(&none, None).unwrap_err().code(),
            "platform_not_configured"
        );
    }

    #[test]
    fn the_environment_is_the_named_or_the_usual_one() {
        use Environment::{Production, Sandbox};
        let production = r#"{"tiktok":{"client_id":"a","client_secret":"b"}}"#;
        let sandbox = r#"{"tiktok":{"client_id":"a","client_secret":"b","sandbox":true}}"#;
        let both = r#"{"tiktok":{"client_id":"a","client_secret":"b",
            "sandbox":{"client_id":"c","client_secret":"d"}}}"#;
        for (text, named, expected) in [
            (production, None, Some(Production)),
            (production, Some("production"), Some(Production)),
            (production, Some("sandbox"), None),
            (sandbox, None, Some(Sandbox)),
            (sandbox, Some("sandbox"), Some(Sandbox)),
            (sandbox, Some("production"), None),
            (both, None, Some(Production)),
            (both, Some("sandbox"), Some(Sandbox)),
            (both, Some("staging"), None),
        ] {
            let apps = Apps::parse(&domain::Secret::new(text)).unwrap();
            let found = environment_of(&apps, Platform::TikTok, named).ok();
            assert_eq!(found, expected, "{named:?} of {text}");
        }
    }
}
