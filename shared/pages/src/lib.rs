//! The HTML pages that creators meet while connecting an account.
//!
//! They work without script and load nothing: one inline style, whose hash ([`style_hash`]) the
//! answer's Content-Security-Policy names. Every text out of a request, a platform or the
//! configuration is escaped by the templates; texts of our own are in one table, by language.

mod account;
mod locale;
mod message;
mod page;
mod unsubscribe;

use std::sync::LazyLock;

use aws_lc_rs::digest;
use data_encoding::BASE64;

pub use account::AccountView;
pub use locale::Locale;
pub use message::{MessagePage, Trouble};
pub use page::{ConfirmPage, SessionPage};
pub use unsubscribe::{Mails, UnsubscribePage};

/// The one style, as it stands between the tags.
const STYLE: &str = include_str!("../templates/style.css");

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| {
    let hash = digest::digest(&digest::SHA256, STYLE.as_bytes());
    format!("sha256-{}", BASE64.encode(hash.as_ref()))
});

/// What `style-src` must name, without quotes: `sha256-…`.
pub fn style_hash() -> &'static str {
    &STYLE_HASH
}

#[cfg(test)]
mod tests;
