//! The one way out to platforms.
//!
//! It promises that a request is sent at most once, that a URL which a platform returned is checked
//! before anything goes there, that no answer is larger than its cap, and that an error never shows
//! a query. It knows no platform by name and reads no environment.
//!
//! Requests carry the platform's real URLs. Where a deployment puts stand-ins in the platforms'
//! place, [`HostOverrides`] turns the URL round on its way out, here and in the authorise redirect
//! and nowhere else.

mod client;
mod no_answer;
mod overrides;
mod public;
mod push;
mod upload;
mod wire;

pub use client::{CannotStart, Limits, Transport};
pub use no_answer::{NoAnswer, NoAnswerKind};
pub use overrides::{HostOverrides, InvalidOverride, Refused};
pub use public::{Fetch, Fetched, NotFetched, public_url};
pub use push::{Push, Pushed};
pub use upload::{BytesStream, SourceError};
pub use wire::{BoxFuture, Wire};
