//! Whole flows: the real function binaries, deployed from the real template into the local cloud,
//! against the stand-in platforms. Faults are injected, never imagined.
//!
//! The modules say `cfg(test)` so that clippy knows their helpers for test code.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod admin_jobs;
#[cfg(test)]
mod connect;
#[cfg(test)]
mod crm;
#[cfg(test)]
mod crm_calls;
#[cfg(test)]
mod crm_race;
#[cfg(test)]
mod dead_letters;
#[cfg(test)]
mod disconnect;
#[cfg(test)]
mod erase;
#[cfg(test)]
mod events;
#[cfg(test)]
mod files;
#[cfg(test)]
mod links;
#[cfg(test)]
mod mail_ends;
#[cfg(test)]
mod mails;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod posting;
#[cfg(test)]
mod publish;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod records;
#[cfg(test)]
mod refresh;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod rewrap;
#[cfg(test)]
#[path = "../../../model/tests/faults/schema.rs"]
mod schema;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod side_by_side;
#[cfg(test)]
mod statistics;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod sync_faults;
#[cfg(test)]
mod users;
#[cfg(test)]
mod verification;
#[cfg(test)]
mod webhook;
#[cfg(test)]
mod world;
