//! What the tables' operations promise, on tables deployed from the real template and through the
//! same proxy as the functions: refused conditions and what stands instead, repeated writes, expired
//! rows, pages, due indexes, fences, races. Every instant is an argument.
//!
//! The same modules run on the model in memory, in its crate's tests: what is not `ground` knows
//! neither.
//!
//! The modules say `cfg(test)` so that clippy knows their helpers for test code.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod census;
#[cfg(test)]
mod deliveries;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod erasure;
#[cfg(test)]
mod flows;
#[cfg(test)]
mod ground;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod lost_answers;
#[cfg(test)]
mod mails;
#[cfg(test)]
mod media;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod records;
#[cfg(test)]
mod rewrap;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod statistics;
#[cfg(test)]
mod sync_logs;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod tasks;
#[cfg(test)]
mod users;
