//! The demo against a stand-in platform that is not the sandbox, put in its place by a `--platforms`
//! file alone: one port, login and consent pages of its own, no control API.
//!
//! The modules say `cfg(test)` so that clippy knows their helpers for test code.

#[cfg(test)]
mod pages;
#[cfg(test)]
mod platform;
#[cfg(test)]
mod walks;
