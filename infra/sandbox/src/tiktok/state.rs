//! Everything the stand-in remembers, in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::task::AbortHandle;

use super::app::App;
use super::call::{Endpoint, Logged};
use super::choices::LimitBy;
use super::config::Config;
use super::errors::{Refusal, refuse};
use super::knobs::{Fault, Hold};
use super::people::User;
use super::publish::Publish;
use super::settings::Settings;
use super::videos::Video;
use super::webhooks::Delivery;

/// The whole memory.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) apps: BTreeMap<String, App>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) codes: Vec<Code>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) publishes: BTreeMap<String, Publish>,
    pub(crate) deliveries: BTreeMap<u64, Delivery>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) holds: Vec<Hold>,
    pub(crate) requests: Vec<Logged>,
    pub(crate) videos: BTreeMap<u64, Video>,
    /// Pulls under way, by publish.
    pub(crate) pulls: HashMap<String, AbortHandle>,
    /// Client tokens given out; no endpoint here takes one.
    pub(crate) client_tokens: Vec<String>,
    /// Times of calls in the last minute, by endpoint and whose calls they are.
    windows: HashMap<(Endpoint, String), VecDeque<i64>>,
    counter: u64,
}

/// An authorisation code.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Code {
    pub(crate) code: String,
    pub(crate) client_key: String,
    pub(crate) user: String,
    pub(crate) redirect_uri: String,
    /// The PKCE challenge that the verifier must meet.
    pub(crate) challenge: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_ms: i64,
    pub(crate) used: bool,
}

/// One authorisation by one person of one app, with every token that came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Grant {
    pub(crate) grant_id: u64,
    pub(crate) client_key: String,
    pub(crate) user: String,
    pub(crate) open_id: String,
    pub(crate) scopes: Vec<String>,
    /// Counts the refreshes that succeeded.
    pub(crate) generation: u32,
    pub(crate) access: Vec<Token>,
    pub(crate) refresh: Vec<Token>,
    /// Token calls made for it, failed ones too.
    pub(crate) token_calls: u32,
    /// Why it ended, as in `authorization.removed`.
    pub(crate) removed_reason: Option<i64>,
}

/// One access or refresh token.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Token {
    pub(crate) token: String,
    pub(crate) generation: u32,
    pub(crate) expires_ms: i64,
    /// Rotated away, revoked or ended by a control call.
    pub(crate) dead: bool,
    /// How often it was presented to the token endpoint.
    pub(crate) presented: u32,
}

impl Token {
    /// Whether it still opens anything.
    pub(crate) fn is_live(&self, now_ms: i64) -> bool {
        !self.dead && now_ms < self.expires_ms
    }
}

/// Who calls, by a bearer token.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) token: String,
    pub(crate) client_key: String,
    pub(crate) user: String,
    pub(crate) open_id: String,
    pub(crate) scopes: Vec<String>,
}

impl Caller {
    /// Requires one of the scopes; none in the list requires nothing.
    pub(crate) fn needs(&self, scopes: &[&str]) -> Result<(), Refusal> {
        if scopes.is_empty() {
            return Ok(());
        }
        if self
            .scopes
            .iter()
            .any(|scope| scopes.contains(&scope.as_str()))
        {
            return Ok(());
        }
        Err(refuse(
            "scope_not_authorized",
            format!(
                "The user did not authorize the scope required for completing this request: {}",
                scopes.join(" or ")
            ),
        ))
    }
}

