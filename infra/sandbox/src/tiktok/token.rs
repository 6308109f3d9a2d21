//! The token endpoint and revocation (tiktok.md §1.3 to §1.7).

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::World;
use super::app::App;
use super::call::{Answer, Call, Endpoint, serve_now};
use super::choices::{RevokeBody, Rotation};
use super::errors::{Refusal, refuse};
use super::input::{self, Params};
use super::settings::Settings;
use super::state::{Grant, State, Token};
use super::text::{random, sha256_hex};
use super::webhooks;
use crate::socket::Switch;

/// `POST /v2/oauth/token/`.
pub(crate) async fn token(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let (call, form) = read(&world, switch, request).await;
    let endpoint = call.endpoint;
    serve_now(world, call, move |world| {
        let form = form?;
        let now = world.clock.now_ms();
        let mut state = world.state();
        let app = client(&state, &form)?;
        match (endpoint, form.need("grant_type")?) {
            (Endpoint::TokenCode, _) => exchange(&mut state, &app, &form, now),
            (Endpoint::TokenRefresh, _) => refresh(&mut state, &app, &form, now),
            (_, "client_credentials") => Ok(client_token(&mut state)),
            (_, other) => Err(refuse(
                "unsupported_grant_type",
                format!("grant_type {other} is not supported"),
            )),
        }
    })
    .await
}

/// `POST /v2/oauth/revoke/`: disconnects the app for this person (tiktok.md, addenda).
pub(crate) async fn revoke(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let (mut call, form) = read(&world, switch, request).await;
    call.endpoint = Endpoint::Revoke;
    serve_now(world, call, move |world| {
        let form = form?;
        let now = world.clock.now_ms();
        let (caller, body) = {
            let mut state = world.state();
            let app = client(&state, &form)?;
            let caller = state
                .caller(Some(form.need("token")?), now)
                .ok()
                .filter(|caller| caller.client_key == app.client_key)
                .ok_or_else(|| refuse("invalid_request", "token is not a live access token"))?;
            state.remove_grants(&caller.client_key, &caller.user, 5);
            (caller, state.settings.revoke_body)
        };
        webhooks::removed(world, &caller.client_key, &caller.open_id, 5);
        Ok(match body {
            RevokeBody::Object => Answer::json(StatusCode::OK, &json!({})),
            RevokeBody::Empty => Answer::empty(StatusCode::OK),
        })
    })
    .await
}

async fn read(world: &World, switch: Switch, request: Request) -> (Call, Result<Params, Refusal>) {
    let (parts, body) = request.into_parts();
    let form = input::form(&parts.headers, &input::body(body).await);
    let params = form.clone().unwrap_or_default();
    let mut fields = Map::new();
    for key in ["client_key", "grant_type", "code", "refresh_token", "token"] {
        if let Some(value) = params.get(key) {
            fields.insert(key.to_owned(), json!(value));
        }
    }
    let token = params.get("refresh_token").or(params.get("token"));
    if let Some(token) = token {
        fields.extend(world.state().identify(token));
    }
    let endpoint = match params.get("grant_type") {
        Some("authorization_code") => Endpoint::TokenCode,
        Some("refresh_token") => Endpoint::TokenRefresh,
        _ => Endpoint::TokenOther,
    };
    let call = Call {
        endpoint,
        method: parts.method,
        path: parts.uri.path().to_owned(),
        fields,
        switch,
    };
    (call, form)
}

/// Credentials are read from the body only.
fn client(state: &State, form: &Params) -> Result<App, Refusal> {
    let (key, secret) = (form.need("client_key")?, form.need("client_secret")?);
    state
        .apps
        .get(key)
        .filter(|app| app.client_secret == secret)
        .cloned()
        .ok_or_else(|| refuse("invalid_client", "Client key or secret is incorrect."))
}

fn exchange(state: &mut State, app: &App, form: &Params, now: i64) -> Result<Answer, Refusal> {
    let (given, redirect_uri) = (form.need("code")?, form.need("redirect_uri")?);
    let invalid = |message| refuse("invalid_grant", message);
    let code = state
        .codes
        .iter_mut()
        .find(|code| code.code == given && code.client_key == app.client_key)
        .ok_or_else(|| invalid("Authorization code is unknown."))?;
    if code.used || now >= code.expires_ms {
        return Err(invalid("Authorization code is used or expired."));
    }
    // One presentation by its own client spends a code, whatever else is wrong with the request.
    code.used = true;
    if code.redirect_uri != redirect_uri {
        return Err(invalid("redirect_uri is not the one of the authorization."));
    }
    match (&code.challenge, form.get("code_verifier")) {
        (None, None) => {}
        (None, Some(_)) => {
            return Err(invalid("code_verifier was sent without a code_challenge."));
        }
        (Some(_), None) => {
            return Err(refuse("invalid_request", "code_verifier is missing"));
        }
        (Some(challenge), Some(verifier)) => {
            if !is_verifier(verifier) || sha256_hex(verifier.as_bytes()) != *challenge {
                return Err(invalid("Code verifier or code challenge is invalid."));
            }
        }
    }
    let code = code.clone();
    if state.settings.reconnect_kills_previous {
        state
            .grants
            .iter_mut()
            .filter(|grant| grant.client_key == code.client_key && grant.user == code.user)
            .flat_map(|grant| &mut grant.refresh)
            .for_each(|token| token.dead = true);
    }
    let grant_id = state.grant(&code.client_key, &code.user, code.scopes);
    let grant = state.grants.last_mut();
    let answer = grant.map(|grant| {
        grant.token_calls = 1;
        issue_first(&state.settings, grant, grant_id, now)
    });
    answer.ok_or_else(|| refuse("server_error", "no grant"))
}

