//! The PostgreSQL projection on a real PostgreSQL, behind a front that ends TLS and makes trouble.
//!
//! The modules say `cfg(test)` so that clippy knows their helpers for test code.

#[cfg(test)]
mod ground;
#[cfg(test)]
mod history;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod writes;
