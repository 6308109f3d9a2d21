//! `GET /oauth/{platform}/callback` takes the browser's way back from the platform;
//! `GET` and `POST /oauth/{platform}/confirm` let the creator see and confirm what is being linked.
//!
//! The order of the checks, all before the token request: the platform in the path is the flow's;
//! the state is known and unexpired; the browser is the one that started; its session's user is the
//! flow's; `iss` where the platform sends it. Then the flow is marked as used, once.

mod back;
mod confirm;

use std::time::Duration;

use browser::{locale_of, trouble};
use domain::metric::FLOWS;
use domain::{Labels, Platform};
use http::Method;
use lambda::{Answer, Request, Response};
use pages::Trouble;
use platforms::Apps;
use statistics::InsightsQueue;
use store::{BrowserSession, Flow, Flows, Sessions};
use tokens::Tokens;

/// What the handlers need.
pub struct OauthCallback {
    /// Browsers.
    pub sessions: Sessions,
    /// Attempts.
    pub flows: Flows,
    /// The exchange, and the way from a flow to a connection.
    pub tokens: Tokens,
    /// Where a new connection's first sync of statistics is queued.
    pub insights: InsightsQueue,
    /// The product's name.
    pub product: String,
    /// How long the creator may take to confirm.
    pub flow_life: Duration,
}

impl OauthCallback {
    /// Answers one request.
    pub async fn handle(&self, apps: &Apps, request: Request) -> Answer {
        let Ok(platform) = request.path_parameter::<Platform>("platform") else {
            return Ok(self.stop(&request, None, Trouble::NotFound));
        };
        let confirm = request.path().ends_with("/confirm");
        let answer = match (confirm, request.method() == Method::POST) {
            (false, _) => self.back(apps, platform, &request).await,
            (true, false) => self.show_confirm(platform, &request).await,
            (true, true) => self.confirm(platform, &request).await,
        };
        if answer.is_err() {
            self.ended(Some(platform), Trouble::Internal.code());
        }
        answer
    }

    /// Counts the end of an attempt, or of what was meant to be one.
    fn ended(&self, platform: Option<Platform>, outcome: &str) {
        let about = platform.map_or(Labels::NONE, Labels::from);
        self.tokens.meter().count(&FLOWS, about.outcome(outcome));
    }

    /// The page for what stopped the creator; the way back leads to where the flow came from.
    fn stop(&self, request: &Request, flow: Option<&Flow>, why: Trouble) -> Response {
        let platform = request.path_parameter::<Platform>("platform").ok();
        self.ended(platform, why.code());
        let locale = locale_of(request, flow.and_then(|flow| flow.locale.as_deref()));
        let back = flow.and_then(|flow| flow.return_to.as_deref());
        let back = back.map(|back| browser::with_result(back, &[("error", why.code())]));
        trouble(locale, &self.product, why, back.as_deref())
    }
}

/// Whether this browser's session is the one that started the flow.
fn started_here(session: Option<&BrowserSession>, flow: &Flow) -> bool {
    session
        .is_some_and(|session| session.hash == flow.browser_hash && session.user_id == flow.user_id)
}
