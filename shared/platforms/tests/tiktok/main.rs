//! TikTok by its sheet: exact requests, every documented answer, and the publishing machine against
//! a small strict server.

mod faults;
mod login;
mod machine;
mod posts;
mod reading;
mod server;
mod simulation;
mod support;
mod tokens;
mod webhooks;
