//! The store's contract tests, which the emulator passes, on the model: the very same modules.
//!
//! The modules say `cfg(test)` so that clippy knows their helpers for test code.

#[cfg(test)]
mod ground;
#[cfg(test)]
mod race;

#[cfg(test)]
#[path = "../../../local/tests/store/accounts.rs"]
mod accounts;
#[cfg(test)]
#[path = "../../../local/tests/store/audit.rs"]
mod audit;
#[cfg(test)]
#[path = "../../../local/tests/store/deliveries.rs"]
mod deliveries;
#[cfg(test)]
#[path = "../../../local/tests/store/desk.rs"]
mod desk;
#[cfg(test)]
#[path = "../../../local/tests/store/erasure.rs"]
mod erasure;
#[cfg(test)]
#[path = "../../../local/tests/store/flows.rs"]
mod flows;
#[cfg(test)]
#[path = "../../../local/tests/store/leases.rs"]
mod leases;
#[cfg(test)]
#[path = "../../../local/tests/store/limits.rs"]
mod limits;
#[cfg(test)]
#[path = "../../../local/tests/store/lost_answers.rs"]
mod lost_answers;
#[cfg(test)]
#[path = "../../../local/tests/store/mails.rs"]
mod mails;
#[cfg(test)]
#[path = "../../../local/tests/store/media.rs"]
mod media;
#[cfg(test)]
#[path = "../../../local/tests/store/outbox.rs"]
mod outbox;
#[cfg(test)]
#[path = "../../../local/tests/store/records.rs"]
mod records;
#[cfg(test)]
#[path = "../../../local/tests/store/sealed.rs"]
mod sealed;
#[cfg(test)]
#[path = "../../../local/tests/store/sessions.rs"]
mod sessions;
#[cfg(test)]
#[path = "../../../local/tests/store/statistics.rs"]
mod statistics;
#[cfg(test)]
#[path = "../../../local/tests/store/sync_logs.rs"]
mod sync_logs;
#[cfg(test)]
#[path = "../../../local/tests/store/targets.rs"]
mod targets;
#[cfg(test)]
#[path = "../../../local/tests/store/tasks.rs"]
mod tasks;
#[cfg(test)]
#[path = "../../../local/tests/store/users.rs"]
mod users;