impl State {
    /// The memory at the start.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            settings: config.settings.clone(),
            apps: config
                .apps
                .iter()
                .map(|app| (app.client_key.clone(), app.clone()))
                .collect(),
            users: config
                .users
                .iter()
                .map(|user| (user.username.clone(), user.clone()))
                .collect(),
            ..Self::default()
        }
    }

    /// A number never given before.
    pub(crate) fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// The live access token behind a bearer header.
    pub(crate) fn caller(&self, bearer: Option<&str>, now_ms: i64) -> Result<Caller, Refusal> {
        let invalid = || {
            refuse(
                "access_token_invalid",
                "The access token is invalid or not found in the request.",
            )
        };
        let token = bearer.ok_or_else(invalid)?;
        let grant = self
            .grants
            .iter()
            .find(|grant| {
                grant
                    .access
                    .iter()
                    .any(|known| known.token == token && known.is_live(now_ms))
            })
            .ok_or_else(invalid)?;
        Ok(Caller {
            token: token.to_owned(),
            client_key: grant.client_key.clone(),
            user: grant.user.clone(),
            open_id: grant.open_id.clone(),
            scopes: grant.scopes.clone(),
        })
    }

    /// Whose token this is, dead or alive, for the request log.
    pub(crate) fn identify(&self, token: &str) -> Map<String, Value> {
        let owns = |list: &[Token]| list.iter().any(|known| known.token == token);
        self.grants
            .iter()
            .find(|grant| owns(&grant.access) || owns(&grant.refresh))
            .map(|grant| {
                Map::from_iter([
                    ("grant_id".to_owned(), json!(grant.grant_id)),
                    ("client_key".to_owned(), json!(grant.client_key)),
                    ("open_id".to_owned(), json!(grant.open_id)),
                    ("user".to_owned(), json!(grant.user)),
                ])
            })
            .unwrap_or_default()
    }

    /// Lets a call pass: a live token, one of the scopes, a place in the minute; in this order.
    ///
    /// Keeps a one-minute sliding window; a refused call does not count.
    pub(crate) fn admit(
        &mut self,
        endpoint: Endpoint,
        bearer: Option<&str>,
        scopes: &[&str],
        now_ms: i64,
    ) -> Result<Caller, Refusal> {
        let caller = self.caller(bearer, now_ms)?;
        caller.needs(scopes)?;
        let Some(per_minute) = self.settings.per_minute(endpoint) else {
            return Ok(caller);
        };
        let display = matches!(
            endpoint,
            Endpoint::UserInfo | Endpoint::VideoList | Endpoint::VideoQuery
        );
        let by_app = display && self.settings.display_limit_by == LimitBy::App;
        let whose = if by_app {
            caller.client_key.clone()
        } else {
            caller.token.clone()
        };
        let window = self.windows.entry((endpoint, whose)).or_default();
        while window.front().is_some_and(|at| now_ms - at >= 60_000) {
            window.pop_front();
        }
        if window.len() >= per_minute {
            return Err(refuse(
                "rate_limit_exceeded",
                "The API rate limit was exceeded. Please try again later.",
            ));
        }
        window.push_back(now_ms);
        Ok(caller)
    }

    /// An app's id of a person.
    pub(crate) fn open_id(&self, client_key: &str, user: &str) -> String {
        match self.settings.shared_open_ids {
            true => open_id("every app", user),
            false => open_id(client_key, user),
        }
    }

    /// The app and the account behind a caller.
    pub(crate) fn behind(&self, caller: &Caller) -> Result<(&App, &User), Refusal> {
        let app = self.apps.get(&caller.client_key);
        let user = self.users.get(&caller.user);
        app.zip(user)
            .ok_or_else(|| refuse("access_token_invalid", "The app or account is gone"))
    }

    /// Ends every token of this app for this person; says whether there was a live one.
    pub(crate) fn remove_grants(&mut self, client_key: &str, user: &str, reason: i64) -> bool {
        let mut any = false;
        for grant in &mut self.grants {
            if grant.client_key == client_key
                && grant.user == user
                && grant.removed_reason.is_none()
            {
                any = true;
                grant.removed_reason = Some(reason);
                for token in grant.access.iter_mut().chain(&mut grant.refresh) {
                    token.dead = true;
                }
            }
        }
        any
    }

    /// Begins a line of the request log.
    pub(crate) fn log_begin(&mut self, mut line: Logged) -> u64 {
        line.seq = self.next();
        let seq = line.seq;
        self.requests.push(line);
        seq
    }

    /// Adds fields to a line.
    pub(crate) fn log_notes(&mut self, seq: u64, notes: &Map<String, Value>) {
        if let Some(line) = self.line(seq) {
            line.fields.extend(notes.clone());
        }
    }

    /// Changes a line's outcome.
    pub(crate) fn log_outcome(&mut self, seq: u64, outcome: &'static str) {
        if let Some(line) = self.line(seq) {
            line.outcome = outcome;
        }
    }

    /// Ends a line.
    pub(crate) fn log_end(
        &mut self,
        seq: u64,
        outcome: &'static str,
        status: Option<u16>,
        error: Option<String>,
    ) {
        if let Some(line) = self.line(seq) {
            line.outcome = outcome;
            line.status = status;
            line.error = error;
        }
    }

    fn line(&mut self, seq: u64) -> Option<&mut Logged> {
        self.requests.iter_mut().rev().find(|line| line.seq == seq)
    }
}

/// The account's id at one app: stable, and another one at every other app (tiktok.md §3.1).
pub(crate) fn open_id(client_key: &str, user: &str) -> String {
    let hash = super::text::sha256_hex(format!("{client_key}\n{user}").as_bytes());
    format!("-000{}", &hash[..32])
}
