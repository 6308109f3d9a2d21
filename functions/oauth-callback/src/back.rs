//! The way back from the platform.

use browser::{hash, session_of};
use domain::{AttemptId, Fault, FlowId, Platform, Secret};
use lambda::{Answer, Problem, Query, Request, responses};
use pages::Trouble;
use platforms::{App, Apps, Authorize, CallbackAnswer, CodeGrant, Refusal};
use store::Flow;
use store::flows::Grant;
use tokens::TokensError;

use crate::{OauthCallback, started_here};

impl OauthCallback {
    pub(crate) async fn back(&self, apps: &Apps, platform: Platform, request: &Request) -> Answer {
        // A parameter that comes twice is refused: which of two codes counts must not be a question.
        let Ok(query) = request.query() else {
            return Ok(self.stop(request, None, Trouble::AttemptInvalid));
        };
        let known = platforms::authorize(platform).filter(|_| apps.get(platform).is_some());
        let Some(authorize) = known else {
            return Ok(self.stop(request, None, Trouble::NotFound));
        };
        let Some(flow) = self.flow_of(platform, &query, request, authorize).await? else {
            return Ok(self.stop(request, None, Trouble::AttemptInvalid));
        };
        // The code is good with the app that asked for it alone.
        let Some(app) = apps.of(platform, flow.client_id.as_deref()) else {
            tracing::error!(
                flow.id = %flow.flow_id,
                platform = %platform,
                "the app that a flow was started with is not set up any more"
            );
            return Ok(self.stop(request, Some(&flow), Trouble::AppRefused));
        };
        let now = self.tokens.clock().now();
        let attempt = AttemptId::new(now, &**self.tokens.entropy());
        let consumed = self.flows.consume(&flow.flow_id, now, &attempt).await;
        let Some(flow) = consumed.map_err(Problem::unavailable)? else {
            return Ok(self.stop(request, None, Trouble::AttemptInvalid));
        };
        match authorize.read_callback(query.pairs()) {
            CallbackAnswer::Refused(refusal) => Ok(self.refused(request, &flow, &refusal)),
            CallbackAnswer::Code { code, granted } => {
                let way = (code, granted);
                self.exchange(request, (authorize, app), flow, way).await
            }
        }
    }

    /// The flow that this way back belongs to, if every check holds.
    async fn flow_of(
        &self,
        platform: Platform,
        query: &Query,
        request: &Request,
        authorize: &dyn Authorize,
    ) -> Result<Option<Flow>, Problem> {
        let now = self.tokens.clock().now();
        let state = query.get("state").and_then(|state| state.split_once('.'));
        let Some((id, secret)) = state else {
            return Ok(None);
        };
        let Ok(id) = id.parse::<FlowId>() else {
            return Ok(None);
        };
        let Some(flow) = self
            .flows
            .get(&id, now)
            .await
            .map_err(Problem::unavailable)?
        else {
            return Ok(None);
        };
        let session = session_of(request, &self.sessions, now).await?;
        // Hashes of random secrets: comparing them in plain time gives nothing away.
        let good = flow.platform == platform
            && flow.state_hash == hash(secret)
            && flow.consumed_at.is_none()
            && started_here(session.as_ref(), &flow)
            && issuer_holds(authorize.issuer(), query.get("iss"));
        if !good {
            tracing::warn!(flow.id = %flow.flow_id, platform = %platform, "a way back was refused");
        }
        Ok(good.then_some(flow))
    }

