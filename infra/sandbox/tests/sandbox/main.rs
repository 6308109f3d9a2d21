//! The stand-in TikTok, through its sockets.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod authorize;
mod faults;
mod posting;
mod rig;
mod token;
mod upload;
mod user;
mod webhooks;
