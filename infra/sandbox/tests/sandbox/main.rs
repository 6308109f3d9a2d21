//! The stand-in TikTok, through its sockets.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod apps;
mod authorize;
mod cancel;
mod creator;
mod display;
mod drafts;
mod faults;
mod limits;
mod origin;
mod photos;
mod posting;
mod pull;
mod rig;
mod token;
mod upload;
mod user;
mod webhooks;
