//! `GET /session/{link}` shows one button, so that link previews and scanners spend nothing;
//! `POST /session/{link}` spends the link, gives this browser its cookie, and goes on with 303.

use std::sync::Arc;

use browser::{ReturnTo, SESSION, SESSION_LIFE, hash, locale_of, new_secret, show, trouble};
use domain::{AttemptId, Clock, Entropy};
use http::Method;
use lambda::{Answer, Problem, Request, Response, responses};
use pages::{SessionPage, Trouble};
use store::{BrowserSession, SessionLink, Sessions};
use transport::HostOverrides;

/// What the handler needs.
pub struct Session {
    /// Links and browsers.
    pub sessions: Sessions,
    /// Where hosts are found.
    pub overrides: HostOverrides,
    /// The product's name.
    pub product: String,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Session {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Answer {
        let secret: String = request.path_parameter("link")?;
        let now = self.clock.now();
        let link = self
            .sessions
            .link(&hash(&secret), now)
            .await
            .map_err(Problem::unavailable)?;
        let Some(link) = link.filter(|link| link.spent_at.is_none()) else {
            return Ok(self.spent(&request));
        };
        if request.method() == Method::POST {
            self.open(&request, &link).await
        } else {
            Ok(self.button(&request, &link))
        }
    }

    fn button(&self, request: &Request, link: &SessionLink) -> Response {
        let page = SessionPage {
            locale: locale_of(request, link.locale.as_deref()),
            product: &self.product,
            user_label: &link.user_label,
            platform: Some(link.platform),
            action: request.path(),
        };
        // The POST leads through our start to the platform's consent page, and browsers hold that
        // whole way to this page's policy.
        let consent = platforms::authorize(link.platform);
        let origins = consent.map_or(&[][..], |authorize| authorize.consent_origins());
        let origins: Vec<String> = origins.iter().map(|origin| self.origin(origin)).collect();
        let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
        show(page.render(), &origins)
    }

    /// Where an origin is found.
    fn origin(&self, real: &str) -> String {
        let outward = self.overrides.outward(real);
        ReturnTo::trusted(&outward).origin().unwrap_or(outward)
    }

    async fn open(&self, request: &Request, link: &SessionLink) -> Answer {
        let now = self.clock.now();
        let cookie = new_secret(&*self.entropy);
        let session = BrowserSession {
            hash: hash(&cookie),
            user_id: link.user_id.clone(),
            user_label: link.user_label.clone(),
            return_to: link.return_to.clone(),
            locale: link.locale.clone(),
            expires_at: now + SESSION_LIFE,
        };
        let attempt = AttemptId::new(now, &*self.entropy);
        let spent = self.sessions.spend(link, &session, now, attempt).await;
        if !spent.map_err(Problem::unavailable)? {
            return Ok(self.spent(request));
        }
        let mut response = responses::see_other(&format!("/oauth/{}/start", link.platform));
        SESSION.set(&mut response, &cookie, SESSION_LIFE);
        Ok(response)
    }

    fn spent(&self, request: &Request) -> Response {
        trouble(
            locale_of(request, None),
            &self.product,
            Trouble::LinkSpent,
            None,
        )
    }
}
