//! TikTok by its sheet: exact requests, every documented answer, and the publishing machine against
//! a small strict server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod faults;
mod login;
mod machine;
mod news;
mod patience;
mod posts;
mod reading;
mod server;
mod simulation;
mod statistics;
mod support;
mod tokens;
mod webhooks;
