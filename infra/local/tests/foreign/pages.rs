//! The pages of the foreign platform: a login, then a consent page; or none at all.

use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use url::form_urlencoded;

use crate::platform::{CLIENT_KEY, Platform};

/// How a creator is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// A login page, then a consent page.
    TwoPages,
    /// The browser is sent straight back.
    NotAtAll,
    /// A page that cannot be gone on from.
    NoButton,
    /// A login that never lets anybody in.
    Circle,
}

/// What an app asks for.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Asked {
    client_key: String,
    redirect_uri: String,
    state: String,
}

/// The login form.
#[derive(Debug, Deserialize)]
pub(crate) struct Login {
    request: usize,
    email: String,
    password: String,
}

/// The consent form.
#[derive(Debug, Deserialize)]
pub(crate) struct Answered {
    request: usize,
    choice: String,
}

/// `GET /v2/auth/authorize/`
pub(crate) async fn authorize(
    State(platform): State<Arc<Platform>>,
    Query(asked): Query<Asked>,
) -> Response {
    let registered = platform.redirect_uris.contains(&asked.redirect_uri);
    if asked.client_key != CLIENT_KEY || !registered {
        return (StatusCode::BAD_REQUEST, Html("<h1>Unknown app</h1>")).into_response();
    }
    match platform.asking {
        Asking::NotAtAll => back(&platform, &asked, true),
        Asking::NoButton => {
            let page =
                "<script>render()</script><h1>One moment</h1><form><button>Cancel</button></form>";
            Html(page).into_response()
        }
        // A real host's address: only the overrides know where it is.
        Asking::TwoPages | Asking::Circle => {
            let mut requests = platform.requests.lock().unwrap();
            requests.push(asked);
            let number = requests.len() - 1;
            found(&format!("https://www.tiktok.com/login?request={number}"))
        }
    }
}

/// `GET /login`
pub(crate) async fn login_page(Query(query): Query<Vec<(String, String)>>) -> Html<String> {
    let request = query
        .first()
        .map(|(_, value)| value.as_str())
        .unwrap_or_default();
    Html(format!(
        r#"<title>Log in</title><a href="/forgot">Forgot password?</a>
        <form method=post action=login><input type=hidden name=request value="{request}">
        <label>E-mail <input type=email name=email></label><input type=password name=password required>
        <input type=submit value="Log in"></form><a href="/join">Don&rsquo;t have an account? Sign up</a>"#
    ))
}

/// `POST /login`
pub(crate) async fn login(
    State(platform): State<Arc<Platform>>,
    Form(login): Form<Login>,
) -> Response {
    if login.email.is_empty() || login.password.is_empty() {
        return (StatusCode::FORBIDDEN, Html("<p>Who are you?</p>")).into_response();
    }
    let to = match platform.asking {
        Asking::Circle => "login",
        _ => "/consent",
    };
    let mut response = found(&format!("{to}?request={}", login.request));
    let cookie = "who=mara; Path=/; HttpOnly".parse().unwrap();
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}

/// `GET /consent`
pub(crate) async fn consent_page(Query(query): Query<Vec<(String, String)>>) -> Html<String> {
    let request = query
        .first()
        .map(|(_, value)| value.as_str())
        .unwrap_or_default();
    Html(format!(
        r#"<button form=answer name=choice value=0>Don&#39;t allow</button>
        <button form=answer name=choice value=1 formmethod=post>Allow</button>
        <form id=answer action="/consent"><textarea name=note>&lt;3</textarea>
        <input type=hidden name=request value={request}></form>"#
    ))
}

/// `POST /consent`
pub(crate) async fn consent(
    State(platform): State<Arc<Platform>>,
    headers: HeaderMap,
    Form(answered): Form<Answered>,
) -> Response {
    let cookie = headers.get(COOKIE).and_then(|value| value.to_str().ok());
    if cookie != Some("who=mara") {
        return (StatusCode::FORBIDDEN, Html("<p>Log in first</p>")).into_response();
    }
    let asked = platform.requests.lock().unwrap()[answered.request].clone();
    back(&platform, &asked, answered.choice == "1")
}

/// Back to the app, with a code if the creator allowed it.
fn back(platform: &Platform, asked: &Asked, allowed: bool) -> Response {
    let outcome = match allowed {
        true => ("code", platform.new_code(&asked.redirect_uri)),
        false => ("error", "access_denied".to_owned()),
    };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair(outcome.0, &outcome.1)
        .append_pair("state", &asked.state)
        .finish();
    found(&format!("{}?{query}", asked.redirect_uri))
}

fn found(to: &str) -> Response {
    (StatusCode::FOUND, [(LOCATION, to.to_owned())]).into_response()
}
