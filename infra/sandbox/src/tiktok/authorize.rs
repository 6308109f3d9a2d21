//! Authorisation (tiktok.md §1.1, §1.2): strict parameters, a consent page, the redirect back.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, json};
use url::Url;

use super::World;
use super::app::{App, is_loopback};
use super::call::{Answer, Call, Endpoint, serve_now};
use super::choices::WebPkce;
use super::consent;
use super::errors::{Refusal, refuse};
use super::input::{self, Params};
use super::state::{Code, State};
use super::text::percent;
use crate::socket::Switch;

/// Cookie of the stand-in's own sign-in, for `disable_auto_auth=0`.
const SESSION: &str = "tiktok_session";

/// A request that may be shown to a person.
pub(crate) struct Asked {
    pub(crate) app: App,
    pub(crate) scopes: Vec<String>,
    redirect_uri: String,
    state: String,
    challenge: Option<String>,
    auto: bool,
}

/// What became of the parameters.
enum Checked {
    Ask(Box<Asked>),
    /// The client and its redirect URI are known, so the error goes back to the app.
    Back(Answer),
}

/// `GET /v2/auth/authorize/`.
pub(crate) async fn page(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let params = Params::parse(query.as_bytes());
    let session = cookie(request.headers());
    let call = call(&request, &params, switch);
    serve_now(world, call, move |world| {
        let asked = match check(&world.state(), &params)? {
            Checked::Ask(asked) => asked,
            Checked::Back(answer) => return Ok(answer),
        };
        if let Some(user) = session.filter(|user| asked.auto && is_known(world, &asked, user)) {
            let scopes = asked.scopes.clone();
            return Ok(approve(world, &asked, &user, scopes));
        }
        let state = world.state();
        let people: Vec<_> = state
            .users
            .values()
            .filter(|user| asked.app.admits(&user.username))
            .collect();
        Ok(consent::page(&asked, &people))
    })
    .await
}

/// The consent page's form: `POST` to the same address and query.
pub(crate) async fn decide(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let params = Params::parse(query.as_bytes());
    let call = call(&request, &params, switch);
    let form = Params::parse(&input::body(request.into_body()).await);
    serve_now(world, call, move |world| {
        let asked = match check(&world.state(), &params)? {
            Checked::Ask(asked) => asked,
            Checked::Back(answer) => return Ok(answer),
        };
        if form.get("decision") != Some("approve") {
            return Ok(back(
                &asked,
                &[
                    ("error", "access_denied"),
                    ("error_description", "User denied the request"),
                ],
            )
            .with_error("access_denied"));
        }
        let user = form.need("user")?;
        if !world.state().users.contains_key(user) || !asked.app.admits(user) {
            return Err(refuse("invalid_request", "This account cannot sign in"));
        }
        let scopes = asked
            .scopes
            .iter()
            .filter(|scope| {
                *scope == "user.info.basic" || form.all("scope").any(|chosen| chosen == *scope)
            })
            .cloned()
            .collect();
        Ok(approve(world, &asked, user, scopes))
    })
    .await
}

fn call(request: &Request, params: &Params, switch: Switch) -> Call {
    let keep = ["client_key", "redirect_uri", "scope", "state"];
    Call {
        endpoint: Endpoint::Authorize,
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        fields: keep
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), json!(params.get(key)?))))
            .collect::<Map<_, _>>(),
        switch,
    }
}

