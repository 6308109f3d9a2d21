//! Months of refreshes of very many connections, minute by minute, by a virtual clock.
//!
//! What decides is the product's own code: when a connection is due, with which jitter
//! ([`tokens::due_at`]); what a refusal means, when it is tried again, for how long a breaker opens
//! ([`tokens::decide`]); on which shard it lies and which shard comes first ([`store::due`]); how many
//! the schedule takes at once ([`token_refresh`]). What is modelled is the rest: platforms with their
//! lifetimes and outages, creators who use their connections, a queue, and workers that can do so much
//! in a minute.

mod connection;
mod costs;
mod load;
mod outage;
mod platform;
mod report;
mod wheel;
mod work;
mod world;

pub use costs::{Calls, Prices};
pub use load::Load;
pub use outage::{Mode, Outage};
pub use platform::{Kind, kinds};
pub use report::print;
pub use world::{Outcome, PerKind, Plan, run};

/// Minutes in a day.
pub const DAY: u32 = 1_440;
