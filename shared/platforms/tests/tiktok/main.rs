//! TikTok by its sheet: exact requests, every documented answer, and the publishing machine against
//! a small strict server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod choices;
mod creator;
mod faults;
mod fetching;
mod follow;
mod fuzz;
mod limits;
mod login;
mod machine;
mod never_whole;
mod news;
mod patience;
mod photos;
mod posts;
mod reading;
mod server;
mod simulation;
mod states;
mod statistics;
mod support;
mod synthetic;
mod tokens;
mod webhooks;
