//! Committed events on their way to the product, two ways: an event bus, and webhooks signed by the
//! Standard Webhooks specification.
//!
//! It promises: an event whose transaction was committed is sent, at least once and always under the
//! same id, to the bus and to every endpoint that wants its type; an endpoint gets the events of one
//! connection (or, of events without one, of one user) in the order in which they were committed; an
//! endpoint that fails or is slow holds up no other. What is not accepted for three days is a dead
//! letter, which can be replayed for 30 days.
//!
//! | part | does |
//! |---|---|
//! | [`Relay`] | puts events into lanes and on the bus, and marks them as sent |
//! | [`Sender`] | takes one lane and sends what waits in it |
//! | [`Desk`] | the product's endpoints: make, change, rotate, test, replay |
//! | [`Sweep`] | what lost messages and dead workers left |
//!
//! What an answer means and when the next try is due is decided by pure functions (`decide`).

mod body;
mod bus;
mod decide;
mod desk;
mod error;
mod queue;
mod relay;
mod secrets;
mod sender;
mod sign;
mod slots;
mod sweep;

pub use body::{TEST_TYPE, body, type_is_known};
pub use bus::{Bus, BusEntry, BusError, Refusal};
pub use decide::{Pace, Retries};
pub use desk::{Desk, DeskError, MOST_ENDPOINTS, MadeEndpoint, NewEndpoint, Replayed};
pub use error::OutboxError;
pub use queue::{LaneMessage, LaneQueue};
pub use relay::{Relay, Relayed};
pub use secrets::{NEW_SECRET_BYTES, ROTATION_SECONDS, Secrets};
pub use sender::{Sender, Sent};
pub use sign::{signature, signing_key};
pub use sweep::{Backlog, Sweep};
