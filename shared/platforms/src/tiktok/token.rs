//! Tokens: exchange, refresh, revocation (tiktok.md §1.3 to §1.7).

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Fault, FaultKind, Secret, Timestamp, TokenBundle};
use serde_json::Value;

use super::errors::{self, Place};
use super::{API, TikTok, wire};
use crate::{Answer, App, Call, CodeGrant, Refresh, RefreshPolicy, Repeat, Revoke};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

impl Refresh for TikTok {
    /// Access tokens live 2 hours or 24, refresh tokens 180 days or 365 (§1.4): both must work.
    fn policy(&self) -> RefreshPolicy {
        RefreshPolicy {
            margin_at_least: HOUR / 12,
            margin_percent: 10,
            min_age: Duration::ZERO,
            rotates: true,
            grace: None,
            idle_after: 7 * DAY,
            idle_margin: 30 * DAY,
            idle_at_most: 90 * DAY,
            timeout: Duration::from_secs(9),
            lease: Duration::from_secs(30),
        }
    }

    fn request(&self, app: &App, bundle: &TokenBundle) -> Result<Call, Fault> {
        let token = bundle.refresh_token.as_ref().filter(|t| !t.is_empty());
        let token = token.ok_or(Fault::new(FaultKind::ReauthNeeded))?;
        wire::form(
            "tiktok.token.refresh",
            &token_url(),
            Repeat::Once,
            &[
                ("client_key", &app.client_id),
                ("client_secret", app.client_secret.expose()),
                ("grant_type", "refresh_token"),
                ("refresh_token", token.expose()),
            ],
        )
    }

    fn read(&self, answer: Answer<'_>, old: &TokenBundle) -> Result<TokenBundle, Fault> {
        let tokens = Tokens::read(Place::Refresh, answer)?;
        let scopes = if tokens.scopes.is_empty() {
            old.scopes.clone()
        } else {
            tokens.scopes
        };
        Ok(TokenBundle {
            access_token: tokens.access,
            refresh_token: tokens.refresh.or_else(|| old.refresh_token.clone()),
            expires_at: tokens.expires_at,
            refresh_expires_at: tokens.refresh_expires_at.or(old.refresh_expires_at),
            scopes,
            extra: old.extra.clone(),
        })
    }
}

impl Revoke for TikTok {
    /// TikTok documents the access token as the one to send (§1.5). It ends the app's hold on the
    /// account altogether.
    fn request(&self, app: &App, bundle: &TokenBundle) -> Result<Call, Fault> {
        wire::form(
            "tiktok.token.revoke",
            &format!("{API}/v2/oauth/revoke/"),
            Repeat::Repeatable,
            &[
                ("client_key", &app.client_id),
                ("client_secret", app.client_secret.expose()),
                ("token", bundle.access_token.expose()),
            ],
        )
    }

    /// Success is documented as empty and shown as `{}`: any 2xx without an error is one.
    fn read(&self, answer: Answer<'_>) -> Result<(), Fault> {
        let problem = wire::problem(answer.response);
        match problem.code.as_deref() {
            None | Some("ok") if problem.status.is_success() => Ok(()),
            // What TikTok no longer knows has ended.
            Some("invalid_grant" | "access_token_invalid") => Ok(()),
            _ => Err(errors::fault(Place::Revoke, &problem, answer.sent_at)),
        }
    }

    /// Revoking disconnects the app for this person (tiktok.md, addenda).
    fn ends_all(&self) -> bool {
        true
    }
}

/// The request that exchanges a code.
pub(super) fn exchange(app: &App, grant: &CodeGrant) -> Result<Call, Fault> {
    let mut fields = vec![
        ("client_key", app.client_id.as_str()),
        ("client_secret", app.client_secret.expose()),
        ("grant_type", "authorization_code"),
        ("code", grant.code.expose()),
        ("redirect_uri", grant.redirect_uri.as_str()),
    ];
    if let Some(verifier) = &grant.verifier {
        fields.push(("code_verifier", verifier.expose()));
    }
    wire::form("tiktok.token.exchange", &token_url(), Repeat::Once, &fields)
}

/// The tokens that a code brought, and whose they are. An answer without scopes granted `asked`.
pub(super) fn read_exchange(
    answer: Answer<'_>,
    asked: &[String],
) -> Result<(Option<String>, TokenBundle), Fault> {
    let tokens = Tokens::read(Place::Exchange, answer)?;
    let scopes = if tokens.scopes.is_empty() {
        asked.to_vec()
    } else {
        tokens.scopes
    };
    let bundle = TokenBundle {
        access_token: tokens.access,
        refresh_token: tokens.refresh,
        expires_at: tokens.expires_at,
        refresh_expires_at: tokens.refresh_expires_at,
        scopes,
        extra: BTreeMap::new(),
    };
    Ok((tokens.open_id, bundle))
}

fn token_url() -> String {
    format!("{API}/v2/oauth/token/")
}

struct Tokens {
    open_id: Option<String>,
    access: Secret,
    refresh: Option<Secret>,
    expires_at: Option<Timestamp>,
    refresh_expires_at: Option<Timestamp>,
    scopes: Vec<String>,
}

impl Tokens {
    /// The body decides: an access token means success, and errors have been seen with HTTP 200
    /// (§1.7).
    fn read(place: Place, answer: Answer<'_>) -> Result<Self, Fault> {
        let failed = || {
            let problem = wire::problem(answer.response);
            errors::fault(place, &problem, answer.sent_at)
        };
        let body: Value = serde_json::from_slice(answer.response.body()).map_err(|_| failed())?;
        let secret = |name: &str| {
            let text = body.get(name).and_then(Value::as_str)?;
            // A token that is blank is as good as none.
            (!text.trim().is_empty()).then(|| Secret::new(text))
        };
        let access = secret("access_token").ok_or_else(failed)?;
        let after = |name: &str| {
            let secs = i64::try_from(wire::whole(body.get(name)?)?).ok()?;
            Some(answer.sent_at.plus_secs(secs))
        };
        Ok(Self {
            open_id: body.get("open_id").and_then(wire::id),
            access,
            refresh: secret("refresh_token"),
            expires_at: after("expires_in"),
            refresh_expires_at: after("refresh_expires_in"),
            scopes: scopes(body.get("scope").and_then(Value::as_str).unwrap_or("")),
        })
    }
}

/// Commas are documented; spaces are what OAuth itself would have.
pub(super) fn scopes(text: &str) -> Vec<String> {
    let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}
