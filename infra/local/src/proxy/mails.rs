//! The control routes of captured mails, on the proxy's own address: `GET /_mails` lists them,
//! `GET /_mails/{n}` is the n-th as a page, `POST /_mails/knobs {"knob": "bounce", "times": 1}` decides
//! over the next ones. Functions have no business here, and sign nothing for it.

use bytes::Bytes;
use http::{HeaderValue, Method, request::Parts};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, respond};
use crate::mailbox::{Knob, Mailbox};

const ROOT: &str = "/_mails";

#[derive(Deserialize)]
struct Turn {
    knob: Knob,
    #[serde(default = "one")]
    times: usize,
}

const fn one() -> usize {
    1
}

/// Whether a request is one of these.
pub(super) fn is_control(parts: &Parts) -> bool {
    let path = parts.uri.path();
    path == ROOT || path.starts_with("/_mails/")
}

pub(super) async fn control(mailbox: &Mailbox, parts: &Parts, body: Incoming) -> Answer {
    let rest = parts.uri.path().strip_prefix(ROOT).unwrap_or_default();
    let rest = rest.trim_start_matches('/');
    match (&parts.method, rest) {
        (&Method::GET, "") => respond(
            "mails",
            200,
            json!({ "mails": mailbox.mails() }).to_string(),
        ),
        (&Method::POST, "knobs") => {
            let body = body.collect().await.map(|body| body.to_bytes());
            turned(mailbox, &body.unwrap_or_default())
        }
        (&Method::GET, number) => {
            let place = number
                .parse::<usize>()
                .ok()
                .and_then(|number| number.checked_sub(1));
            let mail = place.and_then(|place| mailbox.mails().into_iter().nth(place));
            mail.map_or_else(missing, |mail| page(mail.html))
        }
        _ => missing(),
    }
}

fn turned(mailbox: &Mailbox, body: &Bytes) -> Answer {
    match serde_json::from_slice::<Turn>(body) {
        Ok(turn) => {
            mailbox.turn(turn.knob, turn.times);
            respond("mails", 200, json!({ "turned": turn.times }).to_string())
        }
        Err(error) => respond(
            "mails",
            400,
            json!({ "error": error.to_string() }).to_string(),
        ),
    }
}

fn missing() -> Answer {
    respond("mails", 404, json!({ "error": "no such mail" }).to_string())
}

fn page(html: String) -> Answer {
    let mut answer = respond("mails", 200, html);
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    answer.headers_mut().insert("content-type", kind);
    answer
}
