//! The functions under faults, in process: every handler is the real one, over the model of AWS and the
//! stand-in platform, on tokio's paused clock. Whole crash points are enumerated; what is too many to
//! enumerate is decided by seeds, and a seed decides all of it.
//!
//! The modules say `cfg(test)` so that clippy knows their helpers for test code.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod check;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod events;
#[cfg(test)]
mod fetch;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod instance;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod people;
#[cfg(test)]
mod places;
#[cfg(test)]
mod platform;
#[cfg(test)]
mod product;
#[cfg(test)]
mod publish;
#[cfg(test)]
mod refresh;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod script;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod world;
