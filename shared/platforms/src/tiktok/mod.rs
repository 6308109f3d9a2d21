//! TikTok for Developers, v2: Login Kit, user info, Content Posting of videos and photos, webhooks.
//!
//! What this module promises: it sends exactly what TikTok's documents show, reads every spelling
//! that has been seen in answers, decides on bodies and never on the HTTP status alone, and asks for
//! a new publish only while TikTok cannot have published the old one, or says itself that it failed.
//!
//! How TikTok gets the files decides when it can publish:
//! - an *upload* (videos, where nothing else is said) publishes nothing before its last byte is sent,
//!   so a start whose answer is lost is made again, and a post can be taken back until then;
//! - what TikTok *fetches* (photos always; videos by `transfer: pull`, or where we do not hold the
//!   bytes) it may publish from the start on. A start whose answer is lost or unclear ends as unknown
//!   and is never made again. Files that TikTok says it could not fetch are offered once more, under
//!   their address as it is then. A wish to cancel is passed on, and may come too late.
//!
//! Every direct start follows right upon the question what the creator may choose, and obeys its
//! answer: the privacy, what is switched off, the longest video.
//!
//! After its end a draft is still asked about for a week and a post without an id for a day, rarely.
//!
//! Settings of the app object in the platforms secret, beside those that every platform has:
//! - `pkce`: `auto` (default: the hexadecimal challenge for loopback redirects, none for the others),
//!   `none` or `hex`;
//! - `chunk_bytes`: how large upload chunks should be, 5,242,880 to 64,000,000; values outside are
//!   taken as the nearest legal one. Default 32,000,000, and files up to 64,000,000 in one piece;
//! - `audited`: whether TikTok has audited the app. `false`: only SELF_ONLY to private accounts, and 5
//!   posting accounts in 24 hours. Absent: nothing is assumed, and TikTok refuses what it does not allow;
//! - `sandbox`: `true` where the credentials are a sandbox's, which posts nothing in public; or the
//!   object of a sandbox's app, beside these credentials (see [`crate::Apps::parse`]);
//! - `daily_posts`: direct posts of one creator in 24 hours, kept before the call. Default 15; 0: not
//!   kept.

mod authorize;
mod cancel;
mod check;
mod check_photo;
mod choices;
mod chunks;
mod connect;
mod creator;
mod errors;
mod follow;
mod init;
pub mod limits;
mod moves;
mod photo;
mod publish;
mod settings;
mod state;
mod statistics;
mod status;
mod synthetic;
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
