//! The page on which the creator sees which account is being linked to which product and user, and
//! what happens when they press Confirm. This is the defence against a flow that somebody else
//! started: PKCE and `state` do not give it (oauth-hardening.md §1.3).

use std::time::Duration;

use browser::{ReturnTo, csrf, locale_of, message, session_of, show, with_result};
use domain::{ConnectionId, FlowId, Platform, missing_scopes};
use http::StatusCode;
use lambda::{Answer, Problem, Request, Response, responses};
use pages::{AccountView, ConfirmPage, Locale, MessagePage, Trouble};
use statistics::SyncMessage;
use store::Flow;
use store::flows::Grant;
use tokens::ConfirmError;

use crate::{OauthCallback, started_here};

/// A form holds an id, a hash and a word.
const MOST_FORM_BYTES: usize = 8 * 1_024;

impl OauthCallback {
    pub(crate) async fn show_confirm(&self, platform: Platform, request: &Request) -> Answer {
        let id = request
            .query()
            .ok()
            .and_then(|query| query.get("flow")?.parse().ok());
        let flow = match self.flow_here(platform, id, request).await? {
            Ok(flow) => flow,
            Err(why) => return Ok(self.stop(request, None, why)),
        };
        match &flow.grant {
            Some(grant) => self.page(request, &flow, grant),
            None if flow.confirmed_at.is_some() => Ok(self.connected(request, &flow)),
            None => Ok(self.stop(request, Some(&flow), Trouble::AttemptInvalid)),
        }
    }

    pub(crate) async fn confirm(&self, platform: Platform, request: &Request) -> Answer {
        let id = request
            .query()
            .ok()
            .and_then(|query| query.get("flow")?.parse().ok());
        let flow = match self.flow_here(platform, id, request).await? {
            Ok(flow) => flow,
            Err(why) => return Ok(self.stop(request, None, why)),
        };
        let form = request.form(MOST_FORM_BYTES)?;
        let tied = csrf(request, flow.flow_id.as_str());
        if tied.is_none() || tied.as_deref() != form.get("csrf") {
            return Ok(self.stop(request, Some(&flow), Trouble::FormInvalid));
        }
        if let Some(done) = self.already_connected(&flow) {
            // The button was pressed twice, or the first answer got lost.
            return Ok(done);
        }
        if form.get("decision") != Some("confirm") {
            self.tokens
                .abandon(&flow)
                .await
                .map_err(Problem::unavailable)?;
            tracing::info!(flow.id = %flow.flow_id, platform = %platform, "the creator cancelled");
            let left = self.leave(&flow, &[("error", Trouble::Cancelled.code())]);
            if left.is_some() {
                self.ended(Some(platform), Trouble::Cancelled.code());
            }
            return Ok(left.unwrap_or_else(|| self.stop(request, Some(&flow), Trouble::Cancelled)));
        }
        let confirmed = self
            .tokens
            .confirm(&flow, form.get("account").unwrap_or_default())
            .await;
        match confirmed {
            Ok(confirmed) => {
                let connection = confirmed.connection;
                tracing::info!(
                    flow.id = %flow.flow_id,
                    connection.id = %connection.connection_id,
                    platform = %platform,
                    "connected"
                );
                self.ended(Some(platform), "connected");
                // Its due time makes up for a message that is lost.
                if connection.stats_due_at.is_some() {
                    let first = SyncMessage::first(&connection);
                    self.insights.send_or_leave(&first, Duration::ZERO).await;
                }
                Ok(self.to_result(&flow, &connection.connection_id))
            }
            Err(ConfirmError::FlowOver) => {
                let now = self.tokens.clock().now();
                let flow = self
                    .flows
                    .get(&flow.flow_id, now)
                    .await
                    .map_err(Problem::unavailable)?;
                let done = flow.as_ref().and_then(|flow| self.already_connected(flow));
                Ok(done.unwrap_or_else(|| self.stop(request, None, Trouble::FormInvalid)))
            }
            Err(ConfirmError::NoSuchAccount) => {
                Ok(self.stop(request, Some(&flow), Trouble::FormInvalid))
            }
            Err(ConfirmError::Revoked) => {
                Ok(self.stop(request, Some(&flow), Trouble::AttemptInvalid))
            }
            Err(ConfirmError::Barred) => Ok(self.stop(request, None, Trouble::AccountBusy)),
            Err(ConfirmError::Internal(error)) => Err(Problem::unavailable(error)),
        }
    }

