//! The local cloud itself: a small function behind every kind of trigger, over the real AWS
//! process.
//!
//! The modules say `cfg(test)` so that clippy knows their helpers for test code.

#[cfg(test)]
mod alarms;
#[cfg(test)]
mod api;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod functions;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod template;