fn check(state: &State, params: &Params) -> Result<Checked, Refusal> {
    let bad = |message: String| Err(refuse("invalid_request", message));
    if let Some(name) = params.duplicate() {
        return bad(format!("{name} is sent twice"));
    }
    let app = state
        .apps
        .get(params.need("client_key")?)
        .ok_or_else(|| refuse("invalid_client", "client_key is unknown"))?;
    let redirect_uri = params.need("redirect_uri")?;
    if !app.allows_redirect(redirect_uri) {
        return bad("redirect_uri is not registered for this app".to_owned());
    }
    let given = params.need("state")?;
    let challenge = challenge(state.settings.web_pkce, params, redirect_uri)?;
    let auto = match params.get("disable_auto_auth") {
        None | Some("1") => false,
        Some("0") => true,
        Some(_) => return bad("disable_auto_auth is 0 or 1".to_owned()),
    };
    let scopes: Vec<String> = params
        .need("scope")?
        .split(',')
        .map(str::to_owned)
        .collect();
    let asked = Asked {
        app: app.clone(),
        redirect_uri: redirect_uri.to_owned(),
        state: given.to_owned(),
        challenge,
        auto,
        scopes,
    };
    let error = if params.get("response_type") != Some("code") {
        Some(("unsupported_response_type", "response_type must be code"))
    } else if !asked.scopes.iter().all(|scope| app.scopes.contains(scope)) {
        Some(("invalid_scope", "scope is not a list of the app's scopes"))
    } else {
        None
    };
    Ok(match error {
        Some((code, text)) => Checked::Back(
            back(&asked, &[("error", code), ("error_description", text)]).with_error(code),
        ),
        None => Checked::Ask(Box::new(asked)),
    })
}

/// Loopback redirects need PKCE; the challenge is hexadecimal although the method says S256.
fn challenge(web: WebPkce, params: &Params, redirect_uri: &str) -> Result<Option<String>, Refusal> {
    let loopback = Url::parse(redirect_uri).is_ok_and(|url| is_loopback(&url));
    let needed = loopback || web == WebPkce::Required;
    let Some(challenge) = params.get("code_challenge") else {
        if needed || params.get("code_challenge_method").is_some() {
            return Err(refuse("invalid_request", "code_challenge is missing"));
        }
        return Ok(None);
    };
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if challenge.len() != 64 || !challenge.bytes().all(hex) {
        return Err(refuse(
            "invalid_request",
            "code_challenge is not the hexadecimal SHA-256 of a verifier",
        ));
    }
    if params.get("code_challenge_method") != Some("S256") {
        return Err(refuse(
            "invalid_request",
            "code_challenge_method must be S256",
        ));
    }
    Ok(Some(challenge.to_owned()))
}

fn approve(world: &World, asked: &Asked, user: &str, scopes: Vec<String>) -> Answer {
    let mut state = world.state();
    let code = format!("{}*{}!6410.e1", super::text::random(24), state.next());
    let expires_ms = world.clock.now_ms() + state.settings.code_seconds * 1000;
    let granted = scopes.join(",");
    state.codes.push(Code {
        code: code.clone(),
        client_key: asked.app.client_key.clone(),
        user: user.to_owned(),
        redirect_uri: asked.redirect_uri.clone(),
        challenge: asked.challenge.clone(),
        scopes,
        expires_ms,
        used: false,
    });
    back(asked, &[("code", &code), ("scopes", &granted)])
        .with_header(
            SET_COOKIE,
            format!("{SESSION}={user}; Path=/tiktok/www/; HttpOnly; SameSite=Lax"),
        )
        .note("user", user)
        .note("granted", granted)
}

/// The redirect to the app, with `state` unchanged at the end.
fn back(asked: &Asked, query: &[(&str, &str)]) -> Answer {
    let query: String = query
        .iter()
        .map(|(key, value)| format!("{key}={}&", percent(value)))
        .collect();
    Answer::empty(StatusCode::FOUND).with_header(
        LOCATION,
        format!(
            "{}?{query}state={}",
            asked.redirect_uri,
            percent(&asked.state)
        ),
    )
}

/// Whether this person once granted all of it, so that the consent page may be skipped.
fn is_known(world: &World, asked: &Asked, user: &str) -> bool {
    let known = world.state().grants.iter().any(|grant| {
        grant.client_key == asked.app.client_key
            && grant.user == user
            && grant.removed_reason.is_none()
            && asked
                .scopes
                .iter()
                .all(|scope| grant.scopes.contains(scope))
    });
    known && asked.app.admits(user)
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == SESSION)
        .map(|(_, value)| value.to_owned())
}