fn refresh(state: &mut State, app: &App, form: &Params, now: i64) -> Result<Answer, Refusal> {
    let given = form.need("refresh_token")?;
    let invalid = || refuse("invalid_grant", "Refresh token is invalid or expired.");
    let id = state.next();
    let State {
        grants, settings, ..
    } = state;
    let (grant, at) = grants
        .iter_mut()
        .filter(|grant| grant.client_key == app.client_key)
        .find_map(|grant| {
            let at = grant.refresh.iter().position(|t| t.token == given)?;
            Some((grant, at))
        })
        .ok_or_else(invalid)?;
    grant.token_calls += 1;
    grant.refresh[at].presented += 1;
    if app.refresh_always_fails || !grant.refresh[at].is_live(now) {
        return Err(invalid());
    }
    grant.generation += 1;
    if settings.rotation == Rotation::Strict {
        grant.refresh[at].dead = true;
        let next = refresh_token(settings, grant.generation, id, now);
        grant.refresh.push(next);
    }
    let next = access_token(settings, grant.generation, id, now);
    grant.access.push(next);
    Ok(tokens(grant, now))
}

/// A token for the app itself (tiktok.md §1.6); neither display nor posting takes it.
fn client_token(state: &mut State) -> Answer {
    let token = format!("clt.{}{}", random(40), state.next());
    state.client_tokens.push(token.clone());
    let body = json!({ "access_token": token, "expires_in": 7200, "token_type": "Bearer" });
    Answer::json(StatusCode::OK, &body).with_header(CACHE_CONTROL, "no-store")
}

impl State {
    /// A new grant, without tokens.
    fn grant(&mut self, client_key: &str, user: &str, scopes: Vec<String>) -> u64 {
        let grant_id = self.next();
        let open_id = self.open_id(client_key, user);
        self.grants.push(Grant {
            grant_id,
            client_key: client_key.to_owned(),
            user: user.to_owned(),
            open_id,
            scopes,
            generation: 0,
            access: Vec::new(),
            refresh: Vec::new(),
            token_calls: 0,
            removed_reason: None,
        });
        grant_id
    }

    /// A grant as if its person had just approved and its code been exchanged; the token answer.
    pub(crate) fn grant_now(
        &mut self,
        client_key: &str,
        user: &str,
        scopes: Vec<String>,
        now: i64,
    ) -> Option<Value> {
        let grant_id = self.grant(client_key, user, scopes);
        let grant = self.grants.last_mut()?;
        let _ = issue_first(&self.settings, grant, grant_id, now);
        let mut body = tokens_json(grant, now);
        body["grant_id"] = json!(grant_id);
        Some(body)
    }
}

fn issue_first(settings: &Settings, grant: &mut Grant, id: u64, now: i64) -> Answer {
    grant.access.push(access_token(settings, 0, id, now));
    grant.refresh.push(refresh_token(settings, 0, id, now));
    tokens(grant, now)
}

fn access_token(settings: &Settings, generation: u32, id: u64, now: i64) -> Token {
    new_token(
        "act",
        generation,
        id,
        now + settings.access_token_seconds * 1000,
    )
}

fn refresh_token(settings: &Settings, generation: u32, id: u64, now: i64) -> Token {
    new_token(
        "rft",
        generation,
        id,
        now + settings.refresh_token_seconds * 1000,
    )
}

fn new_token(prefix: &str, generation: u32, id: u64, expires_ms: i64) -> Token {
    Token {
        token: format!("{prefix}.{}{id}!4518.e1", random(40)),
        generation,
        expires_ms,
        dead: false,
        presented: 0,
    }
}

fn tokens(grant: &Grant, now: i64) -> Answer {
    Answer::json(StatusCode::OK, &tokens_json(grant, now))
        .with_header(CACHE_CONTROL, "no-store")
        .note("grant_id", grant.grant_id)
        .note("open_id", grant.open_id.clone())
        .note("user", grant.user.clone())
        .note("generation", grant.generation)
}

/// The flat answer with the newest pair (tiktok.md §1.3).
fn tokens_json(grant: &Grant, now: i64) -> Value {
    let pair = |list: &[Token]| {
        let newest = list.last();
        let token = newest.map(|token| token.token.clone()).unwrap_or_default();
        let left = newest.map_or(0, |token| (token.expires_ms - now) / 1000);
        (token, left)
    };
    let (access_token, expires_in) = pair(&grant.access);
    let (refresh_token, refresh_expires_in) = pair(&grant.refresh);
    json!({
        "open_id": grant.open_id,
        "scope": grant.scopes.join(","),
        "access_token": access_token,
        "expires_in": expires_in,
        "refresh_token": refresh_token,
        "refresh_expires_in": refresh_expires_in,
        "token_type": "Bearer",
    })
}

/// 43 to 128 characters from `[A-Za-z0-9-._~]` (tiktok.md §1.2).
fn is_verifier(verifier: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}