    /// Where a browser goes whose flow was confirmed before.
    fn already_connected(&self, flow: &Flow) -> Option<Response> {
        let account = flow
            .linked
            .as_ref()
            .filter(|_| flow.confirmed_at.is_some())?;
        let id = ConnectionId::to(&flow.user_id, account);
        Some(self.to_result(flow, &id))
    }

    /// To the product with the result, or to the result page.
    fn to_result(&self, flow: &Flow, connection: &ConnectionId) -> Response {
        let result = [
            ("status", "connected"),
            ("connection_id", connection.as_str()),
        ];
        let here = format!("/oauth/{}/confirm?flow={}", flow.platform, flow.flow_id);
        self.leave(flow, &result)
            .unwrap_or_else(|| responses::see_other(&here))
    }

    /// The flow of this id, if this browser started it.
    async fn flow_here(
        &self,
        platform: Platform,
        id: Option<FlowId>,
        request: &Request,
    ) -> Result<Result<Flow, Trouble>, Problem> {
        let now = self.tokens.clock().now();
        let Some(session) = session_of(request, &self.sessions, now).await? else {
            return Ok(Err(Trouble::SessionEnded));
        };
        let Some(id) = id else {
            return Ok(Err(Trouble::AttemptInvalid));
        };
        let flow = self
            .flows
            .get(&id, now)
            .await
            .map_err(Problem::unavailable)?;
        let flow =
            flow.filter(|flow| flow.platform == platform && started_here(Some(&session), flow));
        Ok(flow.ok_or(Trouble::AttemptInvalid))
    }

    fn page(&self, request: &Request, flow: &Flow, grant: &Grant) -> Answer {
        let locale = locale_of(request, flow.locale.as_deref());
        let accounts: Vec<AccountView> = grant.accounts.iter().map(AccountView::from).collect();
        let csrf = csrf(request, flow.flow_id.as_str()).unwrap_or_default();
        let missing = missing_scopes(&flow.scopes, &grant.scopes);
        let page = ConfirmPage {
            locale,
            product: &self.product,
            user_label: &flow.user_label,
            platform: flow.platform,
            accounts: &accounts,
            granted: &words(flow.platform, &grant.scopes, locale),
            missing: &words(flow.platform, &missing, locale),
            action: &format!("/oauth/{}/confirm?flow={}", flow.platform, flow.flow_id),
            csrf: &csrf,
        };
        // Browsers hold the redirect after a POST to the same rule as the form itself.
        let back = flow.return_to.as_deref().and_then(origin);
        let origins: Vec<&str> = back.as_deref().into_iter().collect();
        Ok(show(page.render(), &origins))
    }

    fn connected(&self, request: &Request, flow: &Flow) -> Response {
        let locale = locale_of(request, flow.locale.as_deref());
        let account = flow
            .linked
            .as_ref()
            .map(AccountView::from)
            .unwrap_or_default();
        let page = MessagePage::connected(locale, &self.product, flow.platform, &account);
        message(StatusCode::OK, &page.back(flow.return_to.as_deref()))
    }

    /// The way back to the product, where the session named one.
    fn leave(&self, flow: &Flow, result: &[(&str, &str)]) -> Option<Response> {
        flow.return_to
            .as_deref()
            .map(|back| responses::see_other(&with_result(back, result)))
    }
}

/// The origin of an address that was validated when the session was made.
fn origin(address: &str) -> Option<String> {
    ReturnTo::trusted(address).origin()
}

/// Scopes in plain words.
fn words(platform: Platform, scopes: &[String], locale: Locale) -> Vec<String> {
    let Some(authorize) = platforms::authorize(platform) else {
        return Vec::new();
    };
    let meaning = |scope: &String| {
        let [english, french] = authorize.scope_meaning(scope)?;
        Some(match locale {
            Locale::En => english.to_owned(),
            Locale::Fr => french.to_owned(),
        })
    };
    scopes.iter().filter_map(meaning).collect()
}
