//! The platforms, sans I/O: one module each, made of functions that build a request or read a
//! response, and of small machines that say what to send next.
//!
//! Nothing here opens a socket, reads a clock, draws randomness or knows AWS: instants and random
//! texts are arguments. What a platform can do is told by the look-ups below; a function calls the
//! look-ups that it needs, and the linker drops the rest.

mod app;
mod authorize;
mod call;
mod choices;
mod limit;
mod publish;
mod rate;
mod refresh;
mod statistics;
mod synthetic;
mod webhook;

pub mod tiktok;

use domain::Platform;

pub use app::{App, Apps, InvalidApp};
pub use authorize::{
    Authorize, CallbackAnswer, CodeGrant, Connect, ConsentRequest, Linked, Refusal, Step,
};
pub use call::{Answer, Call, Repeat};
pub use choices::{Choices, Creator, Interactions, Notice, PostingChoices};
pub use limit::{Counts, Limit, LimitOf, Rule};
pub use publish::{
    Action, Cancel, Finish, Job, MediaInfo, PostDraft, Publish, State, Upload, Violation,
};
pub use rate::RateHeaders;
pub use refresh::{Refresh, RefreshPolicy, Revoke};
pub use statistics::{
    Extent, PartOff, Reading, Statistics, StatisticsBudget, StatisticsReading, Wanted,
};
pub use synthetic::{SignedWebhook, Synthetic, SyntheticWish};
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

/// How it is asked what an account may choose for its next post; `None` where it tells nothing.
pub fn choices(platform: Platform) -> Option<&'static dyn Choices> {
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

/// How a webhook of its own is built, for operators who try the path; `None` where it sends none.
pub fn synthetic(platform: Platform) -> Option<&'static dyn Synthetic> {
    match platform {
        Platform::TikTok => Some(&tiktok::TikTok),
    }
}
