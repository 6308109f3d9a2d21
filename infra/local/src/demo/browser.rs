//! A browser without a screen: cookies, redirects, forms. It knows nothing of any platform, so it
//! walks stand-ins that nobody here wrote.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, StatusCode};
use transport::HostOverrides;
use url::{Host, Url};

use super::form::Form;
use super::html::visible;

/// More redirects than this are a loop.
const MOST_REDIRECTS: usize = 12;

/// So much of a page's text helps in a message.
const MOST_SHOWN: usize = 300;

/// A browser. Hosts of platforms are found where the overrides say, origins that a stand-in knows by
/// an https name are fetched from where they are served, and nothing off this machine is asked.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    overrides: HostOverrides,
    served_at: BTreeMap<String, String>,
    cookies: BTreeMap<(String, String), String>,
}

/// A page that was fetched.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its address, as the browser shows it.
    pub url: Url,
    /// The status.
    pub status: StatusCode,
    /// Headers, lower-case; the last of a name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub text: String,
}

impl Browser {
    /// A browser without cookies. `served_at`: origin to the loopback address that serves it.
    pub fn new(served_at: &BTreeMap<String, String>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            overrides: HostOverrides::default(),
            served_at: served_at.clone(),
            cookies: BTreeMap::new(),
        })
    }

    /// The same with platforms' hosts found where `overrides` say, as the functions find them.
    #[must_use]
    pub fn overriding(mut self, overrides: HostOverrides) -> Self {
        self.overrides = overrides;
        self
    }

    /// Opens an address and follows redirects to a page.
    pub async fn open(&mut self, url: &str) -> Result<Page> {
        let page = self.fetch(Method::GET, Url::parse(url)?, None).await?;
        self.follow(page).await
    }

    /// Presses the page's button that agrees, and follows redirects to a page.
    pub async fn agree(&mut self, page: &Page) -> Result<Page> {
        self.press(page, Form::agreeing(&page.text)).await
    }

    /// Presses the button that says no.
    pub async fn decline(&mut self, page: &Page) -> Result<Page> {
        self.press(page, Form::declining(&page.text)).await
    }

    async fn press(&mut self, page: &Page, form: Result<Form>) -> Result<Page> {
        let form = form.with_context(|| page.told())?;
        let (method, url, body) = sending(page, &form)?;
        let answer = self.fetch(method.clone(), url, body.clone()).await?;
        let next = answer.redirect()?;
        // 307 and 308 ask for the same request again. Within an origin they get it, as from any
        // browser; what was typed there is not carried over to another.
        match next.filter(|next| answer.repeats() && next.origin() == answer.url.origin()) {
            Some(next) => {
                let again = self.fetch(method, next, body).await?;
                self.follow(again).await
            }
            None => self.follow(answer).await,
        }
    }

    /// Sends a form as it is filled in; does not follow redirects.
    pub async fn submit(&mut self, page: &Page, form: &Form) -> Result<Page> {
        let (method, url, body) = sending(page, form)?;
        self.fetch(method, url, body).await
    }

    /// Follows redirects from an answer to a page.
    pub async fn follow(&mut self, mut page: Page) -> Result<Page> {
        for _ in 0..MOST_REDIRECTS {
            let Some(next) = page.redirect()? else {
                return Ok(page);
            };
            page = self.fetch(Method::GET, next, None).await?;
        }
        bail!(
            "more than {MOST_REDIRECTS} redirects, the last from {}",
            shown(&page.url)
        )
    }

    /// One request, redirects not followed.
    pub async fn fetch(&mut self, method: Method, url: Url, form: Option<String>) -> Result<Page> {
        // As if the link had named the stand-in: what the page then says of itself is relative to that.
        let url = Url::parse(&self.overrides.outward(url.as_str()))?;
        let origin = url.origin().ascii_serialization();
        let mut wire = url.clone();
        if let Some(base) = self.served_at.get(&origin) {
            let base = Url::parse(base)?;
            wire.set_scheme(base.scheme())
                .ok()
                .context("a scheme that cannot be set")?;
            wire.set_host(base.host_str())?;
            wire.set_port(base.port())
                .ok()
                .context("a port that cannot be set")?;
        }
        if !is_loopback(&wire) {
            bail!(
                "{} is not on this machine: name its host in host_overrides, or its origin in served_at",
                shown(&url)
            );
        }
        let request = self.http.request(method, wire);
        // A stand-in may have JSON for whoever does not ask for a page.
        let mut request = request.header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|((of, _), _)| *of == origin)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        if let Some(form) = form {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form);
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("asking {}", shown(&url)))?;
        let headers = answer.headers().clone();
        for line in headers.get_all(SET_COOKIE) {
            self.keep_cookie(&origin, line.to_str()?);
        }
        let status = answer.status();
        let named = headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        Ok(Page {
            url,
            status,
            headers: named.collect(),
            text: answer.text().await?,
        })
    }

    /// The value of a cookie of an origin.
    pub fn cookie(&self, origin: &str, name: &str) -> Option<&str> {
        self.cookies
            .get(&(origin.to_owned(), name.to_owned()))
            .map(String::as_str)
    }

    fn keep_cookie(&mut self, origin: &str, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let key = (origin.to_owned(), name.to_owned());
        if parts.any(|part| part.eq_ignore_ascii_case("max-age=0")) {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }
}

