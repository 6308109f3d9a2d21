//! The platforms, sans I/O: one module each, made of functions that build a request or read a
//! response, and of small machines that say what to send next.
//!
//! Nothing here opens a socket, reads a clock, draws randomness or knows AWS: instants and random
//! texts are arguments. What a platform can do is told by the look-ups below; a function calls the
//! look-ups that it needs, and the linker drops the rest.

mod app;
mod authorize;
mod call;
mod publish;
mod rate;
mod refresh;
mod statistics;
mod webhook;

pub mod tiktok;

use domain::Platform;

pub use app::{App, Apps, InvalidApp};
pub use authorize::{
    Authorize, CallbackAnswer, CodeGrant, Connect, ConsentRequest, Linked, Refusal, Step,
};
pub use call::{Answer, Call, Repeat};
pub use publish::{Action, Finish, Job, MediaInfo, PostDraft, Publish, State, Upload, Violation};
pub use rate::RateHeaders;
pub use refresh::{Refresh, RefreshPolicy, Revoke};
pub use statistics::{
    CallLimit, Extent, NextCall, PartOff, Reading, Statistics, StatisticsBudget, StatisticsReading,
    Wanted,
};
pub use webhook::{Handshake, Unverified, Verified, Webhook};

/// How accounts of this platform are connected; `None` where there is no OAuth login.
pub fn authorize(platform: Platform) -> Option<&'static dyn Authorize> {
    match platform {
        Platform::TikTok => Some(&tiktok::TikTok),
    }
}

/// How its tokens are renewed; `None` where they cannot be.
pub fn refresh(platform: Platform) -> Option<&'static dyn Refresh> {
    match platform {
        Platform::TikTok => Some(&tiktok::TikTok),
    }
}

/// How it is told that a connection ended; `None` where it cannot be told.
pub fn revoke(platform: Platform) -> Option<&'static dyn Revoke> {
    match platform {
        Platform::TikTok => Some(&tiktok::TikTok),
    }
}

/// How posts are published on it; `None` where we publish nothing.
pub fn publish(platform: Platform) -> Option<&'static dyn Publish> {
    match platform {
        Platform::TikTok => Some(&tiktok::TikTok),
    }
}

/// How its webhooks are checked and read; `None` where it sends none.
pub fn webhook(platform: Platform) -> Option<&'static dyn Webhook> {
    match platform {
        Platform::TikTok => Some(&tiktok::TikTok),
    }
}

/// How its statistics are read; `None` where there are none.
pub fn statistics(platform: Platform) -> Option<&'static dyn Statistics> {
    match platform {
        Platform::TikTok => Some(&tiktok::TikTok),
    }
}
