//! `PUT /v1/users/{user_id}`: the texts are replaced in full, so that one that is left out is gone;
//! what the user chose (their mails, their consent) changes only where it is said.

use audit::Deed;
use domain::Act;
use http::StatusCode;
use lambda::{Answer, Code, FieldError, Problem, Request, responses};
use mail::user::Texts;
use mail::{address, due};
use serde::Deserialize;
use store::User;

use crate::{Api, view};

const MOST_BODY_BYTES: usize = 16 * 1_024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    locale: Option<String>,
    #[serde(default)]
    time_zone: Option<String>,
    #[serde(default)]
    preferences: Preferences,
    #[serde(default)]
    listed: Option<Listed>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Preferences {
    #[serde(default)]
    reports: Option<bool>,
    #[serde(default)]
    notices: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    consent: bool,
}

impl Api {
    /// Answers 200 with the record, or 201 where the user was not known.
    pub(crate) async fn put(&self, request: &Request) -> Answer {
        let id = self.wanted(request)?;
        let ask: Ask = request.json(MOST_BODY_BYTES)?;
        check(&ask)?;
        let now = self.clock.now();
        let (old, user) = self
            .users
            .change(&id, now, &*self.entropy, |user| {
                user.label.clone_from(&ask.label);
                user.email.clone_from(&ask.email);
                user.locale.clone_from(&ask.locale);
                user.time_zone.clone_from(&ask.time_zone);
                user.reports = ask.preferences.reports.unwrap_or(user.reports);
                user.notices = ask.preferences.notices.unwrap_or(user.notices);
                user.listed_at = match &ask.listed {
                    None => user.listed_at,
                    Some(Listed { consent: false }) => None,
                    // Since the first time, however often it is repeated.
                    Some(Listed { consent: true }) => user.listed_at.or(Some(now)),
                };
                due::settle(user, now);
            })
            .await
            .map_err(Problem::unavailable)?;
        let stopped = self.freed(old.as_ref(), &user).await?;
        let caller = request.caller(&self.scope_prefix)?;
        self.trail
            .note(&Deed {
                who: &caller.who(),
                act: Act::UserWritten,
                user: Some(&id),
                object: None,
            })
            .await;
        let status = match old {
            Some(_) => StatusCode::OK,
            None => StatusCode::CREATED,
        };
        Ok(responses::json(status, &view::user(&user, stopped)))
    }

    /// An address that the record did not hold before is tried again even where it bounced: the
    /// product says that it is good. Who complained stays left alone.
    async fn freed(
        &self,
        old: Option<&User>,
        user: &User,
    ) -> Result<Option<store::suppressions::SuppressionReason>, Problem> {
        let Some(email) = &user.email else {
            return Ok(None);
        };
        let hash = address::hash(email);
        let known = old.and_then(|old| old.email.as_deref()).map(address::hash);
        if known.as_ref() != Some(&hash) {
            let freed = self.suppressions.free(&hash).await;
            freed.map_err(Problem::unavailable)?;
        }
        let found = self.suppressions.get(&hash).await;
        Ok(found
            .map_err(Problem::unavailable)?
            .map(|found| found.reason))
    }
}

/// Every field that breaks a rule, together.
fn check(ask: &Ask) -> Result<(), Problem> {
    let texts = Texts {
        label: ask.label.as_deref(),
        email: ask.email.as_deref(),
        locale: ask.locale.as_deref(),
        time_zone: ask.time_zone.as_deref(),
    };
    let wrong = texts.wrong();
    if wrong.is_empty() {
        return Ok(());
    }
    let errors = wrong.into_iter().map(|wrong| FieldError {
        field: wrong.field.to_owned(),
        code: wrong.code.into(),
        sentence: wrong.sentence.to_owned(),
    });
    Err(Problem::new(Code::Invalid).errors(errors))
}
