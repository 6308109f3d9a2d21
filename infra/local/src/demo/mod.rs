//! The main job, walked from outside as a creator and a product's backend do it: connect → seal →
//! upload by parts → publish in chunks → webhook → published → refresh → disconnect. Every step is
//! checked; the first that fails ends the walk.

pub mod api;
pub mod browser;
mod controls;
pub mod form;
mod html;
pub mod media;
mod publish;
mod walk;
mod webhooks;
mod words;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use url::Url;

use crate::Dev;
use browser::{Browser, Page};
use walk::Walk;

/// A platform may take its time over a file.
const PATIENCE: Duration = Duration::from_secs(300);

/// Login, account picker, consent: more pages than this are a circle.
const MOST_PAGES: usize = 6;

/// Prints steps with their times.
struct Steps {
    began: Instant,
    say: fn(&str) -> Result<()>,
}

/// Walks the main job on `file` against whatever stand-ins `dev` runs with.
pub async fn run(
    dev: &Dev,
    platform: &str,
    file: &Path,
    say: fn(&str) -> Result<()>,
) -> Result<()> {
    run_within(dev, platform, file, say, PATIENCE).await
}

/// The same, with no wait longer than `patience`.
pub async fn run_within(
    dev: &Dev,
    platform: &str,
    file: &Path,
    say: fn(&str) -> Result<()>,
    patience: Duration,
) -> Result<()> {
    let walk = Walk::new(dev, platform, patience)?;
    let mut steps = Steps {
        began: Instant::now(),
        say,
    };
    let began = Instant::now();
    let mut connection = String::new();
    for redirect in dev.platforms.redirect_uris(platform, dev.stack.api_url()) {
        let by = origin(&redirect)?;
        let told = |what: &str| format!("{what} by way of {by}");
        walk.use_redirect(&redirect).await?;
        let connected = walk.connect(&redirect).await;
        connection = connected.with_context(|| told("connect"))?;
        steps.done("connect", &told(&format!("{connection} is active")))?;
    }
    let sealed = walk.sealed(&connection).await;
    steps.done("seal", &sealed.context("seal")?)?;
    let size = std::fs::metadata(file)?.len();
    let media = walk.user.upload(file).await.context("upload")?;
    steps.done("upload", &format!("{media}, {size} bytes"))?;
    let post = walk.post(&connection, &media).await.context("publish")?;
    let target = walk.published(&post).await.context("publish")?;
    let peak = dev.stack.host().peak_memory("publish-worker")?;
    let status = target["status"].as_str().unwrap_or("?");
    steps.done(
        "publish",
        &format!("{post}: {status}; worker's peak memory {} MB", peak / 1_024),
    )?;
    let arrived = walk.bytes_arrived(file).await;
    steps.done("compare", &arrived.context("compare")?)?;
    let heard = walk.webhooks(&post).await;
    steps.done("webhook", &heard.context("webhook")?)?;
    let refreshed = walk.refresh(&connection).await;
    steps.done("refresh", &refreshed.context("refresh")?)?;
    let ended = walk.disconnect(&connection).await;
    steps.done("disconnect", &ended.context("disconnect")?)?;
    say(&format!(
        "\n  all of it    {:.2} s\n\n",
        began.elapsed().as_secs_f64()
    ))
}

/// A browser's way from a session link to the result page, through whatever pages the platform puts
/// between: none, a consent page, a login before it. The link's origin must be the redirect URI's.
pub async fn connect(browser: &mut Browser, link: &str) -> Result<Page> {
    let button = browser.open(link).await?.good("the session page")?;
    let home = button.url.origin();
    let mut page = browser.agree(&button).await?;
    for number in 1..=MOST_PAGES + 1 {
        let back = page.url.origin() == home;
        if back && page.url.path().ends_with("/confirm") {
            let confirm = page.good("the confirm page")?;
            return browser.agree(&confirm).await?.good("the result page");
        }
        if back {
            bail!("no confirm page: {}", page.told());
        }
        let what = format!("page {number} of the platform");
        page = page.good(&what)?;
        if number > MOST_PAGES {
            break;
        }
        page = browser.agree(&page).await.context(what)?;
    }
    bail!(
        "after {MOST_PAGES} pages of the platform, the browser is not back: {}",
        page.told()
    )
}

impl Steps {
    fn done(&mut self, step: &str, what: &str) -> Result<()> {
        let took = self.began.elapsed().as_secs_f64();
        self.began = Instant::now();
        (self.say)(&format!("  {step:<12} {took:>7.2} s  {what}\n"))
    }
}

fn origin(url: &str) -> Result<String> {
    Ok(Url::parse(url)?.origin().ascii_serialization())
}
