//! `GET /oauth/{platform}/start`: opens a flow for the user of this browser's session and sends the
//! browser to the platform's consent page.

use std::sync::Arc;
use std::time::Duration;

use browser::{hash, locale_of, new_secret, session_of, trouble};
use domain::{AppRef, Clock, Entropy, FlowId, Platform, Secret};
use lambda::{Answer, Problem, Request, Response, responses};
use pages::Trouble;
use platforms::{App, Apps, Authorize, ConsentRequest};
use store::{BrowserSession, Flow, Flows, Sessions};
use transport::HostOverrides;
use vault::Vault;

/// What the handler needs.
pub struct OauthStart {
    /// Browsers.
    pub sessions: Sessions,
    /// Attempts.
    pub flows: Flows,
    /// For the PKCE verifier.
    pub vault: Vault,
    /// Where hosts are found.
    pub overrides: HostOverrides,
    /// The product's name.
    pub product: String,
    /// Where this deployment is reached, if that is configured.
    pub public_base: Option<String>,
    /// How long the creator may take.
    pub flow_life: Duration,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl OauthStart {
    /// Answers one request.
    pub async fn handle(&self, apps: &Apps, request: Request) -> Answer {
        let now = self.clock.now();
        let locale = locale_of(&request, None);
        let platform = request.path_parameter::<Platform>("platform").ok();
        let stop = |why| Ok(trouble(locale, &self.product, why, None));
        let known = platform.filter(|platform| apps.get(*platform).is_some());
        let known = known.and_then(|platform| Some((platform, platforms::authorize(platform)?)));
        let Some((platform, authorize)) = known else {
            return stop(Trouble::NotFound);
        };
        let Some(session) = session_of(&request, &self.sessions, now).await? else {
            return stop(Trouble::SessionEnded);
        };
        let app = match session.environment {
            None => apps.get(platform),
            Some(environment) => apps.at(AppRef::new(platform, environment)),
        };
        let Some(app) = app else {
            return stop(Trouble::NotFound);
        };
        self.open(&request, platform, (authorize, app), session)
            .await
    }

    async fn open(
        &self,
        request: &Request,
        platform: Platform,
        (authorize, app): (&dyn Authorize, &App),
        session: BrowserSession,
    ) -> Answer {
        let now = self.clock.now();
        let base = request.base_url(self.public_base.as_deref());
        let redirect_uri = match &app.redirect_uri {
            Some(registered) => registered.clone(),
            None => format!("{base}/oauth/{platform}/callback"),
        };
        let scopes = app.scopes.clone().unwrap_or_else(|| {
            authorize
                .default_scopes()
                .iter()
                .map(|scope| (*scope).to_owned())
                .collect()
        });
        let secret = new_secret(&*self.entropy);
        let verifier = authorize
            .wants_verifier(app, &redirect_uri)
            .then(|| Secret::new(new_secret(&*self.entropy)));
        let mut flow = Flow {
            flow_id: FlowId::new(now, &*self.entropy),
            state_hash: hash(&secret),
            // The session's cookie is the browser's: another browser has another one.
            browser_hash: session.hash,
            user_id: session.user_id,
            user_label: session.user_label,
            platform,
            client_id: Some(app.client_id.clone()),
            redirect_uri,
            sealed_verifier: None,
            scopes,
            return_to: session.return_to,
            locale: session.locale,
            created_at: now,
            expires_at: now + self.flow_life,
            consumed_at: None,
            grant: None,
            confirmed_at: None,
            linked: None,
            due_at: None,
        };
        if let Some(verifier) = &verifier {
            let keys = [flow.flow_id.as_str()];
            let key = self
                .vault
                .new_key(flow.flow_id.as_str())
                .await
                .map_err(Problem::unavailable)?;
            let place = flow.place(&keys, "verifier");
            let sealed = self.vault.seal(&key, &place, verifier.expose().as_bytes());
            flow.sealed_verifier = Some(sealed.map_err(Problem::internal)?);
        }
        self.flows.put(&flow).await.map_err(Problem::unavailable)?;
        let state = Secret::new(format!("{}.{secret}", flow.flow_id));
        let consent = ConsentRequest {
            redirect_uri: &flow.redirect_uri,
            state: &state,
            scopes: &flow.scopes,
            verifier: verifier.as_ref(),
        };
        let environment = app.environment().as_str();
        tracing::info!(flow.id = %flow.flow_id, platform = %platform, environment, "flow started");
        Ok(self.away(&authorize.consent_url(app, &consent)))
    }

    fn away(&self, consent: &Secret) -> Response {
        responses::see_other(&self.overrides.outward(consent.expose()))
    }
}
