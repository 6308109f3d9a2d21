//! The local cloud itself: a small function behind every kind of trigger, over the real AWS
//! process.

mod api;
mod calls;
mod functions;
mod harness;
mod sources;
mod template;