impl Page {
    /// Where the answer sends the browser, if it does.
    pub fn redirect(&self) -> Result<Option<Url>> {
        if !self.status.is_redirection() {
            return Ok(None);
        }
        let location = self
            .headers
            .get(LOCATION.as_str())
            .context("a redirect without an address")?;
        Ok(Some(self.url.join(location)?))
    }

    /// A parameter of the page's address.
    pub fn query(&self, name: &str) -> Option<String> {
        let mut pairs = self.url.query_pairs();
        pairs
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The page, unless it is an error page; its text is cut to what helps.
    pub fn good(self, what: &str) -> Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        bail!("{what}: {}", self.told())
    }

    /// The page for a message: its address without the query, its status, the beginning of its text.
    pub fn told(&self) -> String {
        let text = visible(&self.text);
        let mut told: String = text.chars().take(MOST_SHOWN).collect();
        if told.len() < text.len() {
            told.push('…');
        }
        let said = if told.is_empty() { "nothing" } else { &told };
        format!(
            "{} answered {} and says: {said}",
            shown(&self.url),
            self.status
        )
    }

    /// Whether the answer asks for the same request again at another address.
    fn repeats(&self) -> bool {
        matches!(
            self.status,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        )
    }
}

/// The request that a form makes.
fn sending(page: &Page, form: &Form) -> Result<(Method, Url, Option<String>)> {
    let mut target = match &form.action {
        Some(action) => page.url.join(action)?,
        None => page.url.clone(),
    };
    if form.post {
        return Ok((Method::POST, target, Some(form.body())));
    }
    if !form.link {
        target.set_query(Some(&form.body()));
    }
    Ok((Method::GET, target, None))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// An address without what may be secret in it.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_off_this_machine_is_asked() {
        let overrides = r#"{"www.tiktok.com": "http://127.0.0.1:1/www"}"#;
        let overrides = HostOverrides::parse(overrides).unwrap();
        let mut browser = Browser::new(&BTreeMap::new())
            .unwrap()
            .overriding(overrides);
        for (address, says) in [
            (
                "https://open.tiktokapis.com/a?secret",
                "https://open.tiktokapis.com/a is not on this machine: name its host in host_overrides",
            ),
            (
                "http://10.0.0.1/",
                "http://10.0.0.1/ is not on this machine",
            ),
            ("http://localhost.example.test/", "is not on this machine"),
            // Mapped, and nobody is there.
            (
                "https://www.tiktok.com/a?secret",
                "asking http://127.0.0.1:1/www/a",
            ),
        ] {
            let error = browser.open(address).await.unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_message_shows_neither_query_nor_a_whole_page() {
        let page = Page {
            url: Url::parse("http://127.0.0.1/a?state=secret#b").unwrap(),
            status: StatusCode::OK,
            headers: BTreeMap::new(),
            text: format!("<h1>Log in</h1>{}", "é".repeat(400)),
        };
        let told = page.told();
        let start = "http://127.0.0.1/a answered 200 OK and says: Log in é";
        assert!(told.starts_with(start) && told.ends_with("é…"), "{told}");
        assert!(told.chars().count() < 400, "{told}");
    }
}