    async fn exchange(
        &self,
        request: &Request,
        (authorize, app): (&dyn Authorize, &App),
        flow: Flow,
        (code, granted): (Secret, Option<Vec<String>>),
    ) -> Answer {
        let verifier = match &flow.sealed_verifier {
            None => None,
            Some(sealed) => {
                let keys = [flow.flow_id.as_str()];
                let place = flow.place(&keys, "verifier");
                let text = self
                    .tokens
                    .vault()
                    .open(flow.flow_id.as_str(), &place, sealed)
                    .await;
                let text = text.map_err(Problem::unavailable)?;
                Some(Secret::new(String::from_utf8_lossy(&text)))
            }
        };
        let grant = CodeGrant {
            code,
            redirect_uri: flow.redirect_uri.clone(),
            verifier,
            scopes: granted.unwrap_or_else(|| flow.scopes.clone()),
        };
        let key = self
            .tokens
            .grant_key(&flow)
            .await
            .map_err(Problem::unavailable)?;
        let began = self.tokens.clock().now();
        let linked = match self.tokens.exchange(authorize, app, grant).await {
            Ok(linked) => linked,
            Err(fault) => {
                return Ok(self.refused(request, &flow, &Refusal::ByPlatform(fault)));
            }
        };
        let sealed = self.tokens.seal_grant(&flow, &key, &linked, began);
        match self.keep(&flow, sealed).await {
            Ok(true) => {}
            Ok(false) => {
                self.tokens.forget(app, &linked).await;
                return Ok(self.stop(request, Some(&flow), Trouble::AttemptInvalid));
            }
            Err(problem) => {
                self.tokens.forget(app, &linked).await;
                return Err(problem);
            }
        }
        tracing::info!(flow.id = %flow.flow_id, platform = %flow.platform, "flow awaits its creator");
        let confirm = format!("/oauth/{}/confirm?flow={}", flow.platform, flow.flow_id);
        Ok(responses::see_other(&confirm))
    }

    /// Keeps what the exchange brought; `false` if the flow is over.
    async fn keep(&self, flow: &Flow, sealed: Result<Grant, TokensError>) -> Result<bool, Problem> {
        let grant = sealed.map_err(Problem::unavailable)?;
        let now = self.tokens.clock().now();
        let attempt = AttemptId::new(now, &**self.tokens.entropy());
        let until = now + self.flow_life;
        let kept = self
            .flows
            .granted(&flow.flow_id, &grant, until, &attempt)
            .await;
        kept.map_err(Problem::unavailable)
    }

    /// A refusal becomes a page with a fixed code; what the platform wrote is never shown.
    fn refused(&self, request: &Request, flow: &Flow, refusal: &Refusal) -> lambda::Response {
        let (id, platform) = (&flow.flow_id, flow.platform);
        let why = match refusal {
            Refusal::ByCreator => {
                tracing::info!(flow.id = %id, platform = %platform, "the creator refused");
                Trouble::Refused
            }
            Refusal::ByPlatform(fault) if fault.kind.concerns_app() => {
                // The operator's to mend: an error line, which the alarm counts.
                tracing::error!(
                    flow.id = %id,
                    platform = %platform,
                    fault = %fault,
                    advice = fault.explain(),
                    "the platform refuses our app"
                );
                Trouble::AppRefused
            }
            Refusal::ByPlatform(fault) => {
                tracing::warn!(flow.id = %id, platform = %platform, fault = %fault, "flow refused");
                trouble_of(fault)
            }
        };
        self.stop(request, Some(flow), why)
    }
}

fn trouble_of(fault: &Fault) -> Trouble {
    use domain::FaultKind::{OurBug, PlatformDown, RateLimited};
    match fault.kind {
        PlatformDown | RateLimited => Trouble::PlatformDown,
        OurBug => Trouble::Internal,
        _ => Trouble::PlatformRefused,
    }
}

/// RFC 9207: where the platform is known to name itself, it must, and rightly.
fn issuer_holds(expected: Option<&str>, came: Option<&str>) -> bool {
    expected.is_none() || expected == came
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_must_hold_where_it_is_known() {
        for (expected, came, good) in [
            (None, None, true),
            (None, Some("https://x.example"), true),
            (Some("https://x.example"), Some("https://x.example"), true),
            (Some("https://x.example"), Some("https://x.example/"), false),
            (Some("https://x.example"), None, false),
        ] {
            assert_eq!(issuer_holds(expected, came), good, "{expected:?} {came:?}");
        }
    }
}
