//! TikTok for Developers, v2: Login Kit, user info, Content Posting by file upload, webhooks.
//!
//! What this module promises: it sends exactly what TikTok's documents show, reads every spelling
//! that has been seen in answers, decides on bodies and never on the HTTP status alone, and asks for
//! a new publish only while no byte that could complete the old one was sent, or TikTok itself says
//! that the old one failed.
//!
//! Settings of the app object in the platforms secret, beside those that every platform has:
//! - `pkce`: `auto` (default: the hexadecimal challenge for loopback redirects, none for the others),
//!   `none` or `hex`;
//! - `chunk_bytes`: how large upload chunks should be, 5,242,880 to 64,000,000; values outside are
//!   taken as the nearest legal one. Default 32,000,000, and files up to 64,000,000 in one piece.

mod authorize;
mod check;
mod chunks;
mod connect;
mod errors;
mod init;
mod publish;
mod state;
mod statistics;
mod status;
mod token;
mod upload;
mod user;
mod webhook;
mod wire;

/// TikTok for Developers, v2.
#[derive(Clone, Copy, Debug)]
pub struct TikTok;

/// Where the consent page lives. The trailing slash is part of every official example.
const CONSENT_URL: &str = "https://www.tiktok.com/v2/auth/authorize/";

/// Everything else but uploads, whose address comes with each publish.
const API: &str = "https://open.tiktokapis.com";

/// Upload hosts differ by region: tiktok.md §4.6.
const UPLOAD_HOSTS: &[&str] = &["*.tiktokapis.com"];

/// The scopes that this module knows what to do with.
mod scope {
    pub(super) const BASIC: &str = "user.info.basic";
    pub(super) const PROFILE: &str = "user.info.profile";
    pub(super) const STATS: &str = "user.info.stats";
    pub(super) const LIST: &str = "video.list";
    pub(super) const UPLOAD: &str = "video.upload";
    pub(super) const PUBLISH: &str = "video.publish";
}
