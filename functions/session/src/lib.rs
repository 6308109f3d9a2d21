//! `GET /session/{link}` shows one button, so that link previews and scanners spend nothing;
//! `POST /session/{link}` spends the link, gives this browser its cookie, and goes on with 303.

use std::sync::Arc;
use std::time::Duration;

use browser::{ReturnTo, SESSION, SESSION_LIFE, hash, locale_of, new_secret, show, trouble};
use domain::{AttemptId, Clock, Entropy};
use http::Method;
use lambda::{Answer, Cookie, Problem, Request, Response, responses};
use pages::{SessionPage, Trouble};
use store::{BrowserSession, SessionLink, Sessions};
use transport::HostOverrides;

/// The cookie of a browser that was shown a link's button: only that browser can press it.
const LINK: Cookie = Cookie::named("link");
/// As long as a link lives.
const LINK_LIFE: Duration = Duration::from_secs(600);

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
        let browser = request.cookie(&LINK.name()).map(hash);
        let mine = browser.clone().unwrap_or_default();
        let Some(link) = link.filter(|link| link.may_be_spent_by(&mine, now)) else {
            return Ok(self.stop(&request, Trouble::LinkSpent));
        };
        match (request.method() == Method::POST, browser) {
            (false, _) => Ok(self.button(&request, &link)),
            (true, Some(browser)) => self.open(&request, &link, &browser).await,
            // A form of another site sends no cookie of ours along: whoever posts was not shown the
            // page, or takes no cookies.
            (true, None) => Ok(self.stop(&request, Trouble::SessionEnded)),
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
        let mut response = show(page.render(), &origins);
        let known = request.cookie(&LINK.name()).map(str::to_owned);
        let cookie = known.unwrap_or_else(|| new_secret(&*self.entropy));
        LINK.set(&mut response, &cookie, LINK_LIFE);
        response
    }

    /// Where an origin is found.
    fn origin(&self, real: &str) -> String {
        let outward = self.overrides.outward(real);
        ReturnTo::trusted(&outward).origin().unwrap_or(outward)
    }

    async fn open(&self, request: &Request, link: &SessionLink, browser: &str) -> Answer {
        let now = self.clock.now();
        let cookie = new_secret(&*self.entropy);
        let session = BrowserSession {
            hash: hash(&cookie),
            user_id: link.user_id.clone(),
            user_label: link.user_label.clone(),
            environment: link.environment,
            return_to: link.return_to.clone(),
            locale: link.locale.clone(),
            expires_at: now + SESSION_LIFE,
        };
        let attempt = AttemptId::new(now, &*self.entropy);
        let spent = self
            .sessions
            .spend(link, browser, &session, now, attempt)
            .await;
        if !spent.map_err(Problem::unavailable)? {
            return Ok(self.stop(request, Trouble::LinkSpent));
        }
        let mut response = responses::see_other(&format!("/oauth/{}/start", link.platform));
        SESSION.set(&mut response, &cookie, SESSION_LIFE);
        Ok(response)
    }

    fn stop(&self, request: &Request, why: Trouble) -> Response {
        trouble(locale_of(request, None), &self.product, why, None)
    }
}
